"""Names to factories. A new task, space or search is one file and one line here."""

import dataclasses
import importlib
import os
from collections.abc import Callable, Mapping
from typing import Any

import ml_collections
import numpy as np

from jaxloss.core.errors import UserError, unknown
from jaxloss.core.problem import RejectionProblem
from jaxloss.execution.base import Execution, Trial
from jaxloss.execution.choice import Way, Workplace, choose
from jaxloss.filters.cascade import Cascade
from jaxloss.filters.context import FilterContext, FilterSettings
from jaxloss.filters.rejection import RejectionSettings
from jaxloss.filters.standard import standard_filters
from jaxloss.graphs.formula import MAX_NODES
from jaxloss.runs.checkpoints import Checkpoints
from jaxloss.search.base import Search
from jaxloss.search.budget import SearchBudget
from jaxloss.search.chooser import Chooser, ChooserContext
from jaxloss.search.evolution import Evolution
from jaxloss.search.random_search import RandomSearch
from jaxloss.spaces.base import Branch, Candidate, Space, check_inputs
from jaxloss.study.comparison import ComparisonSettings
from jaxloss.systems.registry import SECTIONS, SYSTEMS
from jaxloss.tasks.base import SEARCH_EVAL, Task
from jaxloss.tasks.classification import make_classification
from jaxloss.tasks.fast import make_fast
from jaxloss.tasks.retrieval import make_retrieval
from jaxloss.tasks.settings import TrainingSettings

Config = ml_collections.ConfigDict

# Random candidates on which the ways of training are tried.
_EXAMPLES = 16

TASKS: Mapping[str, Callable[..., Task]] = {
    "classification": make_classification,
    "fast": make_fast,
    "retrieval": make_retrieval,
}

SPACES: Mapping[str, Callable[..., Space]] = {name: system.make_space for name, system in SYSTEMS.items()}

SEARCHES: Mapping[str, Callable[..., Search]] = {
    "evolution": Evolution,
    "random_search": RandomSearch,
}


def _resolve(kind: str, section: Config, factories: Mapping[str, Callable]) -> tuple[Callable, dict[str, Any]]:
    """The factory of a config section, and its arguments.

    Raises:
      UserError: for an unknown name, and for a `module:factory` that cannot be imported.
    """
    name = section.name
    if name in factories:
        return factories[name], dict(section.get(name, section.options))
    if ":" not in name:
        raise unknown(kind, name, [*factories, "module:factory"])
    module_name, _, attribute = name.partition(":")
    try:
        factory = getattr(importlib.import_module(module_name), attribute)
    except (ImportError, SyntaxError, TypeError, ValueError) as error:
        raise UserError(f"cannot import the {kind} '{name}': {error}") from error
    except AttributeError as error:
        raise UserError(f"the module '{module_name}' has no '{attribute}' (named as the {kind} '{name}')") from error
    return factory, section.options.to_dict()


def make_task(config: Config) -> Task:
    """The task of a config.

    Raises:
      UserError: for an unknown name, absent data, or a wrong option.
    """
    factory, options = _resolve("task", config.task, TASKS)
    if factory in (make_classification, make_retrieval):
        for name in ("train_limit", "search_eval_limit", "test_limit"):
            if name in options:
                options[name] = options[name] or None
        options = {name: one.to_dict() if isinstance(one, Config) else one for name, one in options.items()}
        options["data_dir"] = config.data_dir or os.environ.get("JAXLOSS_DATA_DIR")
    if factory is make_retrieval:
        options["image_size"] = options["image_size"] if any(options["image_size"]) else None
        options["pretrained"] = config.model.pretrained
        _check_retrieval(config)
    elif config.model.pretrained:
        raise UserError(
            f"model.pretrained is for the networks of task.name=retrieval; the task '{config.task.name}' reads no weights"
        )
    if factory is make_classification:
        options["rejection_variable"] = config.filters.rejection.variable
        options["rejection_minimum_gain"] = config.filters.rejection.minimum_gain
    return _call("task", config.task.name, factory, options, Task)


