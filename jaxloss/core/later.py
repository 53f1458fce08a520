"""Functions of modules that are loaded when they are first called: a registry need not load all that it names."""

import functools
import importlib
from collections.abc import Callable
from typing import Any


def later(name: str) -> Callable[..., Any]:
    """The function `module:function`, whose module is loaded by its first call."""
    module, _, attribute = name.partition(":")

    @functools.cache
    def found() -> Callable[..., Any]:
        return getattr(importlib.import_module(module), attribute)

    def call(*arguments: Any, **named: Any) -> Any:
        return found()(*arguments, **named)

    return call
