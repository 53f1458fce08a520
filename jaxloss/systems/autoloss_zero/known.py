"""Hand-crafted losses in the operators of AutoLoss-Zero, with hyper-parameters that these can write.

What stands for each of them in comparisons is in `spaces.families`, with its sources. Which of them suit a task the task says.
"""

from collections.abc import Mapping, Sequence

from jaxloss.systems.autoloss_zero.settings import PRIOR

# A q of 1/2 for the customary 0.7; of the symmetric one, both terms with the same weight.
_PLAIN = {
    "cross_entropy": "Neg(Mul(target, Log(prediction)))",
    "focal": "Neg(Mul(Mul(target, Square(Add(1, Neg(prediction)))), Log(prediction)))",
    "mae": "Neg(Mul(target, prediction))",
    "gce": "Neg(Mul(target, Sqrt(prediction)))",
    "sce": "Neg(Mul(target, Add(Log(prediction), prediction)))",
}
# Of the whole batch, class by class, as far as possible: their sums run over the classes that it holds.
_BOTH = "Mean_nhw(Mul(target, prediction))"
_OVERLAP = {
    "soft_f1": f"Neg(Mul({_BOTH}, Inv(Mean_nhw(Add(prediction, target)))))",
    "dice": f"Neg(Mul({_BOTH}, Inv(Mean_nhw(Add(Square(prediction), target)))))",
    "soft_jaccard": f"Neg(Mul({_BOTH}, Inv(Mean_nhw(Add(prediction, Mul(target, Add(1, Neg(prediction))))))))",
}
_ERROR = "Add(prediction, Neg(target))"
# Scales of 1.
_REGRESSION = {
    "mse": f"Square({_ERROR})",
    "absolute_error": f"Abs({_ERROR})",
    "log_cosh": f"Log(Add(Exp({_ERROR}), Exp(Neg({_ERROR}))))",
    "cauchy": f"Log(Add(1, Square({_ERROR})))",
    "welsch": f"Neg(Exp(Neg(Square({_ERROR}))))",
}
_WITH_PRIOR = {
    "weighted_cross_entropy": "Neg(Mul(Mul(target, Inv(prior)), Log(prediction)))",
    "balanced_softmax": "Neg(Mul(target, Log(Mul(Mul(prior, prediction), Inv(Mean_c(Mul(prior, prediction)))))))",
}


def known_losses(inputs: Sequence[str]) -> Mapping[str, str]:
    """Name -> formula, of those that read nothing but some inputs."""
    return {**_PLAIN, **(_WITH_PRIOR if PRIOR in inputs else {}), **_OVERLAP, **_REGRESSION}
