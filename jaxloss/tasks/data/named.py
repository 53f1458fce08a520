"""Sources that are named as `KIND:REST`, each with options of its own."""

import inspect
from collections.abc import Callable, Mapping
from typing import Any

from jaxloss.core.errors import UserError, unknown


def find_loader(
    kind: str, name: str, loaders: Mapping[str, Callable[..., Any]], options: Mapping[str, Any] | None
) -> tuple[Callable[..., Any], str]:
    """The loader of a source, and what stands behind the colon of its name.

    Args:
      kind: of the sources, for the error line, for example `identity source`.
      name: the source, for example `npz:FILE`.
      loaders: how a source is written -> its loader, whose parameters with a default are its options.
      options: of the user; texts.

    Raises:
      UserError: for an unknown name or option.
    """
    scheme, _, rest = str(name).partition(":")
    forms = {form.partition(":")[0]: form for form in loaders}
    if scheme not in forms:
        raise unknown(kind, name, loaders)
    form = forms[scheme]
    if not rest:
        raise UserError(f"{kind} '{name}' should read '{form}'")
    known = options_of(loaders[form])
    for option, value in (options or {}).items():
        if option not in known:
            if not known:
                raise UserError(f"unknown source option '{option}': the source '{form}' has none")
            raise unknown(f"option of the source '{form}'", option, known)
        if not isinstance(value, str):
            raise UserError(f"the source option '{option}' must be a text, not {value!r}")
    return loaders[form], rest


def options_of(loader: Callable[..., Any]) -> Mapping[str, str]:
    """The options of a loader with their defaults."""
    parameters = inspect.signature(loader).parameters.values()
    return {one.name: one.default for one in parameters if one.default is not inspect.Parameter.empty}


def is_default(loader: Callable[..., Any], option: str, value: str) -> bool:
    """Whether an option has the value that it has where nothing is said."""
    return options_of(loader)[option] == value
