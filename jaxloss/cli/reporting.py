"""The command that writes the page of a run again: `python -m jaxloss.report WORKDIR`."""

import shlex
import sys
from collections.abc import Sequence

# Nothing else here: the imports below take seconds, and a Ctrl-C that meets them must find `main` at work.
from jaxloss.core.errors import UserError
from jaxloss.core.interrupts import INTERRUPTED, interrupts_wait, raise_interrupts

USAGE = "usage: python -m jaxloss.report WORKDIR"


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command; returns the exit code: 0, 2 for a user's mistake, 130 after Ctrl-C."""
    arguments = sys.argv[1:] if arguments is None else list(arguments)
    if arguments in (["-h"], ["--help"]):
        print(USAGE)
        return 0
    try:
        if len(arguments) != 1 or arguments[0].startswith("-"):
            raise UserError(USAGE)
        raise_interrupts()
        with interrupts_wait():
            from jaxloss.config.stored import stored_space
            from jaxloss.report.page import write_report

        space, problem = stored_space(arguments[0])
        if problem:
            print(f"losses are not drawn: {problem}", file=sys.stderr)
        print(write_report(arguments[0], space))
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print(f"stopped. To begin again: python -m jaxloss.report {shlex.join(arguments)}", file=sys.stderr)
        return INTERRUPTED
    return 0
