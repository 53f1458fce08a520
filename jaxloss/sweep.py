"""Many runs of one config file: `python -m jaxloss.sweep --config=FILE --workdir=DIR [--parallel=N] [--config.KEY=VALUE ...]`."""

import shlex
import sys
from collections.abc import Sequence
from pathlib import Path

# Nothing else here: the imports below take seconds, and a Ctrl-C that meets them must find `main` at work.
from jaxloss.core.errors import UserError, unknown
from jaxloss.core.interrupts import INTERRUPTED, interrupts_wait, leave, raise_interrupts

USAGE = (
    "usage: python -m jaxloss.sweep --config=FILE --workdir=DIR [--parallel=N] [--where=KEY=VALUE] [--transfer] [--show] "
    "[--executor=ray] [--address=ADDRESS] [--config.KEY=VALUE ...]"
)
HELP = f"""{USAGE}

  --config     a file with get_config(), and get_sweep(), which returns {{key: [values]}} for all combinations, or a list of
               {{key: value}}
  --workdir    folder of the runs; what is finished there is not done again, and what was stopped goes on
  --parallel   how many runs at a time, 1 by default
  --executor   local (by default), or ray: on the machines of a Ray cluster, which share the folder of the runs
  --address    of that cluster: HOST:PORT of its head, or auto; by default one of this machine alone is started
  --where      only the runs with this value, such as --where=seed=0; several times for several keys
  --transfer   afterwards, all losses that were found are compared on all tasks of the sweep
  --show       runs nothing: the table, the page and the CSV of what is there"""

_ARGUMENTS = ("config", "workdir", "parallel", "executor", "address", "where", "transfer", "show")
_EXECUTORS = ("local", "ray")


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command; returns the exit code: 0, 1 where runs failed, 2 for a user's mistake, 130 after Ctrl-C."""
    given = sys.argv[1:] if arguments is None else list(arguments)
    command = f"python -m jaxloss.sweep {shlex.join(given)}"
    if not given or {"-h", "--help"} & set(given):
        print(HELP if given else USAGE, file=sys.stdout if given else sys.stderr)
        return 0 if given else 2
    try:
        return _run(given, command)
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print(f"stopped; everything done is saved. To go on: {command}", file=sys.stderr)
        return INTERRUPTED


def _arguments(given: Sequence[str]) -> tuple[dict[str, str], dict[str, str], dict[str, str], set[str]]:
    """The single arguments, the values of `--where`, the overrides, and the switches."""
    single, where, overrides, switches = {}, {}, {}, set()
    rest = list(given)
    while rest:
        argument = rest.pop(0)
        name, equals, value = argument.removeprefix("--").partition("=")
        if not argument.startswith("--"):
            raise UserError(f"unexpected argument '{argument}'. {USAGE}")
        is_switch = name in ("transfer", "show")
        # As with the launch command, a value may stand behind its argument.
        if not equals and not is_switch and rest and not rest[0].startswith("--"):
            equals, value = "=", rest.pop(0)
        if is_switch and not equals:
            switches.add(name)
        elif name.startswith("config.") and equals:
            _put(overrides, name.removeprefix("config."), value, f"--{name}")
        elif name == "where" and "=" in value:
            key, _, wanted = value.partition("=")
            _put(where, key, wanted, f"--where={key}")
        elif name not in _ARGUMENTS and not name.startswith("config."):
            raise unknown("argument", f"--{name}", [f"--{known}" for known in _ARGUMENTS])
        elif not value.strip() or is_switch or name == "where" or name.startswith("config."):
            raise UserError(f"the argument '{argument}' is not complete. {USAGE}")
        else:
            _put(single, name, value, f"--{name}")
    for name in ("config", "workdir"):
        if name not in single:
            raise UserError(f"--{name} is missing. {USAGE}")
    if not single.get("parallel", "1").isdecimal() or int(single.get("parallel", "1")) < 1:
        raise UserError(f"--parallel must be a whole number above 0, not '{single['parallel']}'")
    if single.get("executor", "local") not in _EXECUTORS:
        raise unknown("--executor", single["executor"], _EXECUTORS)
    if "address" in single and single.get("executor") != "ray":
        raise UserError("--address is that of a Ray cluster: it needs --executor=ray")
    return single, where, overrides, switches


def _put(values: dict[str, str], key: str, value: str, argument: str) -> None:
    """As with the launch command, what is given twice is refused: one of the two would be left out in silence."""
    if key in values:
        raise UserError(f"the argument '{argument}' is given twice")
    values[key] = value


def _run(given: Sequence[str], command: str) -> int:
    single, where, overrides, switches = _arguments(given)
    raise_interrupts()
    with interrupts_wait():
        from jaxloss.sweeps.sweep import Sweep

    def message(text: str) -> None:
        print(text, file=sys.stderr)

    parallel, place = int(single.get("parallel", "1")), (single.get("executor", "local"), single.get("address", ""))
    sweep = Sweep(single["config"], Path(single["workdir"]), parallel, overrides, message, *place)
    points, across, failed = sweep.points(where), [], {}
    if "show" not in switches:
        failed = sweep.run(points)
    rows = sweep.rows(points)
    if "transfer" in switches and any(row.formula for row in rows):
        comparison, across = sweep.compare(points, rows)
        if "show" not in switches:
            failed |= comparison.run(across)
    elif "transfer" in switches:
        message("--transfer: none of these runs has found a loss, so that there is nothing to compare on their tasks")
    print(f"page: {sweep.show(rows, across, command)}")
    for name, why in failed.items():
        message(f"failed: {name}: {why}")
    return 1 if failed else 0


if __name__ == "__main__":
    leave(main())
