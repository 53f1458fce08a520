"""Images and masks brought to one size."""

import numpy as np
import pytest

from jaxloss.core.errors import UserError
from jaxloss.tasks.data.masks.frame import Frame
from tests.mask_data.layouts import SIZE, image_of, mask_of


def place(frame, size=SIZE):
    return frame.place(image_of(7, size), mask_of(3, size), "a.png")


def test_a_mask_holds_no_other_labels_than_before():
    for size, there in (((5, 7), {0, 3}), ((30, 31), {0, 3, 255})):
        image, mask = place(Frame(size))
        assert (image.shape, mask.shape) == ((*size, 3), size)
        assert set(np.unique(mask)) == there


def test_image_and_mask_stay_on_each_other():
    """A bright box is where its label is, to half a pixel, at either size."""
    image, mask = np.zeros((40, 60, 3), np.uint8), np.zeros((40, 60), np.uint8)
    image[10:30, 20:50], mask[10:30, 20:50] = 200, 1
    for size in ((20, 30), (80, 120), (33, 47)):
        scaled, labels = Frame(size).place(image, mask, "a.png")
        differs = (scaled[..., 0] > 100) != (labels == 1)
        assert differs.mean() < 0.02
        assert abs(labels.mean() - mask.mean()) < 0.03


def test_padding_is_void():
    image, mask = place(Frame((14, 20), "pad", (0.5, 0.0, 1.0)))
    np.testing.assert_array_equal(image[:12, :16], image_of(7))
    np.testing.assert_array_equal(mask[:12, :16], mask_of(3))
    for part in (np.s_[12:], np.s_[:, 16:]):
        assert (mask[part] == 255).all()
        assert (image[part] == [128, 0, 255]).all()


@pytest.mark.parametrize(("size", "inner"), [((24, 24), (18, 24)), ((6, 20), (6, 8)), ((24, 32), (24, 32))])
def test_fitting_keeps_proportions(size, inner):
    image, mask = place(Frame(size, "fit", 1.0))
    filled, filled_mask = place(Frame(inner))
    np.testing.assert_array_equal(image[: inner[0], : inner[1]], filled)
    np.testing.assert_array_equal(mask[: inner[0], : inner[1]], filled_mask)
    assert (mask[inner[0] :] == 255).all()
    assert (image[:, inner[1] :] == 255).all()


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Frame((0, 5)), r"image_size must be \(height, width\) in pixels, not \(0, 5\)"),
        (lambda: Frame((4, 5), "streched"), "Did you mean 'stretch'"),
        (lambda: Frame((4, 5), "pad", 124.0), "one number of 0 to 1, or one for each of 3 channels, not 124.0"),
        (
            lambda: place(Frame((12, 15), "pad")),
            r"image a.png is 12 x 16, larger than image_size 12 x 15, and pad does not scale",
        ),
    ],
)
def test_frames_that_cannot_be(make, message):
    with pytest.raises(UserError, match=message):
        make()
