"""The command `jaxloss`: one word before the arguments of `python -m jaxloss.launch`, `.sweep`, `.export` and `.report`."""

import importlib
import sys
from collections.abc import Sequence

from jaxloss import __version__
from jaxloss.core.errors import UserError, unknown
from jaxloss.core.interrupts import leave

# Word -> module with a `main`, arguments that it gets besides, and what it does.
_COMMANDS = {
    "search": ("jaxloss.launch", (), "carries a config out: a search, unless the config says another mode"),
    "compare": ("jaxloss.launch", ("--config.mode=compare",), "tunes and tests the losses of --config.losses alike"),
    "train": ("jaxloss.launch", ("--config.mode=train",), "trains with --config.loss and tests"),
    "sweep": ("jaxloss.sweep", (), "carries out many runs of one config"),
    "export": ("jaxloss.export", (), "writes a loss of a run as code or formula"),
    "report": ("jaxloss.report.__main__", (), "writes the page of a run"),
}
_WIDTH = max(map(len, _COMMANDS))
HELP = "\n".join(
    [
        "usage: jaxloss COMMAND ARGUMENTS; jaxloss COMMAND --help says which",
        "",
        *(f"  {word:{_WIDTH}}  {does}" for word, (_, _, does) in _COMMANDS.items()),
        "",
        "For a first search: jaxloss search --config=quickstart --workdir=runs/quickstart",
    ]
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command; returns the exit code, see the modules."""
    word, *rest = (sys.argv[1:] if arguments is None else list(arguments)) or ["--help"]
    if word in ("-h", "--help"):
        print(HELP)
        return 0
    if word == "--version":
        print(__version__)
        return 0
    if word not in _COMMANDS:
        print(f"error: {_unknown(word)}", file=sys.stderr)
        return 2
    module, own, _ = _COMMANDS[word]
    # Whoever asks for nothing, or for help, gets what the module says.
    return importlib.import_module(module).main([*rest, *own] if rest and "--help" not in rest else rest)


def _unknown(word: str) -> UserError:
    return unknown("command", word, (*_COMMANDS, "--help", "--version"))


def entry() -> None:
    """What the installed command calls."""
    leave(main())


if __name__ == "__main__":
    entry()
