"""The command that writes the page of a run again: `python -m jaxloss.report WORKDIR`."""

import sys
from collections.abc import Sequence

from jaxloss.core.errors import UserError

USAGE = "usage: python -m jaxloss.report WORKDIR"


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command; returns the exit code: 0, or 2 for a user's mistake."""
    arguments = sys.argv[1:] if arguments is None else list(arguments)
    if arguments in (["-h"], ["--help"]):
        print(USAGE)
        return 0
    try:
        if len(arguments) != 1 or arguments[0].startswith("-"):
            raise UserError(USAGE)
        # matplotlib and JAX take seconds to import, which a mistyped command should not cost.
        from jaxloss.runs.report import write_report

        print(write_report(arguments[0]))
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
