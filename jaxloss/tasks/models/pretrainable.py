"""A network of which a part may come trained."""

import flax.linen as nn


class Pretrainable(nn.Module):
    """A network whose submodules at the top that start with `backbone` may hold ImageNet weights.

    They stand still while a warm-up trains the rest, and may be trained at another rate than the rest.
    """

    @staticmethod
    def in_backbone(name: str) -> bool:
        """Whether the submodule of this name at the top, a key of `variables['params']`, belongs to the backbone."""
        return name.startswith("backbone")
