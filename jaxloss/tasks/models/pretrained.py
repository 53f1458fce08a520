"""ImageNet weights from a local file with PyTorch's names."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load_file

from jaxloss.core.errors import UserError, did_you_mean
from jaxloss.core.types import PyTree
from jaxloss.tasks.models.pretrainable import Pretrainable

# Collection and last name in Flax -> last name in PyTorch.
LEAVES = {
    ("params", "kernel"): "weight",
    ("params", "scale"): "weight",
    ("params", "bias"): "bias",
    ("batch_stats", "mean"): "running_mean",
    ("batch_stats", "var"): "running_var",
}
# Layers for ImageNet's classes, where the network has no layer of that name itself.
CLASSIFIERS = ("fc.", "classifier.")
# PyTorch's wrapper for several devices writes it before every name.
WRAPPER = "module."


def load_pretrained(variables: PyTree, network: Pretrainable, path: str | Path) -> PyTree:
    """Puts ImageNet weights into the backbone of a network.

    The names are those of timm and torchvision for ResNet-50 and ResNet-101 (`layer1.0.conv1.weight`) and those of the authors
    for OSNet. Every submodule of the network that starts with `backbone` is filled: MGN's three branches begin as equals, and a
    backbone that is cut into several parts is filled from one file. The weights expect RGB images that are normalised as for
    ImageNet. Classifiers and PyTorch's counters of batches are not used.

    Args:
      variables: of `network.init`: `{'params': ..., 'batch_stats': ...}`; left as they are.
      network: that the variables belong to.
      path: of a `.safetensors` file.

    Returns:
      Variables of the same shapes; outside the backbone they are the given ones.

    Raises:
      UserError: if the file cannot be read, or has a tensor too few, too many, of another shape or type, or with NaN.
    """
    kind = type(network).__name__
    if not any(network.in_backbone(top) for top in variables["params"]):
        raise UserError(f"{kind} has no backbone for pretrained weights: '{path}' cannot be used")
    tensors = read_tensors(path)
    used = set()

    def fill(keys, leaf):
        names = [key.key for key in keys]
        if not network.in_backbone(names[1]):
            return leaf
        name = pytorch_name(names)
        if name not in tensors:
            raise UserError(f"{path} has no tensor '{name}', which {kind} needs.{did_you_mean(name, tensors)}")
        expected = pytorch_shape(leaf.shape)
        if tensors[name].shape != expected:
            raise UserError(f"{path}: tensor '{name}' has shape {tensors[name].shape}, {kind} needs {expected}")
        if not jnp.issubdtype(tensors[name].dtype, jnp.floating) or not np.isfinite(tensors[name]).all():
            raise UserError(f"{path}: tensor '{name}' ({tensors[name].dtype}) does not hold finite floating-point numbers alone")
        used.add(name)
        return jnp.asarray(in_flax_layout(tensors[name]), leaf.dtype)

    filled = jax.tree_util.tree_map_with_path(fill, variables)
    unexpected = [f"'{name}'" for name in tensors if name not in used and not name.startswith(CLASSIFIERS)]
    if unexpected:
        more = f" and {len(unexpected) - 3} more" if len(unexpected) > 3 else ""
        raise UserError(f"{path}: {kind} has no place for {', '.join(unexpected[:3])}{more}")
    return filled


def read_tensors(path: str | Path) -> Mapping[str, np.ndarray]:
    """The tensors of a file by their names, without the wrapper's prefix and the counters of batches."""
    if not Path(path).is_file():
        raise UserError(f"there is no file '{path}' with pretrained weights")
    try:
        tensors = load_file(path)
    except (SafetensorError, TypeError, OSError) as error:
        raise UserError(f"{path} cannot be read as a .safetensors file of floating-point numbers: {error}") from error
    names = {name: name.removeprefix(WRAPPER) for name in tensors}
    return {names[name]: tensor for name, tensor in tensors.items() if not name.endswith(".num_batches_tracked")}


def pytorch_name(keys: Sequence[str]) -> str:
    """The name of a leaf at `(collection, submodule at the top, ..., leaf)`: a dot for every `_` in the submodules' names."""
    collection, _, *modules, leaf = keys
    return ".".join([*(module.replace("_", ".") for module in modules), LEAVES[collection, leaf]])


def in_flax_layout(tensor: np.ndarray) -> np.ndarray:
    """`[out, in, height, width] -> [height, width, in, out]`, `[out, in] -> [in, out]`; vectors as they are."""
    return tensor.transpose(*range(2, tensor.ndim), 1, 0) if tensor.ndim > 1 else tensor


def pytorch_shape(shape: tuple[int, ...]) -> tuple[int, ...]:
    """The shape that `in_flax_layout` turns into the given one."""
    return (shape[-1], shape[-2], *shape[:-2]) if len(shape) > 1 else shape
