"""A loss that a branch has while others are searched: every candidate is trained beside it."""

import dataclasses
from collections.abc import Callable

from jaxloss.core.errors import UserError, unknown
from jaxloss.core.form import Form
from jaxloss.core.reduce import mean_loss
from jaxloss.core.types import Array, LossInputs
from jaxloss.spaces.families import FAMILIES


@dataclasses.dataclass(frozen=True)
class FixedLoss:
    """The loss of a branch that is not searched.

    Attributes:
      name: of a hand-crafted loss, or a formula; for people.
      reads: names of the arrays that it reads.
      function: `(inputs, axis_name) -> scalar`, with its weight.
      of_softmax: whether it takes predictions for a distribution over the classes.
    """

    name: str
    reads: tuple[str, ...]
    function: Callable[[LossInputs, str | None], Array]
    of_softmax: bool = False


def fixed_loss(text: str, form: Form, weight: float, whose: str = "") -> FixedLoss:
    """Reads the name of a hand-crafted loss, which has its customary hyper-parameters, or a formula.

    Args:
      text: the name, or a formula of `form`.
      form: of the branch.
      weight: factor of the loss in the sum of the branches.
      whose: names the branch in the message, such as ` of the branch regression`.

    Raises:
      UserError: when the text is neither.
    """
    if text in FAMILIES:
        family = FAMILIES[text]
        encoded = family.tuned(None, family.customary())

        def function(inputs: LossInputs, axis_name: str | None) -> Array:
            return weight * family.loss(encoded, {family.branch: inputs}, axis_name)

        return FixedLoss(text, family.inputs, function, family.of_softmax)
    try:
        compiled = form.compile(form.parse(text, whose))
    except UserError:
        if text.isidentifier():
            raise unknown(f"fixed loss{whose}", text, FAMILIES) from None
        raise
    return FixedLoss(
        text, form.inputs, lambda inputs, axis_name: weight * mean_loss(compiled(inputs, axis_name), inputs, axis_name)
    )
