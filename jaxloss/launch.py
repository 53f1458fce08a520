"""The command line: `python -m jaxloss.launch --config=configs/NAME.py [--workdir=DIR] [--config.KEY=VALUE ...]`.

Thin: everything it does can be done in a notebook with `jaxloss.load_config` and `jaxloss.run`.
"""

import os
import shlex
import sys
import traceback
from collections.abc import Sequence
from pathlib import Path

# Nothing else here: the imports below take seconds, and a Ctrl-C that meets them must find `main` at work.
from jaxloss.core.errors import UserError, unknown
from jaxloss.core.files import config_file
from jaxloss.core.interrupts import INTERRUPTED, interrupts_wait, leave, raise_interrupts

USAGE = "usage: python -m jaxloss.launch --config=configs/NAME.py [--workdir=DIR] [--config.KEY=VALUE ...]"
DEBUG, RESTART = "--debug", "--restart"
HELP = f"""{USAGE}

  --config    a file with a function get_config(); those of configs/ say what they need and what they give
  --workdir   directory of the run, by default runs/NAME; a run that is there is continued
  --restart   sets what is in the directory aside, as DIR.1, and begins again
  --debug     shows where a mistake comes from: the traceback in place of one line, for authors of tasks, spaces and filters
  --help=KEY  what a key means, or all keys of a section, such as --help=training; --help=all: all keys"""


def parse_arguments(arguments: Sequence[str]) -> tuple[str, str | None, dict[str, str]]:
    """The config file, the work directory or None, and the overrides by dotted key.

    Raises:
      UserError: for an argument that is none of these.
    """
    config, workdir, overrides = None, None, {}
    rest = list(arguments)
    while rest:
        argument = rest.pop(0)
        name, equals, value = argument.partition("=")
        name = name.lstrip("-")
        if not argument.startswith("--"):
            raise UserError(f"unexpected argument '{argument}'. {USAGE}")
        if not equals:
            if not rest:
                raise UserError(f"the argument '{argument}' has no value. {USAGE}")
            value = rest.pop(0)
        if name == "config":
            _refuse_twice(argument, config is not None)
            config = value
        elif name == "workdir":
            if not value.strip():
                raise UserError(f"the argument '--workdir' has no value. {USAGE}")
            _refuse_twice(argument, workdir is not None)
            workdir = value
        elif name.startswith("config."):
            key = name.removeprefix("config.")
            _refuse_twice(argument, key in overrides)
            overrides[key] = value
        else:
            raise unknown("argument", f"--{name}", ("--config", "--workdir", "--config.KEY", RESTART, DEBUG, "--help"))
    if config is None:
        raise UserError(f"--config is missing. {USAGE}")
    return config, workdir, overrides


def _refuse_twice(argument: str, was_given: bool) -> None:
    if was_given:
        raise UserError(f"the argument '{argument.partition('=')[0]}' is given twice")


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command; returns the exit code: 0, 2 for a user's mistake, 130 after Ctrl-C."""
    given = sys.argv[1:] if arguments is None else list(arguments)
    arguments = [argument for argument in given if argument not in (DEBUG, RESTART)]
    if not arguments:
        print(USAGE, file=sys.stderr)
        return 2
    command = f"python -m jaxloss.launch {shlex.join(arguments)}"
    workdir = None
    try:
        if (asked := _asked_help(arguments)) is not None:
            return _help(asked)
        path, workdir, overrides = parse_arguments(arguments)
        workdir = workdir or f"runs/{Path(path).stem}"
        return _run(path, overrides, workdir, command, RESTART in given)
    except UserError as error:
        if DEBUG in given:
            traceback.print_exception(error)
        print(f"error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        # A run that had done nothing yet has left no directory behind, see `RunDirectory`.
        if workdir is None or not os.path.exists(os.path.join(workdir, "archive.sqlite")):
            print(f"stopped; nothing was done yet. To begin again: {command}", file=sys.stderr)
        else:
            print(f"stopped; everything done is saved. To go on: {command}", file=sys.stderr)
        return INTERRUPTED


def _asked_help(arguments: Sequence[str]) -> str | None:
    """The key that `--help=KEY` or `--help KEY` asks for, wherever it stands; empty for none, None where help is not asked."""
    for index, argument in enumerate(arguments):
        name, _, key = argument.partition("=")
        if name in ("-h", "--help"):
            return key or next((one for one in arguments[index + 1 :] if not one.startswith(("--config=", "--workdir="))), "")
    return None


def _help(asked: str) -> int:
    """Prints what is said of a key, or of the command."""
    if not asked:
        print(HELP)
        return 0
    raise_interrupts()
    with interrupts_wait():
        from jaxloss.config.help import help_text

    text = help_text(asked.removeprefix("--").removeprefix("config."))
    try:
        print(text, flush=True)
    except BrokenPipeError:
        # Whoever reads it has seen enough; the flush at the end of Python would complain once more.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return 0


def _run(path: str, overrides: dict[str, str], workdir: str, command: str, restart: bool) -> int:
    config_file(path)  # before anything is loaded: that takes seconds
    raise_interrupts()
    with interrupts_wait():
        from jaxloss.config.file import load_config

    config = load_config(path, overrides)

    with interrupts_wait():
        from jaxloss.api.results import run
        from jaxloss.cli.progress import ConsoleProgress
        from jaxloss.config.execution import follow_leader, follows, prepare_process
        from jaxloss.report.table import print_summary

    prepare_process(config)
    if follows(config):
        follow_leader(config)
        return 0
    progress = ConsoleProgress(quiet=config.quiet)
    results = run(config, workdir, progress, command, restart)
    print_summary(results.summary)
    progress.message(f"report: {workdir}/report.html")
    return 0


if __name__ == "__main__":
    leave(main())
