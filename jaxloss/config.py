"""The configuration: every key, its default and what it means. A config file changes some of them.

A config file has a function `get_config()` that starts from `default_config()`. All keys can be overridden on the command
line: `--config.search.num_trainings=500`.
"""

import ast
import importlib.util
import sys
from pathlib import Path

import ml_collections

from jaxloss.core.errors import UserError, did_you_mean, unknown
from jaxloss.runs.directory import flatten

MODES = ("search", "train", "compare")

# Keys that may differ when a run is continued. All others decide what is in the archive already.
MAY_CHANGE = (
    "search.num_trainings",
    # All of `comparison` but `splits`, the first of which is the one that is searched on.
    *(
        f"comparison.{key}"
        for key in (
            "handcrafted",
            "rank_candidates",
            "rank_seeds",
            "num_found",
            "tuning_trainings",
            "tuning_finalists",
            "tuning_seeds",
            "learning_rate_low",
            "learning_rate_high",
            "test_seeds",
            "margin",
            "seed",
        )
    ),
    "execution.workers",
    "data_dir",
    "quiet",
)


_MANY = float("inf")

# Smallest and largest value of the keys that no other part checks.
RANGES = {
    "seed": (0, 2**31),
    "search.num_trainings": (1, _MANY),
    "search.seeds_per_candidate": (1, _MANY),
    "search.generation_size": (1, _MANY),
    "search.evolution.population_size": (1, _MANY),
    "search.evolution.tournament_ratio": (0.0, 1.0),
    "space.autoloss_zero.initial_depth": (1, 10),
    "space.autoloss_zero.max_instructions": (1, _MANY),
    "space.autoloss_zero.max_constants": (1, _MANY),
    "space.autoloss_zero.copy_probability": (0.0, 1.0),
    "space.autoloss_zero.reinitialise_probability": (0.0, 1.0),
    "space.autoloss_zero.num_mutations": (1, _MANY),
    "filters.rejection.num_samples": (1, _MANY),
    "filters.rejection.iterations": (1, _MANY),
    "filters.rejection.minimum_gain": (-1.0, 1.0),
    "filters.equivalence.significant_digits": (1, 17),
    "filters.batch": (1, _MANY),
    "filters.width": (1, _MANY),
    "filters.max_attempts": (1, _MANY),
    "training.learning_rate": (1e-12, _MANY),
    "training.momentum": (0.0, 1.0),
    "training.weight_decay": (0.0, _MANY),
    "training.batch_size": (1, _MANY),
    "training.num_epochs": (1e-6, _MANY),
    "training.warmup_epochs": (0.0, _MANY),
    "training.clip_norm": (0.0, _MANY),
    "execution.workers": (0, _MANY),
    "comparison.rank_candidates": (1, _MANY),
    "comparison.rank_seeds": (1, _MANY),
    "comparison.num_found": (1, _MANY),
    "comparison.tuning_finalists": (1, _MANY),
    "comparison.tuning_seeds": (1, _MANY),
    "comparison.test_seeds": (1, _MANY),
    "comparison.learning_rate_low": (1e-9, _MANY),
    "comparison.learning_rate_high": (1e-9, _MANY),
    "comparison.margin": (0.0, _MANY),
    "comparison.seed": (0, 2**31),
}
CHOICES = {
    "filters.batching": ("auto", "vmap", "loop"),
    "filters.rejection.variable": ("probability", "logits"),
    "execution.dispatch": ("auto", "whole", "steps"),
}


