"""Divisions into train, search_eval and test, and where their arrays lie: on the device or in their files."""

import itertools

import jax
import numpy as np
import pytest

from jaxloss.core.errors import UserError
from jaxloss.tasks.data.image_splits import split_images, with_held_out_test
from jaxloss.tasks.data.masks.load import load_masks
from jaxloss.tasks.data.masks.place import place_masks
from jaxloss.tasks.data.masks.source import MaskedArrays, MaskedImages, MaskSource
from jaxloss.tasks.data.stream import StreamedRows, take_rows
from tests.mask_data.layouts import mask_of, save, write_folder

FRACTIONS = (0.6, 0.2, 0.2)


def numbered(count, first=0):
    numbers = np.arange(first, first + count, dtype=np.uint8)
    arrays = {"image": np.broadcast_to(numbers[:, None, None, None], (count, 2, 2, 3)), "mask": np.zeros((count, 2, 2), np.uint8)}
    return MaskedImages(MaskedArrays(arrays), tuple(map(str, numbers)))


def source(count=50, test=0):
    return MaskSource("tiny", numbered(count), numbered(test, 100) if test else None, ("one",))


def numbers(part):
    found = part.rows.arrays()["image"][:, 0, 0, 0].tolist()
    assert part.names == tuple(map(str, found))
    return found


def test_a_source_is_divided_by_number():
    splits = split_images(source(), FRACTIONS, seed=0)
    parts = [numbers(splits[name]) for name in ("train", "search_eval", "test")]
    assert [len(part) for part in parts] == [30, 10, 10]
    assert sorted(itertools.chain(*parts)) == list(range(50))
    assert numbers(split_images(source(), FRACTIONS, seed=0)["train"]) == parts[0]
    other = split_images(source(), FRACTIONS, seed=1)
    assert len(other["train"]) == 30
    assert set(numbers(other["train"])) != set(parts[0])


def test_a_test_set_of_its_own_is_kept():
    splits = split_images(source(48, test=8), FRACTIONS, seed=3)
    assert [len(splits[name]) for name in ("train", "search_eval", "test")] == [36, 12, 8]
    assert numbers(splits["test"]) == list(range(100, 108))
    # Limits: the first of a random order, and a published test set at equal distances, the same for every seed.
    for seed in (3, 4):
        limited = split_images(source(test=8), FRACTIONS, seed, limits=(5, 4, 3))
        assert [len(limited[name]) for name in ("train", "search_eval", "test")] == [5, 4, 3]
        assert numbers(limited["test"]) == [100, 104, 107]
    assert (
        numbers(split_images(source(48, test=8), FRACTIONS, 3, limits=(5, None, None))["train"]) == numbers(splits["train"])[:5]
    )


def test_a_test_set_is_held_out_once():
    held_out = with_held_out_test(source(), FRACTIONS, seed=7)
    assert len(held_out.test) == 10
    assert numbers(held_out.train) == sorted(set(range(50)) - set(numbers(held_out.test)))
    first, second = (split_images(held_out, FRACTIONS, seed) for seed in (0, 1))
    assert numbers(first["test"]) == numbers(second["test"])
    assert [len(first[name]) for name in ("train", "search_eval")] == [30, 10]
    kept = source(test=8)
    assert with_held_out_test(kept, FRACTIONS, seed=7) is kept


