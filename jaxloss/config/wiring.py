"""The parts of a run, made from the sections of a config."""

import dataclasses
import functools
import os
from collections.abc import Callable, Iterator, Mapping, Sequence

import jax
import ml_collections
import numpy as np

from jaxloss.config.schema import read, sections
from jaxloss.config.seeds import parse_seed
from jaxloss.core.abstract import named_errors, written
from jaxloss.core.errors import UserError, unknown
from jaxloss.core.form import Expression
from jaxloss.core.names import call_factory, import_factory, takes
from jaxloss.core.problem import RejectionProblem
from jaxloss.core.settings import Settings
from jaxloss.filters.base import Filter, Screened
from jaxloss.filters.cascade import Cascade
from jaxloss.filters.check import ask, check_filter, check_names
from jaxloss.filters.context import FilterContext
from jaxloss.filters.equivalence import LossMemory
from jaxloss.filters.settings import EquivalenceSettings, FilterSettings
from jaxloss.filters.standard import standard_filters
from jaxloss.search.base import Search
from jaxloss.search.budget import SearchBudget
from jaxloss.search.racing import rungs
from jaxloss.search.registry import SEARCHES
from jaxloss.search.restarts import label_of, seed_of
from jaxloss.spaces.base import Branch, Space
from jaxloss.spaces.check_fields import check_space_fields
from jaxloss.systems.registry import SYSTEMS
from jaxloss.tasks.base import TRAIN, Task
from jaxloss.tasks.check_problem import problem_errors
from jaxloss.tasks.context import GIVEN, TaskContext
from jaxloss.tasks.registry import TASKS

Config = ml_collections.ConfigDict


def make_task(config: Config) -> Task:
    """The task of a config.

    Raises:
      UserError: for an unknown name, absent data, or a wrong option.
    """
    name = config.task.name
    if name == GIVEN:
        raise UserError("task.name=given is the task that a program hands over: jaxloss.run(config, workdir, task=...)")
    if name not in TASKS:
        factory, options = import_factory("task", name, TASKS), config.task.options.to_dict()
        if "context" in options:
            raise UserError("config key task.options.context is no option: a task gets it from the run")
        context = {"context": _task_context(config)} if takes(factory, "context") else {}
        return call_factory("task", name, factory, {**options, **context}, Task)
    task = TASKS[name]
    return task.make(read(config, task.settings), _task_context(config))


def _task_context(config: Config) -> TaskContext:
    return TaskContext(
        data_dir=config.data_dir or os.environ.get("JAXLOSS_DATA_DIR"),
        mode=config.mode,
        batch_size=config.training.batch_size,
        divisions=tuple(config.comparison.divisions),
        rejection_variable=config.filters.rejection.variable,
        rejection_minimum_gain=config.filters.rejection.minimum_gain,
    )


def make_space(config: Config) -> Space:
    """The search space of a config.

    Raises:
      UserError: for an unknown name or a wrong option.
    """
    name = config.space.name
    if name not in SYSTEMS:
        space = call_factory("space", name, import_factory("space", name, SYSTEMS), config.space.options.to_dict(), Space)
        check_space_fields(space)
        return space
    system = SYSTEMS[name]
    return system.make_space(read(config, system.settings))


def make_search(config: Config, space: Space, seeds: Sequence[str], name: str, restart: int = 0) -> Search:
    """A search algorithm by name, with the settings of the config.

    Args:
      config: of the run.
      space: what is searched.
      seeds: the formulas that it begins with.
      name: of the algorithm.
      restart: counts the searches of a run.

    Raises:
      UserError: for an unknown name, and for a seed formula that cannot be read.
    """
    if name not in SEARCHES:
        raise unknown("search", name, SEARCHES)
    kind = SEARCHES[name]
    settings = None if kind.settings_class is None else read(config, kind.settings_class)
    first = [parse_seed(space, text) for text in seeds]
    search = kind(space, seed_of(config.seed, restart), config.search.generation_size, settings, first)
    search.label = label_of(name, restart)
    return search


def sections_read(space: Space) -> frozenset[str]:
    """Names of the config sections that act only where a space reads them."""
    # The standard filters compare gradients; a space with filters of its own says what it reads.
    standard = (EquivalenceSettings.section,) if space.make_filters is None else ()
    return frozenset((*space.sections, *standard))


