"""The task on the tiny data set of `tests.detection_task.cells`, with a tiny network."""

from jaxloss.tasks.context import TaskContext
from jaxloss.tasks.two_stage_detection.settings import TwoStageDetectionSettings
from jaxloss.tasks.two_stage_detection.task import make_two_stage_detection
from tests.detection_task.cells import FILE

BRANCHES = ("rpn_classification", "rpn_regression", "rcnn_classification", "rcnn_regression")
WEIGHTS = dict.fromkeys(BRANCHES, 1.0)
AREAS = ("intersection", "union", "enclosing")
READS = {name: AREAS if "regression" in name else ("prediction", "target", "overlap") for name in BRANCHES}
TINY = {"features": (6, 8, 8), "num_levels": 2, "channels": 8, "head_width": 16, "region_size": 3}
# A gain of 0.2 is enough for its rejection problems.
SETTINGS = {
    "source": f"npz:{FILE}",
    "model_options": TINY,
    "anchor_scales": (2.5,),
    "rpn_samples": 12,
    "proposal_candidates": 12,
    "num_proposals": 10,
    "rcnn_samples": 10,
    "pixel_mean": 0.45,
    "pixel_deviation": 0.25,
}


def make(folder, **options):
    """The task; `context` holds settings of the rest of the run."""
    settings = {
        "fractions": (0.5, 0.25, 0.25),
        "evaluation_batch": 3,
        "minimum_score": 0.02,
        **SETTINGS,
        **options,
    }
    context = {"rejection_minimum_gain": 0.2, **settings.pop("context", {})}
    context = TaskContext(data_dir=str(folder), batch_size=4, **context)
    return make_two_stage_detection(TwoStageDetectionSettings(**settings), context)


def loss_text(classes, boxes):
    """The same losses in both stages."""
    return " | ".join(f"{name}: {boxes if 'regression' in name else classes}" for name in BRANCHES)
