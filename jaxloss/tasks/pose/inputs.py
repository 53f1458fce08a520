"""What a pose task offers to losses: the map of each keypoint as a sample of its own."""

import dataclasses
from collections.abc import Callable, Mapping

import jax.numpy as jnp

from jaxloss.core.types import Array, LossInputs, PyTree
from jaxloss.tasks.data.keypoints.source import IMAGE, KEYPOINTS, VISIBLE
from jaxloss.tasks.models.network import linen_network
from jaxloss.tasks.models.pose.network import PoseNetwork

BRANCH = "heatmap"
OFFERS = {BRANCH: ("prediction", "target", "offset")}
# Predictions are any numbers: the last layer is linear.
RANGES = {BRANCH: {"target": (0.0, 1.0)}}
MEANINGS = {
    BRANCH: {
        "prediction": "maps of keypoints as the network gives them, any numbers, each map a sample with one channel",
        "target": "a Gaussian of height 1 around the keypoint",
        "offset": "from the keypoint to each position of the map along x and y, in positions",
    }
}
# Where the peak of a target lies.
ROUNDED, EXACT = CENTRES = ("rounded", "exact")
# In standard deviations: beyond, along x or y, a target is 0.
REACH = 3.0

Forward = Callable[[PyTree, Mapping[str, Array], Array], tuple[dict[str, LossInputs], PyTree]]


@dataclasses.dataclass(frozen=True)
class HeatmapInputs:
    """Makes the inputs of losses from maps and keypoints.

    Attributes:
      size: (height, width) of a map.
      stride: pixels of the input for a position.
      sigma: standard deviation of the targets, in positions.
      centre: in `CENTRES`: at the position nearest to the keypoint, or at the keypoint itself.

    References:
      B. Xiao, H. Wu, Y. Wei: Simple Baselines for Human Pose Estimation and Tracking, ECCV 2018, and their code (rounded, cut at
      three standard deviations).
    """

    size: tuple[int, int]
    stride: int
    sigma: float
    centre: str

    def places(self, keypoints: Array) -> Array:
        """Keypoints `[..., 2]` in pixels of the input as positions of a map, from the middle of the first one."""
        return (keypoints + 0.5) / self.stride - 0.5

    def counted(self, batch: Mapping[str, Array]) -> Array:
        """Which keypoints losses see, bool `[N, K]`: visible ones that lie on the map."""
        places = self.places(batch[KEYPOINTS])
        limits = jnp.array(self.size[::-1]) - 0.5
        return batch[VISIBLE] & jnp.all((places >= -0.5) & (places <= limits), axis=-1)

    def offsets(self, keypoints: Array) -> Array:
        """From keypoints `[..., 2]` to each position along x and y, `[..., h, w, 2]`, in positions."""
        height, width = self.size
        grid = jnp.stack(jnp.meshgrid(jnp.arange(width), jnp.arange(height)), axis=-1)
        return grid - self.places(keypoints)[..., None, None, :]

    def targets(self, keypoints: Array) -> Array:
        """`exp(-d^2 / (2 sigma^2))` around keypoints `[..., 2]`, `[..., h, w]`, 0 to 1."""
        sides = []
        for axis, length in enumerate(self.size[::-1]):
            place = self.places(keypoints)[..., axis]
            if self.centre == ROUNDED:
                place = jnp.floor(place + 0.5)
            away = jnp.arange(length) - place[..., None]
            sides.append(jnp.where(jnp.abs(away) <= REACH * self.sigma, jnp.exp(-(away**2) / (2 * self.sigma**2)), 0))
        x, y = sides
        return y[..., :, None] * x[..., None, :]

    def of_samples(self, maps: Array, keypoints: Array, counted: Array) -> LossInputs:
        """The inputs of maps that are samples of their own.

        Args:
          maps: `[S, h, w, 1]`.
          keypoints: `[S, 2]`, in pixels of the input.
          counted: bool `[S]`.
        """
        arrays = {
            "prediction": maps,
            "target": self.targets(keypoints)[..., None].astype(maps.dtype),
            "offset": self.offsets(keypoints).astype(maps.dtype),
        }
        return LossInputs.create(arrays, jnp.broadcast_to(counted[:, None, None, None], maps.shape))

    def __call__(self, maps: Array, batch: Mapping[str, Array]) -> LossInputs:
        """`prediction` and `target` `[N * K, h, w, 1]`, `offset` `[N * K, h, w, 2]`: the keypoints of the first image come first.

        The mask leaves out keypoints that are not visible, or lie beyond the map.

        Args:
          maps: `[N, h, w, K]`.
          batch: `keypoints` `[N, K, 2]` in pixels of the input and `visible` `[N, K]`.
        """
        count, height, width, keypoints = maps.shape
        apart = maps.transpose(0, 3, 1, 2).reshape(count * keypoints, height, width, 1)
        return self.of_samples(apart, batch[KEYPOINTS].reshape(-1, 2), self.counted(batch).reshape(-1))


def make_forward(network: PoseNetwork, prepare: Callable[[Array], Array], inputs: HeatmapInputs) -> Forward:
    """`(variables, batch, key) -> ({branch: LossInputs}, variables)` in training mode.

    Args:
      network: the module.
      prepare: of images `[N, H, W, 3]`, in whatever form they come.
      inputs: of losses.
    """
    train = linen_network(network).train

    def forward(variables: PyTree, batch: Mapping[str, Array], key: Array) -> tuple[dict[str, LossInputs], PyTree]:
        maps, updated = train(variables, prepare(batch[IMAGE]), key)
        return {BRANCH: inputs(maps, batch)}, updated

    return forward
