"""Makes the data of the shortened CIFAR-10 task: four pixels of 32 x 32 averaged into one, and no test set apart.

    python -m experiments.search_strength.cifar --source=DIR/cifar10_subset.npz --out=DIR/cifar10_16x16.npz

A training takes a quarter of the time. The test images join the others, and the task holds a third of all out for its test: where
losses differ by 0.01, 2,000 images are few.
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
    """Writes the file again, its images at half their size, all in one split."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--source", required=True, type=pathlib.Path, help="CIFAR-10, with the keys of a source npz:")
    parser.add_argument("--out", required=True, type=pathlib.Path)
    options = parser.parse_args()
    with np.load(options.source) as file:
        images, labels = (np.concatenate([file[f"{part}_{kind}"] for part in ("train", "test")]) for kind in ("images", "labels"))
        names = file["class_names"]
    np.savez_compressed(options.out, train_images=halved(images), train_labels=labels, class_names=names)


if __name__ == "__main__":
    main()