def test_neighbours_stay_together():
    divided = split_images(source(test=8), (0.6, 0.4, 0.0), seed=0, block=10)
    assert {number // 10 for number in numbers(divided["train"])}.isdisjoint(
        number // 10 for number in numbers(divided["search_eval"])
    )
    assert [len(divided[name]) for name in ("train", "search_eval")] == [30, 20]
    # Blocks that fit no cut are cut, and sizes stay.
    cut = split_images(source(43, test=8), (0.6, 0.4, 0.0), seed=0, block=10)
    assert [len(cut[name]) for name in ("train", "search_eval")] == [26, 17]
    shared = {number // 10 for number in numbers(cut["train"])} & {number // 10 for number in numbers(cut["search_eval"])}
    assert len(shared) <= 1


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"fractions": (0.5, 0.2, 0.2)}, "that sum to 1"),
        ({"fractions": (0.6, 0.4, 0.0)}, "split 'test' would be empty: 50 images of 'tiny'"),
        ({"limits": (0, None, None)}, "split 'train' would be empty: .*at most 0"),
        ({"seed": -1}, "a seed of 0 or more and blocks of 1 or more, not -1 and 1"),
        ({"block": 0}, "not 0 and 0"),
    ],
)
def test_divisions_that_cannot_be(settings, message):
    with pytest.raises(UserError, match=message):
        split_images(source(), **{"fractions": FRACTIONS, "seed": 0, **settings})


# --- streamed ------------------------------------------------------------------------------------------------------------------


@pytest.fixture
def folder(tmp_path):
    """Images of different sizes, as JPEG and PNG."""
    write_folder(tmp_path, [f"{number:02}" for number in range(11)])
    save(tmp_path / "images" / "20.jpg", np.random.default_rng(0).integers(0, 256, (17, 23, 3)).astype(np.uint8))
    save(tmp_path / "masks" / "20.png", mask_of(2, (17, 23)))
    return tmp_path


@pytest.mark.parametrize("fitting", ["stretch", "fit"])
def test_streamed_rows_are_those_of_the_device(folder, fitting):
    def train(streamed):
        loaded = load_masks(f"folder:{folder}", image_size=(9, 10), fitting=fitting, padding_pixel=0.4, streamed=streamed)
        divided = split_images(with_held_out_test(loaded, FRACTIONS, 5), FRACTIONS, seed=2)
        return place_masks(divided, streamed)["train"]

    device, streamed = train(False), train(True)
    assert isinstance(streamed, StreamedRows)
    assert {name: (one.shape, one.dtype) for name, one in streamed.shapes.items()} == {
        name: (one.shape, one.dtype) for name, one in device.items()
    }
    order = np.asarray(jax.random.permutation(jax.random.key(1), len(device["mask"])))[:6].reshape(3, 2)
    with streamed.batches(order) as batches:
        found = list(batches)
    for rows, batch in zip(order, found, strict=True):
        for name, array in take_rows(device, rows).items():
            np.testing.assert_array_equal(batch[name], array)
            assert batch[name].dtype == array.dtype == np.uint8
    assert len({batch["image"].tobytes() for batch in found}) == 3


def test_arrays_in_memory_may_be_streamed():
    splits = split_images(source(), FRACTIONS, seed=0)
    placed = place_masks(splits, streamed=True)
    assert isinstance(placed["train"], StreamedRows)
    assert isinstance(placed["test"]["image"], jax.Array)
    found = placed["train"].read(np.array([4, 0, 4]))["image"][:, 0, 0, 0].tolist()
    assert found == [numbers(splits["train"])[row] for row in (4, 0, 4)]


def test_only_what_is_needed_is_read(folder):
    """A broken training image of a stream is found when it is read, and in one line."""
    loaded = load_masks(f"folder:{folder}", image_size=(9, 10), streamed=True)
    (folder / "images" / "03.png").write_bytes(b"no image")
    stream = StreamedRows.create(loaded.train.rows)
    np.testing.assert_array_equal(stream.read(np.array([2]))["mask"].shape, (1, 9, 10))
    with (
        pytest.raises(UserError, match=r"^image file .*03.png cannot be read: [^\n]*$"),
        stream.batches(np.array([[0, 1], [2, 3]])) as batches,
    ):
        list(batches)


def test_streamed_images_of_different_sizes_are_one_line(folder):
    stream = StreamedRows.create(load_masks(f"folder:{folder}", streamed=True).train.rows)
    with pytest.raises(UserError, match=r"20.jpg is 17 x 23, but .*00.png is 12 x 16; give an image_size"):
        stream.read(np.array([11]))
