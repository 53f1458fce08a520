"""Many runs of one config file: `python -m jaxloss.sweep --config=FILE --workdir=DIR [--parallel=N] [--config.KEY=VALUE ...]`."""

import shlex
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

# Nothing else here: the imports below take seconds, and a Ctrl-C that meets them must find `main` at work.
from jaxloss.core.errors import UserError, unknown
from jaxloss.core.interrupts import INTERRUPTED, interrupts_wait, leave, raise_interrupts

USAGE = (
    "usage: python -m jaxloss.sweep --config=FILE --workdir=DIR [--parallel=N] [--where=KEY=VALUE] [--transfer] [--show] "
    "[--config.KEY=VALUE ...]"
)
HELP = f"""{USAGE}

  --config     a file with get_config(), and get_sweep(), which returns {{key: [values]}} for all combinations, or a list of
               {{key: value}}
  --workdir    folder of the runs; what is finished there is not done again, and what was stopped goes on
  --parallel   how many runs at a time, 1 by default
  --where      only the runs with this value, such as --where=seed=0; several times for several keys
  --transfer   afterwards, all losses that were found are compared on all tasks of the sweep
  --show       runs nothing: the table, the page and the CSV of what is there"""


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
    for argument in given:
        name, equals, value = argument.removeprefix("--").partition("=")
        if not argument.startswith("--"):
            raise UserError(f"unexpected argument '{argument}'. {USAGE}")
        if name in ("transfer", "show") and not equals:
            switches.add(name)
        elif name.startswith("config.") and equals:
            overrides[name.removeprefix("config.")] = value
        elif name == "where" and "=" in value:
            key, _, wanted = value.partition("=")
            where[key] = wanted
        elif name not in ("config", "workdir", "parallel", "where", "transfer", "show"):
            raise unknown("argument", f"--{name}", ("--config", "--workdir", "--parallel", "--where", "--transfer", "--show"))
        elif not value or name in ("where", "transfer", "show"):
            raise UserError(f"the argument '{argument}' is not complete. {USAGE}")
        else:
            single[name] = value
    for name in ("config", "workdir"):
        if name not in single:
            raise UserError(f"--{name} is missing. {USAGE}")
    if not single.get("parallel", "1").isdecimal() or int(single.get("parallel", "1")) < 1:
        raise UserError(f"--parallel must be a whole number above 0, not '{single['parallel']}'")
    return single, where, overrides, switches


def _run(given: Sequence[str], command: str) -> int:
    single, where, overrides, switches = _arguments(given)
    raise_interrupts()
    with interrupts_wait():
        from jaxloss.config.file import load_config, load_sweep
        from jaxloss.sweeps.points import Point, chosen_points, points_of
        from jaxloss.sweeps.rows import row_of
        from jaxloss.sweeps.work import work

    path, workdir = single["config"], Path(single["workdir"])
    points = chosen_points(points_of(load_sweep(path)), where)

    def run_all(points: Sequence[Point], fixed: Mapping[str, str]) -> dict[str, str]:
        # A contradiction in the last of them is found before the first one begins.
        for point in points:
            try:
                load_config(path, {**fixed, **point.overrides})
            except UserError as error:
                raise UserError(f"{point.name}: {error}") from error
            (workdir / point.name).parent.mkdir(parents=True, exist_ok=True)

        def command_of(point: Point) -> list[str]:
            keys = [f"--config.{key}={value}" for key, value in {**fixed, **point.overrides}.items()]
            where_to = f"--workdir={workdir / point.name}"
            return [sys.executable, "-m", "jaxloss.launch", f"--config={path}", where_to, *keys]

        return work(points, command_of, workdir, int(single.get("parallel", "1")), lambda text: print(text, file=sys.stderr))

    failed = {} if "show" in switches else run_all(points, overrides)
    rows = [row_of(point, workdir) for point in points]
    return _finish(points, rows, failed, workdir, command, run_all, switches, overrides)


def _finish(points, rows, failed, workdir, command, run_all, switches, overrides) -> int:
    """Compares the losses on all tasks where that is asked for, and shows everything."""
    from jaxloss.runs import atomic
    from jaxloss.sweeps.page import write_page
    from jaxloss.sweeps.table import as_csv, print_rows
    from jaxloss.sweeps.transfer import transfer_matrix, transfer_points

    matrix = None
    if "transfer" in switches and any(row.formula for row in rows):
        across = transfer_points(points, rows)
        if "show" not in switches:
            kept = {key: value for key, value in overrides.items() if not key.startswith(("search.", "filters."))}
            failed = {**failed, **run_all(across, kept)}
        matrix = transfer_matrix(across, workdir)
    print_rows(rows)
    workdir.mkdir(parents=True, exist_ok=True)
    atomic.write_text(workdir / "sweep.csv", as_csv(rows))
    print(f"page: {write_page(workdir, workdir.name, rows, matrix, command)}")
    for name, why in failed.items():
        print(f"failed: {name}: {why}", file=sys.stderr)
    return 1 if failed else 0


if __name__ == "__main__":
    leave(main())