def make_sections(config: Config, space: Space) -> dict[str, Settings]:
    """The settings of the further sections that a space reads, by their names.

    Raises:
      UserError: for a section that there is not.
    """
    known = {name: section for name, section in sections().items() if name}
    for name in space.sections:
        if name not in known:
            raise unknown(f"config section of the space {space.name}", name, known)
    return {name: read(config, known[name].settings) for name in space.sections}


def make_budget(config: Config) -> SearchBudget:
    """What a search may spend."""
    return SearchBudget(
        num_trainings=config.search.num_trainings,
        learning_rate=config.training.learning_rate,
        starts=tuple(_starts(config)),
        batch=config.filters.batch,
        max_attempts=config.filters.max_attempts,
        rungs=rungs(config.search.racing_first, config.search.racing_factor, config.search.seeds_per_candidate),
        factor=config.search.racing_factor,
    )


def _starts(config: Config) -> Iterator[tuple[int, int]]:
    search, divisions = config.search, config.comparison.divisions
    if search.divisions_per_candidate > len(divisions):
        raise UserError(
            f"search.divisions_per_candidate ({search.divisions_per_candidate}) is more than comparison.divisions has: "
            f"{tuple(divisions)}"
        )
    for index in range(search.seeds_per_candidate):
        yield config.seed + index, divisions[index % search.divisions_per_candidate]


def make_problems(config: Config, task: Task) -> Callable[[str], Mapping[str, RejectionProblem]]:
    """`(name) -> {branch: problem}`, drawn with an untrained network when a filter asks for it."""
    init_key, sample_key = jax.random.split(jax.random.key(config.seed))

    @functools.cache
    def problems(name: str) -> Mapping[str, RejectionProblem]:
        if name not in task.problems:
            raise unknown(f"problem of the task {task.name}", name, task.problems)
        make, num_samples = task.problems[name], config.filters.rejection.num_samples
        with problem_errors(f"the problem '{name}' of the task {task.name}", task):
            return make(task.init(init_key), task.data[TRAIN], sample_key, num_samples)

    return problems


def make_cascades(config: Config, space: Space, task: Task, workers=None, num_workers: int = 1) -> dict[str, Cascade]:
    """The filters, one cascade per branch.

    Raises:
      UserError: where a filter cannot work: the rejection samples leave no room for the asked gain, for one.
    """
    settings, problems = read(config, FilterSettings), make_problems(config, task)
    # A search asks for no more than a batch at a time: further lanes would stay empty.
    settings = dataclasses.replace(settings, width=settings.width or settings.batch)
    of_space = make_sections(config, space)

    def context(branch: Branch) -> FilterContext:
        example = space.sample(np.random.default_rng(config.seed), branch) if branch.form.blank is None else None
        return FilterContext(branch, lambda name: problems(name)[branch.name], settings, example, of_space, workers, num_workers)

    def filters(branch: Branch) -> list[Filter]:
        found = context(branch)
        example = space.sample(np.random.default_rng(config.seed), branch) if settings.also else None
        own = standard_filters(found) if space.make_filters is None else _filters_of(space, found)
        listed = [*own, *(_further_filter(name, found, example) for name in settings.also)]
        check_names(listed)
        return listed

    return {branch.name: Cascade(branch.name, branch.form, filters(branch)) for branch in space.branches}


def _filters_of(space: Space, context: FilterContext) -> Sequence[Filter]:
    """What a space makes for one branch, which are filters."""
    what = f"make_filters of the space {space.name}"
    with named_errors(what):
        listed = space.make_filters(context)
    if not isinstance(listed, Sequence) or not listed:
        raise UserError(f"{what} must give a list of filters, one at least, not {written(listed)}")
    for index, one in enumerate(listed):
        check_filter(f"{what}, [{index}]", one)
    return listed


def _further_filter(name: str, context: FilterContext, example: Expression) -> Filter:
    """A filter from outside the package, which has judged an example."""
    what = f"the filter '{name}'"
    with named_errors(what):
        made = import_factory("filter", name, ())(context)
    check_filter(what, made)
    ask(made, [context.branch.form.canonical(example)], [Screened()], LossMemory(), what)
    return made
