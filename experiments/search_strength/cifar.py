"""Makes the data of the shortened CIFAR-10 task: four pixels of 32 x 32 averaged into one.

    python -m experiments.search_strength.cifar --source=DIR/cifar10_subset.npz --out=DIR/cifar10_16x16.npz

The same images and labels otherwise; a training takes a quarter of the time.
"""

import argparse
import pathlib

import numpy as np


def halved(images: np.ndarray) -> np.ndarray:
    """uint8 `[N, H, W, C]` to uint8 `[N, H / 2, W / 2, C]`, the means of 2 x 2 pixels."""
    count, height, width, channels = images.shape
    means = images.reshape(count, height // 2, 2, width // 2, 2, channels).mean(axis=(2, 4), dtype=np.float32)
    return means.round().astype(np.uint8)


def main() -> None:
    """Writes the file again, its images at half their size."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--source", required=True, type=pathlib.Path, help="CIFAR-10, with the keys of a source npz:")
    parser.add_argument("--out", required=True, type=pathlib.Path)
    options = parser.parse_args()
    with np.load(options.source) as file:
        arrays = dict(file)
    np.savez_compressed(options.out, **{key: halved(x) if key.endswith("_images") else x for key, x in arrays.items()})


if __name__ == "__main__":
    main()
