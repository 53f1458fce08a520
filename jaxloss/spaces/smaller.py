"""How large a candidate is, and the candidates that are smaller by one step."""

from collections.abc import Iterator

from jaxloss.spaces.base import Candidate, Space


def smaller_candidates(space: Space, candidate: Candidate) -> Iterator[Candidate]:
    """Candidates in which one branch is smaller, see `Form.smaller`; none for forms that cannot say."""
    for branch in space.branches:
        if branch.form.smaller is not None:
            for expression in branch.form.smaller(candidate[branch.name]):
                yield {**candidate, branch.name: expression}


def num_nodes(space: Space, candidate: Candidate) -> int:
    """Of all graphs; 0 for forms without any."""
    forms = [(branch.form, candidate[branch.name]) for branch in space.branches if branch.form.graphs is not None]
    return sum(graph.tree_size for form, expression in forms for graph, _ in form.graphs(expression).values())
