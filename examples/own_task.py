"""A task of your own: a line through noisy points. From the repository's root:

    python -m jaxloss.launch --config=configs/autoloss_zero_digits.py --config.task.name=examples.own_task:make_task \\
        --config.space.autoloss_zero.branches=regression --config.comparison.handcrafted="()" \\
        --config.filters.rejection.minimum_gain=0.2 --config.search.num_trainings=40 --workdir=runs/own_task
"""

import jax
import jax.numpy as jnp
import numpy as np

from jaxloss import LossInputs, RejectionProblem, Task


def loss_inputs(prediction, target):  # both [N, 1, 1, 1]
    return LossInputs.create({"prediction": prediction, "target": target})


def closeness(prediction, target):
    """What the search maximises, in [0, 1]."""
    return jnp.exp(-jnp.mean(jnp.abs(prediction - target)))


def make_task(size: int = 64, division: int = 0) -> Task:
    random = np.random.default_rng(division)

    def draw():
        x = random.uniform(-1, 1, (size, 1, 1, 1))
        y = 1.5 * x + 1 + 0.1 * random.normal(size=x.shape)
        return {"x": jnp.asarray(x, jnp.float32), "y": jnp.asarray(y, jnp.float32)}

    def predict(variables, batch):
        return variables["params"]["slope"] * batch["x"] + variables["params"]["offset"]

    def rejection_problem(variables, examples, key, num_samples):
        chosen = jax.tree.map(lambda leaf: leaf[:num_samples], examples)
        problem = RejectionProblem(predict(variables, chosen), chosen["y"], loss_inputs, closeness)
        return {"regression": problem}

    return Task(
        name="a line",
        metric="closeness",
        offers={"regression": ("prediction", "target")},
        init=lambda key: {"params": {"slope": jax.random.normal(key), "offset": jnp.zeros(())}},
        forward=lambda variables, batch, key: ({"regression": loss_inputs(predict(variables, batch), batch["y"])}, variables),
        scores=lambda variables, examples: {"closeness": closeness(predict(variables, examples), examples["y"])},
        problems={"predictions": rejection_problem},
        data={name: draw() for name in ("train", "search_eval", "test")},
        with_division=lambda division: make_task(size, division),
    )
