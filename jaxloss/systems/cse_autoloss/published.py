"""The losses that CSE-Autoloss found, those that it begins with, and hand-crafted ones in its operators, as formulas."""

from collections.abc import Mapping, Sequence

from jaxloss.systems.cse_autoloss.settings import BRANCHES, CLASSIFICATION, REGRESSION, kind_of, pair_of

# Equations of Sections 3.1 and 4.1, in the signs and the constants of the authors' code, in which A of regression is
# `1 - i/u + (e - i - 2)/e` on areas in square pixels: with the 2 and, in B, the 4, 5 and 6, a loss depends on the unit of
# length. Factors that stand outside of a loss there (alpha for B of classification) are not in it.
_FOUND = {
    f"cse_autoloss_a_{CLASSIFICATION}": "Neg(Dot(Mul(target, Add(1, Sin(overlap))), Log(Softmax(logits))))",
    f"cse_autoloss_a_{REGRESSION}": (
        "Add(Sub(1, Div(intersection, union)), Div(Sub(Sub(enclosing, intersection), 2), enclosing))"
    ),
    f"cse_autoloss_b_{CLASSIFICATION}": (
        "t1 = Mul(overlap, target); t2 = Sig(logits); Neg(Add(Mul(Mul(t1, Add(1, Erf(Sig(Sub(1, target))))), Log(t2)), "
        "Mul(Mul(Sub(Gd(logits), t1), Sub(t2, t1)), Log(Sub(1, t2)))))"
    ),
    # (3eu + 12e + 3i + 3u + 18) / (-3eu + iu + u^2 - 15e + 5i + 5u), in factors.
    f"cse_autoloss_b_{REGRESSION}": (
        "t1 = Add(intersection, union); Div(Mul(3, Add(Add(Mul(enclosing, Add(union, 4)), t1), 6)), "
        "Mul(Add(union, 5), Sub(t1, Mul(3, enclosing))))"
    ),
}
# What searches begin with: CEI for a softmax over classes and background, FLI for sigmoids, GIoU.
CEI = "Neg(Dot(Mul(overlap, target), Log(Softmax(logits))))"
FLI = (
    "t1 = Sig(logits); t2 = Sub(1, t1); Neg(Mul(overlap, Add(Mul(Mul(target, t2), Log(t1)), "
    "Mul(Mul(Sub(1, target), t1), Log(t2)))))"
)
GIOU = "Add(Sub(1, Div(intersection, union)), Div(Sub(enclosing, union), enclosing))"
_BEGUN_WITH = {
    f"cse_autoloss_cei_{CLASSIFICATION}": CEI,
    f"cse_autoloss_fli_{CLASSIFICATION}": FLI,
    f"cse_autoloss_giou_{REGRESSION}": GIOU,
}
CSE_AUTOLOSS_FORMULAS = {**_FOUND, **_BEGUN_WITH}
# Of the space in which they are formulas.
SETTINGS_OF_LOSS = {
    name: {"branches": (branch,)} for name in CSE_AUTOLOSS_FORMULAS for branch in BRANCHES if name.endswith(branch)
}

# Those of a branch that a search may begin with, by name.
_KNOWN = {
    CLASSIFICATION: {
        "cei": CEI,
        "fli": FLI,
        "cross_entropy": "Neg(Dot(target, Log(Softmax(logits))))",
        "binary_cross_entropy": "t1 = Sig(logits); Neg(Add(Mul(target, Log(t1)), Mul(Sub(1, target), Log(Sub(1, t1)))))",
    },
    REGRESSION: {
        "giou": GIOU,
        "iou": "Sub(1, Div(intersection, union))",
        "iou_log": "Neg(Log(Div(intersection, union)))",
    },
}


def known_losses(branches: Sequence[str]) -> Mapping[str, str]:
    """Name -> candidate of a space with these branches; of both, every pair."""
    if len(branches) == 1:
        return _KNOWN[kind_of(branches[0])]
    first, second = pair_of(branches)
    return {
        f"{name}_{other}": f"{first}: {text} | {second}: {formula}"
        for name, text in _KNOWN[CLASSIFICATION].items()
        for other, formula in _KNOWN[REGRESSION].items()
    }
