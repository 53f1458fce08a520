"""Networks for dense prediction: sizes, dilation, what each part computes, weights from a file, and what cannot be."""

import collections
import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from safetensors.numpy import save_file

from jaxloss.core.errors import UserError
from jaxloss.tasks.models.backbone import network_backbone_mask, with_pretrained
from jaxloss.tasks.models.embeddings import count_parameters
from jaxloss.tasks.models.pretrained import load_pretrained
from jaxloss.tasks.models.registry import SEGMENTATION_MODELS, make_segmentation_model
from jaxloss.tasks.models.resnet50 import Stage, stages
from tests import pytorch_networks
from tests.test_embedding_models import assert_roughly_equal, assert_statistics_moved, filled, normal, shapes_of

RESNET = {"depths": (1, 2, 2, 2), "width": 2, "features": 6}
# Network -> options that make it small.
SMALL = {
    "light_unet": {"features": [4, 6, 8]},
    "deeplabv3plus_resnet50": {**RESNET, "fine_features": 3},
    "deeplabv3plus_resnet101": {**RESNET, "fine_features": 3, "separable": True, "output_stride": 8},
    "pspnet_resnet50": RESNET,
    "pspnet_resnet101": {**RESNET, "output_stride": 16},
}
CLASSES = 5


def small(name, **options):
    return make_segmentation_model(name, CLASSES, {**SMALL[name], **options})


def shallow(name):
    """Options for a block in each stage, where what the stages are made of is not in question."""
    return {} if name == "light_unet" else {"depths": (1, 1, 1, 1)}


def in_training(network, variables, images):
    return network.apply(variables, images, train=True, mutable=["batch_stats"], rngs={"dropout": jax.random.key(0)})


@pytest.mark.parametrize("name", SEGMENTATION_MODELS)
@pytest.mark.parametrize("more", [pytest.param((0, 0), marks=pytest.mark.slow), (50, 31)])
def test_logits_have_the_size_of_the_images_and_are_float32(name, more):
    network = small(name, dtype="bfloat16", **shallow(name))
    least = network.smallest_image()
    height, width = least + more[0], least + more[1]
    images = jax.ShapeDtypeStruct((2, height, width, 3), jnp.float32)
    variables = shapes_of(network, (height, width, 3))
    assert {leaf.dtype for leaf in jax.tree.leaves(variables)} == {jnp.dtype("float32")}
    expected = jax.ShapeDtypeStruct((2, height, width, CLASSES), jnp.float32)
    tested = jax.eval_shape(network.apply, variables, images)
    trained, updated = jax.eval_shape(functools.partial(in_training, network), variables, images)
    assert tested.main == trained.main == expected
    assert tested.auxiliary is None
    assert trained.auxiliary == (None if name == "light_unet" else expected)
    assert jax.tree.structure(updated["batch_stats"]) == jax.tree.structure(variables["batch_stats"])


def test_the_auxiliary_head_can_be_left_out():
    network = small("pspnet_resnet50", auxiliary=False)
    image = (network.smallest_image(), network.smallest_image(), 3)
    variables = shapes_of(network, image)
    assert "auxiliary_head" not in variables["params"]
    assert "auxiliary_head" in shapes_of(small("pspnet_resnet50"), image)["params"]
    trained, _ = jax.eval_shape(
        functools.partial(in_training, network), variables, jax.ShapeDtypeStruct((2, *image), jnp.float32)
    )
    assert trained.auxiliary is None


# What torchvision publishes for 21 classes, auxiliary head included: `deeplabv3_resnet50` and so on.
DEEPLAB_V3 = {"resnet50": 42_004_074, "resnet101": 60_996_202}
FCN = {"resnet50": 35_322_218, "resnet101": 54_314_346}
# DeepLabv3 has one 3x3 convolution behind ASPP, v3+ a second one in front of it, which reads 256 + 48 channels.
DECODER = 256 * 48 + 2 * 48 + 9 * (256 + 48) * 256 + 2 * 256
# FCN has the last 3x3 convolution and no pyramid, whose four levels of 512 channels double what that convolution reads.
PYRAMID = 4 * (2048 * 512 + 2 * 512) + 9 * 4 * 512 * 512


@pytest.mark.parametrize("depth", ["resnet50", pytest.param("resnet101", marks=pytest.mark.slow)])
def test_networks_have_the_published_sizes(depth):
    assert count_parameters(make_segmentation_model(f"deeplabv3plus_{depth}", 21), 65, 65) == DEEPLAB_V3[depth] + DECODER
    assert count_parameters(make_segmentation_model(f"pspnet_{depth}", 21), 65, 65) == FCN[depth] + PYRAMID


