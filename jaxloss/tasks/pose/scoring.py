"""Scores of a pose task on the host: average precision by COCO's own evaluator, mean similarity, and correct keypoints."""

from collections.abc import Callable, Mapping, Sequence

import jax.numpy as jnp
import numpy as np
from pycocotools import cocoeval

from jaxloss.core.types import Array, PyTree
from jaxloss.tasks.data.keypoints.source import IMAGE, KEYPOINTS, OWNER, VISIBLE
from jaxloss.tasks.host_metrics import HostMetrics
from jaxloss.tasks.metrics import coco_evaluator
from jaxloss.tasks.metrics.coco_evaluator import Annotations
from jaxloss.tasks.pose.measures import AP, AP50, AP75, METRICS, OKS, PCK, PoseMeasures, in_file

# Name -> the similarity that is asked for; None for the mean from 0.5 to 0.95.
_PRECISIONS = {AP: None, AP50: 0.5, AP75: 0.75}
# What is predicted of each example, and what is known of it, in the pixels of the file.
_FOUND, _TRUE, _AREA = "found", "true", "area"
_SIMILARITIES, _CORRECT, _SCORE = "similarities", "correct", "score"


def keypoint_scores(keypoint_names: Sequence[str]) -> dict[str, str]:
    """Keypoint -> the name of its score."""
    return {name: f"{PCK} of {name}" for name in keypoint_names}


def make_host_metrics(
    find: Callable[[PyTree, Array], tuple[Array, Array]],
    measures: PoseMeasures,
    keypoint_names: Sequence[str],
    batch_size: int,
) -> HostMetrics:
    """The scores of a pose task.

    A subject is as sure as its keypoints are on average: the mean of their peaks. Subjects of one image may be found by each
    other's predictions, as in COCO.

    Args:
      find: `(variables, images) -> (keypoints [N, K, 2], peaks [N, K])`, in evaluation mode.
      measures: of keypoints.
      keypoint_names: `[K]`.
      batch_size: images at a time.
    """

    def predict(variables: PyTree, examples: Mapping[str, Array]) -> dict[str, Array]:
        found, peaks = find(variables, examples[IMAGE])
        return {
            _FOUND: in_file(found, examples),
            _TRUE: in_file(examples[KEYPOINTS], examples),
            _AREA: measures.areas(examples),
            _SIMILARITIES: measures.similarities(found, examples),
            _CORRECT: measures.correct(found, examples),
            _SCORE: jnp.nan_to_num(jnp.mean(peaks, axis=-1)),
        }

    def accumulate(state: list, predictions: Mapping[str, np.ndarray], examples: Mapping[str, np.ndarray]) -> list:
        state.append({**predictions, **{name: examples[name] for name in (OWNER, VISIBLE)}})
        return state

    def compute(state: list) -> dict[str, float]:
        rows = {name: np.concatenate([part[name] for part in state]) for name in state[0]}
        visible, single = rows[VISIBLE], keypoint_scores(keypoint_names)
        subjects = visible.any(axis=1)
        oks = np.where(visible, rows[_SIMILARITIES], 0)[subjects].sum(axis=1) / visible[subjects].sum(axis=1)
        return {
            **precisions(rows, measures.sigmas),
            OKS: _mean(oks),
            PCK: _mean(rows[_CORRECT][visible]),
            **{single[name]: _mean(rows[_CORRECT][:, k][visible[:, k]]) for k, name in enumerate(keypoint_names)},
        }

    names = (*METRICS, *keypoint_scores(keypoint_names).values())
    return HostMetrics(names, predict, list, accumulate, compute, batch_size)


def precisions(rows: Mapping[str, np.ndarray], sigmas: Sequence[float]) -> dict[str, float]:
    """Average precision at all thresholds, at 0.5 and at 0.75, by COCO's evaluator; NaN where nobody has a visible keypoint.

    Args:
      rows: `found` and `true` `[N, K, 2]`, `area` and `score` `[N]`, `visible` bool `[N, K]`, and `owner` `[N]`, the image.
      sigmas: of the keypoints, `[K]`.
    """
    images, owner = np.unique(rows[OWNER], return_inverse=True)
    truth, found = (Annotations(len(images), 1) for _ in range(2))
    for row, image in enumerate(owner):
        visible = rows[VISIBLE][row]
        if not visible.any():
            continue
        area = float(rows[_AREA][row])
        box = np.concatenate([rows[_TRUE][row][visible].min(axis=0), rows[_TRUE][row][visible].max(axis=0)])
        for annotations, places, shown, rest in (
            (truth, rows[_TRUE][row], visible, {"num_keypoints": int(visible.sum())}),
            (found, rows[_FOUND][row], np.ones(len(visible), bool), {"score": float(rows[_SCORE][row])}),
        ):
            keypoints = np.concatenate([places, 2.0 * shown[:, None]], axis=1).ravel().tolist()
            annotations.add(int(image), box, 0, keypoints=keypoints, area=area, **rest)
    precision = coco_evaluator.evaluate(truth, found, coco_evaluator.KEYPOINTS, sigmas)[..., 0, 0]
    thresholds = cocoeval.Params(coco_evaluator.KEYPOINTS).iouThrs
    return {
        name: _mean(precision[slice(None) if asked is None else np.flatnonzero(np.isclose(thresholds, asked))])
        for name, asked in _PRECISIONS.items()
    }


def _mean(values: np.ndarray) -> float:
    there = np.asarray(values, float)
    there = there[~np.isnan(there)]
    return float(there.mean()) if there.size else float("nan")
