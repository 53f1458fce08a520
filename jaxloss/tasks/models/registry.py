"""Networks by name."""

import inspect
from collections.abc import Callable, Mapping
from typing import Any

import flax.linen as nn

from jaxloss.core.errors import UserError, did_you_mean, unknown
from jaxloss.tasks.models.mlp import MLP
from jaxloss.tasks.models.resnet import ResNet20
from jaxloss.tasks.models.small_cnn import SmallCNN

# Every network is called with `(images [N, H, W, C], train)` and returns logits `[N, num_classes]`.
MODELS: Mapping[str, Callable[..., nn.Module]] = {"mlp": MLP, "small_cnn": SmallCNN, "resnet20": ResNet20}


def make_model(name: str, num_classes: int, options: Mapping[str, Any] | None = None) -> nn.Module:
    """Builds a network from plain values.

    Args:
      name: in `MODELS`.
      num_classes: logits per image.
      options: attributes of the network; lists are taken as tuples.

    Raises:
      UserError: for an unknown network or an option that it does not have.
    """
    if name not in MODELS:
        raise unknown("model", name, MODELS)
    given = {key: tuple(value) if isinstance(value, list) else value for key, value in dict(options or {}).items()}
    known = sorted(set(inspect.signature(MODELS[name]).parameters) - {"parent", "name", "num_classes"})
    for key in given:
        if key not in known:
            raise UserError(f"model '{name}' has no option '{key}'.{did_you_mean(key, known)} Options: {', '.join(known)}")
    return MODELS[name](num_classes=num_classes, **given)