def test_the_light_network_is_light():
    coarse = small("light_unet", join_half=False)
    logits = jax.eval_shape(coarse.apply, shapes_of(coarse, (9, 11, 3)), jax.ShapeDtypeStruct((2, 9, 11, 3), jnp.float32))
    assert logits.main.shape == (2, 9, 11, CLASSES)
    assert 100_000 < count_parameters(make_segmentation_model("light_unet", 11), 88, 120) < 400_000
    assert not any(jax.tree.leaves(network_backbone_mask(shapes_of(small("light_unet"), (9, 9, 3))["params"])))


def dilations(network, size):
    """Dilation -> number of 3x3 convolutions with it; found in the program, nothing is computed."""
    images = jax.ShapeDtypeStruct((1, size, size, 3), jnp.float32)
    program = jax.make_jaxpr(network.apply)(shapes_of(network, (size, size, 3)), images)
    found = collections.Counter()
    for equation in program.jaxpr.eqns:
        if equation.primitive.name == "conv_general_dilated":
            kernel, dilation = equation.invars[1].aval.shape, equation.params["rhs_dilation"]
            if kernel[:2] == (3, 3):
                found[dilation] += 1
    return {across: count for (across, down), count in found.items() if across == down}


@pytest.mark.parametrize(
    ("name", "output_stride", "expected"),
    [
        # ResNet-50 has 3, 4, 6 and 3 blocks; ASPP three rates, the decoder two convolutions.
        pytest.param("deeplabv3plus_resnet50", 16, {1: 3 + 4 + 6 + 1 + 2, 2: 2, 6: 1, 12: 1, 18: 1}, marks=pytest.mark.slow),
        ("deeplabv3plus_resnet50", 8, {1: 3 + 4 + 1 + 2, 2: 5 + 1, 4: 2, 12: 1, 24: 1, 36: 1}),
        pytest.param("pspnet_resnet101", 8, {1: 3 + 4 + 1 + 1, 2: 22 + 1, 4: 2}, marks=pytest.mark.slow),
        ("pspnet_resnet50", 16, {1: 3 + 4 + 6 + 1 + 1, 2: 2}),
    ],
)
def test_kernels_reach_as_far_as_they_should(name, output_stride, expected):
    network = make_segmentation_model(name, CLASSES, {"output_stride": output_stride})
    assert dilations(network, network.smallest_image()) == expected


def test_stages_without_dilation():
    assert stages(32) == (Stage(1, 1, 1), *[Stage(2, 1, 1)] * 3)
    assert stages(32, last_stride=1)[-1] == Stage(1, 1, 1)
    with pytest.raises(UserError, match=r"one of \(8, 16, 32\), not 4"):
        stages(4)


def pretrained(tmp_path, network, image, **change):
    path = tmp_path / "weights.safetensors"
    tensors = {**pytorch_networks.resnet_state(network.depths, network.width), **change}
    save_file({name: np.ascontiguousarray(tensor) for name, tensor in tensors.items()}, path)
    return load_pretrained(filled(shapes_of(network, image), seed=1), network, path), tensors


