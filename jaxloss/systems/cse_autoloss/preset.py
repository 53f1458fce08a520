"""The numbers of CSE-Autoloss where they differ from the defaults (Sections 3.2 and 4), for a search of the regression branch.

A search for classification has `search.generation_size = 10_000`, `search.num_trainings = 50` and a predefined loss of its own.
"""

from typing import Any

PRESET: dict[str, Any] = {
    "space.name": "cse_autoloss",
    "search.name": "generations",
    # The predefined loss, and 15 that were found.
    "search.seeds": ("giou",),
    "search.num_trainings": 16,
    "search.generation_size": 1000,
    "search.control": False,
    # A generation at a time.
    "filters.batch": 1000,
    # One image of each of the 80 categories of COCO. The paper has no number for the descent, and no gain: the bar is what the
    # best loss of the generation before reaches.
    "filters.rejection.num_samples": 80,
    "filters.rejection.minimum_gain": 0.0,
    "comparison.handcrafted": ("iou", "giou"),
}
