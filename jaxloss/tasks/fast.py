"""A task that trains in milliseconds: points in the plane, a linear network, three classes. For tests and examples."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np

from jaxloss.core.output_samples import OutputSamples
from jaxloss.core.problem import PREDICTIONS, RejectionProblem
from jaxloss.core.settings import Settings, setting
from jaxloss.core.types import Array, LossInputs, PyTree
from jaxloss.tasks.base import SEARCH_EVAL, TEST, TRAIN, Task
from jaxloss.tasks.class_logits import class_logits
from jaxloss.tasks.context import NO_RUN, TaskContext

NUM_CLASSES = 3


@dataclasses.dataclass(frozen=True)
class FastSettings(Settings, section="task.fast"):
    """Three clouds of points in the plane, to be told apart in milliseconds: for tests and examples."""

    branches: tuple[str, ...] = setting(
        ("classification",), "Every branch gets the same prediction and target; of several, the losses are added"
    )
    size: int = setting(60, "Points per split", low=0, high=10**6)
    noise: float = setting(0.3, "Fraction of the training labels that are drawn at random", low=0.0, high=1.0)


def make_fast(settings: FastSettings | None = None, context: TaskContext = NO_RUN) -> Task:
    """Three clouds of points, to be told apart; nothing of the rest of the run is looked at."""
    del context
    settings = settings or FastSettings()
    branches, size, noise = settings.branches, settings.size, settings.noise

    def init(key: Array) -> PyTree:
        return {"params": {"kernel": 0.1 * jax.random.normal(key, (2, NUM_CLASSES)), "bias": jnp.zeros((1, NUM_CLASSES))}}

    def logits_of(variables: PyTree, points: Array) -> Array:
        return points @ variables["params"]["kernel"] + variables["params"]["bias"]

    def forward(variables: PyTree, batch: PyTree, key: Array) -> tuple[dict[str, LossInputs], PyTree]:
        del key
        return inputs_of(logits_of(variables, batch["point"]), batch["label"]), variables

    def inputs_of(logits: Array, labels: Array) -> dict[str, LossInputs]:
        logits = logits[:, None, None, :]
        target = jax.nn.one_hot(labels, NUM_CLASSES)[:, None, None, :]
        inputs = LossInputs.create({"prediction": jax.nn.softmax(logits), "target": target, "logits": logits})
        return dict.fromkeys(branches, inputs)

    def scores(variables: PyTree, examples: PyTree) -> dict[str, Array]:
        predicted = jnp.argmax(logits_of(variables, examples["point"]), axis=-1)
        return {"accuracy": jnp.mean((predicted == examples["label"]).astype(jnp.float32))}

    def rejection_problem(variables: PyTree, examples: PyTree, key: Array, num_samples: int) -> dict[str, RejectionProblem]:
        del key
        # Samples that the untrained network gets wrong, so that there is room for a gain.
        logits = logits_of(variables, examples["point"])
        wrong = jnp.argsort(jnp.argmax(logits, -1) == examples["label"], stable=True)[:num_samples]
        problem = RejectionProblem(
            start=jax.nn.softmax(logits[wrong])[:, None, None, :],
            context=jax.nn.one_hot(examples["label"][wrong], NUM_CLASSES)[:, None, None, :],
            inputs=lambda value, target: LossInputs.create({"prediction": value, "target": target}),
            metric=lambda value, target: jnp.mean(
                (jnp.argmax(value, axis=-1) == jnp.argmax(target, axis=-1)).astype(jnp.float32)
            ),
        )
        return dict.fromkeys(branches, problem)

    def build(seed: int) -> Task:
        generator = np.random.default_rng(seed)
        data = {}
        for name in (TRAIN, SEARCH_EVAL, TEST):
            label = generator.integers(NUM_CLASSES, size=size)
            angle = 2 * np.pi * label / NUM_CLASSES
            point = np.stack([np.cos(angle), np.sin(angle)], axis=1) + 0.5 * generator.standard_normal((size, 2))
            if name == TRAIN:
                drawn = generator.random(size) < noise
                label = np.where(drawn, generator.integers(NUM_CLASSES, size=size), label)
            data[name] = {"point": jnp.asarray(point, jnp.float32), "label": jnp.asarray(label, jnp.int32)}
        return Task(
            name="fast",
            metric="accuracy",
            offers=dict.fromkeys(branches, ("prediction", "target", "logits")),
            init=init,
            forward=forward,
            scores=scores,
            problems={PREDICTIONS: rejection_problem},
            data=data,
            with_division=build,
            output_samples=lambda: OutputSamples(*class_logits(NUM_CLASSES), inputs_of),
            ranges={branch: {"prediction": (0.0, 1.0), "target": (0.0, 1.0)} for branch in branches},
            details={"num_train": size, "num_search_eval": size, "num_test": size},
        )

    return build(0)
