"""Graph evaluations per second, forward and with gradient, against one compilation for each graph.

    python -m experiments.benchmarks.interpreter --json OUT.json --plot OUT.png

Random trees of AutoLoss-Zero's space that read prediction and target are evaluated on one batch, on one device:

- `vmap_forward`, `vmap_gradient`: the interpreter under `vmap`.
- `blocks_gradient`: the operations of all graphs in blocks (`jaxloss.graphs.blocks.schedule`).
- `jit_forward`, `jit_gradient`: one `jit` for each graph, on a sample of the graphs, without the time of compiling.
- `jit_forward_compiling`, `jit_gradient_compiling`: the same, compiling included.

One evaluation is the total loss of one graph on the whole batch, or its gradient with respect to the prediction. A population
that does not fit the memory budget at once (`lanes`) is taken in several calls. Not in `seconds`: encoding the graphs on the
host, once for each graph (`prepare_seconds`), and compiling, once for all of them (`compile_seconds`; for the `jit` ways of
the whole sample).
"""

import argparse
import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import jax

from experiments.benchmarks import common
from experiments.benchmarks.interpreter_ways import LAYOUT, alone, prepare
from jaxloss.core.errors import unknown
from jaxloss.core.problem import RejectionProblem
from jaxloss.core.types import Array
from jaxloss.graphs.formula import parse
from jaxloss.graphs.graph import Graph

JIT_WAYS = ("jit_forward", "jit_gradient")
WAYS = ("vmap_forward", "vmap_gradient", "blocks_gradient", *JIT_WAYS)
COLUMNS = ("way", "population", "shape", "lanes", "seconds", "evaluations_per_second", "compile_seconds", "prepare_seconds")
# Short calls are repeated until so many seconds have passed.
LEAST_SECONDS = 0.2


def main(arguments: Sequence[str] | None = None) -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--populations", type=common.numbers, default=(16, 64, 256, 1024), help="such as 16,64,256")
    parser.add_argument(
        "--sizes", type=_sizes, default="5x10,64x16,5x32x32x21", help="samples x classes, or samples x H x W x classes"
    )
    parser.add_argument("--ways", type=_ways, default=",".join(WAYS), help="some of these, with commas between them")
    parser.add_argument("--jit", type=common.positive, default=12, help="graphs with a jit of their own")
    parser.add_argument("--repetitions", type=common.positive, default=3, help="of which the best counts")
    parser.add_argument("--limit", type=float, default=4.0, help="seconds; populations that would take longer are left out")
    parser.add_argument("--seed", type=common.whole, default=0, help="of graphs and predictions")
    parser.add_argument("--json", type=common.output_path, help="file to write")
    parser.add_argument("--plot", type=common.output_path, help="PNG file: seconds against population")
    options = parser.parse_args(arguments)

    populations = sorted(set(options.populations))
    texts = common.random_formulas(max(*populations, options.jit), options.seed, needed=("prediction", "target"))
    graphs = [parse(text, LAYOUT.operators, LAYOUT.inputs) for text in texts]
    rows, left_out = [], []
    with common.without_compilation_cache():
        for size in options.sizes:
            problem = common.random_problem(*size, options.seed)
            for way in options.ways:
                if way in JIT_WAYS:
                    rows += _one_by_one(way, problem, graphs[: options.jit], options.repetitions)
                    continue
                found, skipped = _grow(way, problem, graphs, populations, options)
                rows += found
                left_out += skipped
    results = {**common.facts(), "rows": rows, "left_out": left_out, "slopes": slopes(rows)}

    common.show_table(f"interpreter, {results['device']}", COLUMNS, [[_shown(row[name]) for name in COLUMNS] for row in rows])
    columns = ("way", "against", "at", "slope", "slope_of_last_two")
    common.show_table("how seconds grow: the power", columns, [[row[name] for name in columns] for row in results["slopes"]])
    for row in left_out:
        place = f"{row['way']}, {_shown(row['shape'])}, population {row['population']}"
        print(f"left out: {place}: about {row['expected_seconds']:.0f} s")
    if options.json:
        common.write_json(options.json, results)
    if options.plot:
        _plot(options.plot, rows, results["device"])


def _sizes(text: str) -> list[tuple[int, int, int, int]]:
    """An argparse type: `64x16,5x32x32x21` as `(64, 1, 1, 16)` and `(5, 32, 32, 21)`."""
    sizes = [common.numbers(part, "x") for part in text.split(",")]
    if not all(len(size) in (2, 4) for size in sizes):
        raise argparse.ArgumentTypeError(f"'{text}' is no list of samples x classes or samples x H x W x classes")
    return list(dict.fromkeys(size if len(size) == 4 else (size[0], 1, 1, size[1]) for size in sizes))


def _ways(text: str) -> list[str]:
    """An argparse type: names in `WAYS`."""
    names = list(dict.fromkeys(text.split(",")))
    for name in names:
        if name not in WAYS:
            raise argparse.ArgumentTypeError(str(unknown("way", name, WAYS)))
    return names


