"""A small task of boxes: a linear network moves a few anchors to the objects that they cover, and says what these are."""

import jax
import jax.numpy as jnp
import numpy as np

from jaxloss import LossInputs, RejectionProblem, Task
from jaxloss.core.boxes import overlap

CLASSES, ANCHORS, SIDE = 2, 4, 16.0
OFFERS = {
    "classification": ("logits", "target", "overlap"),
    "regression": ("intersection", "union", "enclosing", "distances", "target_distances"),
}


def true_boxes(examples):
    return examples["anchor"] + SIDE * examples["offset"]


def area_inputs(offset, examples):
    """Of offsets `[N, A, 4]` of the corners, in units of `SIDE`; background has no box."""
    boxes, wanted = examples["anchor"] + SIDE * offset, true_boxes(examples)
    areas = {name: one[..., None, None] for name, one in zip(OFFERS["regression"], overlap(boxes, wanted), strict=False)}
    middle = (examples["anchor"][..., :2] + examples["anchor"][..., 2:]) / 2
    distances = {
        name: jnp.concatenate([middle - one[..., :2], one[..., 2:] - middle], axis=-1)[:, :, None] / SIDE
        for name, one in (("distances", boxes), ("target_distances", wanted))
    }
    return LossInputs.create({**areas, **distances}, (examples["label"] >= 0)[..., None, None])


def class_inputs(logits, offset, examples):
    """Sigmoid scores `[N, A, C]`; the overlap of background is 1."""
    iou = overlap(examples["anchor"] + SIDE * offset, true_boxes(examples)).iou
    known = jnp.where(examples["label"] >= 0, jax.lax.stop_gradient(iou), 1)
    target = jax.nn.one_hot(examples["label"], CLASSES)
    return LossInputs.create({"logits": logits[:, :, None], "target": target[:, :, None], "overlap": known[..., None, None]})


def mean_overlap(offset, examples):
    iou, positive = overlap(examples["anchor"] + SIDE * offset, true_boxes(examples)).iou, examples["label"] >= 0
    return jnp.sum(jnp.where(positive, iou, 0)) / jnp.maximum(jnp.sum(positive), 1)


def average_precision(logits, examples):
    """Of one image `[A, C]`: the mean precision at the scores that are right, best first; the boxes are as they are."""
    right = jax.nn.one_hot(examples["label"], CLASSES).reshape(-1)
    right = right[jnp.argsort(-logits.reshape(-1))]
    precision = jnp.cumsum(right) / (1 + jnp.arange(right.size))
    return jnp.sum(precision * right) / jnp.maximum(jnp.sum(right), 1)


def outputs(variables, examples):
    found = examples["feature"] @ variables["params"]["kernel"] + variables["params"]["bias"][None, None]
    return found[..., :CLASSES], found[..., CLASSES:]


def forward(variables, batch, key):
    del key
    logits, offset = outputs(variables, batch)
    return {"classification": class_inputs(logits, offset, batch), "regression": area_inputs(offset, batch)}, variables


def scores(variables, examples):
    logits, offset = outputs(variables, examples)
    precision = jnp.mean(jax.vmap(average_precision)(logits, examples))
    iou = mean_overlap(offset, examples)
    return {"both": (precision + iou) / 2, "precision": precision, "iou": iou}


def problems(variables, examples, key, num_samples):
    """Outputs that are far from right: a network that has not been trained is too good to start from here."""
    del variables
    chosen = jax.tree.map(lambda leaf: leaf[:num_samples], examples)
    start = 0.7 * jax.random.normal(key, (num_samples, ANCHORS, 1, 4))
    right = jax.nn.one_hot(chosen["label"], CLASSES)[:, :, None]
    logits = 0.5 - right + 0.1 * jax.random.normal(key, right.shape)
    return {
        "classification": RejectionProblem(
            logits,
            chosen,
            lambda value, context: class_inputs(value[:, :, 0], context["offset"], context),
            lambda value, context: average_precision(value[0, :, 0], jax.tree.map(lambda leaf: leaf[0], context)),
        ),
        "regression": RejectionProblem(
            start,
            chosen,
            lambda value, context: area_inputs(value[:, :, 0], context),
            lambda value, context: mean_overlap(value[:, :, 0], context),
        ),
    }


def problem_of(branch, num_samples=4):
    """That of a branch, on the task itself."""
    task = make_task()
    return problems(None, task.data["train"], jax.random.key(0), num_samples)[branch]


def make_task(size: int = 24, division: int = 0) -> Task:
    random = np.random.default_rng(division)

    def draw():
        corner = random.uniform(0, 64, (size, ANCHORS, 2))
        anchor = np.concatenate([corner, corner + SIDE], axis=-1)
        offset = random.uniform(-0.4, 0.4, (size, ANCHORS, 4))
        label = random.integers(-1, CLASSES, (size, ANCHORS))
        label[:, 0] = random.integers(CLASSES, size=size)
        seen = [offset * 2, np.eye(CLASSES + 1)[label][..., :CLASSES]]
        feature = np.concatenate(seen, axis=-1) + 0.3 * random.standard_normal((size, ANCHORS, 4 + CLASSES))
        arrays = {"anchor": anchor, "offset": offset, "feature": feature}
        return {**{name: array.astype(np.float32) for name, array in arrays.items()}, "label": label.astype(np.int32)}

    def init(key):
        kernel = 0.01 * jax.random.normal(key, (4 + CLASSES, CLASSES + 4))
        return {"params": {"kernel": kernel, "bias": jnp.zeros(CLASSES + 4)}}

    return Task(
        name="boxes",
        metric="both",
        also_shown=("precision", "iou"),
        offers=OFFERS,
        init=init,
        forward=forward,
        scores=scores,
        problems={"predictions": problems},
        data={name: draw() for name in ("train", "search_eval", "test")},
        with_division=lambda number: make_task(size, number),
    )
