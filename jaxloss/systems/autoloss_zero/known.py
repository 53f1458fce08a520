"""Hand-crafted losses in the operators of AutoLoss-Zero, with hyper-parameters that these can write.

What stands for each of them in comparisons is in `spaces.handcrafted` and `spaces.handcrafted_imbalance`, with its sources.
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
_WITH_PRIOR = {
    "weighted_cross_entropy": "Neg(Mul(Mul(target, Inv(prior)), Log(prediction)))",
    "balanced_softmax": "Neg(Mul(target, Log(Mul(Mul(prior, prediction), Inv(Mean_c(Mul(prior, prediction)))))))",
}


def known_losses(inputs: Sequence[str]) -> Mapping[str, str]:
    """Name -> formula, of those that read nothing but some inputs."""
    return {**_PLAIN, **(_WITH_PRIOR if PRIOR in inputs else {})}
