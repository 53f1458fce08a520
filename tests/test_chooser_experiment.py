"""The experiment on the promising-loss chooser, run whole at a tiny size."""

import json
import os
import sys
from pathlib import Path

import pytest

from experiments.autoloss_gms_reid import chooser

OMNIGLOT = Path(os.environ.get("JAXLOSS_DATA_DIR", "")) / "omniglot_7alphabets.npz"


@pytest.mark.slow
@pytest.mark.skipif(not OMNIGLOT.is_file(), reason="no omniglot_7alphabets.npz in the folder that JAXLOSS_DATA_DIR names")
def test_searches_with_and_without_are_paired_and_predictions_are_of_unseen_losses(tmp_path, monkeypatch):
    numbers = {"trainings": 9, "seeds": 1, "start_after": 3, "update_every": 3}
    paths = {"data_dir": OMNIGLOT.parent, "workdir": tmp_path / "runs", "json": tmp_path / "result.json"}
    monkeypatch.setattr(sys, "argv", ["chooser", *(f"--{key}={value}" for key, value in {**numbers, **paths}.items())])
    chooser.main()
    result = json.loads((tmp_path / "result.json").read_text())
    chosen, plain = result["rows"]
    assert (chosen["chooser"], plain["chooser"]) == (True, False)
    assert chosen["proposed"] > plain["proposed"]
    assert [row["fitted_on"] for row in plain["rank_correlation"]] == [3, 6]
    assert all(row["unseen"] <= 3 and -1 <= row["spearman"] <= 1 for row in plain["rank_correlation"])
    for key, differences in result["difference"].items():
        assert differences == [chosen[key] - plain[key]]
