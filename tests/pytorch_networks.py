"""ResNet and OSNet as their PyTorch definitions compute them, in NumPy: channels first, weights by the names of a state dict."""

import numpy as np


def convolve(images, weight, stride=1, dilation=1):
    """`[N, C, H, W]` with the kernel `[out, in, k, k]`, its pixels `dilation` apart; depthwise where `in` is 1.

    `dilation * (k // 2)` zeros on every side.
    """
    size, zeros = weight.shape[-1], dilation * (weight.shape[-1] // 2)
    padded = np.pad(images, ((0, 0), (0, 0), (zeros, zeros), (zeros, zeros)))
    reach = dilation * (size - 1) + 1
    windows = np.lib.stride_tricks.sliding_window_view(padded, (reach, reach), axis=(2, 3))
    windows = windows[:, :, ::stride, ::stride, ::dilation, ::dilation]
    if weight.shape[1] == 1 and images.shape[1] > 1:
        return np.einsum("nchwij,cij->nchw", windows, weight[:, 0])
    return np.einsum("nchwij,ocij->nohw", windows, weight)


def scaled(normalised, tensors, name):
    return normalised * tensors[f"{name}.weight"][:, None, None] + tensors[f"{name}.bias"][:, None, None]


def batch_norm(images, tensors, name):
    """In evaluation mode: with the running statistics."""
    mean, variance = (tensors[f"{name}.running_{which}"][:, None, None] for which in ("mean", "var"))
    return scaled((images - mean) / np.sqrt(variance + 1e-5), tensors, name)


def instance_norm(images, tensors, name):
    mean, variance = images.mean((2, 3), keepdims=True), images.var((2, 3), keepdims=True)
    return scaled((images - mean) / np.sqrt(variance + 1e-5), tensors, name)


def relu(images):
    return np.maximum(images, 0)


def max_pool(images):
    """3x3 windows with stride 2 and one pixel of padding."""
    padded = np.pad(images, ((0, 0), (0, 0), (1, 1), (1, 1)), constant_values=-np.inf)
    return np.lib.stride_tricks.sliding_window_view(padded, (3, 3), axis=(2, 3))[:, :, ::2, ::2].max((-1, -2))


def bottleneck(images, tensors, name, stride, dilation=1):
    branch = relu(batch_norm(convolve(images, tensors[f"{name}.conv1.weight"]), tensors, f"{name}.bn1"))
    branch = relu(batch_norm(convolve(branch, tensors[f"{name}.conv2.weight"], stride, dilation), tensors, f"{name}.bn2"))
    branch = batch_norm(convolve(branch, tensors[f"{name}.conv3.weight"]), tensors, f"{name}.bn3")
    if f"{name}.downsample.0.weight" in tensors:
        images = batch_norm(convolve(images, tensors[f"{name}.downsample.0.weight"], stride), tensors, f"{name}.downsample.1")
    return relu(branch + images)


def light_convolution(images, tensors, name):
    images = convolve(convolve(images, tensors[f"{name}.conv1.weight"]), tensors[f"{name}.conv2.weight"])
    return relu(batch_norm(images, tensors, f"{name}.bn"))


def gate(images, tensors, name):
    means = images.mean((2, 3), keepdims=True)
    hidden = relu(convolve(means, tensors[f"{name}.fc1.weight"]) + tensors[f"{name}.fc1.bias"][:, None, None])
    logits = convolve(hidden, tensors[f"{name}.fc2.weight"]) + tensors[f"{name}.fc2.bias"][:, None, None]
    return images * (1 + np.tanh(logits / 2)) / 2


def streams(name, variant):
    """The light convolutions of the four streams of a block."""
    if variant == "ain":
        return [[f"{name}.conv2.{stream}.layers.{depth}" for depth in range(stream + 1)] for stream in range(4)]
    return [
        [f"{name}.conv2a"],
        *([f"{name}.conv2{'abcd'[stream]}.{depth}" for depth in range(stream + 1)] for stream in (1, 2, 3)),
    ]


def conv_norm(images, tensors, name, stride=1):
    images = convolve(images, tensors[f"{name}.conv.weight"], stride)
    norm = batch_norm if f"{name}.bn.running_mean" in tensors else instance_norm
    return norm(images, tensors, f"{name}.bn")


def omni_scale_block(images, tensors, name, variant):
    hidden = relu(conv_norm(images, tensors, f"{name}.conv1"))
    total = 0
    for layers in streams(name, variant):
        scale = hidden
        for layer in layers:
            scale = light_convolution(scale, tensors, layer)
        total = total + gate(scale, tensors, f"{name}.gate")
    normalises_instances = f"{name}.IN.weight" in tensors
    if variant == "ain" and normalises_instances:
        residual = instance_norm(convolve(total, tensors[f"{name}.conv3.conv.weight"]), tensors, f"{name}.IN")
    else:
        residual = conv_norm(total, tensors, f"{name}.conv3")
    if f"{name}.downsample.conv.weight" in tensors:
        images = conv_norm(images, tensors, f"{name}.downsample")
    total = residual + images
    return relu(instance_norm(total, tensors, f"{name}.IN") if variant == "ibn" and normalises_instances else total)


def osnet(images, tensors, variant):
    """Embeddings `[N, D]`."""
    maps = max_pool(relu(conv_norm(images, tensors, "conv1", stride=2)))
    for stage in (2, 3, 4):
        for block in (0, 1):
            maps = omni_scale_block(maps, tensors, f"conv{stage}.{block}", variant)
        if stage < 4:
            maps = relu(conv_norm(maps, tensors, f"pool{stage}.0" if variant == "ain" else f"conv{stage}.2.0"))
            n, c, h, w = maps.shape
            maps = maps[:, :, : h // 2 * 2, : w // 2 * 2].reshape(n, c, h // 2, 2, w // 2, 2).mean((3, 5))
    pooled = relu(conv_norm(maps, tensors, "conv5")).mean((2, 3))
    dense = pooled @ tensors["fc.0.weight"].T + tensors["fc.0.bias"]
    return relu(batch_norm(dense[:, :, None, None], tensors, "fc.1"))[:, :, 0, 0]


# Output stride -> of each stage the stride and dilation of its first block, and the dilation of its others: torchvision's
# `replace_stride_with_dilation` with (False, False, False), (False, False, True) and (False, True, True).
STAGES = {
    32: ((1, 1, 1), (2, 1, 1), (2, 1, 1), (2, 1, 1)),
    16: ((1, 1, 1), (2, 1, 1), (2, 1, 1), (1, 1, 2)),
    8: ((1, 1, 1), (2, 1, 1), (1, 1, 2), (1, 2, 4)),
}


def resnet_stages(images, tensors, depths, output_stride=32):
    """Feature maps of all stages."""
    maps, found = max_pool(relu(batch_norm(convolve(images, tensors["conv1.weight"], 2), tensors, "bn1"))), []
    for stage, depth in enumerate(depths):
        stride, first_dilation, dilation = STAGES[output_stride][stage]
        for block in range(depth):
            how = (stride, first_dilation) if block == 0 else (1, dilation)
            maps = bottleneck(maps, tensors, f"layer{stage + 1}.{block}", *how)
        found.append(maps)
    return found


def resnet(images, tensors, depths):
    """Feature maps with strides 1, 2, ... of the stages."""
    return resnet_stages(images, tensors, depths)[-1]


class StateDict(dict):
    """Random tensors by PyTorch's names."""

    def __init__(self, seed=0):
        super().__init__()
        self.generator = np.random.default_rng(seed)

    def weight(self, name, *shape):
        fan_in = np.prod(shape[1:])
        self[f"{name}.weight"] = self.generator.normal(0, (2 / fan_in) ** 0.5, shape).astype(np.float32)

    def norm(self, name, features, running=True):
        self[f"{name}.weight"] = self.generator.uniform(0.5, 1.5, features).astype(np.float32)
        self[f"{name}.bias"] = self.generator.normal(0, 0.1, features).astype(np.float32)
        if running:
            self[f"{name}.running_mean"] = self.generator.normal(0, 0.1, features).astype(np.float32)
            self[f"{name}.running_var"] = self.generator.uniform(0.5, 1.5, features).astype(np.float32)
            self[f"{name}.num_batches_tracked"] = np.array(7)

    def conv_norm(self, name, into, out, size=1, norm="batch"):
        self.weight(f"{name}.conv", out, into, size, size)
        if norm != "none":
            self.norm(f"{name}.bn", out, running=norm == "batch")


def resnet_state(depths, width):
    """What a torchvision ResNet with bottlenecks holds, and a classifier of 3 classes."""
    state = StateDict()
    state.weight("conv1", width, 3, 7, 7)
    state.norm("bn1", width)
    into = width
    for stage, depth in enumerate(depths):
        features = width * 2**stage
        for block in range(depth):
            name = f"layer{stage + 1}.{block}"
            shapes = (features, into, 1, 1), (features, features, 3, 3), (4 * features, features, 1, 1)
            for index, shape in enumerate(shapes, 1):
                state.weight(f"{name}.conv{index}", *shape)
                state.norm(f"{name}.bn{index}", shape[0])
            if block == 0:
                state.weight(f"{name}.downsample.0", 4 * features, into, 1, 1)
                state.norm(f"{name}.downsample.1", 4 * features)
            into = 4 * features
    state.weight("fc", 3, into)
    state["fc.bias"] = np.zeros(3, np.float32)
    return state


# Blocks that normalise instances, in the two variants that do.
INSTANCE_NORM = {
    "plain": (),
    "ibn": ("conv2.0", "conv2.1"),
    "ain": ("conv2.0", "conv2.1", "conv3.1", "conv4.0"),
}


def osnet_state(variant, channels, embedding_size):
    """What the authors' OSNet holds, and a classifier of 3 classes."""
    state = StateDict()
    state.conv_norm("conv1", 3, channels[0], 7, norm="batch" if variant == "plain" else "instance")
    for stage in (2, 3, 4):
        for block in (0, 1):
            name, out = f"conv{stage}.{block}", channels[stage - 1]
            into, hidden = channels[stage - 2] if block == 0 else out, out // 4
            state.conv_norm(f"{name}.conv1", into, hidden)
            for layer in (layer for stream in streams(name, variant) for layer in stream):
                state.weight(f"{layer}.conv1", hidden, hidden, 1, 1)
                state.weight(f"{layer}.conv2", hidden, 1, 3, 3)
                state.norm(f"{layer}.bn", hidden)
            for layer, shape in (("fc1", (hidden // 16, hidden, 1, 1)), ("fc2", (hidden, hidden // 16, 1, 1))):
                state.weight(f"{name}.gate.{layer}", *shape)
                state[f"{name}.gate.{layer}.bias"] = state.generator.normal(0, 0.1, shape[0]).astype(np.float32)
            inside = variant == "ain" and name in INSTANCE_NORM[variant]
            state.conv_norm(f"{name}.conv3", hidden, out, norm="none" if inside else "batch")
            if into != out:
                state.conv_norm(f"{name}.downsample", into, out)
            if name in INSTANCE_NORM[variant]:
                state.norm(f"{name}.IN", out, running=False)
        if stage < 4:
            state.conv_norm(f"pool{stage}.0" if variant == "ain" else f"conv{stage}.2.0", out, out)
    state.conv_norm("conv5", channels[-1], channels[-1])
    state.weight("fc.0", embedding_size, channels[-1])
    state["fc.0.bias"] = np.zeros(embedding_size, np.float32)
    state.norm("fc.1", embedding_size)
    state.weight("classifier", 3, embedding_size)
    return state
