"""Names of sources of images with identities, and what loads them."""

from collections.abc import Callable, Mapping
from typing import Any

from jaxloss.tasks.data.identities.folder import load_folder
from jaxloss.tasks.data.identities.images import ImageSize
from jaxloss.tasks.data.identities.market import load_market
from jaxloss.tasks.data.identities.msmt17 import load_msmt17
from jaxloss.tasks.data.identities.npz import load_npz
from jaxloss.tasks.data.identities.source import IdentitySource
from jaxloss.tasks.data.identities.tfds import load_tfds
from jaxloss.tasks.data.named import find_loader, options_of

# How the source is written -> `(what stands behind the colon, data_dir, download, image_size, **options) -> IdentitySource`.
# The options are the parameters with a default; they are strings.
IDENTITY_SOURCES: Mapping[str, Callable[..., IdentitySource]] = {
    "npz:FILE": load_npz,
    "market:FOLDER": load_market,
    "msmt17:FOLDER": load_msmt17,
    "folder:FOLDER": load_folder,
    "tfds:NAME": load_tfds,
}


def load_identities(
    name: str,
    data_dir: str | None = None,
    download: bool = False,
    image_size: tuple[int, int] | None = None,
    resampling: str = "bilinear",
    options: Mapping[str, Any] | None = None,
) -> IdentitySource:
    """Loads images with identities by name: `npz:FILE`, `market:FOLDER`, `msmt17:FOLDER`, `folder:FOLDER` or `tfds:NAME`.

    Args:
      name: the source.
      data_dir: folder of the data, or of the prepared data sets.
      download: whether a source may fetch what is not there yet.
      image_size: (height, width) that all images are brought to, or None to leave them as they are.
      resampling: name in `images.RESAMPLINGS`.
      options: what only this kind of source has, for example the names of keys; see its loader.

    Raises:
      UserError: for an unknown name or option, and for data that are absent or broken.
    """
    loader, rest = find_loader("identity source", name, IDENTITY_SOURCES, options)
    size = None if image_size is None else tuple(image_size)
    return loader(rest, data_dir, download, ImageSize(size, resampling), **(options or {}))


def source_options(form: str) -> Mapping[str, str]:
    """The options of a kind of source with their defaults; `form` is a key of `IDENTITY_SOURCES`."""
    return options_of(IDENTITY_SOURCES[form])
