"""A task with two branches and a metric of the host: a class and a position, scored by scikit-learn. From the repository's root:

    python -m jaxloss.launch --config=configs/quickstart.py --config.task.name=examples.own_branches:make_task \\
        --config.space.autoloss_zero.branches="('kind', 'place')" --config.space.autoloss_zero.branch_weights="(1.0, 1.0)" \\
        --config.comparison.handcrafted="()" --config.filters.rejection.minimum_gain=0.2 --config.search.num_trainings=60 \\
        --workdir=runs/own_branches

Points lie in three clouds; the network tells which one, and where in it the point lies. Each branch gets a loss of its own.
"""

import jax
import jax.numpy as jnp
import numpy as np
from sklearn.metrics import f1_score, r2_score

from jaxloss import HostMetrics, LossInputs, RejectionProblem, Task

NUM_KINDS = 3


def inputs_of(prediction, target):  # both [N, 1, 1, C]
    return LossInputs.create({"prediction": prediction, "target": target})


def kind_metric(prediction, target):
    return jnp.mean((jnp.argmax(prediction, -1) == jnp.argmax(target, -1)).astype(jnp.float32))


def place_metric(prediction, target):
    return jnp.exp(-jnp.mean(jnp.abs(prediction - target)))


def init(key):
    kind_key, place_key = jax.random.split(key)
    kernels = {"kind": jax.random.normal(kind_key, (2, NUM_KINDS)), "place": jax.random.normal(place_key, (2, 1))}
    return {"params": {"kernels": kernels, "bias": jnp.zeros(NUM_KINDS)}}


def predict(variables, batch):
    kernels = variables["params"]["kernels"]
    kind = jax.nn.softmax(batch["point"] @ kernels["kind"] + variables["params"]["bias"][None])
    return {"kind": kind[:, None, None], "place": jax.nn.sigmoid(batch["point"] @ kernels["place"])[:, None, None]}


def targets(batch):
    return {"kind": jax.nn.one_hot(batch["kind"], NUM_KINDS)[:, None, None], "place": batch["place"][:, None, None, None]}


def forward(variables, batch, key):
    del key
    predictions, wanted = predict(variables, batch), targets(batch)
    return {name: inputs_of(predictions[name], wanted[name]) for name in predictions}, variables


def rejection_problem(variables, examples, key, num_samples):
    del key
    chosen = jax.tree.map(lambda leaf: leaf[:num_samples], examples)
    wanted = targets(chosen)
    # Both begin where there is room for a gain.
    start = {"kind": jnp.roll(wanted["kind"], 1, axis=-1) * 0.4 + 0.2, "place": 1 - wanted["place"]}
    metrics = {"kind": kind_metric, "place": place_metric}
    return {name: RejectionProblem(start[name], wanted[name], inputs_of, metrics[name]) for name in wanted}


def collect(state, predictions, examples):
    """Adds the predictions of a few examples, NumPy arrays."""
    state.append((predictions["kind"][:, 0, 0].argmax(-1), examples["kind"], predictions["place"][:, 0, 0, 0], examples["place"]))
    return state


def compute(state):
    found, kind, position, place = (np.concatenate(column) for column in zip(*state, strict=True))
    f1, r2 = f1_score(kind, found, average="macro"), r2_score(place, position)
    return {"both": float((f1 + max(r2, 0.0)) / 2), "macro_f1": float(f1), "r2": float(r2)}


def make_task(size: int = 60, division: int = 0) -> Task:
    random = np.random.default_rng(division)

    def draw():
        kind, place = random.integers(NUM_KINDS, size=size), random.uniform(size=size)
        angle = 2 * np.pi * (kind + place / 2) / NUM_KINDS
        point = np.stack([np.cos(angle), np.sin(angle)], axis=1) + 0.1 * random.normal(size=(size, 2))
        arrays = {"point": point.astype(np.float32), "kind": kind.astype(np.int32), "place": place.astype(np.float32)}
        return {name: jnp.asarray(array) for name, array in arrays.items()}

    return Task(
        name="kind and place",
        metric="both",
        also_shown=("macro_f1", "r2"),
        offers={"kind": ("prediction", "target"), "place": ("prediction", "target")},
        init=init,
        forward=forward,
        host_metrics=HostMetrics(("both", "macro_f1", "r2"), predict, list, collect, compute),
        problems={"predictions": rejection_problem},
        data={name: draw() for name in ("train", "search_eval", "test")},
        with_division=lambda number: make_task(size, number),
    )
