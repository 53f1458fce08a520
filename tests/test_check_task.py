"""Whoever brings a task of their own is told in one line what is wrong with it, before anything is trained."""

import dataclasses
import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxloss import launch
from jaxloss.core.errors import UserError
from jaxloss.core.problem import PREDICTIONS
from jaxloss.core.types import LossInputs
from jaxloss.tasks.base import TEST, TRAIN
from jaxloss.tasks.check import check_task
from jaxloss.tasks.fast import FastSettings
from jaxloss.tasks.registry import TASKS, RegisteredTask
from tests.changed_tasks import (
    BATCH,
    BRANCH,
    TASK,
    forwarding,
    with_arrays,
    with_auxiliary,
    with_data,
    with_inputs,
    with_problem,
    with_scores,
)


def flat(arrays):
    return {name: array[:, 0, 0] for name, array in arrays.items()}


def raising(*_):
    raise ValueError("not today\nsays the second line")


def misshapen(variables, batch, key):
    return batch["point"] @ variables["params"]["kernel"].T, variables


def seeing_numbers(variables, examples, key, num_samples):
    """A problem that cannot be traced: it is drawn as a search will draw it."""
    if float(examples["label"].sum()) < 0:
        raise ValueError
    return with_problem(start=lambda problem: problem.start[:, 0]).problems[PREDICTIONS](variables, examples, key, num_samples)


