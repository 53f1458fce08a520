"""The promising-loss chooser (AutoLoss-GMS, Algorithm 4): which of several candidates is worth the next training.

While fewer than `start_after` losses are evaluated, every candidate is trained. From then on candidates that passed the filters
are gathered until there are `candidates` of them; the one with the best prediction is trained, the others are forgotten.

As printed, the algorithm never leaves `E = E_0` (that branch returns nothing, so that E stays), and would fit again for every
candidate that is proposed while E stands still. Here the predictor is fitted once when E reaches `start_after`, and once more
after every `update_every` further evaluations.
"""

from collections.abc import Callable, Sequence
from typing import Generic, TypeVar

import numpy as np

from jaxloss.systems.autoloss_gms.settings import ChooserSettings

State = TypeVar("State")


class PromisingLossChooser(Generic[State]):
    """Decides when the predictor is fitted, on which rows, and which candidate is trained.

    The predictor in force after E evaluations was fitted on the first `rows_to_fit(E)` of them. So a generation that passes a
    multiple of `update_every` changes nothing, and a continued run finds the same predictor again: it stores `state` and
    `fitted_rows`, or calls `update` with the rows that it has.

    Attributes:
      state: of the predictor, None before the first fit.
      fitted_rows: evaluated losses that it was fitted on, 0 before the first fit.
    """

    def __init__(
        self,
        settings: ChooserSettings,
        fit: Callable[[np.ndarray, Sequence[float | None]], State],
        predict: Callable[[State, np.ndarray], np.ndarray],
    ):
        """Args:
        settings: of the algorithm.
        fit: of features `[E, ...]` and scores `[E]`, for example `predictor.fit` with settings and seed filled in.
        predict: scores `[M]` of features `[M, ...]`.
        """
        self.settings, self._fit, self._predict = settings, fit, predict
        self.state: State | None = None
        self.fitted_rows = 0

    def active(self, num_evaluated: int) -> bool:
        """Whether candidates compete for a training, after so many evaluations."""
        return num_evaluated >= self.settings.start_after

    def num_candidates(self, num_evaluated: int) -> int:
        """How many candidates compete for the next training; 1 while the chooser is not active."""
        return self.settings.candidates if self.active(num_evaluated) else 1

    def rows_to_fit(self, num_evaluated: int) -> int:
        """The evaluations that the predictor in force was fitted on: `E_0`, `E_0 + Delta E`, ...; 0 while not active."""
        if not self.active(num_evaluated):
            return 0
        start, every = self.settings.start_after, self.settings.update_every
        return start + (num_evaluated - start) // every * every

    def needs_update(self, num_evaluated: int) -> bool:
        """Whether `update` has to come before the next `choose`."""
        return self.rows_to_fit(num_evaluated) != self.fitted_rows

    def update(self, features: np.ndarray, scores: Sequence[float | None]) -> None:
        """Fits the predictor on the first `rows_to_fit(E)` evaluated losses.

        Args:
          features: `[E, ...]` of all evaluated losses, in the order of their evaluation.
          scores: `[E]`, None where the training was stopped.

        Raises:
          ValueError: for fewer losses than the first fit needs.
        """
        num_rows = self.rows_to_fit(len(scores))
        if num_rows == 0:
            raise ValueError(f"{len(scores)} evaluated losses: the predictor starts after {self.settings.start_after}")
        self.state = self._fit(features[:num_rows], scores[:num_rows])
        self.fitted_rows = num_rows

    def restore(self, state: State, fitted_rows: int) -> None:
        """Takes up a predictor that was fitted and stored before."""
        self.state, self.fitted_rows = state, fitted_rows

    def choose(self, features: np.ndarray) -> int:
        """Index of the candidate with the best prediction; the first of several, and one without a prediction (NaN) last.

        Args:
          features: `[M, ...]`, M at least 1.

        Raises:
          ValueError: before the first fit.
        """
        if self.state is None:
            raise ValueError("the predictor has not been fitted")
        predictions = np.asarray(self._predict(self.state, features))
        return int(np.argmax(np.where(np.isnan(predictions), -np.inf, predictions)))