@pytest.mark.parametrize("output_stride", [8, pytest.param(16, marks=pytest.mark.slow)])
def test_the_maps_of_a_pretrained_backbone_against_numpy(tmp_path, output_stride):
    """All four stages: strides, dilations and weights."""
    network = small("deeplabv3plus_resnet50", output_stride=output_stride)
    image = (33, 42, 3)
    variables, tensors = pretrained(tmp_path, network, image)
    images = normal(0, (2, *image))

    def of_backbone(module, _):
        return module.name is not None and module.name.startswith("backbone_stage")

    apply = functools.partial(network.apply, capture_intermediates=of_backbone, mutable=["intermediates"])
    _, captured = jax.jit(apply)(variables, images)
    expected = pytorch_networks.resnet_stages(images.transpose(0, 3, 1, 2), tensors, network.depths, output_stride)
    assert expected[-1].shape[2:] == (-(-33 // output_stride), -(-42 // output_stride))
    for stage, wanted in enumerate(expected, 1):
        (got,) = captured["intermediates"][f"backbone_stage{stage}"]["__call__"]
        np.testing.assert_allclose(got, wanted.transpose(0, 2, 3, 1), rtol=1e-3, atol=1e-3)


def test_weights_reach_the_backbone_and_nothing_else(tmp_path):
    network = small("pspnet_resnet50")
    image = (network.smallest_image(), network.smallest_image(), 3)
    _, tensors = pretrained(tmp_path, network, image)
    start = filled(shapes_of(network, image), seed=2)
    loaded = with_pretrained(lambda key: start, network, str(tmp_path / "weights.safetensors"), part=None)(jax.random.key(0))
    same = jax.tree.map(np.array_equal, loaded, start)
    for collection in ("params", "batch_stats"):
        mask = network_backbone_mask(start[collection])
        assert any(jax.tree.leaves(mask))
        assert jax.tree.map(np.logical_not, same[collection]) == mask
    kernel = loaded["params"]["backbone_stage3"]["layer3_1"]["conv2"]["kernel"]
    np.testing.assert_array_equal(kernel, tensors["layer3.1.conv2.weight"].transpose(2, 3, 1, 0))


@pytest.mark.parametrize("name", ["light_unet", pytest.param("deeplabv3plus_resnet50", marks=pytest.mark.slow)])
def test_bfloat16_is_near_float32_and_statistics_move(name):
    exact, rough = (small(name, dtype=dtype, **shallow(name)) for dtype in ("float32", "bfloat16"))
    image = (exact.smallest_image() + 1, exact.smallest_image() + 4, 3)
    images = normal(0, (4, *image))

    @jax.jit
    def outputs(variables):
        return [in_training(network, variables, images) for network in (exact, rough)]

    variables = filled(shapes_of(exact, image))
    (expected, updated), (got, _) = outputs(variables)
    assert_roughly_equal(got.main, expected.main)
    assert_statistics_moved(variables, updated)
    if name != "light_unet":
        assert_roughly_equal(got.auxiliary, expected.auxiliary)


def test_both_convolutions_of_the_light_network_are_one_function():
    images = normal(0, (2, 13, 18, 3))
    native, patches = (small("light_unet", convolution=name) for name in ("native", "patches"))
    variables = filled(shapes_of(native, images.shape[1:]))
    expected, got = jax.jit(lambda variables: [network.apply(variables, images).main for network in (native, patches)])(variables)
    np.testing.assert_allclose(got, expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(
    ("name", "options", "size", "message"),
    [
        ("unet", {}, 64, "unknown model 'unet'"),
        ("light_unet", {"feature": (3,)}, 64, "has no option 'feature'. Did you mean 'features'"),
        ("light_unet", {}, 16, "LightUNet needs images of at least 17 x 17 pixels, not 16 x 16"),
        ("deeplabv3plus_resnet50", {}, 16, "DeepLabV3Plus needs images of at least 17 x 17 pixels, not 16 x 16"),
        ("pspnet_resnet50", {}, 40, "PSPNet needs images of at least 41 x 41 pixels, not 40 x 40"),
        ("pspnet_resnet101", {"output_stride": 32}, 99, "the output_stride of PSPNet is 8 or 16, not 32"),
        ("deeplabv3plus_resnet101", {"output_stride": 4}, 99, "the output_stride of DeepLabV3Plus is 8 or 16, not 4"),
    ],
)
def test_networks_that_cannot_be(name, options, size, message):
    with pytest.raises(UserError, match=message) as error:
        shapes_of(make_segmentation_model(name, CLASSES, options), (size, size, 3))
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("depths", "message"),
    [
        ((1, 2, 3, 2), "DeepLabV3Plus has no place for 'layer3.2"),
        ((1, 2, 1, 2), "has no tensor 'layer3.1.*', which DeepLabV3Plus needs"),
    ],
)
def test_weights_of_another_network_are_refused(tmp_path, depths, message):
    network, other = (small("deeplabv3plus_resnet50", depths=of) for of in (RESNET["depths"], depths))
    image = (17, 17, 3)
    pretrained(tmp_path, other, image)
    path = tmp_path / "weights.safetensors"
    with pytest.raises(UserError, match=message) as error:
        load_pretrained(filled(shapes_of(network, image)), network, path)
    assert "\n" not in str(error.value)
    light = small("light_unet")
    with pytest.raises(UserError, match="LightUNet has no backbone for pretrained weights"):
        load_pretrained(filled(shapes_of(light, image)), light, path)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["deeplabv3plus_resnet101", "pspnet_resnet50"])
def test_a_whole_network_runs_and_learns(name):
    """At its full width, with finite gradients everywhere: a small step against them lowers the loss as they say."""
    network = make_segmentation_model(name, CLASSES, {"dropout": 0.0})
    size = network.smallest_image() + 8
    images, labels = normal(0, (2, size, size, 3)), np.random.default_rng(1).integers(0, CLASSES, (2, size, size))
    variables = filled(shapes_of(network, images.shape[1:]))

    @jax.jit
    def loss_and_gradient(params):
        def loss(params):
            logits, _ = in_training(network, {**variables, "params": params}, images)
            both = [jax.nn.log_softmax(one) for one in (logits.main, logits.auxiliary)]
            return -sum(jnp.mean(jnp.take_along_axis(one, labels[..., None], axis=-1)) for one in both)

        return jax.value_and_grad(loss)(params)

    before, gradient = loss_and_gradient(variables["params"])
    assert all(np.isfinite(leaf).all() and np.any(leaf) for leaf in jax.tree.leaves(gradient))
    square = sum(np.sum(np.square(leaf)) for leaf in jax.tree.leaves(gradient))
    expected = 2e-4 * before
    moved = jax.tree.map(lambda leaf, slope: leaf - expected / square * slope, variables["params"], gradient)
    after, _ = loss_and_gradient(moved)
    # About what the first order says: with BatchNorm over the two numbers of the pooled maps it is rough.
    assert 0.4 < (before - after) / expected < 1.5
