"""Files that are wrong, and a few that are right beside them."""

import io
import json
import struct
import zipfile
from pathlib import Path

import numpy as np
from PIL import Image
from safetensors.numpy import save_file

from jaxloss.runs import Checkpoints

_RANDOM = np.random.default_rng(0)
# What a checkpoint has to fit.
NETWORK = {"dense": {"kernel": np.ones((3, 4), np.float32), "bias": np.zeros(4, np.float32)}}
IMAGES, LABELS = _RANDOM.integers(0, 256, (60, 8, 8, 1), dtype=np.uint8), np.arange(60) % 3


def write_all(folder: Path) -> None:
    """Writes every file that the cases name into an empty folder."""
    _labelled(folder)
    _archives(folder)
    _weights(folder)
    _folders(folder)
    _texts(folder)
    _checkpoints(folder)


def _labelled(folder: Path) -> None:
    """Archives of images and labels, of which one array is wrong."""
    real = IMAGES.astype(np.float32) / 255
    broken = real.copy()
    broken[7, 1, 1] = np.nan
    wrong = {
        "good": {},
        "pickled": {"train_images": np.array([{"an": "object"}] * 60, object)},
        "pickled_labels": {"train_labels": np.array([[]] * 59 + ["x"], object)},
        "nan": {"train_images": broken},
        "infinite": {"train_images": np.where(np.isnan(broken), np.inf, broken)},
        "integers": {"train_images": IMAGES.astype(np.int64)},
        "complex": {"train_images": real.astype(np.complex64)},
        "text_images": {"train_images": np.full((60, 8, 8), "x")},
        "flat": {"train_images": IMAGES.reshape(60, -1)},
        "five_axes": {"train_images": IMAGES[None]},
        "no_pixels": {"train_images": IMAGES[:, :0]},
        "no_images": {"train_images": IMAGES[:0], "train_labels": LABELS[:0]},
        "one_image": {"train_images": IMAGES[:1], "train_labels": LABELS[:1]},
        "short_labels": {"train_labels": LABELS[:-1]},
        "negative": {"train_labels": LABELS - 1},
        "real_labels": {"train_labels": LABELS + 0.5},
        "one_hot": {"train_labels": np.eye(3)[LABELS]},
        "text_labels": {"train_labels": LABELS.astype(str)},
        "scalar_label": {"train_labels": np.array(3)},
        "huge_labels": {"train_labels": LABELS + 10**12},
        "identifiers": {"train_labels": LABELS * 1000},
        "from_one": {"train_labels": LABELS + 1},
        "one_class": {"train_labels": LABELS * 0},
        "new_test_class": {"test_images": IMAGES, "test_labels": LABELS + 1},
        "test_size": {"test_images": IMAGES[:, :4], "test_labels": LABELS},
        "test_type": {"test_images": real, "test_labels": LABELS},
        "no_test_labels": {"test_images": IMAGES},
        "empty_test": {"test_images": IMAGES[:0], "test_labels": LABELS[:0]},
        "few_names": {"class_names": np.array(["a", "b"])},
        "equal_names": {"class_names": np.array(["a", "a", "b"])},
        "channels_first": {"train_images": np.repeat(IMAGES, 3, 3).transpose(0, 3, 1, 2)},
        "to_255": {"train_images": IMAGES.astype(np.float32)},
        "no_labels": {"train_labels": None},
    }
    for name, changed in wrong.items():
        arrays = {"train_images": IMAGES, "train_labels": LABELS, **changed}
        np.savez(folder / f"{name}.npz", **{key: array for key, array in arrays.items() if array is not None})
    np.savez(folder / "other_keys.npz", x_train=IMAGES, y_train=LABELS)
    np.savez(folder / "numbers.npz", train_inputs=real.reshape(60, -1), train_targets=np.full(60, np.nan))
    np.savez(folder / "constant.npz", train_inputs=real.reshape(60, -1), train_targets=np.ones(60))
    np.savez(folder / "words.npz", train_inputs=real.reshape(60, -1), train_targets=LABELS.astype(str))


