"""Names of data sources and what loads them."""

from collections.abc import Callable, Mapping

from jaxloss.core.errors import UserError, unknown
from jaxloss.tasks.data.class_folders import load_class_folders
from jaxloss.tasks.data.digits import load_digits
from jaxloss.tasks.data.npz import load_npz
from jaxloss.tasks.data.source import Source
from jaxloss.tasks.data.tfds import load_tfds

# How the source is written -> `(what stands behind the colon, data_dir, download) -> Source`.
SOURCES: Mapping[str, Callable[[str, str | None, bool], Source]] = {
    "digits": load_digits,
    "npz:FILE": load_npz,
    "folder:FOLDER": load_class_folders,
    "tfds:NAME": load_tfds,
}


def load_source(name: str, data_dir: str | None = None, download: bool = False) -> Source:
    """Loads labelled images by name.

    Args:
      name: the source, written as a key of `SOURCES`.
      data_dir: folder of the data files, or of the prepared data sets.
      download: whether a source may fetch what is not there yet.

    Raises:
      UserError: for an unknown name, and for data that are absent or broken.
    """
    scheme, _, rest = str(name).partition(":")
    forms = {form.partition(":")[0]: form for form in SOURCES}
    if scheme not in forms:
        raise unknown("data source", name, SOURCES)
    form = forms[scheme]
    if bool(rest) != (":" in form):
        raise UserError(f"data source '{name}' should read '{form}'")
    source = SOURCES[form](rest, data_dir, download)
    if not len(source.train):
        raise UserError(f"data source '{name}' holds no training images")
    return source
