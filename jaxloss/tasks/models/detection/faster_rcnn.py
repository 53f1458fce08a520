"""A small Faster R-CNN that trains in seconds on a CPU: the proxy network of detection in two stages."""

import functools
from collections.abc import Sequence

import flax.linen as nn
import jax.numpy as jnp

from jaxloss.core.types import Array
from jaxloss.tasks.models.convolution import convolution
from jaxloss.tasks.models.detection.roi_align import roi_align
from jaxloss.tasks.models.detection.small_pyramid import halving_maps, small_pyramid, strides_of
from jaxloss.tasks.models.detection.two_stage import FirstStage, SecondStage, TwoStageNetwork


class RegionProposalHead(nn.Module):
    """A 3x3 convolution that all levels share, and what it says of every anchor: object or background, and its box.

    Attributes:
      num_anchors: of a location.
      channels: of the convolution.
      convolution: `patches` or `native`, see `models.convolution`.
      dtype: of the convolution; outputs are float32.

    References:
      S. Ren et al.: Faster R-CNN, NIPS 2015, Section 3.1.
    """

    num_anchors: int
    channels: int
    convolution: str = "patches"
    dtype: str = "float32"

    @nn.compact
    def __call__(self, pyramid: Sequence[Array]) -> tuple[Array, Array]:
        """Logits `[N, A, 2]` and deltas `[N, A, 4]` of maps `[N, h, w, C]`, level by level."""
        shared = convolution(self.channels, implementation=self.convolution, dtype=jnp.dtype(self.dtype))
        last = functools.partial(nn.Dense, dtype=jnp.float32, kernel_init=nn.initializers.normal(0.01))
        objects, box = last(2 * self.num_anchors), last(4 * self.num_anchors)
        found = []
        for maps in pyramid:
            features = nn.relu(shared(maps)).astype(jnp.float32)
            found.append([layer(features).reshape(len(maps), -1, size) for layer, size in ((objects, 2), (box, 4))])
        return tuple(jnp.concatenate(one, axis=1) for one in zip(*found, strict=True))


class RegionHead(nn.Module):
    """Two layers over the features of a region, and what they say of it: its class, and for each class its box.

    Attributes:
      num_classes: `C`, without background.
      width: of the two layers.
      dtype: of the two layers; outputs are float32.

    References:
      T.-Y. Lin et al.: Feature Pyramid Networks for Object Detection, CVPR 2017, Section 4.2; R. Girshick: Fast R-CNN, ICCV 2015.
    """

    num_classes: int
    width: int
    dtype: str = "float32"

    @nn.compact
    def __call__(self, features: Array) -> SecondStage:
        """The outputs for features `[N, R, size, size, channels]`."""
        layer = functools.partial(nn.Dense, self.width, dtype=jnp.dtype(self.dtype), kernel_init=nn.initializers.he_normal())
        through = features.reshape(*features.shape[:2], -1)
        for _ in range(2):
            through = nn.relu(layer()(through))
        last = functools.partial(nn.Dense, dtype=jnp.float32)
        logits = last(self.num_classes + 1, kernel_init=nn.initializers.normal(0.01))(through)
        deltas = last(4 * self.num_classes, kernel_init=nn.initializers.normal(0.001))(through)
        return SecondStage(logits, deltas.reshape(*deltas.shape[:2], self.num_classes, 4))


class SmallPyramid(nn.Module):
    """A backbone of convolutions that halve the image, and a pyramid of its last maps; attributes as in `TinyFasterRCNN`."""

    features: tuple[int, ...]
    num_levels: int
    channels: int
    convolution: str
    dtype: str
    momentum: float
    axis_name: str | None

    @nn.compact
    def __call__(self, images: Array, train: bool) -> list[Array]:
        """Maps `[N, h, w, channels]` of images `[N, H, W, 3]`, the finest first."""
        dtype = jnp.dtype(self.dtype)
        layer = functools.partial(convolution, implementation=self.convolution, use_bias=False, dtype=dtype)
        statistics = {"use_running_average": not train, "momentum": self.momentum, "axis_name": self.axis_name}
        norm = functools.partial(nn.BatchNorm, **statistics, dtype=dtype)
        sizes = halving_maps(images.astype(dtype), self.features, layer, norm)
        return small_pyramid(sizes[-self.num_levels :], self.channels, layer, norm)


