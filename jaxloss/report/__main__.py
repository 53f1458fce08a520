"""The command that shows a run: `python -m jaxloss.report WORKDIR` writes its page again, `--terminal` shows it here."""

import math
import shlex
import sys
import time
from collections.abc import Sequence
from pathlib import Path

# Nothing else here: the imports below take seconds, and a Ctrl-C that meets them must find `main` at work.
from jaxloss.core.command_line import Parser
from jaxloss.core.errors import UserError
from jaxloss.core.interrupts import INTERRUPTED, interrupts_wait, leave, raise_interrupts

_LEAST_SECONDS = 1.0
# Between two pages, or two looks on the terminal, where the user does not say it.
_PAGE_SECONDS, _TERMINAL_SECONDS = 10.0, 2.0


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command; returns the exit code: 0, 2 for a user's mistake, 130 after Ctrl-C."""
    arguments = sys.argv[1:] if arguments is None else list(arguments)
    try:
        options = _parser().parse_args(arguments)
        if options.follow is True:
            options.follow = _TERMINAL_SECONDS if options.terminal else _PAGE_SECONDS
        if options.follow is not None and not _LEAST_SECONDS <= options.follow < math.inf:
            raise UserError(f"--follow takes {_LEAST_SECONDS:g} seconds or more, not {options.follow:g}")
        if options.terminal and options.csv is not None:
            raise UserError("--csv writes a file, --terminal shows the run here: give one of them")
        raise_interrupts()
        with interrupts_wait():
            from jaxloss.report.page import write_report

        if options.csv is not None:
            print(_write_csv(options.workdir, options.csv))
            return 0
        if options.follow is not None:
            _wait(options.workdir, options.follow)
        if options.terminal:
            _show(options.workdir, options.follow)
            return 0
        space = _space_of(options.workdir)
        print(write_report(options.workdir, space, options.follow), flush=True)
        while options.follow is not None and not _is_finished(options.workdir):
            time.sleep(options.follow)
            write_report(options.workdir, space, options.follow)
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print(f"stopped. To begin again: python -m jaxloss.report {shlex.join(arguments)}", file=sys.stderr)
        return INTERRUPTED
    return 0


def _parser() -> Parser:
    parser = Parser(prog="python -m jaxloss.report", description="Writes the page of a run, report.html, again.")
    parser.add_argument("workdir", metavar="WORKDIR", help="of the run")
    what = parser.add_mutually_exclusive_group()
    what.add_argument("--csv", type=Path, metavar="FILE", help="write all candidates of the archive as a table, and no page")
    seconds = "write the page again and again while the run goes on; an open page renews itself. SECONDS between: 10, and 2 for "
    seconds += "--terminal. A run that has not begun is waited for"
    what.add_argument("--follow", type=float, nargs="?", const=True, metavar="SECONDS", help=seconds)
    shown = "show the run here, and write nothing: the best so far, where the draws went, the course of the search, the time left"
    parser.add_argument("--terminal", action="store_true", help=shown)
    return parser


def _wait(workdir: str, seconds: float) -> None:
    """Waits for the run to begin, looking at least as often as a terminal does."""
    from jaxloss.report.following import wait_for_run

    wait_for_run(workdir, min(seconds, _TERMINAL_SECONDS), lambda line: print(line, file=sys.stderr, flush=True))


def _show(workdir: str, seconds: float | None) -> None:
    """Shows a run on the terminal, once, or again and again until it is finished."""
    from rich.live import Live

    from jaxloss.report.table import standard_output
    from jaxloss.report.terminal import frame
    from jaxloss.report.timing import Pace
    from jaxloss.runs.directory import open_for_reading

    console, pace = standard_output(), Pace()

    def look():
        with open_for_reading(workdir) as run:
            return frame(run, pace, time.monotonic(), console)

    if seconds is None:
        console.print(look())
        return
    with Live(look(), console=console, auto_refresh=False, vertical_overflow="crop") as live:
        while not _is_finished(workdir):
            time.sleep(seconds)
            live.update(look(), refresh=True)


def _is_finished(workdir: str) -> bool:
    from jaxloss.runs.directory import open_for_reading

    with open_for_reading(workdir) as run:
        return run.read_summary() is not None


def _write_csv(workdir: str, path: Path) -> Path:
    from jaxloss.report.candidates import as_csv
    from jaxloss.runs import atomic
    from jaxloss.runs.directory import open_for_reading

    with open_for_reading(workdir) as run:
        text = as_csv(run.archive.candidates())
    try:
        atomic.write_text(path, text)
    except OSError as error:
        raise UserError(f"cannot write '{path}': {error.strerror}") from error
    return path


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
