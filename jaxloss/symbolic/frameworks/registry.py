"""The frameworks that losses are written for, by name. A new one is a file in this room and one line here."""

from collections.abc import Mapping

from jaxloss.symbolic.frameworks.dialect import Dialect
from jaxloss.symbolic.frameworks.keras import KERAS
from jaxloss.symbolic.frameworks.numpy import NUMPY
from jaxloss.symbolic.frameworks.tensorflow import TENSORFLOW
from jaxloss.symbolic.frameworks.torch import TORCH

DIALECTS: Mapping[str, Dialect] = {dialect.name: dialect for dialect in (NUMPY, TORCH, KERAS, TENSORFLOW)}
