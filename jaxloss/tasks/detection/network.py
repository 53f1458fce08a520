"""The network of a task of boxes, looked at before anything is trained."""

import dataclasses
from collections.abc import Callable, Sequence

import jax
import jax.numpy as jnp

from jaxloss.core.errors import UserError
from jaxloss.core.types import Array, PyTree
from jaxloss.tasks.models.backbone import network_backbone_mask, with_pretrained
from jaxloss.tasks.models.detection.network import PyramidNetwork
from jaxloss.tasks.models.network import linen_network


@dataclasses.dataclass(frozen=True, eq=False)
class PreparedNetwork:
    """A network with the variables that it begins with.

    Attributes:
      init: `(key) -> variables`, with the weights of a file in its backbone where one is named.
      shapes: of the variables.
    """

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


def prepare_network(network: PyramidNetwork, pretrained: str, section: str, sizes: Sequence[tuple[int, int]]) -> PreparedNetwork:
    """Looks whether a network suits its images and its weights.

    Args:
      network: of the task.
      pretrained: the file with the weights of its backbone; empty for none.
      section: of the task, for error lines.
      sizes: (height, width) of the images that are scored, and of those that are trained on.

    Raises:
      UserError: for images that are too small, and weights that are absent or do not suit the network.
    """
    module = linen_network(network)
    # Parameters are the same for all sizes, and small images are soon through.
    small = jnp.zeros((1, *[2 * network.strides[-1]] * 2, 3), jnp.float32)

    def init(key: Array) -> PyTree:
        return module.init(key, small)

    for size in sizes:
        network.check_size(jax.ShapeDtypeStruct((1, *size, 3), jnp.float32))
    if getattr(network, "frozen_statistics", False) and not pretrained:
        raise UserError(f"{section}.model_options.frozen_statistics needs the weights that they belong to: {section}.pretrained")
    if pretrained:
        init = with_pretrained(init, network, pretrained, part=None)
    return PreparedNetwork(init, jax.eval_shape(init, jax.random.key(0)))
