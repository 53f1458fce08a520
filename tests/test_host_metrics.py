"""Scores that the host computes: the same in every execution, and those of a direct computation."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from sklearn.metrics import balanced_accuracy_score, log_loss

from jaxloss.core.errors import UserError
from jaxloss.execution.base import Trial
from jaxloss.execution.data_parallel import DataParallelExecution
from jaxloss.execution.population import PopulationExecution
from jaxloss.execution.serial import SerialExecution
from jaxloss.spaces.families import family
from jaxloss.tasks.base import SEARCH_EVAL, TEST
from jaxloss.tasks.check import check_task
from jaxloss.tasks.fast import NUM_CLASSES, FastSettings, make_fast
from jaxloss.tasks.host_metrics import HostMetrics
from jaxloss.tasks.settings import TrainingSettings
from tests.compilations import counted
from tests.errors import user_error

FOCAL = family("focal")
SETTINGS = TrainingSettings(batch_size=10, num_epochs=2)
# Not a multiple of the chunks.
SIZE = 40

needs_devices = pytest.mark.skipif(jax.device_count() < 2, reason="needs two devices")
MODES = ["serial", "vmap", *(pytest.param(mode, marks=needs_devices) for mode in ("pmap", "data_parallel"))]


def probabilities(variables, points):
    return jax.nn.softmax(points @ variables["params"]["kernel"] + variables["params"]["bias"])


def predict(variables, examples):
    assert examples["point"].shape == (12, 2)
    return {"probability": probabilities(variables, examples["point"])}


def accumulate(state, predictions, examples):
    assert isinstance(predictions["probability"], np.ndarray)
    assert isinstance(examples["label"], np.ndarray)
    return [*state, (predictions["probability"], examples["label"])]


def accuracy_and_loss(probability, label):
    """Of scikit-learn; neither can be jitted."""
    probability = probability / probability.sum(axis=1, keepdims=True, dtype=np.float64)
    loss = log_loss(label, probability, labels=range(NUM_CLASSES))
    return {"balanced": balanced_accuracy_score(label, probability.argmax(axis=1)), "log_loss": loss}


def compute(state):
    return accuracy_and_loss(*(np.concatenate(parts) for parts in zip(*state, strict=True)))


METRICS = HostMetrics(("balanced", "log_loss"), predict, list, accumulate, compute, batch_size=12)
TASK = dataclasses.replace(
    make_fast(FastSettings(size=SIZE)), with_division=lambda seed: TASKS["both"], host_metrics=METRICS, metric="balanced"
)
TASKS = {"both": TASK, "host": dataclasses.replace(TASK, scores=None, with_division=lambda seed: TASKS["host"])}


def make(mode, task):
    if mode == "serial":
        return SerialExecution(task, SETTINGS, 2)
    if mode == "data_parallel":
        return DataParallelExecution(task, SETTINGS, 2)
    return PopulationExecution(task, SETTINGS, 2, 2 if mode == "pmap" else 1)


def trials(split, first_seed=0):
    """The third meets NaN."""
    gammas = (1.0, 2.0, np.nan, 0.5, 3.0)
    return [
        Trial(FOCAL, FOCAL.encode({"gamma": gamma}), 0.3, first_seed + seed, 0, split, keep_end=True)
        for seed, gamma in enumerate(gammas)
    ]


@pytest.mark.parametrize("mode", MODES)
def test_scores_of_the_host_are_those_of_a_direct_computation(mode):
    execution = make(mode, TASK)
    for split in (SEARCH_EVAL, TEST):
        examples = TASK.data[split]
        outcomes = [outcome for outcome, _ in execution.run(trials(split))]
        assert [outcome.finite for outcome in outcomes] == [True, True, False, True, True]
        for outcome in outcomes:
            if not outcome.finite:
                assert (outcome.score, dict(outcome.scores)) == (None, {})
                continue
            variables = outcome.end.variables
            wanted = accuracy_and_loss(np.asarray(probabilities(variables, examples["point"])), np.asarray(examples["label"]))
            assert outcome.scores.keys() == {"balanced", "log_loss", "accuracy"}
            assert outcome.score == outcome.scores["balanced"] == pytest.approx(wanted["balanced"], abs=1e-6)
            assert outcome.scores["log_loss"] == pytest.approx(wanted["log_loss"], rel=1e-5)
            assert outcome.scores["accuracy"] == pytest.approx(float(TASK.scores(variables, examples)["accuracy"]))
    # Once for both splits, which are of one size, and for all trials.
    with counted() as compiled:
        list(execution.run(trials(TEST, first_seed=10)))
    execution.close()
    assert not compiled


@pytest.mark.parametrize("mode", ["serial", "vmap"])
def test_a_task_may_be_scored_on_the_host_alone(mode):
    execution = make(mode, TASKS["host"])
    ((outcome, _),) = execution.run(trials(SEARCH_EVAL)[:1])
    execution.close()
    assert outcome.scores.keys() == {"balanced", "log_loss"}
    assert outcome.score == outcome.scores["balanced"]


def test_the_memory_of_the_predictions_counts():
    """They are larger than anything else here."""

    def wide(variables, examples):
        return jnp.outer(probabilities(variables, examples["point"]).ravel(), jnp.ones(100_000))

    sizes = []
    for metrics in (METRICS, dataclasses.replace(METRICS, predict=wide)):
        execution = make("vmap", dataclasses.replace(TASK, host_metrics=metrics))
        sizes.append(execution.memory(trials(SEARCH_EVAL)[0]))
        execution.close()
    assert sizes[1] > sizes[0] + 2 * 12 * NUM_CLASSES * 100_000 * 4 * 0.9


def test_the_checks_look_at_the_host_metrics_too():
    for task in TASKS.values():
        check_task(task)
    mistakes = {
        r"lacks 'balance', which.*Did you mean 'balanced'.*host_metrics gives balanced, log_loss": {"metric": "balance"},
        "both give 'accuracy'": {"host_metrics": dataclasses.replace(METRICS, names=("balanced", "accuracy"))},
        r"must give arrays \[12, ...\], one row for each example, and predictions\['mean'\] is float32\[3\]": {
            "host_metrics": dataclasses.replace(METRICS, predict=lambda *given: {"mean": predict(*given)["probability"].mean(0)})
        },
    }
    for message, changed in mistakes.items():
        with pytest.raises(UserError, match=message):
            check_task(dataclasses.replace(TASK, **changed))


@pytest.mark.parametrize("mode", ["serial", "vmap"])
def test_an_untrained_network_is_scored_by_both_parts(mode):
    execution = make(mode, TASK)
    scores = execution.untrained_scores(0, 0)
    untrained = dataclasses.replace(trials(SEARCH_EVAL)[0], num_steps=0)
    ((outcome, _),) = execution.run([untrained])
    execution.close()
    assert scores.keys() == {"balanced", "log_loss", "accuracy"}
    assert scores == outcome.scores


def test_mistakes_are_one_line():
    with pytest.raises(UserError, match="the task fast cannot be scored: it needs scores, host_metrics or both"):
        dataclasses.replace(make_fast(), scores=None)
    with pytest.raises(UserError, match="batch_size of host metrics must be at least 1, not 0"):
        dataclasses.replace(METRICS, batch_size=0)
    misnamed = dataclasses.replace(METRICS, names=("balanced",))
    execution = make("serial", dataclasses.replace(TASK, host_metrics=misnamed, with_division=lambda seed: TASK))
    with pytest.raises(UserError, match=r"are named \['balanced'\], and compute gave \['balanced', 'log_loss'\]"):
        list(execution.run(trials(SEARCH_EVAL)[:1]))
    execution.close()


@pytest.mark.parametrize("part", ["start", "accumulate", "compute"])
def test_an_error_of_the_host_is_one_line(part):
    def failing(*_):
        raise KeyError("cat")

    metrics = dataclasses.replace(METRICS, **{part: failing})
    with pytest.raises(UserError, match=r"host_metrics.* of the task raises KeyError: 'cat' \(tests/test_host_metrics\.py"):
        metrics.scores(lambda first: [{"probability": np.zeros((12, 3))}], {"point": np.zeros((12, 2)), "label": np.zeros(12)})


@pytest.mark.parametrize(
    ("changed", "says"),
    [
        ({"accumulate": lambda state, predictions, examples: None}, "host_metrics.accumulate of the task must give the state"),
        ({"compute": lambda state: 3}, "host_metrics.compute of the task must give {name: number}, and gives an int"),
        ({"compute": lambda state: {"both": "good"}}, "must give {name: number}, and 'both' is a str"),
        ({"compute": lambda state: {"both": np.ones(2)}}, "must give {name: number}, and 'both' is float64[2]"),
        ({"compute": lambda state: {"other": 0.5}}, "are named ['both'], and compute gave ['other']"),
    ],
)
def test_a_mistake_names_the_function(changed, says):
    fields = {"start": list, "accumulate": accumulate, "compute": lambda state: {"both": 0.5}, **changed}
    metrics = HostMetrics(names=("both",), predict=predict, **fields)
    examples = {"point": np.zeros((4, 2)), "label": np.zeros(4, int)}
    with user_error(says):
        metrics.scores(lambda first: [{"probability": np.ones((12, 3))}], examples)
    assert HostMetrics(("both",), predict, list, accumulate, lambda state: {"both": np.float32(0.5)}).scores(
        lambda first: [{"probability": np.ones((12, 3))}], examples
    ) == [{"both": 0.5}]
