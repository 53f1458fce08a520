"""The space of each branch, its losses by name, and inputs for them."""

import functools

import numpy as np

import jaxloss
from jaxloss.systems.cse_autoloss.published import CSE_AUTOLOSS_FORMULAS, known_losses

BRANCHES = ("classification", "regression")


@functools.cache
def space_of(branch, **settings):
    return jaxloss.make_space("cse_autoloss", branches=(branch,), **settings)


def form_of(branch, **settings):
    return space_of(branch, **settings).branches[0].form


def named(branch):
    """Name -> formula of all published and known losses of a branch."""
    published = {name: text for name, text in CSE_AUTOLOSS_FORMULAS.items() if name.endswith(branch)}
    return {**published, **known_losses((branch,))}


def changed(text, outer):
    """The text of a function of a loss, such as `Add({}, 2)`."""
    *named_parts, last = text.split("; ")
    return "; ".join([*named_parts, outer.format(last)])


def negated(text):
    """The text of minus a loss."""
    return changed(text, "Neg({})")


def scores(seed=0, rows=40, classes=3):
    """Logits, one-hot labels with background rows of zeros, and overlaps, NumPy float64."""
    random = np.random.default_rng(seed)
    label = random.integers(-1, classes, rows)
    target = np.eye(classes + 1)[label][:, :classes]
    overlap = np.where(label >= 0, random.uniform(0.1, 1, rows), 1)
    return 3 * random.standard_normal((rows, classes)), target, overlap[:, None]


def boxes(seed=0, rows=40):
    """Predicted and true boxes `[N, 4]` by corners, some of them disjoint, some the same."""
    random = np.random.default_rng(seed)
    low, wanted = random.uniform(0, 20, (rows, 2)), random.uniform(0, 20, (rows, 2))
    box = np.concatenate([low, low + random.uniform(2, 15, (rows, 2))], axis=1)
    other = np.concatenate([wanted, wanted + random.uniform(2, 15, (rows, 2))], axis=1)
    other[: rows // 8] = box[: rows // 8]
    return box, other


def areas(box, other):
    """Intersection, union and enclosing area `[N, 1]`."""
    shared = np.maximum(np.minimum(box[:, 2:], other[:, 2:]) - np.maximum(box[:, :2], other[:, :2]), 0).prod(1)
    around = (np.maximum(box[:, 2:], other[:, 2:]) - np.minimum(box[:, :2], other[:, :2])).prod(1)
    whole = sum((one[:, 2:] - one[:, :2]).prod(1) for one in (box, other))
    return shared[:, None], (whole - shared)[:, None], around[:, None]
