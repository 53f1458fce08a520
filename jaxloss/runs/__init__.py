"""Run directories: config, archive, checkpoints, metrics and summary of one run, safe against a kill at any moment."""

from jaxloss.runs.archive import Archive
from jaxloss.runs.checkpoints import Checkpoints
from jaxloss.runs.directory import Run, RunDirectory, open_for_reading
from jaxloss.runs.metrics import MetricWriter, read_metrics
from jaxloss.runs.rows import CandidateRow, TrainingRow

__all__ = [
    "Archive",
    "CandidateRow",
    "Checkpoints",
    "MetricWriter",
    "Run",
    "RunDirectory",
    "TrainingRow",
    "open_for_reading",
    "read_metrics",
]
