"""The command that writes the page of a run again: `python -m jaxloss.report WORKDIR`."""

import shlex
import sys
from collections.abc import Sequence

# Nothing else here: the imports below take seconds, and a Ctrl-C that meets them must find `main` at work.
from jaxloss.core.errors import UserError
from jaxloss.core.interrupts import INTERRUPTED, interrupts_wait, leave, raise_interrupts

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
            from jaxloss.report.page import write_report

        print(write_report(arguments[0], _space_of(arguments[0])))
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print(f"stopped. To begin again: python -m jaxloss.report {shlex.join(arguments)}", file=sys.stderr)
        return INTERRUPTED
    return 0


def _space_of(workdir: str):
    """The space of the run; without it the page has everything but pictures of the losses."""
    from jaxloss.config.stored import stored_space
    from jaxloss.runs.directory import open_for_reading

    with open_for_reading(workdir):
        pass  # a directory without a run is another mistake
    try:
        return stored_space(workdir)
    except UserError as error:
        print(f"losses are not drawn: {error}", file=sys.stderr)
        return None


if __name__ == "__main__":
    leave(main())
