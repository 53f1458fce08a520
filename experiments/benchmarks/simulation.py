"""Losses of boxes and of their classes per minute through the optimisation simulation, against doing it without this framework.

    python -m experiments.benchmarks.simulation --branch regression --losses 256 --json OUT.json

The losses are different offspring of the loss that a search begins with (the generalised overlap, or cross-entropy with the
overlap), which have passed convergence property verification. `eager` and `jit_per_candidate` take a few of them and are scaled
up: eager JAX, one loss after the other; and one `jit` for each loss, the whole descent as one `scan`, compilation included.
`simulation` is one compiled call for all of them; `generation` is drawing, and all filters, for as many as it took to find them.

The problem is made up: images with boxes around locations, and the scores of three classes there.
"""

import argparse
import time
from collections.abc import Sequence
from typing import Any

import jax.numpy as jnp
import numpy as np

from experiments.benchmarks import common
from experiments.benchmarks.separate_descents import Descent, descend_compiled, descend_eagerly, separately
from jaxloss.core.boxes import around, overlap
from jaxloss.core.problem import RejectionProblem
from jaxloss.core.types import Array, LossInputs, PyTree
from jaxloss.core.verdicts import PASSED, code_of
from jaxloss.filters.base import Screened
from jaxloss.filters.cascade import Cascade
from jaxloss.filters.context import FilterContext
from jaxloss.filters.equivalence import LossMemory
from jaxloss.filters.population import BATCHINGS
from jaxloss.filters.settings import FilterSettings, RejectionSettings
from jaxloss.graphs.graph import Graph
from jaxloss.spaces.base import Space
from jaxloss.systems.cse_autoloss.filters import make_filters
from jaxloss.systems.cse_autoloss.settings import BRANCHES, CLASSIFICATION, REGRESSION, CSEAutoLossSettings, VerificationSettings
from jaxloss.systems.cse_autoloss.space import cse_autoloss

NUM_CLASSES = 3
BEGIN_WITH = {CLASSIFICATION: "cei", REGRESSION: "giou"}
COLUMNS = ("name", "candidates_per_minute", "candidates", "seconds", "compile_seconds", "accepted")


def main(arguments: Sequence[str] | None = None) -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--branch", choices=BRANCHES, default=REGRESSION, help="of the losses")
    parser.add_argument("--losses", type=common.positive, default=256, help="how many go through the simulation")
    parser.add_argument("--images", type=common.positive, default=16, help="of the verification set")
    parser.add_argument("--locations", type=common.positive, default=32, help="of an image, each with a box and a class")
    parser.add_argument("--iterations", type=common.positive, default=200, help="of gradient descent")
    parser.add_argument("--batching", choices=BATCHINGS, default="auto", help="how many losses are computed at once")
    parser.add_argument("--eager", type=common.whole, default=1, help="losses for the eager way, 0 to leave it out")
    parser.add_argument("--jit", type=common.whole, default=8, help="losses with a jit of their own, 0 to leave them out")
    parser.add_argument("--seed", type=common.whole, default=0, help="of problem and losses")
    parser.add_argument("--json", type=common.output_path, help="file to write")
    options = parser.parse_args(arguments)

    space = cse_autoloss(CSEAutoLossSettings(branches=(options.branch,)))
    problem = _problem(options.branch, options.images, options.locations, options.seed)
    settings = RejectionSettings(iterations=options.iterations, learning_rate=0.02, minimum_gain=0.05)
    with common.without_compilation_cache():
        cascade = _cascade(space, problem, settings, options.batching)
        graphs, draws = _verified(space, cascade, options.losses, options.seed)
        rows, verdicts = [], {}
        ways = (("eager", descend_eagerly, options.eager), ("jit_per_candidate", descend_compiled, options.jit))
        for name, descend, count in ways:
            if count:
                rows.append(_one_by_one(name, descend, graphs[:count], problem, settings, space, verdicts))
        row, found = _simulation(cascade, graphs)
        rows += [row, _generation(space, problem, settings, options, draws)]
    differing = [text for text, code in verdicts.items() if code != found[text]]
    results = {
        **common.facts(),
        "setting": {**vars(options), "json": None},
        "rows": rows,
        "verdicts_compared": len(verdicts),
        "verdicts_that_differ": sorted(differing),
        "compilations": cascade.compilations,
    }
    common.show_table(f"simulation, {results['device']}", COLUMNS, [[row.get(name) for name in COLUMNS] for row in rows])
    if options.json:
        common.write_json(options.json, results)


