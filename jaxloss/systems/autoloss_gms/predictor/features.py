"""What the predictor sees of a loss: its two curves and its scale, made finite and of moderate size."""

import dataclasses

import numpy as np

# Of the scaled features; infinities land here. More than ten quartile ranges look alike (arcsinh(10) = 3): with a limit of 10,
# four wild curves among a hundred spoilt the statistics of BatchNorm for all others.
LIMIT = 3.0


def curve_features(target_curves: np.ndarray, other_curves: np.ndarray, log2_scales: np.ndarray) -> np.ndarray:
    """The input of section F: `[M, 3, points]` from `f_t [M, points]`, `f_n [M, points]` and `log2 s [M]`, spread out.

    The paper writes the same as a vector of `2 points + 1` numbers that is reshaped.
    """
    target_curves, other_curves = np.asarray(target_curves, np.float64), np.asarray(other_curves, np.float64)
    scales = np.broadcast_to(np.asarray(log2_scales, np.float64)[:, None], target_curves.shape)
    return np.stack([target_curves, other_curves, scales], axis=1)


@dataclasses.dataclass(frozen=True)
class FeatureScale:
    """What features are divided by. Found on the evaluated losses, used for all.

    Attributes:
      centre: `[channels]` the median of the finite values.
      spread: `[channels]` the distance of their quartiles, 1 where it is 0.
    """

    centre: np.ndarray
    spread: np.ndarray

    @classmethod
    def of(cls, features: np.ndarray) -> "FeatureScale":
        """The scale of features `[E, channels, points]`."""
        centre, spread = [], []
        for channel in np.moveaxis(np.asarray(features, np.float64), 1, 0):
            finite = channel[np.isfinite(channel)]
            low, middle, high = np.quantile(finite, (0.25, 0.5, 0.75)) if finite.size else (0.0, 0.0, 0.0)
            width = high - low
            centre.append(middle)
            spread.append(width if 0 < width < np.inf else 1.0)
        return cls(np.array(centre), np.array(spread))

    def apply(self, features: np.ndarray) -> np.ndarray:
        """Finite float32 `[M, points, channels]` in [-LIMIT, LIMIT] of features `[M, channels, points]`.

        `arcsinh` of (value - centre) / spread: linear near the centre, logarithmic for the huge values that Inv, Exp or Div
        give. NaN (outside an operator's domain) becomes 0, the centre; infinities become the limits.
        """
        with np.errstate(over="ignore", invalid="ignore"):
            scaled = np.arcsinh((np.moveaxis(np.asarray(features, np.float64), 1, -1) - self.centre) / self.spread)
        return np.nan_to_num(np.clip(scaled, -LIMIT, LIMIT), nan=0.0).astype(np.float32)
