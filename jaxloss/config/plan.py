"""What a config names, built and checked before a run directory is made: a mistake in it costs and leaves nothing."""

import functools
from collections.abc import Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Any

import jax
import ml_collections
import numpy as np

from jaxloss.config import execution, wiring
from jaxloss.config.check_run import set_beside_its_file
from jaxloss.config.choosers import make_chooser
from jaxloss.config.drawn import drawn_config
from jaxloss.config.fixed import refuse_independent
from jaxloss.config.lockstep import check_lockstep
from jaxloss.config.loss_names import unknown_loss
from jaxloss.config.presets import set_by_preset, with_preset, written_values
from jaxloss.config.schema import read
from jaxloss.config.seeds import given_seeds, seeds_of, unwritable
from jaxloss.config.shortening import check_shortening
from jaxloss.config.worker import make_trained_task
from jaxloss.core.abstract import named_errors, shapes
from jaxloss.core.errors import UserError
from jaxloss.core.names import import_factory
from jaxloss.execution.population import refuse_streamed
from jaxloss.execution.settings import PMAP, VMAP
from jaxloss.runs import json_text
from jaxloss.search.evolution import Evolution
from jaxloss.search.generations import Generations
from jaxloss.search.lockstep_settings import LockstepSettings
from jaxloss.search.presets import PAPER
from jaxloss.search.settings import EvolutionSettings, SearchSettings
from jaxloss.spaces.base import Space
from jaxloss.spaces.check import check_space
from jaxloss.spaces.check_fit import check_fit
from jaxloss.spaces.families import FAMILIES, branch_families, names_family, single_words
from jaxloss.study.comparison_settings import ComparisonSettings
from jaxloss.study.contender import GIVEN, HANDCRAFTED, PUBLISHED, Contender
from jaxloss.study.plan import Plan
from jaxloss.symbolic.reading import check_reading
from jaxloss.systems.registry import PUBLISHED as PUBLISHED_FORMULAS
from jaxloss.tasks.base import TRAIN, Task
from jaxloss.tasks.check import check_task
from jaxloss.tasks.data.stream import resident_arrays
from jaxloss.tasks.preparation import Preparation
from jaxloss.tasks.settings import TrainingSettings

_KEYS = {"search": "comparison.handcrafted", "lockstep": "comparison.handcrafted", "compare": "losses", "train": "loss"}
# In these modes the losses that the config names are rivals of those that are searched for.
_SEARCHING = ("search", "lockstep")
_CHOICE = "search.surrogate.candidates"
_OTHER_LOSSES = {
    "search": "leave it out of comparison.handcrafted",
    "lockstep": "leave it out of comparison.handcrafted",
    "compare": "leave it out of config key losses",
    "train": "name another in config key loss",
}


def make_plan(
    config: ml_collections.ConfigDict, given_task: Task | None = None, of_run: Mapping[str, Any] = MappingProxyType({})
) -> Plan:
    """Builds what the config names; the task may be given in place of one that it names, see `config.given_task`.

    Of a run that goes on, a preset has the values that it had there, see `config.going_on`.

    The config of the plan has the values of its preset, see `config.presets`, and the seeds that follow from its own, see
    `config.drawn`.

    Raises:
      UserError: for a mistake in the config, absent data, and parts that do not fit together.
    """
    given = config
    config = with_preset(given, set_beside_its_file(given) or (), of_run)
    by_preset = set_by_preset(given, config) if config.search.preset != PAPER else []
    config = drawn_config(config)
    execution.refuse_elsewhere(config)
    space = wiring.make_space(config)
    if config.mode == "search":
        wiring.make_search(config, space, given_seeds(config, space), config.search.name)
        for name in config.filters.also:
            import_factory("filter", name, ())
        wiring.make_sections(config, space)
    if config.mode == "lockstep":
        check_lockstep(config, space)
    task = make_trained_task(config, space, given_task)
    contenders = _contenders(config, space, task)
    _check_parts(config, space, task)
    check_shortening(config, space, task)
    calibration = _calibration(config, space, task) if config.mode == "search" and config.search.calibration_trainings else None
    for contender in (*contenders, *([calibration] if calibration else [])):
        if contender.kind == HANDCRAFTED:
            _check_handcrafted(contender, task, config.mode)
    if config.training.frozen_epochs:
        _need_backbone("frozen_epochs", task)
    if config.training.head_factor != 1:
        _need_backbone("head_factor", task)
    if config.mode == "search" and config.search.surrogate.candidates > 1 and task.output_samples is None:
        if _CHOICE not in by_preset:
            raise UserError(
                f"{_CHOICE} = {config.search.surrogate.candidates} needs a task with output_samples, and the task "
                f"{task.name} has none: set it to 1"
            )
        # A preset is for any task.
        config.search.surrogate.candidates = 1
        by_preset.remove(_CHOICE)
    seeds = seeds_of(config, space, task)
    return Plan(
        config,
        task,
        space,
        contenders,
        budget=wiring.make_budget(config),
        comparison=read(config, ComparisonSettings),
        choose_parallelism=functools.partial(execution.choose_parallelism, config, space, task),
        make_execution=functools.partial(execution.make_execution, config, task),
        make_cascades=functools.partial(wiring.make_cascades, config, space, task),
        make_search=functools.partial(wiring.make_search, config, space, seeds),
        make_chooser=functools.partial(make_chooser, config, space, own_first=_CHOICE in by_preset),
        calibration=calibration,
        seeds=seeds,
        lockstep=read(config, LockstepSettings),
        make_longer_execution=functools.partial(execution.make_longer_execution, config, task),
        remarks=tuple(_remarks(config, space, task, by_preset)),
    )