def _problem(branch: str, images: int, locations: int, seed: int) -> RejectionProblem:
    """Boxes whose sides are off by up to half of them, or scores that favour wrong classes."""
    random = np.random.default_rng(seed)
    wanted = random.uniform(0.5, 2, (images, locations, 1, 4)).astype(np.float32)
    label = random.integers(NUM_CLASSES, size=(images, locations, 1))
    target = np.eye(NUM_CLASSES, dtype=np.float32)[label]
    known = random.uniform(0.3, 1, (images, locations, 1, 1)).astype(np.float32)
    off = (wanted * random.uniform(0.3, 3, wanted.shape)).astype(np.float32)
    wrong = (random.normal(size=target.shape) - target).astype(np.float32)
    context = {"wanted": jnp.asarray(wanted), "target": jnp.asarray(target), "overlap": jnp.asarray(known)}

    def areas(value: Array, context: PyTree) -> LossInputs:
        found = overlap(around(value), around(context["wanted"]))
        names = ("intersection", "union", "enclosing")
        return LossInputs.create({name: one[..., None] for name, one in zip(names, found, strict=True)})

    def scores(value: Array, context: PyTree) -> LossInputs:
        return LossInputs.create({"logits": value, "target": context["target"], "overlap": context["overlap"]})

    def mean_overlap(value: Array, context: PyTree) -> Array:
        return jnp.mean(overlap(around(value), around(context["wanted"])).iou)

    def average_precision(value: Array, context: PyTree) -> Array:
        right = context["target"].reshape(-1)[jnp.argsort(-value.reshape(-1))]
        return jnp.sum(jnp.cumsum(right) / (1 + jnp.arange(right.size)) * right) / jnp.sum(right)

    if branch == REGRESSION:
        return RejectionProblem(jnp.asarray(off), context, areas, mean_overlap)
    return RejectionProblem(jnp.asarray(wrong), context, scores, average_precision)


def _cascade(space: Space, problem: RejectionProblem, settings: RejectionSettings, batching: str) -> Cascade:
    (branch,) = space.branches
    # Distances are numbers around one here.
    sections = {VerificationSettings.section: VerificationSettings(box_size=(2.0, 2.0))}
    how = FilterSettings(rejection=settings, batching=batching)
    filters = make_filters(FilterContext(branch, lambda name: problem, how, sections=sections))
    return Cascade(branch.name, branch.form, filters)


def _verified(space: Space, cascade: Cascade, count: int, seed: int) -> tuple[list[Graph], int]:
    """Different offspring that pass everything up to the simulation, and how many draws it took to find them."""
    (branch,) = space.branches
    generator = np.random.default_rng(seed)
    parent = branch.form.parse(space.known_losses[BEGIN_WITH[branch.name]])
    found: dict[str, Graph] = {}
    draws = 0
    before = [one for one in cascade.filters if one.name in ("gradient", "convergence")]
    while len(found) < count:
        drawn = [space.offspring(generator, branch, [parent, parent])[0] for _ in range(count)]
        draws += len(drawn)
        left = {branch.form.key(graph): branch.form.canonical(graph) for graph in drawn if cascade.look(graph).accepted}
        for one in before:
            answers = one.check(list(left.values()), [Screened()] * len(left), LossMemory())
            left = {key: graph for (key, graph), answer in zip(left.items(), answers, strict=True) if answer.verdict.accepted}
        found |= left
    return list(found.values())[:count], draws


def _row(name: str, count: int, seconds: float, **more: Any) -> dict[str, Any]:
    return {"name": name, "candidates_per_minute": 60 * count / seconds, "candidates": count, "seconds": seconds, **more}


def _one_by_one(
    name: str,
    descend: Descent,
    graphs: Sequence[Graph],
    problem: RejectionProblem,
    settings: RejectionSettings,
    space: Space,
    verdicts: dict[str, int],
) -> dict[str, Any]:
    found, seconds, compiling = separately(descend, graphs, problem, settings, space.branches[0].form.layout.operators)
    verdicts |= {str(graph): code for graph, code in zip(graphs, found, strict=True)}
    return _row(name, len(graphs), seconds, compile_seconds=compiling, accepted=found.count(PASSED))


def _simulation(cascade: Cascade, graphs: Sequence[Graph]) -> tuple[dict[str, Any], dict[str, int]]:
    """The row, and the code of the verdict on each loss, as the protocol has it."""
    simulate = cascade.filter("simulation").check
    _, compile_seconds = common.timed(lambda: simulate(graphs[:1], [Screened()], LossMemory()))
    begin = time.perf_counter()
    answers = simulate(graphs, [Screened()] * len(graphs), LossMemory())
    seconds = time.perf_counter() - begin
    reasons = cascade.filter("simulation").reasons
    codes = [PASSED if one.verdict.accepted else code_of(one.verdict.reason, reasons) for one in answers]
    row = _row("simulation", len(graphs), seconds, compile_seconds=compile_seconds, accepted=codes.count(PASSED))
    return row, {str(graph): code for graph, code in zip(graphs, codes, strict=True)}


def _generation(space: Space, problem: RejectionProblem, settings: RejectionSettings, options, draws: int) -> dict[str, Any]:
    """Draws and all filters, by parts that were compiled before."""
    (branch,) = space.branches
    cascade = _cascade(space, problem, settings, options.batching)
    parent = branch.form.parse(space.known_losses[BEGIN_WITH[branch.name]])
    _, compile_seconds = common.timed(lambda: cascade.screen([parent], LossMemory()))
    generator = np.random.default_rng(options.seed + 1)
    begin = time.perf_counter()
    drawn = [space.offspring(generator, branch, [parent, parent])[0] for _ in range(draws)]
    answers = cascade.screen([graph for graph in drawn if cascade.look(graph).accepted], LossMemory())
    seconds = time.perf_counter() - begin
    accepted = sum(one.verdict.accepted for one in answers)
    return _row("generation", draws, seconds, compile_seconds=compile_seconds, accepted=accepted)


if __name__ == "__main__":
    common.run(main)