def default_config() -> ml_collections.ConfigDict:
    """The letter of AutoLoss-Zero, on scikit-learn's digits. Locked: a misspelt key is an error; `options` take any key."""
    config = ml_collections.ConfigDict(
        {
            # search: search, then compare. train: train `loss`. compare: compare `losses`.
            "mode": "search",
            # Of everything that is drawn, except where a key of its own says otherwise.
            "seed": 0,
            # Folder of data files; empty: the environment variable JAXLOSS_DATA_DIR, else the current folder.
            "data_dir": "",
            "quiet": False,
            # For mode=train: a formula such as 'Neg(Mul(target, Log(prediction)))', or the name of a hand-crafted loss.
            "loss": "",
            # For mode=compare: formulas and names of hand-crafted losses.
            "losses": ("cross_entropy",),
            "task": {
                # A name in jaxloss.wiring.TASKS, or 'module:factory'.
                "name": "classification",
                # Arguments of a 'module:factory'; a config file may put any keys here.
                "options": {},
                "classification": {
                    "source": "digits",
                    "download": False,
                    "fractions": (0.5, 0.2, 0.3),
                    "test_seed": 0,
                    "split_seed": 0,
                    "train_limit": 0,
                    "search_eval_limit": 0,
                    "test_limit": 0,
                    "noise_kind": "none",
                    "noise_rate": 0.0,
                    "noise_seed": 0,
                    "noise_mapping": "next",
                    "model": "mlp",
                    "model_options": ml_collections.ConfigDict({}),
                    "augmentation": "none",
                    "pixel_mean": 0.0,
                    "pixel_deviation": 1.0,
                    "evaluation_batch": 500,
                },
            },
            "space": {
                # A name in jaxloss.wiring.SPACES, or 'module:factory' with `options`.
                "name": "autoloss_zero",
                "options": {},
                "autoloss_zero": {
                    "branches": ("classification",),
                    "branch_weights": (1.0,),
                    "initial_depth": 3,
                    "max_instructions": 24,
                    "max_constants": 4,
                    "copy_probability": 0.1,
                    "reinitialise_probability": 0.5,
                    "num_mutations": 2,
                },
            },
            "search": {
                # A name in jaxloss.wiring.SEARCHES.
                "name": "evolution",
                # The budget: trainings on the proxy task (AutoLoss-Zero, Appendix A: 500).
                "num_trainings": 500,
                # Trainings per candidate; its score is their mean. The paper trains once.
                "seeds_per_candidate": 1,
                # Proposals that share one population; 1 is the paper's steady state.
                "generation_size": 1,
                # Formulas that are proposed first.
                "seeds": (),
                # Run random search with the same number of trainings and the same filters, as a control.
                "control": True,
                "evolution": {"initial_population": 20, "population_size": 2500, "tournament_ratio": 0.05},
            },
            "filters": {
                "rejection": {
                    "enabled": True,
                    "num_samples": 5,
                    "iterations": 500,
                    "learning_rate": 0.001,
                    "momentum": 0.9,
                    "minimum_gain": 0.6,
                    # probability: the prediction itself is optimised (the paper's letter); logits: what softmax is taken of.
                    "variable": "probability",
                },
                # signed: the signs of projections of the gradient count too; norms (the paper) cannot tell L from -L.
                "equivalence": {"significant_digits": 2, "scale_free": False, "signed": False},
                # Draws that go through the filters together, and how many of them one jitted call takes.
                "batch": 64,
                "width": 32,
                # auto, vmap or loop.
                "batching": "auto",
                "max_attempts": 50_000,
            },
            "training": {
                "learning_rate": 0.1,
                "optimiser": "sgd",
                "momentum": 0.9,
                "weight_decay": 0.0,
                "batch_size": 64,
                "num_epochs": 20.0,
                "schedule": "cosine",
                "warmup_epochs": 0.0,
                "clip_norm": 0.0,
                # as_is (the paper), or unit_gradient: the first gradient of every loss is scaled to norm one.
                "loss_scale": "as_is",
            },
            "execution": {
                # Trainings side by side; 0: one per core, at most 4. The results do not depend on it.
                "workers": 0,
                # auto, whole (one call per training) or steps (one call per step).
                "dispatch": "auto",
            },
            "comparison": {
                "handcrafted": ("cross_entropy", "label_smoothing", "focal", "mae", "gce", "sce"),
                "rank_candidates": 8,
                "rank_seeds": 3,
                "num_found": 3,
                "tuning_trainings": 24,
                "tuning_finalists": 3,
                "tuning_seeds": 3,
                "learning_rate_low": 0.003,
                "learning_rate_high": 3.0,
                "test_seeds": 5,
                "splits": (0, 1),
                # A loss is 'not behind' a rival when the interval of the difference stays above minus this.
                "margin": 0.005,
                "seed": 10_000,
            },
        }
    )
    config.lock()
    for options in (config.task.options, config.task.classification.model_options, config.space.options):
        options.unlock()
    return config


def load_config(path: str) -> ml_collections.ConfigDict:
    """Runs `get_config()` of a config file.

    Raises:
      UserError: when the file is absent, has no `get_config`, or does not run.
    """
    file = Path(path)
    if not file.is_file():
        raise UserError(f"no config file '{path}'. Give one with --config=FILE.py, for example configs/quickstart.py")
    spec = importlib.util.spec_from_file_location(f"jaxloss_config_{file.stem}", file)
    if spec is None or spec.loader is None:
        raise UserError(f"the config '{path}' is not a Python file")
    module = importlib.util.module_from_spec(spec)
    sys.path.insert(0, str(file.parent.resolve()))
    try:
        spec.loader.exec_module(module)
        config = module.get_config() if hasattr(module, "get_config") else None
    except UserError:
        raise
    except (Exception, SystemExit) as error:  # whatever the user's file does wrong, it is the user's file
        message = (str(error).splitlines() or [""])[0]
        raise UserError(f"the config file '{path}' does not run: {type(error).__name__}: {message}") from error
    finally:
        sys.path.pop(0)
    if not isinstance(config, ml_collections.ConfigDict):
        raise UserError(f"the config file '{path}' needs a function get_config() that returns a ConfigDict")
    return config


