"""Independent NumPy references: one box, one location, one detection at a time."""

import math

import numpy as np


def area(box):
    return max(box[2] - box[0], 0) * max(box[3] - box[1], 0)


def measures(box, other):
    """Everything that losses are made of, for two boxes, by the papers' formulas."""
    inner = (max(box[0], other[0]), max(box[1], other[1]), min(box[2], other[2]), min(box[3], other[3]))
    outer = (min(box[0], other[0]), min(box[1], other[1]), max(box[2], other[2]), max(box[3], other[3]))
    i, e = area(inner), area(outer)
    u = area(box) + area(other) - i
    iou = i / u if u > 1e-9 else 0.0
    giou = iou - ((e - u) / e if e > 1e-9 else 0.0)
    centres = [((one[0] + one[2]) / 2, (one[1] + one[3]) / 2) for one in (box, other)]
    diagonal = (outer[2] - outer[0]) ** 2 + (outer[3] - outer[1]) ** 2
    apart = sum((a - b) ** 2 for a, b in zip(*centres, strict=True))
    distance = apart / diagonal if diagonal > 1e-9 else 0.0
    angles = []
    for one in (box, other):
        width, height = max(one[2] - one[0], 0), max(one[3] - one[1], 0)
        angles.append(math.atan2(width, height) if width + height > 1e-9 else math.pi / 4)
    v = 4 / math.pi**2 * (angles[1] - angles[0]) ** 2
    alpha = v / (1 - iou + v) if 1 - iou + v > 1e-9 else 0.0
    return {"i": i, "u": u, "e": e, "iou": iou, "giou": giou, "distance": distance, "v": v, "alpha": alpha}


def bounded(box, target):
    """Bounded IoU's `1 - IoU` for centre x, centre y, width and height (Tychsen-Smith and Petersson, Eq. 13, 14)."""
    errors = []
    for axis in (0, 1):
        side = max(target[axis + 2] - target[axis], 0)
        apart = abs((box[axis] + box[axis + 2]) / 2 - (target[axis] + target[axis + 2]) / 2)
        whole = side + 2 * apart
        errors.append(1 - max((side - 2 * apart) / whole if whole > 1e-9 else 0.0, 0))
    for axis in (0, 1):
        sides = [max(one[axis + 2] - one[axis], 0) for one in (box, target)]
        errors.append(1 - (min(sides) / max(sides) if min(sides) > 1e-9 else 0.0))
    return errors


def numeric_gradient(function, box, step=1e-6):
    gradient = np.zeros(4)
    for side in range(4):
        moved = [np.array(box, float) for _ in range(2)]
        moved[0][side] += step
        moved[1][side] -= step
        gradient[side] = (function(moved[0]) - function(moved[1])) / (2 * step)
    return gradient


def suppress(boxes, scores, minimum_score, maximum_iou, most):
    """Greedy suppression of each class by itself: a list of (score, label, box), the surest first."""
    kept = []
    for label in range(scores.shape[1]):
        order = np.argsort(-scores[:, label], kind="stable")
        own = []
        for place in order:
            if scores[place, label] <= minimum_score:
                continue
            if all(measures(boxes[place], boxes[other])["iou"] <= maximum_iou for other in own):
                own.append(place)
        kept += [(scores[place, label], label, boxes[place]) for place in own]
    return sorted(kept, key=lambda one: -one[0])[:most]


def assign(image_size, strides, limits, radius, boxes, labels, crowd):
    """FCOS: for every location (label, box or None, counted), level by level, row by row."""
    found = []
    for level, stride in enumerate(strides):
        low, high = limits[level]
        for row in range(math.ceil(image_size[0] / stride)):
            for column in range(math.ceil(image_size[1] / stride)):
                x, y = (column + 0.5) * stride, (row + 0.5) * stride
                best, in_crowd = None, False
                for number, (box, is_crowd) in enumerate(zip(boxes, crowd, strict=True)):
                    sides = (x - box[0], y - box[1], box[2] - x, box[3] - y)
                    if min(sides) <= 0:
                        continue
                    if is_crowd:
                        in_crowd = True
                        continue
                    centre = ((box[0] + box[2]) / 2, (box[1] + box[3]) / 2)
                    if radius and max(abs(x - centre[0]), abs(y - centre[1])) >= radius * stride:
                        continue
                    if not low <= max(sides) <= high:
                        continue
                    if best is None or area(box) < area(boxes[best]):
                        best = number
                if best is None:
                    found.append((-1, -1, not in_crowd))
                else:
                    found.append((labels[best], best, True))
    return found