def _remarks(config: ml_collections.ConfigDict, space: Space, task: Task, by_preset: Sequence[str]) -> Iterator[str]:
    yield from task.remarks
    if by_preset:
        yield f"search.preset={config.search.preset} sets {written_values(config, by_preset)}"
    settings = read(config, TrainingSettings)
    batch_size = Preparation(task, settings).batch_size(shapes(resident_arrays(task.data[TRAIN])))
    if batch_size < settings.batch_size:
        yield f"training.batch_size={settings.batch_size}: an epoch of the task {task.name} has {batch_size} examples, one batch"
    # A preset is for any space.
    asked = config.search.prior_knowledge and "search.prior_knowledge" not in by_preset
    if config.mode == "search" and asked and seeds_of(config, space, task) == given_seeds(config, space):
        yield f"search.prior_knowledge: the space {space.name} knows no loss of the task {task.name} to begin with"
    for name, why in unwritable(config, space, task).items() if config.mode == "search" else ():
        yield f"search.prior_knowledge: the known loss '{name}' of the space {space.name} is left out: {why}"
    if config.mode == "search" and config.search.name == Generations.name:
        kept, size = config.search.generations.kept, config.search.generation_size
        if kept >= size:
            yield f"search.generations.kept={kept}: a generation has {size} losses, all that pass are trained"
    if config.mode == "search" and config.search.name == Evolution.name:
        search, first = read(config, SearchSettings), read(config, EvolutionSettings).initial_population
        each = search.racing_first or search.seeds_per_candidate
        num_candidates = (search.num_trainings - search.calibration_trainings) // each
        if first >= num_candidates:
            yield (
                f"search.evolution.initial_population={first}: search.num_trainings allows {num_candidates} candidates: all "
                "are drawn at random and none by evolution"
            )


def _check_parts(config: ml_collections.ConfigDict, space: Space, task: Task) -> None:
    """Whether task and space do what their contracts say, and fit together."""
    with named_errors(f"writing the details of the task {task.name}"):
        json_text.dumps(task.details)
    if config.execution.mode in (VMAP, PMAP):
        refuse_streamed(task)
    searches = config.mode == "search"
    check_fit(space, task.name, task.offers, task.problems if searches else None)
    reads = {branch.name: branch.form.inputs for branch in space.branches}
    num_samples = config.filters.rejection.num_samples if searches else 0
    inputs = check_task(task, config.training.batch_size, reads, num_samples)
    check_space(space, inputs)
    check_reading(space, space.draw(np.random.default_rng(config.seed)))


def _contenders(config: ml_collections.ConfigDict, space: Space, task: Task) -> tuple[Contender, ...]:
    """The losses that the config names; beside a search, those that people have."""
    make = make_rival if config.mode in _SEARCHING else make_contender
    texts = _losses(config)
    contenders = [make(text, space, task.offers) for text in texts]
    _refuse_twins(_KEYS[config.mode], texts, contenders, space)
    return tuple(contenders)


def _losses(config: ml_collections.ConfigDict) -> tuple[str, ...]:
    if config.mode in _SEARCHING:
        return tuple(config.comparison.handcrafted)
    if config.mode == "compare":
        if not config.losses:
            raise UserError("mode=compare needs --config.losses, formulas or names of hand-crafted losses")
        return tuple(config.losses)
    if not config.loss:
        raise UserError(f"mode=train needs --config.loss, a formula of the space {config.space.name} or the name of a loss")
    return (config.loss,)


