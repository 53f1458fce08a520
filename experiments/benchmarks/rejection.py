"""Candidates per minute through the rejection stage, against doing it without this framework.

    python -m experiments.benchmarks.rejection --trees FILE.json --entries 1024 --iterations 500 --json OUT.json

All ways get the same trees and the same samples. `eager` and `jit_per_candidate` take a few of the trees and are scaled up:
eager JAX, one candidate at a time; and one `jit` for each candidate, the whole descent as one `scan`, compilation included.
`full` is the whole protocol for all trees without any shortcut, `shipped_list` the filters as a search uses them on the same
list, `shipped_random` on a stream of random trees of depth 3.

Without `--trees` the trees are random ones that read prediction and target. `--spatial 32` has 5 samples of 32 x 32 x 21.
`seconds` of `jit_per_candidate` hold its `compile_seconds`; those of our own ways are once for all candidates and stand beside.
"""

import argparse
import collections
import json
import os
import resource
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import jax
import numpy as np

from experiments.benchmarks import common
from experiments.benchmarks.common import BRANCH
from experiments.benchmarks.separate_descents import Descent, descend_compiled, descend_eagerly, separately
from jaxloss.core.devices import memory_budget
from jaxloss.core.errors import UserError
from jaxloss.core.problem import RejectionProblem
from jaxloss.core.verdicts import PASSED
from jaxloss.filters.cascade import Cascade
from jaxloss.filters.context import FilterContext
from jaxloss.filters.equivalence import LossMemory
from jaxloss.filters.population import BATCHINGS
from jaxloss.filters.settings import FilterSettings, RejectionSettings
from jaxloss.filters.standard import standard_filters
from jaxloss.graphs.blocks.lowering import lower
from jaxloss.graphs.form import parse_fitting
from jaxloss.graphs.formula import parse
from jaxloss.graphs.graph import Graph
from jaxloss.graphs.program import encode

LAYOUT = BRANCH.form.layout
COLUMNS = ("name", "candidates_per_minute", "distinct_accepted_per_minute", "compile_seconds", "peak_memory_mib", "accepted")


def main(arguments: Sequence[str] | None = None) -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--trees", help="JSON list of formulas over prediction, target and numbers")
    parser.add_argument("--entries", type=common.positive, default=1024, help="how many of them")
    parser.add_argument("--iterations", type=common.positive, default=500, help="of gradient descent")
    parser.add_argument("--spatial", type=common.positive, help="side of 5 samples of 21 classes, in place of 64 of 16")
    parser.add_argument("--batching", choices=BATCHINGS, default="auto", help="how our own ways run")
    parser.add_argument("--width", type=common.whole, default=0, help="candidates per call, 0 for as many as suit the device")
    parser.add_argument("--workers", type=common.whole, default=0, help="threads on a CPU, 0 for one per core")
    parser.add_argument("--devices", type=common.whole, default=0, help="0 for all accelerators, or the one CPU")
    parser.add_argument("--eager", type=common.whole, default=2, help="trees for the eager way, 0 to leave it out")
    parser.add_argument("--jit", type=common.whole, default=24, help="trees with a jit of their own, 0 to leave them out")
    parser.add_argument("--stream", type=common.whole, default=100_000, help="trees of the random stream, 0 to leave it out")
    growth = "numbers of entries, such as 256,512,1024: how the cost of `full` grows"
    parser.add_argument("--growth", type=common.numbers, default=(), help=growth)
    parser.add_argument("--seed", type=common.whole, default=0, help="of samples and random trees")
    parser.add_argument("--json", type=common.output_path, help="file to write")
    options = parser.parse_args(arguments)

    if len(set(options.growth)) < len(options.growth) or max(options.growth, default=0) > options.entries:
        raise UserError(f"--growth takes different numbers of at most --entries = {options.entries}, not {options.growth}")
    if options.devices > jax.local_device_count():
        raise UserError(f"--devices asks for {options.devices} devices, there are {jax.local_device_count()}")
    graphs = _read(options.trees, options.entries, options.seed)
    size = (5, options.spatial, options.spatial, 21) if options.spatial else (64, 1, 1, 16)
    problem = common.random_problem(*size, options.seed)
    settings = RejectionSettings(iterations=options.iterations)
    workers = options.workers or min(
        4, jax.local_device_count() if jax.default_backend() != "cpu" else len(os.sched_getaffinity(0))
    )
    with ThreadPoolExecutor(workers) as pool, common.without_compilation_cache():
        make = _cascade_maker(problem, settings, options, pool, workers)
        rows, verdicts = [], {}
        if options.eager:
            rows.append(_one_by_one("eager", descend_eagerly, graphs[: options.eager], problem, settings, verdicts))
        if options.jit:
            chosen = _spread(graphs, options.jit)
            rows.append(_one_by_one("jit_per_candidate", descend_compiled, chosen, problem, settings, verdicts))
        whole = make(False)
        full, found = _full(whole, graphs)
        rows += [full, _shipped_list(make, graphs)]
        if options.stream:
            rows.append(_shipped_random(make, options.stream, options.seed))
        host = _host(whole, graphs[:256])
        growth = [_grow(whole, graphs, count) for count in options.growth]

    expected = {str(graph): reason for graph, reason in zip(graphs, found["reason"], strict=True)}
    differing = sorted(text for text, reason in verdicts.items() if reason != expected[text])
    results = {
        **common.facts(),
        "setting": {"samples": list(size), **vars(options), "workers": workers, "json": None},
        "rows": rows,
        "host_graphs_per_second": host,
        "verdicts_compared": len(verdicts),
        "verdicts_that_differ": differing,
        "entries": len(graphs),
        "distinct_entries": len({graph.key(LAYOUT.operators) for graph in graphs}),
        "growth": growth,
        "growth_slope": common.power([row["entries"] for row in growth], [row["seconds"] for row in growth]),
    }
    common.show_table(f"rejection, {results['device']}", COLUMNS, [[row.get(name) for name in COLUMNS] for row in rows])
    print(f"verdicts that differ from those of {len(verdicts)} separate descents: {len(differing)}")
    print("host, graphs per second: " + ", ".join(f"{name} {value:,.0f}" for name, value in host.items()))
    if len(growth) > 1:
        print(f"cost grows with the number of entries to the power {results['growth_slope']:.2f}")
    if options.json:
        common.write_json(options.json, results)


