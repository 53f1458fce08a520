"""The chooser of a search: the most promising of several candidates, by a predictor that sees their curves (AutoLoss-GMS)."""

import contextlib
import hashlib
import json
from collections.abc import Sequence

import numpy as np

from jaxloss.core.errors import UserError
from jaxloss.core.form import Expression
from jaxloss.runs.checkpoints import Checkpoints
from jaxloss.search.base import Individual
from jaxloss.search.chooser import ChooserContext
from jaxloss.spaces.base import Space
from jaxloss.systems.autoloss_gms.predictor.chooser import PromisingLossChooser
from jaxloss.systems.autoloss_gms.predictor.features import curve_features
from jaxloss.systems.autoloss_gms.predictor.predictor import fit, from_bytes, predict, to_bytes
from jaxloss.systems.autoloss_gms.properties import CurveFilter
from jaxloss.systems.autoloss_gms.settings import ChooserSettings, PredictorSettings

_CHECKPOINT = "predictor"


def make_chooser(context: ChooserContext) -> "CurveChooser | None":
    """The chooser of a space with one branch, from the settings of its config sections; None where they ask for none."""
    settings, predictor = (context.sections[kind.section] for kind in (ChooserSettings, PredictorSettings))
    if not settings.enabled:
        return None
    (cascade,) = context.cascades.values()
    return CurveChooser(context.space, cascade.filter("curves"), settings, predictor, context.seed, context.checkpoints)


class CurveChooser:
    """Chooses by a predictor of scores from curves. A fitted one is kept as a checkpoint: a continued run need not fit it again.

    See `search.chooser.Chooser`.
    """

    def __init__(
        self,
        space: Space,
        describer: CurveFilter,
        settings: ChooserSettings,
        predictor: PredictorSettings,
        seed: int,
        checkpoints: Checkpoints,
    ):
        """Args:
        space: of the candidates; it has one branch.
        describer: gives the curves.
        settings: of the algorithm.
        predictor: of the network and its training.
        seed: of the training.
        checkpoints: of the run.
        """
        self._space, self._describer, self._checkpoints = space, describer, checkpoints
        self._predictor, self._seed = predictor, seed
        self._chooser = PromisingLossChooser(settings, lambda features, scores: fit(predictor, features, scores, seed), predict)
        self._features: dict[str, np.ndarray] = {}

    def candidates(self, num_evaluated: int) -> int:
        """See `search.chooser.Chooser.candidates`."""
        return self._chooser.num_candidates(num_evaluated)

    def choose(self, evaluated: Sequence[Individual], candidates: Sequence[str]) -> int:
        """See `search.chooser.Chooser.choose`."""
        if self._chooser.needs_update(len(evaluated)):
            self._update(evaluated[: self._chooser.rows_to_fit(len(evaluated))])
        return self._chooser.choose(self._features_of(candidates))

    def _update(self, rows: Sequence[Individual]) -> None:
        """Fits the predictor, or takes up the one that was fitted on these rows with these settings before."""
        content = json.dumps([repr(self._predictor), self._seed, *((row.text, row.score) for row in rows)])
        digest = np.frombuffer(hashlib.blake2b(content.encode(), digest_size=16).digest(), np.uint8)
        if (kept := self._kept(digest)) is not None:
            self._chooser.restore(from_bytes(self._predictor, kept), len(rows))
            return
        self._chooser.update(self._features_of([row.text for row in rows]), [row.score for row in rows])
        fitted = np.frombuffer(to_bytes(self._chooser.state), np.uint8)
        self._checkpoints.save(_CHECKPOINT, {"digest": digest, "predictor": fitted})

    def _kept(self, digest: np.ndarray) -> bytes | None:
        """The predictor that was fitted on what the digest is of; None where there is none, or none that can be read."""
        # What is damaged, or something else, can be made again.
        with contextlib.suppress(UserError):
            stored = self._checkpoints.load(_CHECKPOINT)
            if isinstance(stored, dict) and stored.keys() == {"digest", "predictor"} and np.array_equal(stored["digest"], digest):
                return stored["predictor"].tobytes()
        return None

    def _features_of(self, texts: Sequence[str]) -> np.ndarray:
        """`[M, 3, points]`."""
        missing = [text for text in dict.fromkeys(texts) if text not in self._features]
        if missing:
            losses = [self._expression(text) for text in missing]
            curves = self._describer.curves(losses)
            rows = curve_features(curves[:, 0], curves[:, 1], np.array([loss.log2_scale for loss in losses]))
            self._features |= dict(zip(missing, rows, strict=True))
        return np.stack([self._features[text] for text in texts])

    def _expression(self, text: str) -> Expression:
        (expression,) = self._space.parse(text).values()
        return expression