def _check_retrieval(config: Config) -> None:
    """What a retrieval task and the keys of other sections owe to each other."""
    task = config.task.retrieval
    if task.identities_per_batch and config.training.batch_size != task.identities_per_batch * task.images_per_identity:
        raise UserError(
            f"training.batch_size ({config.training.batch_size}) must be identities_per_batch x images_per_identity = "
            f"{task.identities_per_batch} x {task.images_per_identity} of task.retrieval"
        )
    if task.train_on_all and config.mode != "train":
        raise UserError(
            f"task.retrieval.train_on_all is for mode=train: a mode={config.mode} needs identities that were not trained on"
        )
    if task.train_on_all and len(config.comparison.splits) > 1:
        raise UserError(
            "task.retrieval.train_on_all leaves nothing to divide, and every training would be repeated for each of "
            f"comparison.splits: name one, such as (0,), not {tuple(config.comparison.splits)}"
        )
    if task.rerank and config.mode == "compare":
        raise UserError("task.retrieval.rerank is for the network that a run keeps, and mode=compare keeps none: use mode=train")


def make_space(config: Config) -> Space:
    """The search space of a config.

    Raises:
      UserError: for an unknown name or a wrong option.
    """
    factory, options = _resolve("space", config.space, SPACES)
    return _call("space", config.space.name, factory, options, Space)


def _call(kind: str, name: str, factory: Callable, options: Mapping[str, Any], result: type):
    try:
        made = factory(**options)
    except TypeError as error:
        # A wrong argument of the factory itself is the user's; anything deeper is a fault of the code.
        if error.__traceback__ is not None and error.__traceback__.tb_next is None:
            raise UserError(f"the options of the {kind} '{name}' do not fit: {error}") from error
        raise
    if not isinstance(made, result):
        raise UserError(f"the {kind} '{name}' gave a {type(made).__name__}, not a {result.__name__}")
    return made


def make_search(config: Config, space: Space, name: str) -> Search:
    """A search algorithm by name, with the seeds and settings of the config.

    Raises:
      UserError: for an unknown name, for a seed formula that cannot be read, and for seeds of a search that has no use for them.
    """
    if name not in SEARCHES:
        raise unknown("search", name, SEARCHES)
    options = dict(config.search.get(name, {}))
    if name == "evolution":
        options["seeds"] = [_seed(space, text) for text in config.search.seeds]
    elif config.search.seeds and name == config.search.name:
        # The control beside an evolution is another matter: its name is not the one that the config gives.
        raise UserError(f"search.name={name} has no use for search.seeds: leave them out, or use search.name=evolution")
    return SEARCHES[name](space, config.seed, config.search.generation_size, **options)


def _seed(space: Space, text: str) -> Candidate:
    candidate = space.parse(text)
    for branch in space.branches:
        graphs = branch.form.graphs(candidate[branch.name]).values() if branch.form.graphs else ()
        if sum(graph.tree_size for graph, _ in graphs) > MAX_NODES:
            # Mutations work on trees, in which every use of a shared node is a node of its own.
            raise UserError(f"the seed '{text}' has more than {MAX_NODES} nodes when its shared parts are written out")
    return candidate


def make_sections(config: Config, space: Space) -> dict[str, Any]:
    """The settings of the further sections that a space reads, by their names.

    Raises:
      UserError: for wrong settings.
    """
    sections = {}
    for name in space.sections:
        values = config.to_dict()
        for part in name.split("."):
            values = values[part]
        fields = [field.name for field in dataclasses.fields(SECTIONS[name])]
        given = {field: values[field] for field in fields}
        sections[name] = SECTIONS[name](**{k: tuple(v) if isinstance(v, list) else v for k, v in given.items()})
    return sections


def check_chooser(config: Config, space: Space) -> None:
    """Looks whether a chooser that is asked for can be made.

    Raises:
      UserError: for wrong settings, and for a space whose losses cannot be chosen among.
    """
    if config.search.chooser.enabled:
        if len(space.branches) > 1 or space.make_chooser is None:
            raise UserError(f"search.chooser needs a space that can choose among its losses, and {space.name} cannot")
        make_sections(config, space)


