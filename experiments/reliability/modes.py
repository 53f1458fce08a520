"""The short runs that are stopped, each of few trainings. `retrieval` and `segmentation` need the files of `JAXLOSS_DATA_DIR`."""

from pathlib import Path

_SHORT = {
    "quiet": "true",
    "execution.mode": "serial",
    "execution.workers": "1",
    "training.num_epochs": "1",
    "comparison.num_divisions": "1",
    "comparison.tuning_trainings": "4",
    "comparison.tuning_finalists": "2",
    "comparison.tuning_seeds": "1",
    "comparison.test_seeds": "2",
    "comparison.handcrafted": "('cross_entropy',)",
}
_SEARCH = {
    "search.num_trainings": "4",
    "search.control": "false",
    "filters.rejection.iterations": "50",
    "comparison.rank_candidates": "2",
    "comparison.rank_seeds": "1",
    "comparison.num_found": "1",
}
_LOCKSTEP = {
    "lockstep.num_samples": "3",
    "lockstep.rate": "given",
    "lockstep.random": "false",
    "lockstep.longer": "false",
    "lockstep.best_of": "false",
    "training.num_epochs": "3",
}
_COMPARED = {"mode": "compare", "losses": "('cross_entropy', 'gce')"}
# Generations of two, so that a search has several.
_RETRIEVAL = {"search.generation_size": "2", "comparison.handcrafted": "('arcface',)", "training.num_epochs": "0.2"}
# Of boxes, from a predefined loss: two generations.
_BOXES = {"quiet": "true", "search.num_trainings": "4", "comparison.num_divisions": "1", "comparison.test_seeds": "2"}
# The letter of the paper, on frames of a few positions.
_SEGMENTATION = {
    "search.preset": "paper",
    "search.evolution.initial_population": "2",
    "task.segmentation.image_size": "(24, 32)",
    "task.segmentation.rejection_window": "(8, 8)",
    "task.segmentation.train_limit": "16",
    "task.segmentation.search_eval_limit": "8",
    "task.segmentation.test_limit": "8",
}
_DIGITS, _LEARNED = "configs/autoloss_zero_digits.py", "configs/am_lfs_digits.py"
# Mode -> the config, and what makes a run of it short.
MODES = {
    "search": (_DIGITS, {**_SHORT, **_SEARCH}),
    "compare": (_DIGITS, {**_SHORT, **_COMPARED}),
    "train": (_DIGITS, {**_SHORT, "mode": "train", "loss": "cross_entropy"}),
    "lockstep": (_LEARNED, {**_SHORT, **_LOCKSTEP}),
    "population": (_DIGITS, {**_SHORT, **_SEARCH, "execution.mode": "vmap", "execution.lanes": "3", "search.restarts": "2"}),
    "boxes": ("tests/configs/tiny_boxes.py", _BOXES),
    "segmentation": ("configs/autoloss_zero_camvid.py", {**_SHORT, **_SEARCH, **_SEGMENTATION}),
    "retrieval": ("configs/autoloss_gms_omniglot.py", {**_SHORT, **_SEARCH, **_RETRIEVAL}),
}
_NOT_USED = {"compare": ("comparison.handcrafted",), "train": ("comparison.handcrafted", "comparison.tuning_trainings",
             "comparison.tuning_finalists", "comparison.tuning_seeds")}  # fmt: skip


def arguments_of(mode: str, workdir: Path) -> list[str]:
    """Of the launch command."""
    config, overrides = MODES[mode]
    used = {key: value for key, value in overrides.items() if key not in _NOT_USED.get(mode, ())}
    return [f"--config={config}", f"--workdir={workdir}", *(f"--config.{key}={value}" for key, value in used.items())]
