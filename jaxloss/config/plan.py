"""What a config names, built and checked before a run directory is made: a mistake in it costs and leaves nothing."""

import functools
from collections.abc import Sequence

import jax
import ml_collections

from jaxloss.config import wiring
from jaxloss.config.schema import read
from jaxloss.core.errors import UserError, unknown
from jaxloss.spaces.base import Space, check_inputs
from jaxloss.spaces.families import FAMILIES, family
from jaxloss.study.comparison_settings import ComparisonSettings
from jaxloss.study.contender import GIVEN, HANDCRAFTED, Contender
from jaxloss.study.plan import Plan
from jaxloss.systems.registry import PUBLISHED
from jaxloss.tasks.base import Task, check_data, check_ranges

_OTHER_LOSSES = {
    "search": "leave it out of comparison.handcrafted",
    "compare": "leave it out of config key losses",
    "train": "name another in config key loss",
}


def make_plan(config: ml_collections.ConfigDict) -> Plan:
    """Builds what the config names.

    Raises:
      UserError: for a mistake in the config, absent data, and parts that do not fit together.
    """
    space = wiring.make_space(config)
    if config.mode == "search":
        wiring.make_search(config, space, config.search.name)
        wiring.make_sections(config, space)
    contenders = tuple(make_contender(text, space) for text in _losses(config))
    _refuse_twins(contenders, space)
    task = wiring.make_task(config).with_split(config.comparison.splits[0])
    check_data(task)
    check_ranges(task)
    check_inputs(space, task.offers, task.name)
    for contender in contenders:
        if contender.kind == HANDCRAFTED:
            _check_handcrafted(contender.name, task, config.mode)
    if config.training.frozen_epochs:
        _check_backbone(task)
    return Plan(
        config,
        task,
        space,
        contenders,
        budget=wiring.make_budget(config),
        comparison=read(config, ComparisonSettings),
        choose_way=functools.partial(wiring.choose_way, config, space, task),
        make_execution=functools.partial(wiring.make_execution, config, task),
        make_cascades=functools.partial(wiring.make_cascades, config, space, task),
        make_search=functools.partial(wiring.make_search, config, space),
        make_chooser=functools.partial(wiring.make_chooser, config, space),
    )


def _losses(config: ml_collections.ConfigDict) -> tuple[str, ...]:
    if config.mode == "search":
        for name in config.comparison.handcrafted:
            family(name)
        return tuple(config.comparison.handcrafted)
    if config.mode == "compare":
        if not config.losses:
            raise UserError("mode=compare needs --config.losses, formulas or names of hand-crafted losses")
        return tuple(config.losses)
    if not config.loss:
        raise UserError(f"mode=train needs --config.loss, a formula of the space {config.space.name} or the name of a loss")
    return (config.loss,)


def _refuse_twins(contenders: Sequence[Contender], space: Space) -> None:
    """One graph under two spellings would be compared with itself."""
    first: dict[str, Contender] = {}
    for contender in contenders:
        key = contender.name if contender.formula is None else f"graph {space.key(space.parse(contender.formula))}"
        other = first.setdefault(key, contender)
        if other is not contender:
            raise UserError(f"config key losses names one loss twice: '{other.name}' and '{contender.name}' are the same graph")


def make_contender(text: str, space: Space) -> Contender:
    """A contender from the name of a hand-crafted or published loss, or from a formula.

    Raises:
      UserError: when the text is neither.
    """
    if text in FAMILIES:
        return Contender(text, HANDCRAFTED, family(text))
    formula = PUBLISHED.get(text, text)
    try:
        candidate = space.parse(formula)
    except UserError:
        if formula is text and text.replace("_", "").isalnum():
            # A single word is a mistyped name rather than a formula.
            raise unknown("loss", text, [*FAMILIES, *PUBLISHED]) from None
        raise
    for branch in space.branches:
        if branch.form.reads is None:
            continue
        read = branch.form.reads(candidate[branch.name])
        if not read:
            raise UserError(f"the formula '{text}' is a constant: nothing can be learned with it")
        for any_of in branch.required:
            if not read & any_of:
                listed = " or ".join(sorted(any_of))
                raise UserError(f"the formula '{text}' does not contain {listed}: nothing can be learned with it")
    return Contender(text, GIVEN, space, formula)


def _check_backbone(task: Task) -> None:
    params = jax.eval_shape(task.init, jax.random.key(0))["params"]
    if task.backbone is None or not any(jax.tree.leaves(task.backbone(params))):
        raise UserError(f"training.frozen_epochs needs a network with a backbone, and that of the task {task.name} has none")


def _check_handcrafted(name: str, task: Task, mode: str) -> None:
    if len(task.offers) != 1:
        raise UserError(f"the hand-crafted loss '{name}' has one branch, the task {task.name} has {sorted(task.offers)}")
    ((branch, offered),) = task.offers.items()
    missing = [needed for needed in family(name).inputs if needed not in offered]
    if missing:
        raise UserError(
            f"the hand-crafted loss '{name}' needs the input '{missing[0]}', the branch {branch} of the task {task.name} offers "
            f"{sorted(offered)}; {_OTHER_LOSSES[mode]}"
        )