MISTAKES = {
    "flat arrays": (
        with_inputs(lambda inputs: LossInputs(flat(inputs.arrays), inputs.mask, inputs.weights)),
        "forward of the task fast, branch 'classification': float32[N, H, W, C] was expected as 'prediction', float32[10, 3] "
        "came; without space H = W = 1, as array[:, None, None, :] has it",
    ),
    "flat arrays, created": (
        with_inputs(lambda inputs: LossInputs.create(flat(inputs.arrays))),
        r"forward of the task fast raises AssertionError: .* has rank 2 \(shape \(10, 3\)\) but expected 4\. "
        r"\[the array 'prediction' is to be \[N, H, W, C\], with H = W = 1 where space is none\] "
        r"\(tests/test_check_task\.py, line \d+\)",
    ),
    "another metric": (
        dataclasses.replace(TASK, metric="acuracy"),
        "scores of the task fast lacks 'acuracy', which the task has as its metric. Did you mean 'accuracy'? "
        "It gives {'accuracy': float32[]}",
    ),
    "another score beside it": (
        dataclasses.replace(TASK, also_shown=("recall",)),
        "scores of the task fast lacks 'recall', which the task has as its also_shown. It gives {'accuracy': float32[]}",
    ),
    "a branch misnamed": (
        dataclasses.replace(TASK, offers={"clasification": TASK.offers[BRANCH]}, ranges={}),
        "forward of the task fast must give something for the branch 'clasification', and has ['classification']. "
        "Did you mean 'classification'?",
    ),
    "an array that is not made": (
        dataclasses.replace(TASK, offers={BRANCH: ("prediction", "targets")}, ranges={}),
        "forward of the task fast, branch 'classification' lacks the array 'targets'; it makes "
        "['logits', 'prediction', 'target']. Did you mean 'target'?",
    ),
    "no params": (
        dataclasses.replace(TASK, init=lambda key: TASK.init(key)["params"]),
        "init of the task fast must give {'params': ..., ...}, a dict of arrays, and gives "
        "{'bias': float32[1, 3], 'kernel': float32[2, 3]}",
    ),
    "integer parameters": (
        dataclasses.replace(TASK, init=lambda key: {"params": {"kernel": jnp.ones((2, 3), jnp.int32)}}),
        "init of the task fast must give parameters of float32, but params['kernel'] is int32[2, 3]",
    ),
    "parameters of half precision": (
        dataclasses.replace(TASK, init=lambda key: {"params": {"kernel": jnp.ones((2, 3), jnp.bfloat16)}}),
        "must give parameters of float32, but params['kernel'] is bfloat16[2, 3]: cast them in forward",
    ),
    "a test split without an array": (
        with_data(test={"point": TASK.data[TEST]["point"]}),
        "the splits 'search_eval' and 'test' of the task fast must hold the same arrays, but ['label'] is int32[40] in "
        "'search_eval' and nothing in 'test'",
    ),
    "a test split of other numbers": (
        with_data(test={**TASK.data[TEST], "point": np.zeros((40, 4), np.float32)}),
        "must hold the same arrays, but ['point'] is float32[40, 2] in 'search_eval' and float32[40, 4] in 'test'",
    ),
    "a split misnamed": (
        dataclasses.replace(TASK, data={"train": TASK.data[TRAIN], "eval": {}, "tests": TASK.data[TEST]}),
        "the task fast has no examples in its split 'search_eval'",
    ),
    "lists": (
        with_data(train={"point": [[0.0, 1.0]], "label": [1]}),
        "data['train']['label'][0] of the task fast must be an array of numbers, not an int",
    ),
    "words": (
        with_data(train={"point": TASK.data[TRAIN]["point"], "label": np.array(["cat"] * 40)}),
        "data['train']['label'] of the task fast must be an array of numbers, not <U3[40]",
    ),
    "a vector metric": (
        with_scores(lambda accuracy: {"accuracy": jnp.full(40, accuracy)}),
        "scores of the task fast, 'accuracy' must be a scalar, float32[], and is float32[40]",
    ),
    "a score of words": (
        with_scores(lambda accuracy: {"accuracy": accuracy, "note": "fine"}),
        "scores of the task fast, 'note' must be a scalar, float32[], and is a str",
    ),
    "a score alone": (
        with_scores(lambda accuracy: accuracy),
        "scores of the task fast must give {name: scalar}, and gives float32[]",
    ),
    "inputs of None": (
        with_inputs(lambda inputs: LossInputs(None, None, None)),
        "branch 'classification': the arrays of LossInputs must be {name: float32[N, H, W, C]}, not None",
    ),
    "None for inputs": (with_inputs(lambda inputs: None), "LossInputs were expected, None came"),
    "a dict for inputs": (
        with_inputs(lambda inputs: {"prediction": inputs.arrays["prediction"]}),
        "LossInputs were expected, {'prediction': float32[10, 1, 1, 3]} came; LossInputs.create(arrays) makes them",
    ),
    "inputs of no branch": (
        forwarding(lambda inputs, variables: (inputs[BRANCH], variables)),
        "forward of the task fast must give {branch: ...} for the branches classification, not a LossInputs",
    ),
    "one value": (
        forwarding(lambda inputs, variables: inputs),
        "forward of the task fast must give ({branch: LossInputs}, variables), and gives {'classification': a LossInputs}",
    ),
    "variables of another structure": (
        forwarding(lambda inputs, variables: (inputs, {**variables, "statistics": jnp.zeros(3)})),
        "forward of the task fast must give variables like those it takes: nothing as ['statistics'] was expected, "
        "float32[3] came",
    ),
    "no variables": (
        forwarding(lambda inputs, variables: (inputs, None)),
        "forward of the task fast must give the variables as its second value, not None",
    ),
    "a prediction of integers": (
        with_arrays(lambda arrays: {**arrays, "prediction": arrays["prediction"].astype(jnp.int32)}),
        "floats were expected as 'prediction', int32[10, 1, 1, 3] came",
    ),
    "a target of another size": (
        with_arrays(lambda arrays: {**arrays, "target": arrays["target"][:5]}),
        "float32[10, 1, 1, 3], like 'prediction', was expected as 'target', float32[5, 1, 1, 3] came",
    ),
    "a flat mask": (
        with_inputs(lambda inputs: dataclasses.replace(inputs, mask=jnp.ones(10, bool))),
        "bool[10, 1, 1, 1] was expected as the mask, bool[10] came",
    ),
    "weights for every class": (
        with_inputs(lambda inputs: dataclasses.replace(inputs, weights=jnp.ones((10, 1, 1, 3)))),
        "float32[10, 1, 1, 1] was expected as the weights, float32[10, 1, 1, 3] came",
    ),
    "augment drops an array": (
        dataclasses.replace(TASK, augment=lambda batch, key: {"point": batch["point"]}),
        "augment of the task fast must give a batch like the one it takes: int32[10] as batch['label'] was expected, "
        "nothing came",
    ),
    "augment changes a shape": (
        dataclasses.replace(TASK, augment=lambda batch, key: {**batch, "point": batch["point"][:, :1]}),
        "float32[10, 2] as batch['point'] was expected, float32[10, 1] came",
    ),
    "augment makes floats of integers": (
        dataclasses.replace(TASK, augment=lambda batch, key: {**batch, "label": batch["label"] / 2}),
        "int32[10] as batch['label'] was expected, float32[10] came",
    ),
    "an order of floats": (
        dataclasses.replace(TASK, order=lambda key, train: jax.random.uniform(key, (40,))),
        "order of the task fast must give the rows of an epoch, int32[M], and gives float32[40]",
    ),
    "a backbone without an answer": (
        dataclasses.replace(TASK, backbone=lambda params: {"kernel": True}),
        "backbone of the task fast must give True or False for each of the parameters, and gives {'kernel': a bool}",
    ),
    "an auxiliary loss of no branch": (
        with_auxiliary("extras", lambda inputs, axis_name: jnp.mean(inputs.arrays["logits"])),
        "must give something for the branch 'extras', and has ['classification', 'extra']. Did you mean 'extra'?",
    ),
    "an auxiliary loss of values": (
        with_auxiliary("extra", lambda inputs, axis_name: inputs.arrays["logits"]),
        "the auxiliary loss 'extra' of the task fast must be a scalar, float32[], and is float32[10, 1, 1, 3]",
    ),
    "an auxiliary loss of a branch that is offered": (
        with_auxiliary(BRANCH, lambda inputs, axis_name: jnp.mean(inputs.arrays["logits"])),
        "the auxiliary loss 'classification' of the task fast is of a branch that the task offers to losses: name another branch",
    ),
    "no problem for a branch": (
        dataclasses.replace(TASK, problems={PREDICTIONS: lambda *_: {}}),
        "the problem 'predictions' of the task fast must give something for the branch 'classification', and has []",
    ),
    "a problem that is none": (
        dataclasses.replace(TASK, problems={PREDICTIONS: lambda *_: {BRANCH: 3}}),
        "the problem 'predictions' of the task fast, branch 'classification': a RejectionProblem was expected, an int came",
    ),
    "a flat start": (
        with_problem(start=lambda problem: problem.start[:, 0, 0]),
        "float32[B, H, W, C] was expected as the start, float32[5, 3] came",
    ),
    "a flat start that needs numbers": (
        dataclasses.replace(TASK, problems={PREDICTIONS: seeing_numbers}),
        "float32[B, H, W, C] was expected as the start, float32[5, 1, 3] came",
    ),
    "a problem without samples": (
        with_problem(start=lambda problem: problem.start[:0]),
        "the start must have samples, and is float32[0, 1, 1, 3]",
    ),
    "a context of other samples": (
        with_problem(context=lambda problem: problem.context[:2]),
        "the context must have the 5 samples of the start, and is float32[2, 1, 1, 3]",
    ),
    "a metric of the problem that is no scalar": (
        with_problem(metric=lambda problem: lambda value, target: value),
        "the metric of the problem 'predictions' of the task fast, branch 'classification' must be a scalar, float32[], and is "
        "float32[1, 1, 1, 3]",
    ),
    "a problem without an input": (
        with_problem(inputs=lambda problem: lambda value, target: LossInputs.create({"prediction": value})),
        "inputs of the problem 'predictions' of the task fast, branch 'classification' lacks the array 'target'; it makes "
        "['prediction']",
    ),
    "init raises": (
        dataclasses.replace(TASK, init=raising),
        r"init of the task fast raises ValueError: not today \(tests/test_check_task\.py, line \d+\)",
    ),
    "forward raises inside jax": (
        dataclasses.replace(TASK, forward=misshapen),
        r"forward of the task fast raises TypeError: dot_general requires contracting dimensions to have the same shape, "
        r"got .* \(tests/test_check_task\.py, line \d+\)",
    ),
    "forward takes too little": (
        dataclasses.replace(TASK, forward=lambda variables, batch: None),
        r"forward of the task fast raises TypeError: .*<lambda>\(\) takes 2 positional arguments but 3 were given",
    ),
    "the problem raises": (
        dataclasses.replace(TASK, problems={PREDICTIONS: raising}),
        r"the problem 'predictions' of the task fast raises ValueError: not today \(tests/test_check_task\.py, line \d+\)",
    ),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_of_a_task_is_one_line(mistake):
    task, says = MISTAKES[mistake]
    with pytest.raises(UserError) as caught:
        check_task(task, BATCH, {BRANCH: ("prediction", "target")}, num_samples=5)
    line = str(caught.value)
    assert "\n" not in line
    assert says in line or re.search(says, line), line


def test_a_mistake_ends_a_command_before_a_directory_is_made(tmp_path, monkeypatch, capsys):
    task, says = MISTAKES["a vector metric"]
    made = dataclasses.replace(task, with_division=lambda seed: task)
    monkeypatch.setitem(TASKS, "fast", RegisteredTask(FastSettings, lambda *_: made))
    assert launch.main(["--config=tests/configs/tiny.py", f"--workdir={tmp_path / 'run'}"]) == 2
    assert capsys.readouterr().err == f"error: {says}\n"
    assert not (tmp_path / "run").exists()
