"""How many good losses does each kind of memory lose?

    python -m experiments.equivalence.memory --trees 20000 --json OUT.json

Random trees of depth 3 that read prediction and target go one after the other through the whole rejection protocol. Beside it
every kind of memory is kept: gradient norms (the paper's equivalence check) and signed sketches, to several digits. Had it
been asked first,

- `lost` losses that pass would have been thrown out, because one with the same description had been rejected before;
- `let in` losses that fail would have been taken for equivalent to one that had passed;
- `spared` is the share of the protocol's descents that it saves, of the rejected ones.
"""

import argparse
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from experiments.benchmarks import common
from experiments.benchmarks.common import BRANCH
from jaxloss.core.verdicts import PASSED
from jaxloss.filters.cascade import Cascade
from jaxloss.filters.context import FilterContext
from jaxloss.filters.standard import standard_filters
from jaxloss.graphs.formula import parse

DIGITS = (2, 3, 4, 5)


def main(arguments: Sequence[str] | None = None) -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--trees", type=common.positive, default=20_000, help="random trees, before any filter")
    parser.add_argument("--samples", type=common.positive, default=5, help="of the rejection problem")
    parser.add_argument("--classes", type=common.positive, default=10, help="of the rejection problem")
    parser.add_argument("--seed", type=common.whole, default=0, help="of trees and samples")
    parser.add_argument("--json", type=common.output_path, help="file to write")
    options = parser.parse_args(arguments)

    layout = BRANCH.form.layout
    texts = common.random_formulas(options.trees, options.seed)
    problem = common.random_problem(options.samples, 1, 1, options.classes, options.seed)
    cascade = Cascade(BRANCH.name, BRANCH.form, standard_filters(FilterContext(BRANCH, lambda name: problem)))
    graphs = [parse(text, layout.operators, layout.inputs) for text in texts]
    graphs = [graph for graph in graphs if cascade.look(graph).accepted]
    gradients = cascade.filter("gradient").gradients(graphs)
    usable = np.flatnonzero(gradients["reason"] == PASSED)
    norms, projections = gradients["norms"][usable], gradients["projections"][usable]
    passes = cascade.filter("rejection").protocol([graphs[i] for i in usable])["reason"] == PASSED

    kinds: dict[str, Callable[[int], str]] = {}
    for digits in DIGITS:
        kinds[f"norms, {digits} digits"] = lambda i, digits=digits: _text(norms[i], digits)
    for digits in DIGITS:
        kinds[f"signed sketch, {digits} digits"] = lambda i, digits=digits: _text(projections[i], digits)
    rows = [{"memory": name, **_count([describe(i) for i in range(len(usable))], passes)} for name, describe in kinds.items()]
    columns = ("memory", "descriptions", "lost", "let_in", "spared")
    title = f"{options.trees} trees, {len(graphs)} read both inputs, {len(usable)} have a gradient, {passes.sum()} pass"
    common.show_table(title, columns, [[row[name] for name in columns] for row in rows])
    if options.json:
        counts = {"trees": options.trees, "with_inputs": len(graphs), "with_gradient": len(usable), "passing": int(passes.sum())}
        common.write_json(options.json, {**common.facts(), **counts, "rows": rows})


def _text(values: np.ndarray, digits: int) -> str:
    return " ".join(f"{value:.{digits - 1}e}" for value in values)


def _count(descriptions: Sequence[str], passes: np.ndarray) -> dict[str, Any]:
    rejected: set[str] = set()
    accepted: set[str] = set()
    lost = let_in = spared = 0
    for description, passed in zip(descriptions, passes, strict=True):
        lost += passed and description in rejected
        let_in += not passed and description in accepted
        spared += not passed and description in rejected
        (accepted if passed else rejected).add(description)
    return {
        "descriptions": len(set(descriptions)),
        "lost": int(lost),
        "let_in": int(let_in),
        "spared": float(spared / max(1, np.sum(~passes))),
    }


if __name__ == "__main__":
    common.run(main)
