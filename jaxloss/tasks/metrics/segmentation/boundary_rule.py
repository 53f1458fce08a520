"""What a boundary of a label map is, and how near to it counts as on it."""

import dataclasses

from jaxloss.core.errors import UserError, unknown
from jaxloss.core.types import Array
from jaxloss.core.windows import differs_from_neighbour

COUNTED, IGNORED = VOID_RULES = ("counted", "ignored")


@dataclasses.dataclass(frozen=True)
class BoundaryRule:
    """The conventions of boundary metrics. Distances are Chebyshev's, in pixels of the label map.

    A position lies on the boundary of its class where one of its eight neighbours is of another class: the boundary is the inner
    one. The border of the image is none.

    Attributes:
      trimap_width: positions at most so far from a boundary of the true labels are the band of the boundary IoU, from 0.
      tolerance: a boundary position is matched by one of the same class at most so far away, from 0.
      void: `counted`: positions beside void lie on a boundary, and boundaries that are predicted inside void count. That is the
        evaluator of H. Li et al., and what sets need whose void separates the objects, as PASCAL VOC has it. `ignored`: only
        valid positions are neighbours of each other, and nothing that is predicted inside void counts, for sets whose void is
        unlabelled ground.

    Raises:
      UserError: for a distance below 0 and an unknown rule.
    """

    trimap_width: int = 5
    tolerance: int = 5
    void: str = COUNTED

    def __post_init__(self):
        for name in ("trimap_width", "tolerance"):
            if getattr(self, name) < 0:
                raise UserError(f"{name} of a boundary metric is a distance in pixels, 0 or more, not {getattr(self, name)}")
        if self.void not in VOID_RULES:
            raise unknown("void rule of boundary metrics", self.void, VOID_RULES)

    def edges(self, labels: Array, num_classes: int, valid: Array) -> Array:
        """Which positions lie on the boundary of their class, bool `[N, H, W]`.

        Args:
          labels: int `[N, H, W]`; from `num_classes` on they are of no class.
          num_classes: `C`.
          valid: bool `[N, H, W]`, False where the true label is void.
        """
        of_a_class = labels < num_classes
        if self.void == COUNTED:
            return differs_from_neighbour(labels) & of_a_class
        return differs_from_neighbour(labels, valid) & of_a_class & valid


# The evaluator of H. Li et al.: Auto Seg-Loss, ICLR 2021.
PAPERS_RULE = BoundaryRule()