def _grow(
    way: str, problem: RejectionProblem, graphs: Sequence[Graph], populations: Sequence[int], options: argparse.Namespace
) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """One way on growing populations: rows, and what is left out since it would take too long."""
    rows: list[dict[str, Any]] = []
    left_out: list[dict[str, Any]] = []
    for count in populations:
        expected = rows[-1]["seconds"] * count / rows[-1]["population"] if rows else 0
        if expected > options.limit:
            left_out.append({"way": way, "population": count, "shape": list(problem.start.shape), "expected_seconds": expected})
            continue
        calls = prepare(way, problem, graphs[:count])
        seconds = common.best_seconds(calls, options.repetitions, LEAST_SECONDS)
        rows.append(
            _row(way, count, problem, seconds, calls.compile_seconds, lanes=calls.lanes, prepare_seconds=calls.prepare_seconds)
        )
    return rows, left_out


def _one_by_one(way: str, problem: RejectionProblem, graphs: Sequence[Graph], repetitions: int) -> list[dict[str, Any]]:
    """Two rows: without and with the time of compiling."""
    arguments = (problem.start, problem.context)

    def compiled() -> list[Callable[..., Array]]:
        functions = [alone(graph, problem, way == "jit_gradient") for graph in graphs]
        return [jax.jit(function).lower(*arguments).compile() for function in functions]

    calls, compile_seconds = common.timed(compiled)
    seconds = common.best_seconds(lambda: [call(*arguments) for call in calls], repetitions, LEAST_SECONDS)
    return [
        _row(name, len(graphs), problem, total, compile_seconds, lanes=1, prepare_seconds=None)
        for name, total in ((way, seconds), (f"{way}_compiling", seconds + compile_seconds))
    ]


def _row(
    way: str, population: int, problem: RejectionProblem, seconds: float, compile_seconds: float, **more: Any
) -> dict[str, Any]:
    return {
        "way": way,
        "population": population,
        "shape": list(problem.start.shape),
        "seconds": seconds,
        "evaluations_per_second": population / seconds,
        "compile_seconds": compile_seconds,
        **more,
    }


def _shown(value: Any) -> Any:
    """A shape as `64x1x1x16`, anything else as it is."""
    return "x".join(map(str, value)) if isinstance(value, list) else value


def slopes(rows: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """How cost grows: the power of seconds in the population at each shape, and in the tensor size at each population.

    Args:
      rows: of the benchmark.

    Returns:
      Rows `{way, against: 'population' | 'tensor', at, slope, slope_of_last_two}` wherever there are two points. The slope is
      that of a line through the logarithms of all points. The last two tell of large problems: in small ones most of the
      time goes into the call.
    """
    found = []
    for against, by in (("population", "shape"), ("tensor", "population")):
        lines: dict[tuple, list[tuple[float, float]]] = {}
        for row in rows:
            size = row["population"] if against == "population" else math.prod(row["shape"])
            at = _shown(row[by])
            lines.setdefault((row["way"], at), []).append((size, row["seconds"]))
        for (way, at), points in lines.items():
            if len(points) > 1:
                whole, last = (common.power(*zip(*part, strict=True)) for part in (sorted(points), sorted(points)[-2:]))
                found.append({"way": way, "against": against, "at": at, "slope": whole, "slope_of_last_two": last})
    return found


def _plot(path: Path, rows: Sequence[dict[str, Any]], device: str) -> None:
    """Seconds against population, a panel for each shape."""
    from matplotlib.figure import Figure

    shapes = sorted({tuple(row["shape"]) for row in rows}, key=math.prod)
    figure = Figure(figsize=(4.5 * len(shapes), 4), layout="constrained")
    panels = figure.subplots(1, len(shapes), squeeze=False)[0]
    for panel, shape in zip(panels, shapes, strict=True):
        here = [row for row in rows if tuple(row["shape"]) == shape]
        largest = max(row["population"] for row in here)
        for number, way in enumerate(dict.fromkeys(row["way"] for row in rows)):
            points = sorted((row["population"], row["seconds"]) for row in here if row["way"] == way)
            label, style = way.replace("_", " "), "o-"
            if way.startswith("jit"):
                (count, seconds) = points[-1]
                points, label, style = [(1, seconds / count), (largest, seconds * largest / count)], f"{label} (scaled)", "--"
            panel.loglog(*zip(*points, strict=True), style, color=f"C{number}", label=label)
        panel.set(title=" × ".join(map(str, shape)), xlabel="population")
        panel.grid(alpha=0.3)
    panels[0].set_ylabel("seconds for the whole population")
    figure.legend(*panels[0].get_legend_handles_labels(), loc="outside lower center", ncols=4, fontsize="small")
    figure.suptitle(f"interpreter, {device}")
    figure.savefig(path, dpi=120, format="png")


if __name__ == "__main__":
    common.run(main)
