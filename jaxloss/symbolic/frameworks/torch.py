"""Losses in PyTorch (2.0 or newer)."""

import ast

from jaxloss.core.errors import UserError
from jaxloss.symbolic.frameworks.dialect import Dialect, Rule, is_number, renamed

_AXES = {"axis": "dim", "keepdims": "keepdim"}


def _maximum(x: str, y: str) -> str:
    return f"torch.clamp({x}, min={y})" if is_number(y) else f"torch.maximum({x}, {y})"


def _minimum(x: str, y: str) -> str:
    return f"torch.clamp({x}, max={y})" if is_number(y) else f"torch.minimum({x}, {y})"


def _logaddexp(x: str, y: str) -> str:
    x, y = (f"torch.zeros_like({other})" if is_number(one) else one for one, other in ((x, y), (y, x)))
    return f"torch.logaddexp({x}, {y})"


def _dtype(text: str) -> str:
    return "torch.bool" if text == "bool" else text


def _tensor(values: str, dtype: str | None = None) -> str:
    """Numbers where an array is that they are used with, which the type names: `x.dtype`."""
    place = f", device={dtype.removesuffix('.dtype')}.device" if dtype and dtype.endswith(".dtype") else ""
    return f"torch.as_tensor({values}" + (f", dtype={_dtype(dtype)}{place})" if dtype else ")")


def _ones_like(x: str, dtype: str | None = None) -> str:
    return f"torch.ones_like({x}" + (f", dtype={_dtype(dtype)})" if dtype else ")")


def _pad(x: str, widths: str, constant_values: str) -> str:
    flat = [str(width) for pair in reversed(ast.literal_eval(widths)) for width in pair]
    return f"torch.nn.functional.pad({x}, ({', '.join(flat)}), value={constant_values})"


def _softmax(name: str) -> Rule:
    def rule(x: str, axis: str) -> str:
        if axis.startswith("("):
            raise UserError("the loss takes a softmax over several axes at once, for which the format torch has nothing")
        return f"torch.{name}({x}, dim={axis})"

    return rule


_SAME = ("exp", "log", "sqrt", "sin", "cos", "tanh", "abs", "sign", "floor", "ceil", "where", "full_like", "broadcast_to")
_SAME += ("reshape", "stack", "take", "log1p", "expm1", "square")

_CHECK = """
def _check(cases):
    for function, arrays, value, gradient in cases:
        tensors = {name: torch.tensor(numbers, dtype=torch.float64) for name, numbers in arrays.items()}
        first = next(iter(tensors.values())).requires_grad_()
        found = function(**tensors) + 0 * first.sum()  # has a gradient where the loss does not read it, too
        found.backward()
        for ours, wanted in ((found.detach(), value), (first.grad, gradient)):
            wanted = torch.tensor(wanted, dtype=torch.float64)
            torch.testing.assert_close(ours, wanted, rtol=1e-6, atol=1e-9, equal_nan=True)
"""

_OF_LABELS = '''
class Loss(torch.nn.Module):
    """The loss of logits and labels.

    Args:
      reduction: "mean" over all samples, or positions, that count; "sum" of them; "none" for a number each.
      ignore_index: label of samples and positions that do not count.
    """

    def __init__(self, reduction="mean", ignore_index=-100):
        super().__init__()
        if reduction not in ("mean", "sum", "none"):
            raise ValueError(f"reduction must be mean, sum or none, not {reduction!r}")
        self.reduction, self.ignore_index = reduction, ignore_index

    def forward(self, logits, labels):
        """Logits [N, C] and labels [N], or [N, C, H, W] and [N, H, W]; labels are whole numbers from 0 on."""
        mask = labels != self.ignore_index
        logits = torch.movedim(logits, 1, -1)
        target = torch.nn.functional.one_hot(torch.where(mask, labels, 0).long(), logits.shape[-1]).to(logits.dtype)
        values = torch.where(mask, torch.sum(loss_values(ARGUMENTS, mask), dim=-1), 0)
        if self.reduction == "none":
            return values
        return torch.sum(values) / (torch.clamp(torch.sum(mask), min=1) if self.reduction == "mean" else 1)
'''

TORCH = Dialect(
    name="torch",
    imports={"torch": "import torch"},
    calls={
        **{f"jnp.{name}": renamed(f"torch.{name}") for name in _SAME},
        **{f"jnp.{name}": renamed(f"torch.{name}", **_AXES) for name in ("sum", "mean", "any")},
        # Its gradient is shared between ties, as that of JAX; torch.max chooses one of them.
        "jnp.max": renamed("torch.amax", **_AXES),
        "jnp.arcsin": renamed("torch.asin"),
        "jnp.arccos": renamed("torch.acos"),
        "jnp.arctan": renamed("torch.atan"),
        "jnp.clip": renamed("torch.clamp"),
        "jnp.maximum": _maximum,
        "jnp.minimum": _minimum,
        "jnp.logaddexp": _logaddexp,
        "jnp.asarray": _tensor,
        "jnp.ones_like": _ones_like,
        "jnp.pad": _pad,
        "jnp.min": renamed("torch.amin", **_AXES),
        "jnp.arctan2": renamed("torch.atan2"),
        "jnp.concatenate": renamed("torch.cat", **_AXES),
        "jax.nn.softmax": _softmax("softmax"),
        "jax.nn.log_softmax": _softmax("log_softmax"),
        "jax.nn.sigmoid": renamed("torch.sigmoid"),
        # torch.nn.functional.softplus is x from 20 on.
        "jax.nn.softplus": lambda x: _logaddexp(x, "0"),
        "jax.nn.logsumexp": renamed("torch.logsumexp", **_AXES),
        "jax.scipy.special.erf": renamed("torch.erf"),
        "jax.scipy.special.erfc": renamed("torch.erfc"),
        "jax.lax.stop_gradient": lambda x: f"({x}).detach()",
    },
    names={"jnp.inf": "torch.inf", "jnp.pi": "torch.pi", "jnp.int32": "torch.int64"},
    methods={"astype": lambda x, dtype: f"{x}.to({_dtype(dtype)})"},
    of_labels=_OF_LABELS,
    check=_CHECK,
)
