"""The losses that a search begins with: those that the config names, and those that people train such a task with."""

import ml_collections

from jaxloss.core.errors import UserError, unknown
from jaxloss.graphs.formula import MAX_NODES
from jaxloss.spaces.base import Candidate, Space
from jaxloss.tasks.base import Task

Config = ml_collections.ConfigDict


def seeds_of(config: Config, space: Space, task: Task) -> tuple[str, ...]:
    """The formulas that a search begins with: those of the config, and prior knowledge of the task behind them."""
    left_out = unwritable(config, space, task)
    known = _prior_knowledge(config, space, task).items()
    return (*given_seeds(config, space), *(text for name, text in known if name not in left_out))


def given_seeds(config: Config, space: Space) -> tuple[str, ...]:
    """The formulas that the config names, or those of the known losses that it names.

    Raises:
      UserError: for one that is no loss that the space knows, and no formula.
    """
    formulas = []
    for text in config.search.seeds:
        formulas.append(space.known_losses.get(text, text))
        try:
            parse_seed(space, formulas[-1])
        except UserError as error:
            if text.isidentifier() and space.known_losses:
                listed = ", ".join(one.name for one in space.branches)
                raise unknown(f"loss in search.seeds, for the branch {listed},", text, space.known_losses) from None
            raise UserError(f"config key search.seeds: {error}") from None
    return tuple(formulas)


def unwritable(config: Config, space: Space, task: Task) -> dict[str, str]:
    """Known losses that a search was to begin with and that do not fit into the space as it is set: name -> why."""
    found = {}
    for name, text in _prior_knowledge(config, space, task).items():
        try:
            parse_seed(space, text)
        except UserError as error:
            found[name] = str(error)
    return found


def parse_seed(space: Space, text: str) -> Candidate:
    """Reads a formula that a search is to change.

    Raises:
      UserError: where it cannot be read, or is too large to be changed.
    """
    candidate = space.parse(text)
    for branch in space.branches:
        graphs = branch.form.graphs(candidate[branch.name]).values() if branch.form.graphs else ()
        if sum(graph.tree_size for graph, _ in graphs) > MAX_NODES:
            # Mutations work on trees, in which every use of a shared node is a node of its own.
            raise UserError(f"the seed '{text}' has more than {MAX_NODES} nodes when its shared parts are written out")
    return candidate


def _prior_knowledge(config: Config, space: Space, task: Task) -> dict[str, str]:
    """Of the losses that the space knows, name -> formula, those that suit the task, where a search is to begin with them."""
    names = (task.customary_losses or space.known_losses) if config.search.prior_knowledge else ()
    return {name: text for name, text in space.known_losses.items() if name in names}
