"""Writes a loss of a run as Python, LaTeX, SymPy or text: `python -m jaxloss.export WORKDIR --rank=1 --format=python`.

In a notebook, `jaxloss.open_run(WORKDIR).loss(RANK)` is the loss itself, with `python()`, `latex`, `simplified` and `formula`.
"""

import shlex
import sys
from collections.abc import Sequence

# Nothing else here: the imports below take seconds, and a Ctrl-C that meets them must find `main` at work.
from jaxloss.core.command_line import Parser
from jaxloss.core.errors import UserError
from jaxloss.core.files import unwritable
from jaxloss.core.interrupts import INTERRUPTED, interrupts_wait, leave, raise_interrupts


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command; returns the exit code: 0, 2 for a user's mistake, 130 after Ctrl-C."""
    arguments = sys.argv[1:] if arguments is None else list(arguments)
    try:
        _run(arguments)
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print(f"stopped. To begin again: python -m jaxloss.export {shlex.join(arguments)}", file=sys.stderr)
        return INTERRUPTED
    return 0


def _run(arguments: Sequence[str]) -> None:
    raise_interrupts()
    with interrupts_wait():
        from jaxloss.config.stored import stored_space
        from jaxloss.runs import atomic
        from jaxloss.study.export import DEFAULT_TIME_LIMIT, FORMATS, ONNX, export

    parser = Parser(prog="python -m jaxloss.export", description="Writes a loss of a run as code or formula.")
    parser.add_argument("workdir", help="directory of a run")
    which = parser.add_mutually_exclusive_group()
    which.add_argument("--rank", type=int, help="1 is the best (default)")
    which.add_argument("--name", help="of a loss in the table of the comparison, or its formula, in place of a rank")
    parser.add_argument("--format", default="python", help=f"{', '.join(FORMATS)} (default: python)")
    parser.add_argument("--output", help="file to write; standard output by default")
    parser.add_argument("--time_limit", type=float, default=DEFAULT_TIME_LIMIT, help="seconds for the simplification")
    options = parser.parse_args(arguments)
    if options.format == ONNX and not options.output:
        raise UserError("the format onnx is no text: name a file to write with --output=FILE.onnx")
    space = stored_space(options.workdir)
    rank = 1 if options.rank is None else options.rank
    text = export(options.workdir, space, rank, options.format, options.time_limit, options.name)
    if not options.output:
        sys.stdout.write(text)
        return
    try:
        write = atomic.write_bytes if isinstance(text, bytes) else atomic.write_text
        write(options.output, text)
    except OSError as error:
        raise unwritable(f"cannot write '{options.output}'", error) from error


if __name__ == "__main__":
    leave(main())