def _calibration(config: ml_collections.ConfigDict, space: Space, task: Task) -> Contender:
    """The loss with which the rate of the search is found."""
    name = config.search.calibration_loss or next(iter(config.comparison.handcrafted), "")
    if not name:
        raise UserError(
            "search.calibration_trainings needs a hand-crafted loss: name it in search.calibration_loss, or one in "
            "comparison.handcrafted"
        )
    return make_rival(name, space, task.offers)


def _refuse_twins(config_key: str, texts: Sequence[str], contenders: Sequence[Contender], space: Space) -> None:
    """One loss under two spellings would be compared with itself."""
    first: dict[str, str] = {}
    for text, contender in zip(texts, contenders, strict=True):
        kind, key = "loss", contender.name
        if contender.formula is not None:
            kind, key = "graph", f"graph {space.key(space.parse(contender.formula))}"
        if key in first:
            raise UserError(f"config key {config_key} names one loss twice: '{first[key]}' and '{text}' are the same {kind}")
        first[key] = text


def make_rival(text: str, space: Space, offers: Mapping[str, Sequence[str]] | None = None) -> Contender:
    """A contender from a name: of a published loss, or of hand-crafted ones, one for each branch, see `families.branch_families`.

    Args:
      text: the name.
      space: of the run.
      offers: branch -> inputs of the task, whose losses are listed for an unknown name; None lists all.

    Raises:
      UserError: for an unknown name or branch.
    """
    if published_formula(text) != text:
        return make_contender(text, space, offers)
    if text not in FAMILIES and single_words(text, len(space.branches)) == [text]:
        raise unknown_loss("hand-crafted loss", text, space, PUBLISHED_FORMULAS, offers)
    made = branch_families(text, {branch.name: branch.weight for branch in space.branches})
    return Contender(made.name, HANDCRAFTED, made)


def published_formula(text: str) -> str:
    """The formula of a published loss, or of `branch: name | branch: name`; a text that names none is left as it is."""
    if text in PUBLISHED_FORMULAS:
        return PUBLISHED_FORMULAS[text]
    parts = [part.partition(":") for part in text.split("|")]
    if len(parts) == 1 or not any(name.strip() in PUBLISHED_FORMULAS for *_, name in parts):
        return text
    return " | ".join(f"{branch.strip()}: {PUBLISHED_FORMULAS.get(name.strip(), name.strip())}" for branch, _, name in parts)


def make_contender(text: str, space: Space, offers: Mapping[str, Sequence[str]] | None = None) -> Contender:
    """A contender from the name of a hand-crafted or published loss, or from a formula; arguments as of `make_rival`.

    Raises:
      UserError: when the text is neither.
    """
    if names_family(text, len(space.branches)):
        return make_rival(text, space, offers)
    formula = published_formula(text)
    try:
        candidate = space.parse(formula)
    except UserError:
        words = single_words(text, len(space.branches))
        if formula is text and words:
            # A single word is a mistyped name rather than a formula.
            raise unknown_loss("loss", words[0], space, PUBLISHED_FORMULAS, offers) from None
        raise
    for branch in space.branches:
        if branch.form.reads is None:
            continue
        if not branch.form.reads(candidate[branch.name]):
            raise UserError(f"the formula '{text}' is a constant: nothing can be learned with it")
        if lacking := branch.lacking(candidate[branch.name]):
            listed = " or ".join(sorted(lacking))
            raise UserError(f"the formula '{text}' does not contain {listed}: nothing can be learned with it")
    return Contender(text, GIVEN if formula is text else PUBLISHED, space, formula)


def _need_backbone(key: str, task: Task) -> None:
    params = jax.eval_shape(task.init, jax.random.key(0))["params"]
    if task.backbone is None or not any(jax.tree.leaves(task.backbone(params))):
        raise UserError(f"training.{key} needs a network with a backbone, and that of the task {task.name} has none")


def _check_handcrafted(contender: Contender, task: Task, mode: str) -> None:
    for branch, inputs in contender.family.reads.items():
        offered = task.offers[branch]
        missing = [needed for needed in inputs if needed not in offered]
        if missing:
            raise UserError(
                f"the hand-crafted loss '{contender.name}' needs the input '{missing[0]}', the branch {branch} of the task "
                f"{task.name} offers {sorted(offered)}; {_OTHER_LOSSES[mode]}"
            )
    for branch in contender.family.softmax_branches:
        refuse_independent(contender.name, branch, task)
