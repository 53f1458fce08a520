"""The compiled programs of a population: `D` devices with `K` lanes each, every lane a training of its own.

All arrays that belong to lanes have the leading axes `[D, K]`. A lane has its own candidate, rate, step, schedule, data order
and random numbers: they are in its `TrainState`. Lanes that are at their end, no longer finite, or empty stand still.
"""

import dataclasses
import functools
from collections.abc import Mapping, Sequence

import jax
import jax.numpy as jnp

from jaxloss.core.devices import first_device, memory_needed, over_devices, replicate
from jaxloss.core.types import Array, PyTree
from jaxloss.graphs.stacking import encoded_axes
from jaxloss.tasks.dispatch import WHOLE, dispatch_steps
from jaxloss.tasks.preparation import Preparation
from jaxloss.tasks.state import TrainState, with_key_data
from jaxloss.tasks.train import Training


class LanePreparation:
    """What does not depend on the loss, for all lanes at once. Compiled once for all families.

    Attributes:
      preparation: of one lane.
      num_devices: `D`.
    """

    def __init__(self, preparation: Preparation, num_devices: int):
        self.preparation, self.num_devices = preparation, num_devices

    @functools.cached_property
    def begin(self):
        """`(seeds uint32 [D, K], train [D, ...]) -> TrainState [D, K]`."""

        def begin(seeds: Array, train: PyTree) -> TrainState:
            return jax.vmap(lambda seed: self.preparation.fresh(jax.random.key(seed), train))(seeds)

        return over_devices(begin, self.num_devices)

    @functools.cached_property
    def merge(self):
        """`(states, fresh, chosen bool [D, K]) -> TrainState [D, K]`: the fresh state where it is chosen."""

        def merge(states: TrainState, fresh: TrainState, chosen: Array) -> TrainState:
            def of_lane(state: TrainState, new: TrainState, is_new: Array) -> TrainState:
                return jax.tree.map(functools.partial(jnp.where, is_new), new, state)

            return jax.vmap(of_lane)(states, fresh, chosen)

        return over_devices(merge, self.num_devices, donate_argnums=0)

    @functools.cached_property
    def broadcast(self):
        """`(state TrainState [D], lanes bool [D, K]) -> TrainState [D, K]`: one state in all lanes."""

        def broadcast(state: TrainState, lanes: Array) -> TrainState:
            return jax.vmap(lambda _: state)(lanes)

        return over_devices(broadcast, self.num_devices)

    @functools.cached_property
    def insert(self):
        """`(states, state TrainState [D], chosen bool [D, K]) -> TrainState [D, K]`: one state in the lanes that are chosen."""

        def insert(states: TrainState, state: TrainState, chosen: Array) -> TrainState:
            def of_lane(old: TrainState, is_new: Array) -> TrainState:
                return jax.tree.map(functools.partial(jnp.where, is_new), state, old)

            return jax.vmap(of_lane)(states, chosen)

        return over_devices(insert, self.num_devices, donate_argnums=0)

    @functools.cached_property
    def lane(self):
        """`(states, number int32 [D]) -> TrainState [D]`: that of one lane on every device, see `with_key_data`."""

        def lane(states: TrainState, number: Array) -> TrainState:
            return with_key_data(jax.tree.map(lambda leaf: leaf[number], states))

        return over_devices(lane, self.num_devices)

    @functools.cached_property
    def scores(self):
        """`(variables [D, K], examples [D, ...]) -> {name: [D, K]}`."""
        scores: Mapping[str, Array] = jax.vmap(self.preparation.task.scores, in_axes=(0, None))
        return over_devices(scores, self.num_devices)

    @functools.cached_property
    def predict(self):
        """`(variables [D, K], examples [D, ...], first row int32 [D]) -> predictions [D, K, B, ...]`, see `HostMetrics`."""
        predict = jax.vmap(self.preparation.task.host_metrics.predict_rows, in_axes=(0, None, None))
        return over_devices(predict, self.num_devices)

    def evaluate(
        self, variables: PyTree, examples: PyTree, places: Sequence[tuple[int, int]]
    ) -> list[Mapping[str, Array | float]]:
        """All scores of the networks in some lanes.

        Args:
          variables: `[D, K]`.
          examples: `[D, ...]`.
          places: (device, number) of the lanes, one at least.
        """
        task, evaluation = self.preparation.task, self.preparation.evaluation
        scores = {} if task.scores is None else jax.device_get(self.scores(variables, examples))
        found = [{name: values[at] for name, values in scores.items()} for at in places]
        if task.host_metrics is None:
            return found

        def predictions(first: int) -> list[PyTree]:
            arrays = jax.device_get(self.predict(variables, examples, replicate(jnp.int32(first), self.num_devices)))
            return [jax.tree.map(lambda leaf, at=at: leaf[at], arrays) for at in places]

        of_host = task.host_metrics.scores(predictions, evaluation.on_host(examples, first_device))
        return [{**own, **more} for own, more in zip(found, of_host, strict=True)]


