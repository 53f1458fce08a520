"""A sound task with one part of it changed, for tests of the checks."""

import dataclasses

from jaxloss.core.problem import PREDICTIONS
from jaxloss.tasks.fast import FastSettings, make_fast

TASK = make_fast(FastSettings(size=40))
BRANCH = "classification"
BATCH = 10


def forwarding(change):
    """A task whose forward gives what `change` makes of (inputs, variables)."""
    return dataclasses.replace(TASK, forward=lambda *arguments: change(*TASK.forward(*arguments)))


def with_inputs(change):
    return forwarding(lambda inputs, variables: ({BRANCH: change(inputs[BRANCH])}, variables))


def with_arrays(change):
    return with_inputs(lambda inputs: dataclasses.replace(inputs, arrays=change(dict(inputs.arrays))))


def with_scores(change):
    return dataclasses.replace(TASK, scores=lambda variables, examples: change(TASK.scores(variables, examples)["accuracy"]))


def with_data(**splits):
    return dataclasses.replace(TASK, data={**TASK.data, **splits})


def with_problem(**changes):
    def rejection_problem(*arguments):
        problem = TASK.problems[PREDICTIONS](*arguments)[BRANCH]
        return {BRANCH: dataclasses.replace(problem, **{name: change(problem) for name, change in changes.items()})}

    return dataclasses.replace(TASK, problems={PREDICTIONS: rejection_problem})


def with_auxiliary(name, function):
    task = forwarding(lambda inputs, variables: ({**inputs, "extra": inputs[BRANCH]}, variables))
    return dataclasses.replace(task, auxiliary_losses={name: function})
