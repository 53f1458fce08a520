"""The network of a detection task, made and looked at before anything is trained."""

import dataclasses
from collections.abc import Callable, Sequence

import jax
import jax.numpy as jnp

from jaxloss.core.errors import UserError
from jaxloss.core.types import Array, PyTree
from jaxloss.tasks.detection.inputs import SOFTMAX
from jaxloss.tasks.detection.settings import SECTION, DetectionSettings
from jaxloss.tasks.models.backbone import network_backbone_mask, with_pretrained
from jaxloss.tasks.models.detection.network import DetectionNetwork
from jaxloss.tasks.models.network import linen_network
from jaxloss.tasks.models.registry import make_detection_model
from jaxloss.tasks.user_options import options_of_the_user


@dataclasses.dataclass(frozen=True, eq=False)
class Detector:
    """A network that finds objects.

    Attributes:
      network: the module.
      init: `(key) -> variables`, with the weights of a file in its backbone where the settings name one.
      shapes: of the variables.
    """

    network: DetectionNetwork
    init: Callable[[Array], PyTree]
    shapes: PyTree

    @property
    def num_parameters(self) -> int:
        """All of them, those of the backbone included."""
        return sum(leaf.size for leaf in jax.tree.leaves(self.shapes["params"]))

    @property
    def backbone(self) -> Callable[[PyTree], PyTree] | None:
        """See `Task.backbone`."""
        return network_backbone_mask if any(jax.tree.leaves(network_backbone_mask(self.shapes["params"]))) else None


def make_detector(settings: DetectionSettings, num_classes: int, sizes: Sequence[tuple[int, int]]) -> Detector:
    """Makes the network that the settings name.

    Args:
      settings: of the task.
      num_classes: without background.
      sizes: (height, width) of the images that are scored, and of those that are trained on.

    Raises:
      UserError: for options that do not fit, images that are too small, and weights that do not suit the network.
    """
    with options_of_the_user(f"{SECTION}.model_options", settings.model_options):
        options = {**settings.model_options, "dtype": settings.precision}
        network = make_detection_model(settings.model, num_classes, settings.probabilities == SOFTMAX, options)
        module = linen_network(network)
        # Parameters are the same for all sizes, and small images are soon through.
        small = jnp.zeros((1, *[2 * network.strides[-1]] * 2, 3), jnp.float32)

        def init(key: Array) -> PyTree:
            return module.init(key, small)

        for size in sizes:
            network.check_size(jax.ShapeDtypeStruct((1, *size, 3), jnp.float32))
        if getattr(network, "frozen_statistics", False) and not settings.pretrained:
            raise UserError(
                f"{SECTION}.model_options.frozen_statistics needs the weights that they belong to: {SECTION}.pretrained"
            )
        if settings.pretrained:
            init = with_pretrained(init, network, settings.pretrained, part=None)
        shapes = jax.eval_shape(init, jax.random.key(0))
    return Detector(network, init, shapes)
