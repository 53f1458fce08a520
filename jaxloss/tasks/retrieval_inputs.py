"""What a retrieval task offers to losses: cosines to identities for the candidate, embeddings for a triplet loss beside it."""

from collections.abc import Callable, Mapping

import jax
import jax.numpy as jnp

from jaxloss.core.types import Array, LossInputs, PyTree
from jaxloss.tasks.models.cosine import CosineClassifiers, pair_cosines
from jaxloss.tasks.triplet import batch_hard_triplet

BRANCH = "identity"
OFFERS = ("cosine", "target")
MEANINGS = {
    "cosine": "cosines of an embedding to the directions of all classes, or to the other samples of the batch",
    "target": "1 for the own class, or for samples of the same class, else 0",
}
TRIPLET = "triplet"
COSINES_TO = ("classes", "samples")


def make_forward(
    module: CosineClassifiers, prepare: Callable[[Array], Array], cosines_to: str, with_metric: bool
) -> Callable[..., tuple[dict[str, LossInputs], PyTree]]:
    """`(variables, batch, key) -> (inputs of the branches, variables)` of a network that learns identities.

    Args:
      module: the network and its classes' directions.
      prepare: of images, `[N, H, W, C]`, in whatever form they come.
      cosines_to: `classes`, or `samples` for the pair-wise form (supplement, Eq. 20): what there are cosines to.
      with_metric: whether the branch `TRIPLET` is offered too: `embedding` `[N, T, 1, D]` and `identity` `[N, 1, 1, 1]`.
    """

    def forward(variables: PyTree, batch: Mapping[str, Array], key: Array) -> tuple[dict[str, LossInputs], PyTree]:
        statistics = [name for name in variables if name != "params"]
        (embeddings, cosine), updated = module.apply(
            variables, prepare(batch["image"]), train=True, mutable=statistics, rngs={"dropout": key}
        )
        if cosines_to == "classes":
            target = jax.nn.one_hot(batch["identity"], cosine.shape[-1], dtype=cosine.dtype)
            target = jnp.broadcast_to(target[:, None], cosine.shape)
        else:
            cosine, target = pair_cosines(embeddings.heads, batch["identity"])
        inputs = {BRANCH: LossInputs.create({"cosine": cosine[:, :, None], "target": target[:, :, None]})}
        if with_metric:
            arrays = {"embedding": embeddings.metric[:, :, None], "identity": batch["identity"].reshape(-1, 1, 1, 1)}
            inputs[TRIPLET] = LossInputs.create(arrays)
        return inputs, {**variables, **updated}

    return forward


def triplet_branch(weight: float, margin: float) -> dict[str, Callable[..., Array]]:
    """The loss of the branch `TRIPLET`, trained beside every candidate; none where its weight is 0."""
    if not weight:
        return {}
    return {TRIPLET: lambda inputs, axis_name: weight * batch_hard_triplet(inputs, axis_name, margin)}
