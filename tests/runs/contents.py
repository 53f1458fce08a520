"""What the tests of a run put into it: a config and rows."""

from jaxloss.runs import CandidateRow, TrainingRow

CONFIG = {"search": {"name": "evolution", "num_trainings": 10, "rates": (0.1, 1e-3)}, "seed": 0}


def candidate(proposal, attempt=0, **changes):
    values = {
        "search": "evolution",
        "proposal": proposal,
        "branch": "*",
        "attempt": attempt,
        "formula": f"Add(y, {proposal})",
        "key": f"key{proposal}",
        "origin": "mutation",
        "parent": None,
        "reason": "accepted",
        "gain": 0.1 + 0.2,
        "signature": "1.0 2.0",
        "sketch": None,
        "score": 1 / 3,
        "training": True,
        "seconds": 0.5,
    }
    return CandidateRow(**{**values, **changes})


def training(**changes):
    values = {
        "stage": "search",
        "loss": "focal",
        "formula": None,
        "hyperparameters": {"gamma": 2.0, "alpha": 0.1 + 0.2},
        "learning_rate": 0.1,
        "seed": 3,
        "division": 0,
        "evaluated_on": "search_eval",
        "score": 0.7,
        "finite": True,
        "steps": 200,
        "seconds": 1.5,
    }
    return TrainingRow(**{**values, **changes})