def _archives(folder: Path) -> None:
    """Archives that are no archives, or lie about what they hold."""
    good = (folder / "good.npz").read_bytes()
    (folder / "empty.npz").write_bytes(b"")
    (folder / "text.npz").write_text("train_images, train_labels\n")
    (folder / "cut.npz").write_bytes(good[: len(good) // 2])
    (folder / "flipped.npz").write_bytes(good[:300] + bytes(byte ^ 255 for byte in good[300:400]) + good[400:])
    with zipfile.ZipFile(folder / "no_arrays.npz", "w") as archive:
        archive.writestr("train_images", "no array")
        archive.writestr("train_labels.npy", "neither")
    huge = io.BytesIO()
    np.lib.format.write_array_header_1_0(huge, {"descr": "|u1", "fortran_order": False, "shape": (100_000, 1_000, 1_000, 1)})
    with zipfile.ZipFile(folder / "lying.npz", "w") as archive:
        archive.writestr("train_images.npy", huge.getvalue() + b"few")
    # What it says of the unpacked size is in the directory at the end: 100 GB of zeros need no 100 GB to be claimed.
    with zipfile.ZipFile(folder / "bomb.npz", "w", zipfile.ZIP_DEFLATED) as archive:
        with archive.open("train_images.npy", "w", force_zip64=True) as file:
            file.write(huge.getvalue())
        archive.infolist()[0].file_size = len(huge.getvalue()) + 10**11


def _weights(folder: Path) -> None:
    """Files of weights: of another network, and with headers that lie."""
    save_file({"conv1.weight": np.zeros((8, 3, 7, 7), np.float32)}, folder / "other.safetensors")
    save_file({"layer1.0.conv1.weight": np.zeros((4, 4), np.int32)}, folder / "whole_numbers.safetensors")
    good = (folder / "other.safetensors").read_bytes()
    (folder / "cut.safetensors").write_bytes(good[:-100])
    (folder / "empty.safetensors").write_bytes(b"")
    (folder / "text.safetensors").write_text("these are no weights")
    (folder / "long_header.safetensors").write_bytes(struct.pack("<Q", 10**15) + b"{}")
    lie = json.dumps({"conv1.weight": {"dtype": "F32", "shape": [10**6, 10**5], "data_offsets": [0, 4 * 10**11]}}).encode()
    (folder / "huge_tensor.safetensors").write_bytes(struct.pack("<Q", len(lie)) + lie)
    lie = json.dumps({"conv1.weight": {"dtype": "F32", "shape": [10**6, 10**5], "data_offsets": [0, 4]}}).encode()
    (folder / "few_bytes.safetensors").write_bytes(struct.pack("<Q", len(lie)) + lie + b"1234")


def _folders(folder: Path) -> None:
    """Folders of images, a folder for each class."""
    for name in ("classes", "no_image", "sizes", "broken", "flat_folder", "one_folder", "test_has_more"):
        (folder / name).mkdir()
    for number, (image, label) in enumerate(zip(IMAGES, LABELS, strict=True)):
        picture = Image.fromarray(image[..., 0])
        for name in ("classes", "no_image", "sizes", "broken", "test_has_more/train", "test_has_more/test"):
            kind = folder / name / f"class{label}"
            kind.mkdir(parents=True, exist_ok=True)
            picture.save(kind / f"{number}.png")
        picture.save(folder / "flat_folder" / f"{number}.png")
        (folder / "one_folder" / "class").mkdir(exist_ok=True)
        picture.save(folder / "one_folder" / "class" / f"{number}.png")
    (folder / "no_image" / "class_empty").mkdir()
    Image.new("L", (9, 9)).save(folder / "sizes" / "class0" / "large.png")
    (folder / "broken" / "class1" / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    (folder / "test_has_more" / "test" / "strange").mkdir()
    Image.new("L", (8, 8)).save(folder / "test_has_more" / "test" / "strange" / "0.png")


def _texts(folder: Path) -> None:
    """Config files that cannot be read, and a directory that is none of a run."""
    texts = {
        "syntax": "def get_config(:\n",
        "nothing": "x = 1\n",
        "raises": "def get_config():\n    return 1 / 0\n",
        "missing_import": "import no_such_module_at_all\n\n\ndef get_config():\n    pass\n",
        "no_config": "def get_config():\n    return {'seed': 1}\n",
        "takes_arguments": "def get_config(name):\n    return None\n",
        "wrong_key": "from jaxloss.config import default_config\n\n\ndef get_config():\n"
        "    config = default_config()\n    config.sead = 1\n    return config\n",
        "no_sweep": "from tests.configs.tiny import get_config  # noqa: F401\n",
        "sweep_of_text": "from tests.configs.tiny import get_config  # noqa: F401\n\n\ndef get_sweep():\n    return 'seed'\n",
        "sweep_of_unknown": "from tests.configs.tiny import get_config  # noqa: F401\n\n\n"
        "def get_sweep():\n    return {'sead': [1]}\n",
        "empty_sweep": "from tests.configs.tiny import get_config  # noqa: F401\n\n\ndef get_sweep():\n    return {'seed': []}\n",
    }
    for name, text in texts.items():
        (folder / f"{name}.py").write_text(text)
    (folder / "bytes.py").write_bytes(bytes(range(128, 256)))
    (folder / "no_run").mkdir()
    (folder / "no_run" / "notes.txt").write_text("not a run\n")
    (folder / "damaged").mkdir()
    (folder / "damaged" / "config.json").write_text("{")
    (folder / "damaged" / "archive.sqlite").write_text("no archive")


def _checkpoints(folder: Path) -> None:
    """Checkpoints of other networks than `NETWORK`, and damaged ones."""
    checkpoints = Checkpoints(folder / "checkpoints")
    weights, bias = NETWORK["dense"]["kernel"], NETWORK["dense"]["bias"]
    checkpoints.save("wide", {"dense": {"kernel": np.ones((3, 8), np.float32), "bias": np.ones(8, np.float32)}})
    checkpoints.save("deep", {**NETWORK, "dense_2": {"kernel": weights}})
    checkpoints.save("shallow", {"dense": {"kernel": weights}})
    checkpoints.save("whole_numbers", {"dense": {"kernel": weights.astype(np.int32), "bias": bias}})
    checkpoints.save("half_precision", {"dense": {"kernel": weights.astype(np.float16), "bias": bias}})
    checkpoints.save("listed", [weights, bias])
    for name, content in {"not_json": "{", "other_json": "[]", "no_tree": "{}", "null": "null"}.items():
        checkpoints.save(name, NETWORK)
        (folder / "checkpoints" / name / "1" / "_METADATA").write_text(content)
    checkpoints.save("no_manifest", NETWORK)
    (folder / "checkpoints" / "no_manifest" / "1" / "manifest.ocdbt").unlink()
    (folder / "checkpoints" / "empty" / "1").mkdir(parents=True)
    (folder / "checkpoints" / "half_saved" / "1.orbax-checkpoint-tmp").mkdir(parents=True)