def _read(path: str | None, entries: int, seed: int) -> list[Graph]:
    if path is None:
        texts = common.random_formulas(entries, seed, needed=("prediction", "target"))
    else:
        try:
            texts = json.loads(Path(path).read_text())
        except OSError as error:
            raise UserError(f"cannot read {path}: {error.strerror}") from error
        except ValueError as error:
            raise UserError(f"{path} is not JSON: {error}") from error
        if not isinstance(texts, list) or not all(isinstance(text, str) for text in texts):
            raise UserError(f"{path} must hold a JSON list of formulas in text form")
        if len(texts) < entries:
            raise UserError(f"{path} holds {len(texts)} formulas, --entries asks for {entries}")
    return [parse_fitting(text, LAYOUT) for text in texts[:entries]]


def _spread(graphs: Sequence[Graph], count: int) -> list[Graph]:
    """So many of the graphs, evenly spread over the list."""
    return [graphs[i] for i in np.linspace(0, len(graphs) - 1, min(count, len(graphs))).astype(int)]


def _peak_memory() -> float:
    """MiB: of the device where it says so, else of this process so far."""
    statistics = jax.local_devices()[0].memory_stats() or {}
    if "peak_bytes_in_use" in statistics:
        return statistics["peak_bytes_in_use"] / 2**20
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**10


def _row(name: str, count: int, seconds: float, **more: Any) -> dict[str, Any]:
    return {
        "name": name,
        "candidates_per_minute": 60 * count / seconds,
        "distinct_accepted_per_minute": None,
        "candidates": count,
        "seconds": seconds,
        "peak_memory_mib": _peak_memory(),
        **more,
    }


def _one_by_one(
    name: str, descend: Descent, graphs: Sequence[Graph], problem: RejectionProblem, settings: RejectionSettings, verdicts: dict
) -> dict[str, Any]:
    found, seconds, compiling = separately(descend, graphs, problem, settings)
    verdicts |= {str(graph): reason for graph, reason in zip(graphs, found, strict=True)}
    return _row(name, len(graphs), seconds, compile_seconds=compiling, accepted=found.count(PASSED))


def _cascade_maker(
    problem: RejectionProblem, settings: RejectionSettings, options, pool, workers: int
) -> Callable[[bool], Cascade]:
    def make(shortcuts: bool) -> Cascade:
        how = FilterSettings(
            rejection=settings,
            width=options.width,
            batching=options.batching,
        )
        threads = {"workers": pool, "num_workers": workers}
        context = FilterContext(BRANCH, lambda name: problem, how, **threads, shortcuts=shortcuts, devices=options.devices)
        return Cascade(BRANCH.name, BRANCH.form, standard_filters(context))

    return make


def _warm(cascade: Cascade) -> float:
    """Seconds until both stages are compiled, for graphs with and without aggregation."""
    texts = ("Neg(Mul(target, Log(prediction)))", "Neg(Mul(target, Mean_c(prediction)))")
    graphs = [parse(text, LAYOUT.operators, LAYOUT.inputs) for text in texts]
    begin = time.perf_counter()
    cascade.filter("gradient").gradients(graphs)
    cascade.filter("rejection").protocol(graphs)
    return time.perf_counter() - begin


