"""What is known of a whole split."""

import numpy as np
import pytest

from jaxloss.core.errors import UserError
from jaxloss.tasks.data.masks.load import load_masks
from jaxloss.tasks.data.masks.source import MaskedArrays, MaskedImages
from jaxloss.tasks.data.masks.statistics import pixel_statistics
from tests.mask_data.layouts import write_folder


@pytest.mark.parametrize("streamed", [False, True])
def test_statistics_leave_void_out(tmp_path, streamed):
    write_folder(tmp_path, ("a", "b"))
    part = load_masks(f"folder:{tmp_path}", image_size=(20, 20), fitting="pad", padding_pixel=1.0, streamed=streamed).train
    arrays = part.in_memory().rows.arrays()
    found = pixel_statistics(part, 3)
    # Eight columns of label 0 or 1 beside eight of label 0, eleven rows.
    assert found.class_counts.tolist() == [88 * 3, 88, 0]
    pixels = arrays["image"][arrays["mask"] != 255] / 255
    np.testing.assert_allclose(found.mean, pixels.mean(axis=0))
    np.testing.assert_allclose(found.deviation, pixels.std(axis=0))


def test_nothing_but_void_is_one_line():
    arrays = {"image": np.zeros((2, 3, 3, 3), np.uint8), "mask": np.full((2, 3, 3), 255, np.uint8)}
    with pytest.raises(UserError, match="all 2 images, from a on, are void"):
        pixel_statistics(MaskedImages(MaskedArrays(arrays), ("a", "b")), 3)
