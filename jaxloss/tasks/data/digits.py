"""scikit-learn's handwritten digits, which come with the package: nothing to download."""

import numpy as np

from jaxloss.tasks.data.source import Source, labelled_images, make_source


def load_digits(rest: str = "", data_dir: str | None = None, download: bool = False) -> Source:
    """1,797 grey images of 8x8 pixels in ten classes, float32 from 0 to 1, without a test set of their own.

    References:
      E. Alpaydin, C. Kaynak: Optical Recognition of Handwritten Digits, UCI Machine Learning Repository, 1998.
    """
    del rest, data_dir, download
    import sklearn.datasets  # slow to import, and only this source needs it

    bunch = sklearn.datasets.load_digits()
    images = (bunch.images / 16.0).astype(np.float32)  # the file holds 0 to 16
    return make_source("digits", labelled_images(images, bunch.target, "digits"), None)
