"""Which locations learn which box: what every rule gives, and the rule of FCOS."""

import dataclasses
from collections.abc import Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxloss.core.boxes import area
from jaxloss.core.types import Array
from jaxloss.tasks.detection.locations import Locations


class Assigned(NamedTuple):
    """What the locations of an image, or of a batch, are to learn.

    Attributes:
      labels: int32 `[..., L]`, the class, or -1 for background.
      boxes: float `[..., L, 4]`, the box of a positive location, zeros elsewhere.
      index: int32 `[..., L]`, the number of that box in the image, or -1.
      counted: bool `[..., L]`, False where a location is neither: inside a crowd or in padding, and not positive.
    """

    labels: Array
    boxes: Array
    index: Array
    counted: Array

    @property
    def positive(self) -> Array:
        """bool `[..., L]`."""
        return self.index >= 0


class Assignment:
    """A rule that gives every location of an image a box, or none."""

    def __call__(
        self, locations: Locations, boxes: Array, labels: Array, valid: Array, crowd: Array, content: Array | None = None
    ) -> Assigned:
        """The targets of one image.

        Args:
          locations: `L` of them.
          boxes: float `[K, 4]` in pixels, padded.
          labels: int32 `[K]`.
          valid: bool `[K]`, False for padding.
          crowd: bool `[K]`: many objects under one box; nothing is learnt there.
          content: float `[4]`, the part of the image that is no padding; None for all of it.
        """
        if not boxes.shape[0]:
            boxes, labels, valid, crowd = jnp.zeros((1, 4)), jnp.zeros(1, jnp.int32), jnp.zeros(1, bool), jnp.zeros(1, bool)
        usable = jnp.ones(len(locations), bool)
        if content is not None:
            usable = shows(locations, content)
        objects = valid & ~crowd
        chosen, positive = self.choose(locations, boxes, objects, usable)
        in_crowd = jnp.any(inside(locations, boxes) & (valid & crowd)[None], axis=1)
        return Assigned(
            labels=jnp.where(positive, labels[chosen], -1).astype(jnp.int32),
            boxes=jnp.where(positive[:, None], boxes[chosen], 0),
            index=jnp.where(positive, chosen, -1).astype(jnp.int32),
            counted=positive | (usable & ~in_crowd),
        )

    def choose(self, locations: Locations, boxes: Array, objects: Array, usable: Array) -> tuple[Array, Array]:
        """The number of the box of each location, int32 `[L]`, and whether it has one, bool `[L]`.

        Args:
          locations: `L` of them.
          boxes: float `[K, 4]`, one at least.
          objects: bool `[K]`, which of them may be learnt.
          usable: bool `[L]`, False in padding.
        """
        raise NotImplementedError

    def batch(
        self, locations: Locations, boxes: Array, labels: Array, valid: Array, crowd: Array, content: Array | None = None
    ) -> Assigned:
        """The same for arrays of a batch, `[N, K, ...]` and `[N, 4]`."""
        if content is None:
            return jax.vmap(lambda *one: self(locations, *one))(boxes, labels, valid, crowd)
        return jax.vmap(lambda *one: self(locations, *one))(boxes, labels, valid, crowd, content)


def sides_of(locations: Locations, boxes: Array) -> Array:
    """From each location to the left, top, right and bottom of each box `[K, 4]`, in pixels, `[L, K, 4]`."""
    points = locations.points[:, None]
    return jnp.concatenate([points - boxes[None, :, :2], boxes[None, :, 2:] - points], axis=-1)


def inside(locations: Locations, boxes: Array) -> Array:
    """Whether each location lies in each box `[K, 4]`, and on none of its sides, bool `[L, K]`."""
    return jnp.min(sides_of(locations, boxes), axis=-1) > 0


def shows(locations: Locations, content: Array) -> Array:
    """Whether the cell of each location shows anything of the image, whose box is `[4]`, and not padding alone, bool `[L]`.

    Args:
      locations: `L` of them; the last cells of a row or a column may reach over the border of the image.
      content: left, top, right and bottom.
    """
    halves = locations.strides[:, None] / 2
    return jnp.all((locations.points + halves > content[:2]) & (locations.points - halves < content[2:]), axis=1)


@dataclasses.dataclass(frozen=True)
class FCOSAssignment(Assignment):
    """A location learns the smallest box that it lies in, near the box's centre, and on the level of the box's size.

    Attributes:
      size_limits: `levels - 1` pixels: a level takes the boxes whose farthest side is from the limit before it up to its own;
        nothing for `size_factor` times the stride of each level.
      radius: of centre sampling, in strides: only locations that lie so near to the centre of a box, in x and in y, and in the
        box itself, are positive; 0 for all locations in the box.
      size_factor: see `size_limits`.

    References:
      Z. Tian et al.: FCOS: Fully Convolutional One-Stage Object Detection, ICCV 2019, Section 3.2 (limits 64, 128, 256, 512 at
      strides 8, 16, 32, 64), and its authors' code for centre sampling (radius 1.5).
    """

    size_limits: tuple[float, ...] = ()
    radius: float = 1.5
    size_factor: float = 8.0

    def limits(self, strides: Sequence[int]) -> np.ndarray:
        """`[levels, 2]`, from which and up to which the farthest side lies on each level."""
        inner = self.size_limits or [self.size_factor * stride for stride in strides[:-1]]
        return np.stack([[0.0, *inner], [*inner, np.inf]], axis=1).astype(np.float32)

    def choose(self, locations: Locations, boxes: Array, objects: Array, usable: Array) -> tuple[Array, Array]:
        """See `Assignment.choose`; of equally small boxes the first is taken."""
        del usable  # A location in padding lies in no box.
        steps = np.unique(locations.levels, return_index=True)[1]
        limits = self.limits([int(locations.strides[step]) for step in steps])[locations.levels][:, None]
        sides = sides_of(locations, boxes)
        near = jnp.min(sides, axis=-1) > 0
        if self.radius:
            centre = (boxes[None, :, :2] + boxes[None, :, 2:]) / 2
            away = jnp.max(jnp.abs(locations.points[:, None] - centre), axis=-1)
            near &= away < self.radius * locations.strides[:, None]
        farthest = jnp.max(sides, axis=-1)
        on_level = (farthest >= limits[..., 0]) & (farthest <= limits[..., 1])
        sizes = jnp.where(near & on_level & objects[None], area(boxes)[None], jnp.inf)
        return jnp.argmin(sizes, axis=1), jnp.isfinite(jnp.min(sizes, axis=1))


def centreness(sides: Array) -> Array:
    """How near a location is to the centre of its box, `[...]`, 0 to 1 (Tian et al., ICCV 2019, Eq. 3).

    Args:
      sides: distances `[..., 4]` to left, top, right and bottom, above 0 for a location in the box.
    """
    shares = jnp.minimum(sides[..., :2], sides[..., 2:]) / jnp.maximum(jnp.maximum(sides[..., :2], sides[..., 2:]), 1e-6)
    shares = jnp.maximum(shares, 0)
    return jnp.sqrt(shares[..., 0] * shares[..., 1])