class FasterRCNN(TwoStageNetwork):
    """What the networks of two stages share: everything behind the pyramid.

    A network has `pyramid(images, train)`, which gives its maps, beside the attributes that are listed in `TinyFasterRCNN`.
    """

    def make_heads(self, proposal_channels: int) -> None:
        """Makes the submodules `proposal_head`, of so many channels, and `region_head`; for calls inside `setup`."""
        implementation = getattr(self, "convolution", "native")
        self.proposal_head = RegionProposalHead(self.num_anchors, proposal_channels, implementation, self.dtype)
        self.region_head = RegionHead(self.num_classes, self.head_width, self.dtype)

    def propose(self, images: Array, train: bool = False) -> FirstStage:
        """See `TwoStageNetwork.propose`.

        Raises:
          UserError: for images that are too small.
        """
        self.check_size(images)
        pyramid = self.pyramid(images, train)
        return FirstStage(tuple(pyramid), *self.proposal_head(pyramid))

    def classify(self, pyramid: tuple[Array, ...], boxes: Array, valid: Array) -> SecondStage:
        """See `TwoStageNetwork.classify`."""
        # In float32: weights of bilinear interpolation are no numbers of bfloat16.
        maps = [one.astype(jnp.float32) for one in pyramid[: self.num_pooled]]
        strides = self.strides[: self.num_pooled]
        return self.region_head(
            roi_align(maps, strides, boxes, valid, self.region_size, self.sampling_ratio, self.canonical_cells)
        )

    @property
    def num_pooled(self) -> int:
        """How many levels regions are cut out of, from the finest on."""
        return len(self.strides)

    def __call__(self, images: Array, train: bool = False) -> tuple[FirstStage, SecondStage]:
        """Both stages for images `[N, H, W, channels]`, the second for one region, the whole image."""
        first = self.propose(images, train)
        count, height, width = images.shape[:3]
        whole = jnp.broadcast_to(jnp.array([0, 0, width, height], jnp.float32), (count, 1, 4))
        return first, self.classify(first.pyramid, whole, jnp.ones((count, 1), bool))


class TinyFasterRCNN(FasterRCNN):
    """The backbone and the pyramid of `TinyFCOS` with the two stages of Faster R-CNN; 0.3 million parameters.

    Attributes:
      num_classes: without background.
      num_anchors: of a location.
      features: channels of the maps of 1/2, 1/4, 1/8, ... of the size of the image.
      num_levels: of the pyramid, the last maps; strides 8, 16 and 32 with five maps and three levels.
      channels: of the pyramid and the first stage.
      head_width: of the two layers of the second stage.
      region_size: bins along each side of a region, see `roi_align`.
      sampling_ratio: points along each side of a bin.
      canonical_cells: root of the area of a region that just reaches a level, in strides of that level.
      convolution: `patches` or `native`, see `models.convolution`.
      dtype: of the computation, for example `bfloat16`; statistics, parameters and outputs are float32.
      momentum: of the running statistics of BatchNorm, in the backbone.
      axis_name: of the device axis over which a batch is divided, see `TwoStageNetwork`.

    References:
      S. Ren et al.: Faster R-CNN, NIPS 2015; T.-Y. Lin et al.: Feature Pyramid Networks for Object Detection, CVPR 2017.
    """

    num_classes: int
    num_anchors: int = 3
    features: tuple[int, ...] = (16, 32, 64, 96, 128)
    num_levels: int = 3
    channels: int = 48
    head_width: int = 64
    region_size: int = 5
    sampling_ratio: int = 2
    canonical_cells: float = 4.0
    convolution: str = "patches"
    dtype: str = "float32"
    momentum: float = 0.9
    axis_name: str | None = None

    @property
    def strides(self) -> tuple[int, ...]:
        """See `TwoStageNetwork`."""
        return strides_of(len(self.features), self.num_levels)

    def setup(self):
        """Makes the submodules."""
        shared = {"convolution": self.convolution, "dtype": self.dtype, "momentum": self.momentum, "axis_name": self.axis_name}
        self.pyramid = SmallPyramid(self.features, self.num_levels, self.channels, **shared)
        self.make_heads(self.channels)
