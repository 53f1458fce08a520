"""Options that a user writes freely, such as attributes of a network: where they are at work, their mistakes are the user's."""

import contextlib
from collections.abc import Iterator, Mapping
from typing import Any

from jaxloss.core.errors import UserError


@contextlib.contextmanager
def options_of_the_user(key: str, options: Mapping[str, Any]) -> Iterator[None]:
    """An error of types and shapes inside is in the values of the options, where there are any.

    Args:
      key: whole name in the config, for example `task.retrieval.model_options`.
      options: as the user gave them.

    Raises:
      UserError: names the key, the options and what they led to, in one line.
    """
    try:
        yield
    except (TypeError, ValueError, ZeroDivisionError) as error:
        if not options or isinstance(error, UserError):
            raise
        raise UserError(f"{key} do not fit ({dict(options)}): {str(error).splitlines()[0]}") from error
