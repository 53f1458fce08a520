"""The metrics in NumPy and SciPy, class by class from their definitions, and label maps to try them on."""

import numpy as np
from scipy import ndimage

VOID = 255


def inner_edges(mask, counted=None):
    """Positions of a class with a neighbour outside it, by erosion; beyond the border everything is inside."""
    inside = mask if counted is None else mask | ~counted
    return mask & ~ndimage.binary_erosion(inside, np.ones((3, 3)), border_value=1)


def near(mask, distance):
    """Positions at most so far from a mask, by a distance transform."""
    if not mask.any():
        return np.zeros_like(mask)
    return ndimage.distance_transform_cdt(~mask, "chessboard") <= distance


def mean(values):
    values = [value for value in values if value is not None]
    return sum(values) / len(values) if values else 0.0


def ratio(part, whole):
    return part / whole if whole else None


def ious(pairs, num_classes):
    """IoU of each class over (predicted, true) vectors of valid positions, None where it does not occur."""
    found = []
    for c in range(num_classes):
        both = sum(int(((p == c) & (t == c)).sum()) for p, t in pairs)
        either = sum(int(((p == c) | (t == c)).sum()) for p, t in pairs)
        found.append(ratio(both, either))
    return found


def scores(predicted, true, num_classes, width=5, tolerance=5, void="counted"):
    """All metrics of a set of maps `[N, H, W]`."""
    classes = range(num_classes)
    valid = [one != VOID for one in true]
    pairs = [(p[v], t[v]) for p, t, v in zip(predicted, true, valid, strict=True)]
    sizes = [sum(int((t == c).sum()) for _, t in pairs) for c in classes]
    accuracies = [ratio(sum(int((p[t == c] == c).sum()) for p, t in pairs), sizes[c]) for c in classes]
    right, total = sum(int((p == t).sum()) for p, t in pairs), sum(sizes)
    iou = ious(pairs, num_classes)

    bands, matches = [], np.zeros((4, num_classes), int)
    for p, t, v in zip(predicted, true, valid, strict=True):
        counted = v if void == "ignored" else None
        truths = [inner_edges(t == c, counted) for c in classes]
        guesses = [inner_edges((p == c) & (v if void == "ignored" else True), counted) for c in classes]
        band = near(np.any(truths, axis=0), width) & v
        bands.append((p[band], t[band]))
        for c in classes:
            matches[:, c] += [
                truths[c].sum(),
                guesses[c].sum(),
                (truths[c] & near(guesses[c], tolerance)).sum(),
                (guesses[c] & near(truths[c], tolerance)).sum(),
            ]
    f1 = []
    for num_true, num_guessed, recalled, precise in matches.T.tolist():
        precision, recall = ratio(precise, num_guessed) or 0.0, ratio(recalled, num_true)
        f1.append(None if recall is None else ratio(2 * precision * recall, precision + recall) or 0.0)
    return {
        "mean_iou": mean(iou),
        "frequency_weighted_iou": sum(size / total * one for size, one in zip(sizes, iou, strict=True) if size),
        "global_accuracy": ratio(right, total) or 0.0,
        "mean_accuracy": mean(accuracies),
        "boundary_iou": mean(ious(bands, num_classes)),
        "boundary_f1": mean(f1),
    }


def blobs(seed, shape, num_classes, smoothness=2.0, void=0.0):
    """Label maps `[N, H, W]` of smooth regions, with patches of void."""
    random = np.random.default_rng(seed)

    def field():
        return ndimage.gaussian_filter(random.normal(size=shape), (0, smoothness, smoothness))

    labels = np.stack([field() for _ in range(num_classes)], -1).argmax(-1)
    if void:
        noise = field()
        labels = np.where(noise > np.quantile(noise, 1 - void), VOID, labels)
    return labels


def cases(num_classes=4, shape=(3, 17, 23)):
    """Name -> (predicted, true), maps `[N, H, W]` of one shape."""
    true, predicted = blobs(0, shape, num_classes, void=0.15), blobs(1, shape, num_classes)
    near_true = np.where(np.random.default_rng(2).random(shape) < 0.9, np.where(true == VOID, 0, true), predicted)
    points = np.zeros(shape, int)
    points[0, 0, 0], points[1, 8, 9], points[2, -1, 4], points[2, 3, 3] = 1, 2, 3, VOID
    moved = np.roll(points, 1, axis=2) % num_classes
    flat = np.full(shape, 2)
    void = np.full(shape, VOID)
    return {
        "blobs": (predicted, true),
        "mostly right": (near_true, true),
        "perfect": (np.where(true == VOID, 1, true), true),
        "predicted class that is never true": (predicted, np.where(true == 3, 1, true)),
        "true class that is never predicted": (np.where(predicted == 3, 1, predicted), true),
        "class that is nowhere": (np.where(predicted == 3, 1, predicted), np.where(true == 3, 1, true)),
        "objects of one pixel": (moved, points),
        "no boundary in truth": (predicted, flat),
        "no boundary predicted": (flat, true),
        "no boundary at all": (flat, flat),
        "one image void": (predicted, np.where(np.arange(3)[:, None, None] == 1, void, true)),
    }
