"""Names of classes, as any source of data has them."""

from collections.abc import Sequence

from jaxloss.core.errors import UserError


def checked_class_names(names: Sequence[str], origin: str) -> tuple[str, ...]:
    """The names of the classes, without spaces around them.

    Args:
      names: one for each class, in the order of their numbers.
      origin: of the list, for messages.

    Raises:
      UserError: for an empty list, an empty name, and a name that occurs twice.
    """
    names = tuple(str(name).strip() for name in names)
    if not names:
        raise UserError(f"{origin}: the list of classes is empty")
    twice = [name for index, name in enumerate(names) if not name or name in names[:index]]
    if twice:
        raise UserError(f"{origin}: the list of classes holds {f'{twice[0]!r} twice' if twice[0] else 'an empty name'}")
    return names
