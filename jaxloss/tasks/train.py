"""Training a task's network with a loss: the loss and the learning rate are arguments of one compiled program.

training = Training(task, family, settings)
outcome = training.run(encoded, learning_rate=0.1, start=0, data=task.data, evaluate_on='search_eval')
"""

import dataclasses
import functools
import math
from collections.abc import Mapping

import jax
import jax.numpy as jnp
import numpy as np

from jaxloss.core.family import LossFamily
from jaxloss.core.types import Array, PyTree
from jaxloss.tasks.base import TRAIN, Task
from jaxloss.tasks.check import check_range
from jaxloss.tasks.data.stream import StreamedRows, resident_arrays
from jaxloss.tasks.dispatch import AUTO, PARTS, WHOLE, dispatch_steps, resolve_dispatch
from jaxloss.tasks.preparation import Preparation
from jaxloss.tasks.settings import TrainingSettings
from jaxloss.tasks.state import Outcome, StateHandle, TrainState, with_key_data
from jaxloss.tasks.step_in_parts import StepInParts
from jaxloss.tasks.train_step import TrainStep


class Training(TrainStep):
    """The compiled training of one task with one family of losses. Safe to call from several threads."""

    def __init__(
        self,
        task: Task,
        family: LossFamily,
        settings: TrainingSettings,
        dispatch: str = "auto",
        preparation: Preparation | None = None,
        axis_name: str | None = None,
    ):
        """Args:
        task: gives network, batches and scores; of its `data` it only matters whether they are streamed.
        family: a space, or a family of hand-crafted losses.
        settings: everything but the learning rate.
        dispatch: `whole` (one call per training, a loop inside), `steps` (one call per step, from Python), `parts` (three calls,
          with a loss compiled for its candidate; as `steps` where the family cannot, or over several devices), or `auto`:
          `parts` where the loss's inputs are large, on a CPU, else see `dispatch.resolve_dispatch`.
        preparation: shared by the families of one task; its own by default.
        axis_name: device axis of a data-parallel training, whose batches are divided over the devices; None for one device.
        """
        super().__init__(task, family, settings, preparation or Preparation(task, settings), axis_name)
        self.dispatch = resolve_dispatch(dispatch, task)
        self.compilations = 0
        self._parts = self._make_parts(dispatch)

    def run(
        self,
        encoded: PyTree,
        learning_rate: float,
        start: int | StateHandle,
        data: Mapping[str, PyTree],
        evaluate_on: str | None,
        num_steps: int | None = None,
        keep_end: bool = False,
        division: int = 0,
        show: bool = False,
    ) -> Outcome:
        """Trains one network, from scratch or on from a handle, and scores it.

        Args:
          encoded: the candidate.
          learning_rate: of this training.
          start: the seed of a fresh network and data order, or a handle.
          data: split name -> examples, those of `train` on the device or streamed.
          evaluate_on: name of the split that is scored, None for none.
          num_steps: so many, None for all that are left.
          keep_end: the outcome has a handle to the end.
          division: of `data`, which that handle names.
          show: the outcome has what pictures are drawn of; of a network that is scored.
        """
        state = self.trained(encoded, learning_rate, start, data[TRAIN], num_steps)
        if keep_end:
            state = self._on_one_device(state)
            end = StateHandle.of(with_key_data(state), division, self.task.name)
            variables, finite, step = state.variables, state.finite, state.step
        else:
            end = None
            variables, finite, step = self._on_one_device((state.variables, state.finite, state.step))
        scores = None if evaluate_on is None else self.preparation.evaluation(variables, data[evaluate_on], finite)
        outcome = self.outcome(scores, finite, step, end)
        if not show or outcome.score is None:
            return outcome
        return dataclasses.replace(outcome, shown=self.preparation.evaluation.shown(variables, data[evaluate_on]))

    def first_steps(self, encoded: PyTree, learning_rate: float, start: int | StateHandle, train: PyTree, num_steps: int) -> int:
        """Waits for the first steps, and says how many were done; for measurements."""
        return int(self._on_one_device(self.trained(encoded, learning_rate, start, train, num_steps).step))

    def trained(
        self, encoded: PyTree, learning_rate: float, start: int | StateHandle, train: PyTree, num_steps: int | None = None
    ) -> TrainState:
        """The state after all steps that are left, or after so many of them."""
        goes_on = isinstance(start, StateHandle)
        left = self.preparation.num_steps(self._of_one_device(resident_arrays(train))) - (start.steps if goes_on else 0)
        first = start.on_device() if goes_on else jax.random.key(start)
        encoded, rate, first = self._to_devices((encoded, jnp.float32(learning_rate), first))
        state = first if goes_on else self.begin(encoded, first, train)
        return self.advance(state, encoded, rate, train, left if num_steps is None else min(num_steps, left))

    @property
    def _most_ahead(self) -> int | None:
        """See `dispatch_steps`."""
        return None

    def _to_devices(self, tree: PyTree) -> PyTree:
        """Arguments as the compiled functions take them."""
        return tree

    def _on_one_device(self, tree: PyTree) -> PyTree:
        """Results of the compiled functions as arrays of one training."""
        return tree

    def _of_one_device(self, tree: PyTree) -> PyTree:
        """The shapes of what one device has of the training data."""
        return tree

    def begin(self, encoded: PyTree, key: Array, train: PyTree) -> TrainState:
        """The state before the first step."""
        state = self.preparation.begin(key, resident_arrays(train))
        if self.settings.loss_scale != "unit_gradient":
            return state
        if not isinstance(train, StreamedRows):
            return self._scaled(state, encoded, train)
        batch = train.read(self._rows(state, train, 1)[0])
        return self._scaled(state, encoded, train.resident, self._to_devices(batch))

    def advance(self, state: TrainState, encoded: PyTree, rate: Array, train: PyTree, num_steps: int) -> TrainState:
        """At most `num_steps` further steps: fewer where the training ends or is stopped before. `state` is given away."""
        if isinstance(train, StreamedRows):
            return self._advance_streamed(state, encoded, rate, train, num_steps)
        in_parts = self._in_parts(state, encoded, train)
        if self.dispatch == WHOLE and not in_parts:
            return self._whole(state, encoded, rate, train, jnp.int32(num_steps))
        step = self._parts if in_parts else self._step
        return dispatch_steps(lambda state: step(state, encoded, rate, train), state, num_steps, self._most_ahead)

    def _make_parts(self, dispatch: str) -> StepInParts | None:
        """Where nobody chose, on a CPU, where it was measured."""
        specialised = getattr(self.family, "specialised", None)
        wanted = dispatch == PARTS or (dispatch == AUTO and jax.default_backend() == "cpu")
        return StepInParts(self, specialised, self._count) if wanted and specialised else None

    def _in_parts(self, state: TrainState, encoded: PyTree, train: PyTree, streamed: PyTree | None = None) -> bool:
        parts = self._parts
        if parts is None or not parts.can(encoded):
            return False
        return self.dispatch == PARTS or parts.pays(state, train, streamed, self.preparation.num_steps(train))

    def _advance_streamed(
        self, state: TrainState, encoded: PyTree, rate: Array, train: StreamedRows, num_steps: int
    ) -> TrainState:
        rows = self._rows(state, train, num_steps)
        if not len(rows):
            return state
        with train.batches(rows) as batches:

            def step(state: TrainState) -> TrainState:
                batch = self._to_devices(next(batches))
                step = self._parts if self._in_parts(state, encoded, train.resident, batch) else self._step
                return step(state, encoded, rate, train.resident, batch)

            # The batches of steps that wait are held on the device.
            return dispatch_steps(step, state, len(rows), min(train.prefetch, self._most_ahead or train.prefetch))

    def _rows(self, state: TrainState, train: StreamedRows, num_steps: int) -> np.ndarray:
        """The rows of the next steps, `[at most num_steps, B]`, on the host."""
        orders, step = jax.device_get(self._on_one_device((state.orders, state.step)))
        return self.preparation.rows_of_steps(orders, self._of_one_device(train.resident), int(step), num_steps)

    def outcome(self, scores: Mapping[str, Array | float] | None, finite: Array, step: Array, end: StateHandle | None) -> Outcome:
        """What a trial that ended with these scores gave, None where nothing was scored.

        A metric of NaN is as good as a stopped training: that of a network which says the same of everything may be 0 / 0.

        Raises:
          UserError: the metric is outside `[0, 1]`.
        """
        finite = bool(finite)
        if scores is None or not finite:
            return Outcome(None, {}, int(step), finite, end)
        scores = {name: float(value) for name, value in scores.items()}
        if not math.isfinite(scores.get(self.task.metric, math.nan)):
            return Outcome(None, {}, int(step), False, end)
        check_range(self.task, scores, "a trained network")
        return Outcome(scores[self.task.metric], scores, int(step), finite, end)

    def _count(self) -> None:
        """While tracing: once per compilation."""
        self.compilations += 1

    # --- compiled --------------------------------------------------------------------------------------------------------------

    def _compile(self, function, **options):
        return jax.jit(function, **options)

    @functools.cached_property
    def _scaled(self):
        return self._compile(self.scale)

    @functools.cached_property
    def _whole(self):
        def whole(state: TrainState, encoded: PyTree, learning_rate: Array, train: PyTree, num_steps: Array) -> TrainState:
            self._count()
            end = state.step + num_steps
            return jax.lax.while_loop(
                lambda state: self.preparation.running(state, train) & (state.step < end),
                lambda state: self.step(state, encoded, learning_rate, train),
                state,
            )

        return self._compile(whole)

    @functools.cached_property
    def _step(self):
        def step(
            state: TrainState, encoded: PyTree, learning_rate: Array, train: PyTree, streamed: PyTree | None = None
        ) -> TrainState:
            self._count()
            return self.step(state, encoded, learning_rate, train, streamed)

        return self._compile(step, donate_argnums=0)
