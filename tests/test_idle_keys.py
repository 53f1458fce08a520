"""Keys that nothing in a run would read: refused in one line, from a config file and from the command line."""

import copy
from pathlib import Path

import ml_collections
import pytest

import jaxloss
from jaxloss.config import default_config
from jaxloss.config.check import check_config, refuse_idle_keys
from jaxloss.config.check_run import check_run
from jaxloss.config.file import load_config
from jaxloss.config.overrides import apply_overrides
from jaxloss.core.errors import UserError

REPOSITORY = Path(__file__).parents[1]
CONFIGS = REPOSITORY / "configs"
TINY = str(REPOSITORY / "tests/configs/tiny.py")
RETRIEVAL = {"task.name": "retrieval", "space.name": "autoloss_gms", "comparison.handcrafted": "('cosface',)"}


@pytest.mark.parametrize(
    ("overrides", "says"),
    [
        (
            {"task.retrieval.model": "osnet"},
            "task.retrieval.model does nothing in this run: it is read by task.name=retrieval, and this run has "
            "task.name=classification",
        ),
        ({"task.retrieval.model_options.features": "(4, 8)"}, "task.retrieval.model_options does nothing in this run"),
        ({"task.options.size": "3"}, "it is read by task.name=module:factory, and this run has task.name=classification"),
        ({"space.options.depth": "3"}, "it is read by space.name=module:factory"),
        ({"space.autoloss_gms.num_scales": "3"}, "it is read by space.name=autoloss_gms, and this run has space.name="),
        ({"search.name": "random_search", "search.evolution.population_size": "9"}, "this run has search.name=random_search"),
        ({"search.name": "random_search", "search.seeds": "('target',)"}, "it is read by search.name=evolution"),
        ({"search.name": "random_search", "search.control": "false"}, "another search.name than random_search"),
        ({"search.name": "random_search", "space.autoloss_zero.num_mutations": "3"}, "it is read by search.name=evolution"),
        ({"search.chooser.enabled": "true"}, "it is read by space.name=autoloss_gms, and this run has space.name=autoloss_zero"),
        ({"filters.properties.fraction": "0.5"}, "it is read by space.name=autoloss_gms"),
        ({**RETRIEVAL, "search.chooser.candidates": "5"}, "it is read with search.chooser.enabled=true, and this run has"),
        ({**RETRIEVAL, "search.chooser.predictor.width": "5"}, "it is read with search.chooser.enabled=true"),
        ({**RETRIEVAL, "filters.properties.enabled": "false", "filters.properties.fraction": "0.5"}, "properties.enabled=true"),
        (
            {**RETRIEVAL, "filters.equivalence.signed": "true"},
            "it is read by space.name=autoloss_zero or space.name=am_lfs or space.name=cse_autoloss, and",
        ),
        (
            {**RETRIEVAL, "filters.rejection.variable": "logits"},
            "it is read by task.name=classification or task.name=detection or task.name=instance_segmentation or "
            "task.name=segmentation or task.name=two_stage_detection, and this run has task.name=retrieval",
        ),
        ({"filters.rejection.enabled": "false", "filters.rejection.momentum": "0.5"}, "filters.rejection.enabled=true"),
        (
            {"task.name": "fast", "filters.rejection.minimum_metric": "0.9", "filters.rejection.minimum_gain": "0.5"},
            "filters.rejection.minimum_gain does nothing in this run: it is read with filters.rejection.minimum_metric=0.0",
        ),
        (
            {"task.name": "fast", "data_dir": "somewhere"},
            "it is read by task.name=classification or task.name=detection or task.name=instance_segmentation or "
            "task.name=pose or task.name=regression or task.name=retrieval",
        ),
        ({"losses": "('mae',)"}, "it is read with mode=compare, and this run has mode=search"),
        ({"loss": "mae"}, "it is read with mode=train, and this run has mode=search"),
        ({"mode": "compare", "comparison.handcrafted": "('mae',)"}, "it is read with mode=search or lockstep, and this run has"),
        (
            {"mode": "train", "loss": "mae", "search.num_trainings": "5"},
            "it is read with mode=search, and this run has mode=train",
        ),
        ({"mode": "train", "loss": "mae", "filters.batch": "5"}, "it is read with mode=search"),
        ({"mode": "train", "loss": "mae", "comparison.tuning_trainings": "99"}, "with mode=search, compare or lockstep"),
        ({"training.optimiser": "adam", "training.momentum": "0.5"}, "it is read with training.optimiser=sgd"),
        ({"training.step_factor": "0.5"}, "it is read with training.schedule=steps, and this run has training.schedule=cosine"),
        ({"training.polynomial_power": "2.0"}, "it is read with training.schedule=polynomial, and this run has"),
        (
            {"training.schedule": "constant", "training.end_factor": "0.5"},
            "it is read with training.schedule=cosine or polynomial, and this run has training.schedule=constant",
        ),
        ({"training.warmup_start": "0.5"}, "it is read with another training.warmup_epochs than 0.0"),
        ({"execution.mode": "serial", "execution.lanes": "4"}, "and this run has execution.mode=serial"),
        ({"task.classification.division": "4"}, "a run divides its data as comparison.divisions says"),
        ({"task.classification.noise_rate": "0.4"}, "it is read with another task.classification.noise_kind than none"),
        (
            {"task.classification.noise_kind": "symmetric", "task.classification.noise_mapping": "cifar10"},
            "it is read with task.classification.noise_kind=asymmetric",
        ),
        ({**RETRIEVAL, "task.retrieval.rerank_k1": "5"}, "it is read with task.retrieval.rerank=true"),
        ({**RETRIEVAL, "task.retrieval.triplet_margin": "0.5"}, "it is read with another task.retrieval.triplet_weight than 0.0"),
    ],
)
def test_a_key_that_does_nothing_is_refused(overrides, says):
    config = default_config()
    apply_overrides(config, overrides)
    check_config(config)
    with pytest.raises(UserError) as error:
        refuse_idle_keys(config, overrides)
    assert says in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    "overrides",
    [
        {
            "task.name": "retrieval",
            "space.name": "autoloss_gms",
            "search.chooser.enabled": "true",
            "search.chooser.candidates": "5",
        },
        # The classification task draws its samples for the gain, whatever the protocol asks for.
        {"filters.rejection.minimum_metric": "0.9", "filters.rejection.minimum_gain": "0.5"},
        {"filters.rejection.enabled": "false", "filters.rejection.variable": "logits", "filters.rejection.num_samples": "9"},
        {"task.name": "examples.own_task:make_task", "task.options.size": "9"},
        {"space.name": "examples.own_space:parabolas", "space.options.step": "0.2", "filters.properties.fraction": "0.5"},
        # A default does no harm.
        {"search.name": "random_search", "search.evolution.population_size": "2500"},
    ],
)
def test_a_key_that_acts_is_not_refused(overrides):
    config = default_config()
    apply_overrides(config, overrides)
    refuse_idle_keys(config, overrides)


