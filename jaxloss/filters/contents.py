"""The cheapest filter: does the graph look at the prediction and at the target at all?"""

from collections.abc import Iterable

from jaxloss.core.types import Reason, Verdict
from jaxloss.graphs.graph import Graph


def check_contents(graph: Graph, required: Iterable[tuple[Reason, frozenset[str]]]) -> Verdict:
    """Accepts a graph that contains, for each requirement, at least one of the named inputs.

    Args:
      graph: the loss of one branch.
      required: (reason for a rejection, names of inputs), checked in order.
    """
    for reason, names in required:
        if not graph.input_names & names:
            return Verdict(reason)
    return Verdict(Reason.ACCEPTED)