def apply_overrides(config: ml_collections.ConfigDict, overrides: dict[str, str]) -> None:
    """Sets keys from text, as the types of the present values ask for.

    Args:
      config: changed in place.
      overrides: dotted key -> text, for example `{'search.num_trainings': '500'}`.

    Raises:
      UserError: for an unknown key (a near match is named) and for a value of the wrong type.
    """
    for key, text in overrides.items():
        known = flatten(config.to_dict())
        if key not in known:
            raise UserError(f"unknown config key '{key}'.{did_you_mean(key, known)} jaxloss/config.py lists all keys")
        config.update_from_flattened_dict({key: _convert(key, text, known[key])})


def _convert(key: str, text: str, present: object) -> object:
    kind = type(present)
    if kind is str:
        return text
    if kind is bool:
        if text.lower() not in ("true", "false"):
            raise UserError(f"--config.{key} takes true or false, not '{text}'")
        return text.lower() == "true"
    try:
        value = ast.literal_eval(text)
    except (SyntaxError, ValueError):
        value = (text,) if kind is tuple else None
    if kind is float and isinstance(value, int) and not isinstance(value, bool):
        value = float(value)
    if kind is tuple and isinstance(value, list):
        value = tuple(value)
    if kind is tuple and not isinstance(value, tuple):
        value = (value,)
    if kind is tuple and present:
        wanted = type(present[0])
        value = tuple(float(one) if wanted is float and type(one) is int else one for one in value)
    elements_fit = kind is not tuple or not present or all(type(one) is wanted for one in value)
    if type(value) is not kind or not elements_fit:
        raise UserError(f"--config.{key} takes a value of type {kind.__name__} like {present!r}, not '{text}'")
    return value


def check_config(config: ml_collections.ConfigDict) -> None:
    """Checks the values that no other part checks.

    Raises:
      UserError: names the key.
    """
    if config.mode not in MODES:
        raise unknown("mode", config.mode, MODES)
    values = flatten(config.to_dict())
    for key, (low, high) in RANGES.items():
        if not low <= values[key] <= high:
            bound = f"at least {low}" if values[key] < low else f"at most {high}"
            raise UserError(f"config key {key} must be {bound}, not {values[key]}")
    for key, choices in CHOICES.items():
        if values[key] not in choices:
            raise unknown(key, values[key], choices)
    splits = config.comparison.splits
    if not splits or len(set(splits)) < len(splits) or not all(type(one) is int and 0 <= one < 2**31 for one in splits):
        raise UserError(
            "config key comparison.splits must name different divisions of the data by their numbers, one at least, "
            "for example (0, 1)"
        )
    for key in ("search.seeds", "losses", "comparison.handcrafted"):
        wrong = [value for value in values[key] if not isinstance(value, str)]
        if wrong:
            raise UserError(f"config key {key} takes formulas or names, not {wrong[0]!r}")
        twice = [value for index, value in enumerate(values[key]) if value in values[key][:index]]
        if twice:
            raise UserError(f"config key {key} names '{twice[0]}' twice")
    comparison = config.comparison
    if comparison.learning_rate_low > comparison.learning_rate_high:
        raise UserError("comparison.learning_rate_low must not be above comparison.learning_rate_high")
    if comparison.test_seeds * len(comparison.splits) < 2:
        raise UserError("comparison.test_seeds x the number of comparison.splits must be at least 2: one pair has no interval")
    least = comparison.tuning_finalists * (comparison.tuning_seeds + 1)
    if comparison.tuning_trainings < least:
        raise UserError(
            f"comparison.tuning_trainings must be at least tuning_finalists x (tuning_seeds + 1) = {least}, "
            f"not {comparison.tuning_trainings}"
        )
    if config.search.num_trainings < config.search.seeds_per_candidate:
        raise UserError(
            f"search.num_trainings ({config.search.num_trainings}) is not enough for one candidate of "
            f"search.seeds_per_candidate = {config.search.seeds_per_candidate}"
        )
    space = config.space.autoloss_zero
    if not space.branches or len(space.branches) != len(space.branch_weights):
        raise UserError(
            f"space.autoloss_zero has {len(space.branches)} branches and {len(space.branch_weights)} branch_weights: "
            "every branch, one at least, has one weight"
        )