def make_chooser(config: Config, space: Space, cascades: Mapping[str, Cascade], checkpoints: Checkpoints) -> Chooser | None:
    """The chooser of the main search, or None."""
    if not config.search.chooser.enabled:
        return None
    return space.make_chooser(ChooserContext(space, cascades, make_sections(config, space), config.seed, checkpoints))


def make_budget(config: Config) -> SearchBudget:
    """What a search may spend."""
    return SearchBudget(
        num_trainings=config.search.num_trainings,
        learning_rate=config.training.learning_rate,
        seeds=tuple(config.seed + index for index in range(config.search.seeds_per_candidate)),
        split=config.comparison.splits[0],
        batch=config.filters.batch,
        max_attempts=config.filters.max_attempts,
    )


def make_training_settings(config: Config) -> TrainingSettings:
    """How networks are trained."""
    settings = config.training.to_dict()
    settings.pop("learning_rate")
    settings["step_epochs"] = tuple(settings["step_epochs"])
    return TrainingSettings(**settings)


def make_execution(config: Config, task: Task, way: Way | None = None) -> Execution:
    """How trainings are carried out; `way` is what the run has pinned, if it has."""
    return _workplace(config, task).make(way or choose_way(config, make_space(config), task)[0])


def choose_way(config: Config, space: Space, task: Task) -> tuple[Way, Mapping[str, Any]]:
    """The way in which a new run trains, and what was measured to find it, see `execution.choice.choose`.

    Raises:
      UserError: for a mode that needs more devices than there are.
    """
    search, most_lanes = config.search, None
    if config.mode == "search":
        most_lanes = search.generation_size * search.seeds_per_candidate
    generator = np.random.default_rng(config.seed)
    drawn = [{branch.name: space.sample(generator, branch) for branch in space.branches} for _ in range(_EXAMPLES)]
    rate, split = config.training.learning_rate, config.comparison.splits[0]
    examples = [Trial(space, space.encode(candidate), rate, config.seed, split, SEARCH_EVAL) for candidate in drawn]
    return choose(config.execution.mode, config.execution.lanes, most_lanes, examples, _workplace(config, task))


def _workplace(config: Config, task: Task) -> Workplace:
    workers = config.execution.workers or min(4, os.cpu_count() or 1)
    return Workplace(task, make_training_settings(config), workers, config.execution.dispatch)


def make_comparison_settings(config: Config) -> ComparisonSettings:
    """How finished losses are compared."""
    settings = config.comparison.to_dict()
    for key in ("handcrafted", "best_rival_trainings"):
        settings.pop(key)
    return ComparisonSettings(**{**settings, "splits": tuple(settings["splits"])})


def make_cascades(
    config: Config, space: Space, task: Task, problems: Mapping[str, RejectionProblem], workers, num_workers: int = 1
) -> dict[str, Cascade]:
    """The filters, one cascade per branch.

    Raises:
      UserError: when space and task do not fit, or the rejection samples leave no room for the asked gain.
    """
    check_inputs(space, task.offers, task.name)
    rejection = config.filters.rejection
    protocol = RejectionSettings(
        rejection.iterations, rejection.learning_rate, rejection.momentum, rejection.minimum_gain, rejection.minimum_metric
    )
    settings = FilterSettings(
        rejection=protocol if rejection.enabled else None,
        significant_digits=config.filters.equivalence.significant_digits,
        scale_free=config.filters.equivalence.scale_free,
        signed=config.filters.equivalence.signed,
        # A search asks for no more than a batch at a time: further lanes would stay empty.
        width=config.filters.width or config.filters.batch,
        batching=config.filters.batching,
    )
    sections, make = make_sections(config, space), space.make_filters or standard_filters

    def context(branch: Branch) -> FilterContext:
        example = space.sample(np.random.default_rng(config.seed), branch) if branch.form.blank is None else None
        return FilterContext(branch, problems[branch.name], settings, example, sections, workers, num_workers)

    return {branch.name: Cascade(branch.name, branch.form, make(context(branch))) for branch in space.branches}
