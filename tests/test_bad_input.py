"""Mistakes of users: one line each; what the experiment `reliability.bad_input` carries out wholly."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from experiments.reliability.bad_input import files
from experiments.reliability.bad_input.check import Case, Checker, read_cases
from jaxloss.core.devices import check_devices
from jaxloss.core.errors import did_you_mean
from jaxloss.tasks.data.class_folders import load_class_folders
from jaxloss.tasks.data.npz import load_npz
from jaxloss.tasks.data.source import checked_images
from jaxloss.tasks.models.pretrained import read_tensors
from tests.errors import user_error

# Every so many; all of them take minutes.
STEP = 6


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    folder = tmp_path_factory.mktemp("data")
    files.write_all(folder)
    return folder


@pytest.fixture
def checker(data, tmp_path):
    (tmp_path / "new").mkdir()
    return Checker(tmp_path / "new", data, tmp_path / "run")


def some():
    cases = [case for case in read_cases() if not case.needs_run]
    return [case for case in cases if case.group != "config.values"][::STEP]


@pytest.mark.parametrize("case", some(), ids=lambda case: f"{case.group}-{case.call[-1]}"[:80])
def test_a_mistake_ends_in_one_line(checker, case):
    assert checker.wrong(case) == ""


def test_there_are_enough_mistakes_and_none_is_there_twice():
    cases = read_cases()
    assert len(cases) >= 250
    assert len(set(cases)) == len(cases)


def test_another_answer_is_seen(checker):
    assert "traceback: ZeroDivisionError" in checker.wrong(Case("", ("1 / 0",), "zero", True))
    assert checker.wrong(Case("", ("1 + 1",), "two", True)) == "gives 2"
    assert checker.wrong(Case("", ("serch",), "another line", False)).startswith("says: error: unknown command")
    assert checker.wrong(Case("", ("--version",), "", False)).startswith("exit code 0")


def test_folders_of_classes_are_read_by_their_names(data):
    source = load_class_folders("classes", str(data))
    assert source.class_names == ("class0", "class1", "class2")
    assert source.train.images.shape == (60, 8, 8, 1)
    assert source.test is None
    # Files are in the order of their names, "0.png", "12.png", "15.png" and so on.
    np.testing.assert_array_equal(source.train.images[1], files.IMAGES[12])
    np.testing.assert_array_equal(source.train.labels, np.repeat([0, 1, 2], 20))


def test_an_archive_is_refused_before_it_is_unpacked(data):
    with user_error("bomb.npz"):
        load_npz("bomb.npz", str(data))
    with user_error("lying.npz", "says that it holds 100000000000 bytes, and it has 3"):
        load_npz("lying.npz", str(data))


@pytest.mark.parametrize("name", ["long_header", "huge_tensor", "few_bytes"])
def test_weights_that_lie_about_their_size(data, name):
    with user_error(f"{name}.safetensors cannot be read"):
        read_tensors(data / f"{name}.safetensors")


def test_images_of_another_layout():
    with user_error("channels first", "transpose(0, 2, 3, 1)"):
        checked_images(np.zeros((2, 3, 32, 32), np.uint8), "images")
    with user_error("whole numbers from 0 to 200", "divided by 255"):
        checked_images(np.full((2, 8, 8), [0, 100, 200, 0, 0, 0, 0, 0], np.float32), "images")
    # Signals of many channels, grey levels up to 16 as scikit-learn has them, and standardised pixels are what they are.
    for right in (np.zeros((2, 1, 9, 30), np.uint8), np.full((2, 8, 8), 16.0), np.full((2, 8, 8), [200.5, *[-1.0] * 7])):
        assert checked_images(right, "images").shape[0] == 2


def test_names_are_compared_without_regard_to_capitals():
    assert did_you_mean("SEED", ["seed", "mode"]) == " Did you mean 'seed'?"
    assert did_you_mean("qrp", ["seed"]) == ""


def test_a_device_that_is_not_there():
    check_devices()
    code = "from jaxloss.core.devices import check_devices\ncheck_devices()"
    environment = {**os.environ, "JAX_PLATFORMS": "no_such_device"}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=False)
    last = done.stderr.splitlines()[-1]
    assert "UserError: JAX finds no device" in last
    assert "JAX_PLATFORMS=no_such_device asks for one that is not here" in last


def test_what_was_found_is_kept():
    result = Path(__file__).parents[1] / "experiments" / "results" / "bad_input_cpu.json"
    groups = json.loads(result.read_text())["groups"]
    assert {case.group for case in read_cases()} == set(groups)
    assert sum(group["wrong"] for group in groups.values()) == 0
