"""Whether the distribution of a space works, tried on one small round."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from jaxloss.core.abstract import named_errors, written
from jaxloss.core.errors import UserError
from jaxloss.spaces.base import Space

_NUM_SAMPLES = 3


def check_distribution(space: Space) -> None:
    """Draws, updates, and reads what is drawn over time, as a search in lock-step will.

    Args:
      space: with a distribution.

    Raises:
      UserError: one line for the first mistake, with what was expected and what came.
    """
    distribution, of = space.distribution, f"of the distribution of the space {space.name}"
    with named_errors(f"start {of}"):
        state = distribution.start()
    _check_state(f"start {of}", state)
    drawn = [_drawn(space, state, of) for _ in range(2)]
    # A search goes on from its seeds where it was stopped.
    if drawn[0][1] != drawn[1][1]:
        raise UserError(f"sample {of} must draw from the generator that it is given alone, but two of one seed differ")
    with named_errors(f"update {of}"):
        updated = distribution.update(state, drawn[0][0], np.array([0.5, np.nan, 0.25]))
    _check_state(f"update {of}", updated)
    with named_errors(f"centre {of}"):
        space.encode(distribution.centre(updated))
    with named_errors(f"numbers {of}"):
        numbers = distribution.numbers(updated)
        right = isinstance(numbers, Mapping) and all(np.isfinite(np.asarray(one, float)).all() for one in numbers.values())
    if not right:
        raise UserError(f"numbers {of} must give {{name: finite numbers}}, not {written(numbers)}")


def _drawn(space: Space, state: Mapping[str, Any], of: str) -> tuple[Sequence[Any], list[str]]:
    """Candidates and their texts, of one seed."""
    with named_errors(f"sample {of}"):
        drawn = space.distribution.sample(state, np.random.default_rng(0), _NUM_SAMPLES)
    if not isinstance(drawn, Sequence) or len(drawn) != _NUM_SAMPLES:
        raise UserError(
            f"sample {of} must give a list of {_NUM_SAMPLES} candidates where so many are asked for, not {written(drawn)}"
        )
    with named_errors(f"writing a sample {of}"):
        texts = [space.write(one) for one in drawn]
        for one in drawn:
            space.encode(one)
    return drawn, texts


def _check_state(what: str, state: Any) -> None:
    """Whether it comes back from a file as it is."""
    try:
        same = isinstance(state, Mapping) and json.loads(json.dumps(state)) == state
    except (TypeError, ValueError):
        same = False
    if not same:
        raise UserError(f"{what} must give a dict of JSON values, with lists in place of tuples and arrays, not {written(state)}")
