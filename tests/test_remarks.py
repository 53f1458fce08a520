"""What a config asks for and cannot have is remarked as a run starts, and is no error."""

import pytest

from jaxloss.config.file import load_config
from jaxloss.config.plan import make_plan

INITIAL, BATCH = "search.evolution.initial_population", "training.batch_size"
CASES = {
    "nothing": ({}, []),
    "one candidate by evolution": ({INITIAL: "5"}, []),
    "all at random": ({INITIAL: "6"}, [f"{INITIAL}=6: search.num_trainings allows 6 candidates: all are drawn at random"]),
    "two seeds each": (
        {INITIAL: "4", "search.seeds_per_candidate": "2"},
        [f"{INITIAL}=4: search.num_trainings allows 3 candidates: all are drawn at random"],
    ),
    "a batch above an epoch": ({BATCH: "2000"}, [f"{BATCH}=2000: an epoch of the task fast has "]),
}


@pytest.mark.parametrize("case", CASES)
def test_remarks(case):
    overrides, expected = CASES[case]
    remarks = make_plan(load_config("tests/configs/tiny.py", overrides)).remarks
    assert len(remarks) == len(expected)
    assert all(remark.startswith(start) for remark, start in zip(remarks, expected, strict=True))


def test_a_search_that_has_no_population():
    config = load_config("tests/configs/tiny.py", {"search.name": "random_search", "search.num_trainings": "2"})
    assert not make_plan(config).remarks