def _full(cascade: Cascade, graphs: Sequence[Graph]) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    compile_seconds = _warm(cascade)
    begin = time.perf_counter()
    found = cascade.filter("rejection").protocol(graphs)
    seconds = time.perf_counter() - begin
    accepted = int(np.sum(found["reason"] == PASSED))
    more = {"compilations": cascade.compilations, "memory_budget_mib": memory_budget() / 2**20}
    return _row("full", len(graphs), seconds, compile_seconds=compile_seconds, accepted=accepted, **more), found


def _shipped_list(make: Callable[[bool], Cascade], graphs: Sequence[Graph]) -> dict[str, Any]:
    cascade = make(True)
    compile_seconds = _warm(cascade)
    begin = time.perf_counter()
    reasons, distinct = _screen(cascade, graphs, LossMemory())
    seconds = time.perf_counter() - begin
    return _shipped_row("shipped_list", seconds, compile_seconds, reasons, distinct, cascade)


def _shipped_random(make: Callable[[bool], Cascade], count: int, seed: int, chunk: int = 4096) -> dict[str, Any]:
    cascade, memory = make(True), LossMemory()
    compile_seconds = _warm(cascade)
    reasons: collections.Counter = collections.Counter()
    distinct: set[str] = set()
    generator = np.random.default_rng(seed)
    begin = time.perf_counter()
    for start in range(0, count, chunk):
        graphs = [common.SPACE.sample(generator, BRANCH) for _ in range(min(chunk, count - start))]
        found, accepted = _screen(cascade, graphs, memory)
        reasons.update(found)
        distinct |= accepted
    seconds = time.perf_counter() - begin
    return _shipped_row("shipped_random", seconds, compile_seconds, reasons, distinct, cascade)


def _screen(cascade: Cascade, graphs: Sequence[Graph], memory: LossMemory) -> tuple[collections.Counter, set[str]]:
    """What a search does with its draws, training aside: reasons, and the signatures of those that pass."""
    reasons: collections.Counter = collections.Counter()
    looked_at = []
    for graph in graphs:
        verdict = cascade.look(graph)
        if verdict.accepted:
            looked_at.append(graph)
        else:
            reasons[verdict.reason.label] += 1
    distinct = set()
    for screened in cascade.screen(looked_at, memory):
        reasons[screened.verdict.reason.label] += 1
        if screened.verdict.accepted:
            distinct.add(screened.signature)
            # As if it had been trained: what is equivalent to it needs no protocol.
            memory.accepted_branches.add((cascade.branch, screened.signature))
        elif screened.sketch is not None:
            memory.remember_rejected(cascade.branch, screened.sketch)
    return reasons, distinct


def _shipped_row(name, seconds, compile_seconds, reasons, distinct, cascade) -> dict[str, Any]:
    more = {"reasons": dict(sorted(reasons.items())), "compilations": cascade.compilations}
    row = _row(name, sum(reasons.values()), seconds, compile_seconds=compile_seconds, accepted=reasons["accepted"], **more)
    return {**row, "distinct_accepted": len(distinct), "distinct_accepted_per_minute": 60 * len(distinct) / seconds}


def _host(cascade: Cascade, graphs: Sequence[Graph]) -> dict[str, float]:
    """Graphs per second and thread of what the host does: drawing, mutating, looking at the leaves, keys, encoding."""
    generator, operators = np.random.default_rng(0), LAYOUT.operators

    def key_and_canonical(graph: Graph) -> None:
        fresh = Graph(graph.nodes)  # without what it remembers of itself
        fresh.key(operators)
        fresh.canonical(operators)

    jobs = {
        "sample": lambda graph: common.SPACE.sample(generator, BRANCH),
        "offspring": lambda graph: common.SPACE.offspring(generator, BRANCH, [graph]),
        "contents": cascade.look,
        "key": lambda graph: Graph(graph.nodes).key(operators),
        "key_and_canonical": key_and_canonical,
        "encode": lambda graph: encode(graph, LAYOUT),
        "encode_and_lower": lambda graph: lower(encode(graph, LAYOUT), LAYOUT, (0,)),
    }
    return {
        name: len(graphs) / common.best_seconds(lambda job=job: [job(graph) for graph in graphs], 3) for name, job in jobs.items()
    }


def _grow(cascade: Cascade, graphs: Sequence[Graph], count: int) -> dict[str, Any]:
    begin = time.perf_counter()
    cascade.filter("rejection").protocol(graphs[:count])
    return {"entries": count, "seconds": time.perf_counter() - begin}


if __name__ == "__main__":
    common.run(main)
