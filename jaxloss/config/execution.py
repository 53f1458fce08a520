"""How the trainings of a config are carried out: which side by side, and where."""

import dataclasses
import os
from collections.abc import Mapping
from typing import Any

import jax
import ml_collections
import numpy as np

from jaxloss.config import wiring
from jaxloss.config.check_run import set_beside_its_file
from jaxloss.config.drawn import drawn_config
from jaxloss.config.presets import with_preset
from jaxloss.config.schema import read
from jaxloss.core.errors import UserError
from jaxloss.execution.base import Execution, Trial
from jaxloss.execution.choice import ExecutionFactory, Parallelism, check_lanes, choose
from jaxloss.execution.followers import LeadingExecution, follow
from jaxloss.execution.ray_execution import RayExecution
from jaxloss.execution.settings import ALONE, DATA_PARALLEL, GIVEN, PMAP, RAY, VMAP, DistributedSettings
from jaxloss.execution.worker import Recipe
from jaxloss.spaces.base import Space
from jaxloss.tasks import context
from jaxloss.tasks.base import SEARCH_EVAL, Task
from jaxloss.tasks.settings import TrainingSettings

Config = ml_collections.ConfigDict

# Random candidates on which executions are tried.
_EXAMPLES = 16
_MAKER = "jaxloss.config.worker:make_parts"


def make_execution(config: Config, task: Task, parallelism: Parallelism | None = None) -> Execution:
    """How trainings are carried out; `parallelism` is what the run has pinned, if it has."""
    parallelism = parallelism or choose_parallelism(config, wiring.make_space(config), task)[0]
    return _make(config, _execution_factory(config, task), parallelism)


def make_longer_execution(config: Config, task: Task, parallelism: Parallelism, factor: float) -> Execution:
    """An execution whose trainings are so many times longer, see `TrainingSettings.longer`."""
    factory = _execution_factory(config, task)
    return _make(config, dataclasses.replace(factory, settings=factory.settings.longer(factor)), parallelism)


def choose_parallelism(config: Config, space: Space, task: Task) -> tuple[Parallelism, Mapping[str, Any]]:
    """The parallelism of a new run, and what was measured to find it, see `execution.choice.choose`.

    Raises:
      UserError: for a mode that needs more devices than there are.
    """
    most_lanes = None
    if config.mode == "search":
        search = wiring.make_search(config, space, (), config.search.name)
        most_lanes = (search.kept or search.generation_size) * config.search.seeds_per_candidate
    elif config.mode == "lockstep":
        most_lanes = config.lockstep.num_samples
    generator = np.random.default_rng(config.seed)
    drawn = [space.draw(generator) for _ in range(_EXAMPLES)]
    rate, division = config.training.learning_rate, config.comparison.divisions[0]
    examples = [Trial(space, space.encode(candidate), rate, config.seed, division, SEARCH_EVAL) for candidate in drawn]
    factory, lanes = _execution_factory(config, task), config.execution.lanes
    if config.mode == "lockstep" and lanes and config.execution.mode in (VMAP, PMAP):
        check_lanes(lanes, examples[0], factory)
    # A worker of a cluster has one.
    return choose(config.execution.mode, lanes, most_lanes, examples, factory, 1 if config.execution.executor == RAY else None)


def prepare_process(config: Config) -> None:
    """What comes before JAX looks for its devices; affects the whole process.

    Under Ray, a worker of this machine may have the same accelerator: neither takes its memory in advance.

    Raises:
      UserError: the other processes of the run cannot be found.
    """
    if config.execution.executor == RAY:
        os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")
    settings = read(config, DistributedSettings)
    if settings.start != ALONE and not jax.distributed.is_initialized():
        jax.config.update("jax_cpu_collectives_implementation", "gloo")
        given = (settings.coordinator, settings.num_processes, settings.process_id) if settings.start == GIVEN else ()
        try:
            jax.distributed.initialize(*given)
        except (RuntimeError, ValueError) as error:
            why = (str(error).splitlines() or [""])[0]
            raise UserError(f"execution.distributed.start={settings.start} finds no other processes: {why}") from error


def follows(config: Config) -> bool:
    """Whether this process follows process 0 of a run, and has no archive; asked after `prepare_process`."""
    return config.execution.distributed.start != ALONE and jax.process_index() > 0


def follow_leader(config: Config) -> None:
    """Does what process 0 does until it is done.

    Raises:
      UserError: a part of the config cannot be made here.
    """
    config = drawn_config(with_preset(config, set_beside_its_file(config) or ()))

    def make(task: Task, settings: TrainingSettings, dispatch: str) -> Execution:
        factory = ExecutionFactory(task, settings, 1, dispatch)
        return factory.make(Parallelism(DATA_PARALLEL, devices=jax.device_count()))

    follow(Recipe(_MAKER, config.to_dict(), config.execution.dispatch), make)


def refuse_elsewhere(config: Config) -> None:
    """Refuses a task that exists in this process alone where other processes are to train it.

    Raises:
      UserError: it does, and they are.
    """
    if config.execution.executor == RAY and config.task.name == context.GIVEN:
        raise UserError(
            "execution.executor=ray makes the task on other machines, from its name, and a task that a program hands over has "
            "none: name a factory of yours in its place, task.name=module:factory"
        )


def _make(config: Config, factory: ExecutionFactory, parallelism: Parallelism) -> Execution:
    if parallelism.mode == DATA_PARALLEL and jax.process_count() > 1:
        return LeadingExecution(*factory.data_parallel(parallelism))
    local = factory.make(parallelism)
    if config.execution.executor != RAY:
        return local
    recipe, execution = Recipe(_MAKER, config.to_dict(), config.execution.dispatch), config.execution
    return RayExecution(local, factory.settings, recipe, parallelism, execution.address, execution.workers)


def _execution_factory(config: Config, task: Task) -> ExecutionFactory:
    # The workers of a cluster are not threads of this process.
    asked = 0 if config.execution.executor == RAY else config.execution.workers
    return ExecutionFactory(task, read(config, TrainingSettings), asked or min(4, os.cpu_count() or 1), config.execution.dispatch)