class LaneTraining:
    """The training of one family for all lanes at once."""

    def __init__(self, training: Training, preparation: LanePreparation):
        """Args:
        training: of one lane: its pure functions are used, and the way in which its steps are dispatched.
        preparation: shared by the families of one task.
        """
        self.training, self.preparation = training, preparation
        self.compilations = 0

    def begin(self, encoded: PyTree, seeds: Array, train: PyTree) -> TrainState:
        """States before the first step, for all lanes."""
        states = self.preparation.begin(seeds, train)
        return self._scaled(states, encoded, train) if self.training.settings.loss_scale == "unit_gradient" else states

    def advance(self, states: TrainState, encoded: PyTree, rates: Array, train: PyTree, num_steps: int) -> TrainState:
        """At most `num_steps` further steps of every lane; the host does not wait for them. `states` is given away."""
        if self.training.dispatch == WHOLE:
            ends = jnp.full((self.preparation.num_devices,), num_steps, jnp.int32)
            return self._block(states, encoded, rates, train, ends)
        return dispatch_steps(lambda states: self._step(states, encoded, rates, train), states, num_steps)

    def memory(self, encoded: PyTree, rates: Array, train: PyTree, examples: PyTree | None) -> int:
        """Bytes on one device for a block of steps, or for the scores where they take more; found by compiling.

        The data are included. Nothing is run.

        Args:
          encoded: stacked candidates `[D, K]`.
          rates: float `[D, K]`.
          train: `[D, ...]`.
          examples: `[D, ...]`, what is scored; None for nothing.
        """
        compilations = self.compilations
        seeds = jax.ShapeDtypeStruct(rates.shape, jnp.uint32)
        states = jax.eval_shape(self.preparation.begin, seeds, train)
        if self.training.dispatch == WHOLE:
            ends = jnp.zeros((self.preparation.num_devices,), jnp.int32)
            needed = memory_needed(self._block, states, encoded, rates, train, ends)
        else:
            needed = memory_needed(self._step, states, encoded, rates, train)
        self.compilations = compilations
        task, first_row = self.preparation.preparation.task, jnp.zeros((self.preparation.num_devices,), jnp.int32)
        if examples is not None and task.scores is not None:
            needed = max(needed, memory_needed(self.preparation.scores, states.variables, examples))
        if examples is not None and task.host_metrics is not None:
            needed = max(needed, memory_needed(self.preparation.predict, states.variables, examples, first_row))
        return needed

    # --- compiled --------------------------------------------------------------------------------------------------------------

    def _step_all(self, states: TrainState, encoded: PyTree, rates: Array, train: PyTree) -> TrainState:
        axes = (0, encoded_axes(encoded), 0, None)
        return jax.vmap(self.training.step, in_axes=axes)(states, encoded, rates, train)

    @functools.cached_property
    def _scaled(self):
        def scaled(states: TrainState, encoded: PyTree, train: PyTree) -> TrainState:
            return jax.vmap(self.training.scale, in_axes=(0, encoded_axes(encoded), None))(states, encoded, train)

        return over_devices(scaled, self.preparation.num_devices)

    @functools.cached_property
    def _step(self):
        def step(states: TrainState, encoded: PyTree, rates: Array, train: PyTree) -> TrainState:
            self.compilations += 1  # counted while tracing: once per compilation
            return self._step_all(states, encoded, rates, train)

        return over_devices(step, self.preparation.num_devices, donate_argnums=0)

    @functools.cached_property
    def _block(self):
        def block(states: TrainState, encoded: PyTree, rates: Array, train: PyTree, num_steps: Array) -> TrainState:
            self.compilations += 1  # counted while tracing: once per compilation
            running = functools.partial(self.training.preparation.running, train=train)

            def go_on(carry: tuple[Array, TrainState]) -> Array:
                return (carry[0] < num_steps) & jnp.any(jax.vmap(running)(carry[1]))

            def advance(carry: tuple[Array, TrainState]) -> tuple[Array, TrainState]:
                return carry[0] + 1, self._step_all(carry[1], encoded, rates, train)

            return jax.lax.while_loop(go_on, advance, (jnp.int32(0), states))[1]

        return over_devices(block, self.preparation.num_devices, donate_argnums=0)


def without_empty(states: TrainState, occupied: Array) -> TrainState:
    """Marks empty lanes, so that they stand still."""
    return dataclasses.replace(states, finite=states.finite & occupied)
