"""The rules of a detector of two stages, written down in NumPy, one box at a time."""

import math

import numpy as np


def roi_align(pyramid, strides, boxes, valid, size, ratio, cells):
    """`[R, size, size, C]` of one image: maps `[h, w, C]`, boxes `[R, 4]`, valid `[R]`."""
    found = np.zeros((len(boxes), size, size, pyramid[0].shape[-1]))
    for row, box in enumerate(boxes):
        if not valid[row]:
            continue
        sides = np.maximum(box[2:] - box[:2], 0)
        wanted = math.floor(math.log2(max(math.sqrt(sides[0] * sides[1]), 1e-3) / (cells * strides[0])) + 1e-5)
        level = min(max(wanted, 0), len(strides) - 1)
        maps, stride = pyramid[level], strides[level]
        for i in range(size):
            for j in range(size):
                total = np.zeros(maps.shape[-1])
                for a in range(ratio):
                    for b in range(ratio):
                        y = box[1] + (box[3] - box[1]) * (i + (a + 0.5) / ratio) / size
                        x = box[0] + (box[2] - box[0]) * (j + (b + 0.5) / ratio) / size
                        total += _bilinear(maps, y / stride - 0.5, x / stride - 0.5)
                found[row, i, j] = total / ratio**2
    return found


def _bilinear(maps, y, x):
    height, width = maps.shape[:2]
    if y < -1 or y > height or x < -1 or x > width:
        return np.zeros(maps.shape[-1])
    y, x = min(max(y, 0), height - 1), min(max(x, 0), width - 1)
    top, left = int(y), int(x)
    bottom, right = min(top + 1, height - 1), min(left + 1, width - 1)
    down, across = y - top, x - left
    upper = maps[top, left] * (1 - across) + maps[top, right] * across
    lower = maps[bottom, left] * (1 - across) + maps[bottom, right] * across
    return upper * (1 - down) + lower * down


def anchors(image_size, strides, scales, ratios):
    """All anchors, `[A, 4]`."""
    found = []
    for stride in strides:
        for row in range(math.ceil(image_size[0] / stride)):
            for column in range(math.ceil(image_size[1] / stride)):
                x, y = (column + 0.5) * stride, (row + 0.5) * stride
                for scale in scales:
                    for ratio in ratios:
                        width = scale * stride / math.sqrt(ratio)
                        height = width * ratio
                        found.append((x - width / 2, y - height / 2, x + width / 2, y + height / 2))
    return np.array(found)


def areas(one, other):
    """Intersection, union and enclosing area of two boxes."""
    width = max(min(one[2], other[2]) - max(one[0], other[0]), 0)
    height = max(min(one[3], other[3]) - max(one[1], other[1]), 0)
    sizes = [max(box[2] - box[0], 0) * max(box[3] - box[1], 0) for box in (one, other)]
    around = (max(one[2], other[2]) - min(one[0], other[0])) * (max(one[3], other[3]) - min(one[1], other[1]))
    return width * height, sum(sizes) - width * height, around


def iou(one, other):
    """0 where there is no area."""
    inner, union, _ = areas(one, other)
    return inner / union if union > 0 else 0.0


def matches(regions, region_valid, boxes, valid, crowd, positive_iou, negative_iou, best_iou):
    """Index of the box or -1, and whether background, for every region of one image."""
    there = [k for k in range(len(boxes)) if valid[k] and not crowd[k]]
    table = {(a, k): iou(regions[a], boxes[k]) for a in range(len(regions)) for k in there if region_valid[a]}
    index, negative = [], []
    for a in range(len(regions)):
        own = {k: table[a, k] for k in there} if region_valid[a] else {}
        best_of = []
        for k in own:
            highest = max(value for (_, other), value in table.items() if other == k)
            if own[k] == highest and highest > 0 and highest >= best_iou:
                best_of.append(k)
        highest = max(own.values(), default=-1)
        if best_of:
            index.append(max(best_of, key=lambda k: (own[k], -k)))
        elif highest >= positive_iou and highest > 0:
            index.append(max(own, key=lambda k: (own[k], -k)))
        else:
            index.append(-1)
        size = areas(regions[a], regions[a])[0]
        in_crowd = any(
            valid[k] and crowd[k] and size > 0 and areas(regions[a], boxes[k])[0] / size > 0.5 for k in range(len(boxes))
        )
        negative.append(bool(region_valid[a]) and index[-1] < 0 and highest < negative_iou and not in_crowd)
    return np.array(index), np.array(negative)


def encode(region, box, means, deviations):
    """Deltas from a region to a box, both of some area."""
    width, height = region[2] - region[0], region[3] - region[1]
    raw = [
        ((box[0] + box[2]) / 2 - (region[0] + region[2]) / 2) / width,
        ((box[1] + box[3]) / 2 - (region[1] + region[3]) / 2) / height,
        math.log((box[2] - box[0]) / width),
        math.log((box[3] - box[1]) / height),
    ]
    return np.array([(value - mean) / deviation for value, mean, deviation in zip(raw, means, deviations, strict=True)])


def decode(region, deltas, means, deviations):
    """The box that deltas lead to."""
    raw = [value * deviation + mean for value, mean, deviation in zip(deltas, means, deviations, strict=True)]
    width, height = region[2] - region[0], region[3] - region[1]
    x, y = (region[0] + region[2]) / 2 + raw[0] * width, (region[1] + region[3]) / 2 + raw[1] * height
    width, height = width * math.exp(min(raw[2], math.log(62.5))), height * math.exp(min(raw[3], math.log(62.5)))
    return np.array([x - width / 2, y - height / 2, x + width / 2, y + height / 2])


def proposals(anchor_boxes, levels, scores, deltas, image_size, candidates, maximum_iou, most):
    """Boxes that are proposed for one image, the surest first; deltas of deviation 1."""
    height, width = image_size
    found = []
    for level in sorted(set(levels)):
        own = sorted((a for a in range(len(levels)) if levels[a] == level), key=lambda a: (-scores[a], a))[:candidates]
        kept = []
        for a in own:
            if not (np.isfinite(deltas[a]).all() and np.isfinite(scores[a])):
                continue
            box = np.clip(decode(anchor_boxes[a], deltas[a], (0,) * 4, (1,) * 4), 0, [width, height, width, height])
            if (box[2:] - box[:2] > 1e-3).all() and all(iou(box, other) <= maximum_iou for _, other in kept):
                kept.append((scores[a], box))
        found += kept
    return [box for _, box in sorted(found, key=lambda pair: -pair[0])[:most]]
