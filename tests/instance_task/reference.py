"""Masks of regions and masks in images, written down in NumPy, one cell and one pixel at a time."""

import math

import numpy as np


def region_mask(mask, box, size, ratio):
    """RoIAlign of a whole image's mask bool `[H, W]`, from one half on, bool `[size, size]`: 0 beyond the border of the image."""
    found = np.zeros((size, size))
    for i in range(size):
        for j in range(size):
            for a in range(ratio):
                for b in range(ratio):
                    y = box[1] + (box[3] - box[1]) * (i + (a + 0.5) / ratio) / size - 0.5
                    x = box[0] + (box[2] - box[0]) * (j + (b + 0.5) / ratio) / size - 0.5
                    found[i, j] += bilinear(mask, y, x) / ratio**2
    return found >= 0.5


def bilinear(values, y, x):
    """Between the middles of cells, with nothing around them."""
    total = 0.0
    for row in (math.floor(y), math.floor(y) + 1):
        for column in (math.floor(x), math.floor(x) + 1):
            if 0 <= row < values.shape[0] and 0 <= column < values.shape[1]:
                total += values[row, column] * (1 - abs(y - row)) * (1 - abs(x - column))
    return total


def pasted(mask, box, size):
    """The mask of a box `[m, m]` in an image, bool `[H, W]`."""
    found = np.zeros(size, bool)
    for row in range(size[0]):
        for column in range(size[1]):
            y = (row + 0.5 - box[1]) / (box[3] - box[1]) * len(mask) - 0.5
            x = (column + 0.5 - box[0]) / (box[2] - box[0]) * len(mask) - 0.5
            found[row, column] = bilinear(mask, y, x) >= 0.5
    return found


def binary_cross_entropy(logits, inside, positive):
    """The mean over the cells of positive regions, and its gradient; logits `[R, m, m]`."""
    probability = 1 / (1 + np.exp(-logits))
    values = -np.where(inside, np.log(probability), np.log(1 - probability))
    counted = np.broadcast_to(positive[:, None, None], logits.shape)
    return values[counted].mean(), np.where(counted, probability - inside, 0) / counted.sum()


def dice(logits, inside, positive):
    """One minus the Dice coefficient of each positive region, smoothed by 1, on average."""
    probability = 1 / (1 + np.exp(-logits))
    both, squares = (probability * inside).sum((1, 2)), (probability**2).sum((1, 2)) + inside.sum((1, 2))
    return (1 - (2 * both + 1) / (squares + 1))[positive].mean()
