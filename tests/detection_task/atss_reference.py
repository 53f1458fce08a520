"""An independent NumPy reference of ATSS: one box, one candidate, one location at a time, in float64."""

import math

from tests.detection_task.reference import measures


def assign(image_size, strides, boxes, labels, crowd, num_nearest=9, anchor_size=8.0, content=None):
    """For every location (label, number of its box or -1, counted), level by level, row by row."""
    points = []
    for level, stride in enumerate(strides):
        for row in range(math.ceil(image_size[0] / stride)):
            for column in range(math.ceil(image_size[1] / stride)):
                points.append((level, stride, (column + 0.5) * stride, (row + 0.5) * stride))
    # A cell that shows a pixel of the image is none.
    padding = [
        content is not None
        and not (x + s / 2 > content[0] and x - s / 2 < content[2] and y + s / 2 > content[1] and y - s / 2 < content[3])
        for _, s, x, y in points
    ]
    best = [(-1.0, -1)] * len(points)
    for number, (box, is_crowd) in enumerate(zip(boxes, crowd, strict=True)):
        if is_crowd:
            continue
        centre = ((box[0] + box[2]) / 2, (box[1] + box[3]) / 2)
        candidates = []
        for level in range(len(strides)):
            own = [place for place, point in enumerate(points) if point[0] == level and not padding[place]]
            own.sort(key=lambda place: (points[place][2] - centre[0]) ** 2 + (points[place][3] - centre[1]) ** 2)
            candidates += own[:num_nearest]
        overlaps = []
        for place in candidates:
            _, stride, x, y = points[place]
            half = anchor_size * stride / 2
            overlaps.append(measures((x - half, y - half, x + half, y + half), box)["iou"])
        if not overlaps:
            continue
        mean = sum(overlaps) / len(overlaps)
        deviation = math.sqrt(sum((one - mean) ** 2 for one in overlaps) / max(len(overlaps) - 1, 1))
        for place, iou in zip(candidates, overlaps, strict=True):
            if iou >= mean + deviation - 1e-6 and _in(box, *points[place][2:]) and iou > best[place][0]:
                best[place] = (iou, number)
    found = []
    for place, (_, number) in enumerate(best):
        in_crowd = any(is_crowd and _in(box, *points[place][2:]) for box, is_crowd in zip(boxes, crowd, strict=True))
        left_out = padding[place] or in_crowd
        found.append((labels[number], number, True) if number >= 0 else (-1, -1, not left_out))
    return found


def _in(box, x, y):
    return box[0] < x < box[2] and box[1] < y < box[3]
