"""A probe that is not kept: operators drawn by how often they stand in the best tenth of what was trained, terms and mutations by how often they come there, half as by default."""

import re, collections
import numpy as np
from jaxloss.graphs.trees import Vocabulary
from jaxloss.search.base import Search
from jaxloss.search.evolution import Evolution
import jaxloss.systems.autoloss_zero.space as module

W, ORIGIN, TRIED = {}, {}, collections.Counter()


def draw_operator(self, generator):
    ops = self.operators
    if not W:
        return ops[generator.integers(len(ops))]
    p = np.array([W.get(o.name, 0.0) for o in ops])
    p = 0.5 * p / max(p.sum(), 1e-9) + 0.5 / len(ops)
    return ops[generator.choice(len(ops), p=p / p.sum())]


Vocabulary.draw_operator = draw_operator
draw = Search.draw


def drawn(self, proposal, branch, attempt):
    expression, origin = draw(self, proposal, branch, attempt)
    ORIGIN[
        self.space.branches[0].form.write(expression) if hasattr(self.space.branches[0].form, "write") else str(expression)
    ] = origin
    return expression, origin


Search.draw = drawn


def settings_of(space):
    for cell in space.offspring.__closure__:
        if isinstance(cell.cell_contents, module.AutoLossZeroSettings):
            return cell.cell_contents


tell = Evolution.tell
BASE = {}


def told(self, individual):
    tell(self, individual)
    if not individual.trained:
        return
    origin = ORIGIN.get(individual.text, "?").split(",")[0].split(" ")[0]
    TRIED[origin] += 1
    s = settings_of(self.space)
    BASE.setdefault("p", s.term_probability)
    if len(self._trained) >= 20:
        W.clear()
        c = collections.Counter()
        ok = collections.Counter()
        for one in self._trained[: max(8, len(self._trained) // 10)]:
            c.update(re.findall(r"([A-Z][A-Za-z_]*)\(", one.text))
            ok[ORIGIN.get(one.text, "?").split(",")[0].split(" ")[0]] += 1
        W.update(c)
        t, m = ((ok[k] + 1) / (TRIED[k] + 2) for k in ("term", "mutation"))
        t, m = t * BASE["p"], m * (1 - BASE["p"])
        object.__setattr__(s, "term_probability", 0.5 * BASE["p"] + 0.5 * t / (t + m))


Evolution.tell = told
import experiments.search_strength.run as run

run_one = run._run


def _run(*a, **k):
    W.clear()
    ORIGIN.clear()
    TRIED.clear()
    BASE.clear()
    return run_one(*a, **k)


run._run = _run
from experiments.search_strength.__main__ import main

main()
