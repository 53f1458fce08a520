"""From the name of a part to the factory that makes it: one of a registry, or `module:factory`."""

import importlib
import inspect
from collections.abc import Callable, Collection, Mapping
from typing import Any, TypeVar

from jaxloss.core.abstract import named_errors
from jaxloss.core.errors import UserError, unknown

Made = TypeVar("Made")


def import_factory(kind: str, name: str, registered: Collection[str]) -> Callable[..., Any]:
    """The factory from outside the package that a config names.

    Args:
      kind: what is named, such as `task` or `space`.
      name: `module:factory`.
      registered: what could have been named in its place.

    Raises:
      UserError: for a name that is in no registry, and for a `module:factory` that cannot be imported.
    """
    if ":" not in name:
        raise unknown(kind, name, [*registered, "module:factory"])
    module_name, _, attribute = name.partition(":")
    try:
        with named_errors(f"the module of the {kind} '{name}'"):
            module = importlib.import_module(module_name)
    except UserError as error:
        if isinstance(error.__cause__, ImportError | SyntaxError | TypeError | ValueError):
            raise UserError(f"cannot import the {kind} '{name}': {error.__cause__}") from error
        raise
    if not hasattr(module, attribute):
        raise UserError(f"the module '{module_name}' has no '{attribute}' (named as the {kind} '{name}')")
    return getattr(module, attribute)


def parameters(factory: Callable[..., Any]) -> Mapping[str, inspect.Parameter]:
    """Name -> parameter of a factory; none where it does not say."""
    # What a class takes stands in its __init__: a metaclass, such as NNX's, hides it from the signature of the class.
    is_class = isinstance(factory, type) and factory.__init__ is not object.__init__
    try:
        return inspect.signature(factory.__init__ if is_class else factory).parameters
    except (TypeError, ValueError):  # no function, or one that is written in C
        return {}


def takes(factory: Callable[..., Any], parameter: str) -> bool:
    """Whether a factory has a parameter of this name."""
    return parameter in parameters(factory)


def call_factory(kind: str, name: str, factory: Callable[..., Any], options: Mapping[str, Any], result: type[Made]) -> Made:
    """What a factory from outside makes of its options.

    Raises:
      UserError: for options that do not fit, for whatever the factory raises, and for a result of another type.
    """
    try:
        made = factory(**options)
    except UserError:
        raise
    except (Exception, SystemExit) as error:
        # A wrong argument of the factory itself is one of the options; anything deeper is in the factory's own code.
        if isinstance(error, TypeError) and error.__traceback__ is not None and error.__traceback__.tb_next is None:
            raise UserError(f"the options of the {kind} '{name}' do not fit: {error}") from error
        with named_errors(f"the {kind} '{name}'"):
            raise
    if not isinstance(made, result):
        raise UserError(f"the {kind} '{name}' gave a {type(made).__name__}, not a {result.__name__}")
    return made