def test_a_config_file_serves_runs_of_all_modes():
    """What a file says of a search is no mistake where its losses are only compared; what it says of another task is one."""
    config = load_config(TINY, {"mode": "train", "loss": "mae"})
    assert config.search.num_trainings == 6
    compared = copy.deepcopy(config)
    compared.mode, compared.loss = "compare", ""
    compared.comparison.handcrafted = default_config().comparison.handcrafted
    refuse_idle_keys(compared)
    config = load_config(TINY)
    config.task.classification.model = "small_cnn"
    with pytest.raises(UserError, match=r"task\.classification\.model does nothing in this run: it is read by task\.name=class"):
        refuse_idle_keys(config)


def test_a_part_that_is_replaced_makes_no_mistake_of_what_the_file_says_about_it():
    config = load_config(str(CONFIGS / "autoloss_zero_digits.py"), {"task.name": "fast"})
    assert config.task.classification.noise_kind == "symmetric"


@pytest.mark.parametrize(
    "name",
    ["autoloss_zero_digits", "autoloss_zero_cifar10", "autoloss_gms_market1501", "autoloss_gms_omniglot_full", "quickstart"],
)
def test_shipped_configs_set_nothing_in_vain(name):
    load_config(f"configs/{name}.py")


# --- wherever a config comes from ----------------------------------------------------------------------------------------------


def changed(config, **values):
    """The config with values put in; `__` stands for a dot."""
    config.update_from_flattened_dict({name.replace("__", "."): value for name, value in values.items()})
    return config


OWN_SPACE = {"space__name": "examples.own_weights:polynomials"}


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (
            lambda: changed(default_config(), **OWN_SPACE, space__autoloss_zero__max_instructions=7),
            "space.autoloss_zero.max_instructions does nothing in this run: it is read by space.name=autoloss_zero",
        ),
        (
            lambda: changed(load_config(TINY, {"space.autoloss_zero.max_instructions": "7"}), **OWN_SPACE),
            "space.autoloss_zero.max_instructions does nothing in this run",
        ),
        (lambda: changed(load_config(TINY), task__classification__model="small_cnn"), "it is read by task.name=classification"),
        (lambda: changed(load_config(TINY), mode="train", loss="mae", search__num_trainings=9), "it is read with mode=search"),
        (
            lambda: copy.deepcopy(changed(load_config(TINY), task__classification__model="small_cnn")),
            "task.classification.model does nothing in this run",
        ),
        (
            lambda: changed(load_config(TINY), comparison__handcrafted=(), comparison__best_rival_trainings=40),
            "comparison.best_rival_trainings does nothing in this run: it is read with another comparison.handcrafted than (), "
            "and this run has comparison.handcrafted=()",
        ),
    ],
)
def test_a_config_that_was_changed_in_python_is_refused_as_well(tmp_path, make, says):
    with pytest.raises(UserError) as error:
        jaxloss.run(make(), tmp_path / "run")
    assert says in str(error.value)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    "copied", [lambda config: config, copy.copy, copy.deepcopy, lambda config: config.copy_and_resolve_references()]
)
def test_what_a_file_said_for_another_run_is_no_mistake_in_python(copied):
    """It is known of a config that was loaded, and of its copies, which are equal to any config with the same values."""
    path = str(CONFIGS / "autoloss_zero_digits.py")
    config = copied(load_config(path, {"task.name": "fast"}))
    check_run(config)
    check_run(changed(copied(load_config(path)), task__name="fast"))
    check_run(changed(copied(load_config(TINY)), mode="train", loss="mae"))
    plain = ml_collections.ConfigDict(config)
    assert config == plain
    assert plain == config
    with pytest.raises(UserError, match=r"task\.classification\.\w+ does nothing in this run"):
        check_run(plain)


def test_the_best_rival_of_a_comparison_is_among_its_losses(tmp_path):
    """Without a search no hand-crafted rivals are named by `comparison.handcrafted`."""
    file = tmp_path / "without_rivals.py"
    file.write_text(
        "from jaxloss.config import default_config\ndef get_config():\n    c = default_config()\n"
        "    c.comparison.handcrafted = ()\n    return c"
    )
    assert load_config(str(file), {"mode": "compare", "comparison.best_rival_trainings": "40"})
    with pytest.raises(UserError, match=r"best_rival_trainings does nothing in this run"):
        load_config(str(file), {"comparison.best_rival_trainings": "40"})
