"""How images are divided into splits, as far as the user says it: the keys that tasks of images share."""

import dataclasses

from jaxloss.core.conditions import Never
from jaxloss.core.settings import Settings, setting

DIVISIONS = (Never("a run divides its data as comparison.divisions says"),)


@dataclasses.dataclass(frozen=True)
class DivisionSettings(Settings, section=""):
    """The division of a source of images; a task adds its section, and where its images come from."""

    fractions: tuple[float, float, float] = setting((0.6, 0.2, 0.2), "Of train, search_eval and test")
    test_seed: int = setting(
        0,
        "Of the images that are held out for the test, where the source has no test set of its own; no other seed moves it",
        low=0,
        high=2**30,
    )
    division: int = setting(0, "Number of the division into train and search_eval", low=0, high=2**30, acts_when=DIVISIONS)
    block: int = setting(
        1,
        "So many neighbours in the order of the source stay in one split: frames of a film look like those beside them",
        low=1,
        high=10**6,
    )
    train_limit: int = setting(0, "The most training images; 0: all", low=0, high=10**9)
    search_eval_limit: int = setting(0, "The most images that a search is scored on; 0: all", low=0, high=10**9)
    test_limit: int = setting(0, "The most test images; 0: all", low=0, high=10**9)
