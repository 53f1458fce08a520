"""Whoever brings a space of their own is told in one line what is wrong with it, before anything is searched."""

import dataclasses
import re

import jax.numpy as jnp
import numpy as np
import pytest

from examples.own_weights import Weights, polynomials
from jaxloss import launch
from jaxloss.config.choosers import make_chooser
from jaxloss.config.schema import default_config
from jaxloss.core.errors import UserError
from jaxloss.core.types import LossInputs
from jaxloss.spaces.base import Branch, Space
from jaxloss.spaces.check import check_space
from jaxloss.spaces.check_fields import check_space_fields
from jaxloss.systems.autoloss_gms.space import autoloss_gms
from jaxloss.systems.autoloss_zero.space import AutoLossZeroSettings, autoloss_zero
from jaxloss.tasks.check import check_task
from jaxloss.tasks.fast import FastSettings, make_fast

BRANCH, BATCH = "classification", 10
INPUTS = check_task(make_fast(FastSettings(size=40)), BATCH)
SPACE = autoloss_zero()
GLOBAL = np.random.default_rng(0)


def broken(**functions):
    """A space some of whose functions are others."""
    fields = {field.name: getattr(SPACE, field.name) for field in dataclasses.fields(Space)}
    return type("Broken", (Space,), functions)(**fields)


def wrong_form(**functions):
    """A branch whose form has other functions than a graph's."""
    form = SPACE.branches[0].form
    made = type("Form", (type(form),), functions)(form.layout)
    return dataclasses.replace(SPACE, branches=(Branch(BRANCH, made),))


def rounded():
    """A space of weight vectors that writes one digit of each."""
    space = polynomials()

    class Rounded(Weights):
        def write(self, expression):
            return ", ".join(f"{round(weight, 1) + 0.0:g}" for weight in expression)

    return dataclasses.replace(space, branches=(Branch(BRANCH, Rounded(4)),))


WRONG_SPACES = {
    "sample raises": (
        dataclasses.replace(SPACE, sample=lambda generator, branch: generator.no_such_distribution()),
        r"sample of the space autoloss_zero raises AttributeError: .*no_such_distribution.* \(tests.*line .*\)",
    ),
    "smaller gives no expressions": (
        wrong_form(smaller=lambda self, expression: 3),
        f"smaller of the branch '{BRANCH}' of the space autoloss_zero must give expressions, not an int",
    ),
    "smaller gives what it was given": (
        wrong_form(smaller=lambda self, expression: [expression]),
        rf"smaller of the branch '{BRANCH}' of the space autoloss_zero gives '.*', the expression that it was given",
    ),
    "write gives no text": (
        broken(write=lambda self, candidate: 3),
        "write of the space autoloss_zero must give a text, not an int",
    ),
    "parse refuses": (
        broken(write=lambda self, candidate: "Add(prediction)"),
        "the space autoloss_zero must read what it writes, but of 'Add(prediction)' it says: "
        "bad formula at character 1: Add takes 2 operands, not 1",
    ),
    "parse raises": (
        broken(parse=lambda self, text: {}["x"]),
        r"it says: parse of the space autoloss_zero raises KeyError: 'x' \(tests/test_check_space\.py, line \d+\)",
    ),
    "parse reads something else": (
        broken(parse=lambda self, text: Space.parse(self, "Exp(prediction)")),
        r"the space autoloss_zero must read what it writes: '.*' is 'Exp\(prediction\)' when it is read and written",
    ),
    "a text with fewer digits": (
        rounded(),
        r"the space polynomials must read the loss that it writes, but '.*' is read with other numbers in \['classification'\]: ",
    ),
    "draws of its own": (
        dataclasses.replace(SPACE, sample=lambda generator, branch: SPACE.sample(GLOBAL, branch)),
        "sample of the space autoloss_zero must draw from the generator that it is given alone, but two generators of one seed",
    ),
    "encode gives texts": (
        broken(encode=lambda self, candidate: {"formula": self.write(candidate)}),
        "encode of the space autoloss_zero must give arrays, but its ['formula'] is a str",
    ),
    "encode gives many shapes": (
        broken(encode=lambda self, candidate: {"text": np.frombuffer(self.write(candidate).encode(), np.uint8)}),
        r"must give arrays of the same shapes for all candidates, but \['text'\] is uint8\[\d+\] for one and uint8\[\d+\] for an",
    ),
    "values without space": (
        wrong_form(values=lambda self, encoded, inputs, axis_name=None: inputs.arrays["prediction"][:, 0, 0]),
        "apply of the space autoloss_zero must give float32[10, 1, 1, 1] or float32[10, 1, 1, 3] for the branch "
        "'classification', and gives float32[10, 3]",
    ),
    "values that raise": (
        wrong_form(values=lambda self, encoded, inputs, axis_name=None: inputs.arrays["predictions"]),
        r"apply of the space autoloss_zero raises KeyError: 'predictions' \(tests/test_check_space\.py, line \d+\)",
    ),
    "values of integers": (
        wrong_form(values=lambda self, encoded, inputs, axis_name=None: inputs.arrays["target"].astype(int)),
        "apply of the space autoloss_zero must give float32[10, 1, 1, 1] or float32[10, 1, 1, 3] for the branch "
        "'classification', and gives int32[10, 1, 1, 3]",
    ),
    "whitespace around a text": (
        wrong_form(write=lambda self, expression: f"{expression}\n"),
        r"write of the branch 'classification' of the space autoloss_zero must give one line without whitespace around it, not '",
    ),
    "names that are no set": (
        wrong_form(reads=lambda self, expression: ["prediction"]),
        "reads of the branch 'classification' of the space autoloss_zero must give a set of names, not a list",
    ),
    "curves that are no graphs": (
        wrong_form(curves=lambda self, expression: (1, 2)),
        "curves of the branch 'classification' of the space autoloss_zero must give a tuple of Graphs, not (an int, an int)",
    ),
    "graphs that are none": (
        wrong_form(graphs=lambda self, expression: {"": (1, 2)}),
        "graphs of the branch 'classification' of the space autoloss_zero must give a dict {name: (Graph, Layout)}, not "
        "{'': (an int, an int)}",
    ),
    "numbers without names": (
        wrong_form(numbers=lambda self, expression: [1]),
        "numbers of the branch 'classification' of the space autoloss_zero must give a dict {name: number}, not a list",
    ),
    "an offspring that draws by itself": (
        dataclasses.replace(SPACE, offspring=lambda generator, branch, parents: (SPACE.sample(GLOBAL, branch), "drawn")),
        "offspring of the space autoloss_zero must draw from the generator that it is given alone, but two generators of one",
    ),
    "an offspring of unknown origin": (
        dataclasses.replace(SPACE, offspring=lambda generator, branch, parents: (parents[0], None)),
        "offspring of the space autoloss_zero must give (expression, origin), the origin a text, not (a Graph, None)",
    ),
    "no offspring": (
        dataclasses.replace(SPACE, offspring=lambda generator, branch, parents: {}["x"]),
        r"offspring of the space autoloss_zero raises KeyError: 'x' \(tests/test_check_space\.py, line \d+\)",
    ),
    "hyper-parameters of words": (
        dataclasses.replace(SPACE, hyperparameters=lambda candidate: {"gain": "high"}),
        "hyperparameters of the space autoloss_zero must give {name: number}, not {'gain': a str}",
    ),
    "a key that raises": (
        wrong_form(key=lambda self, expression: {}["x"]),
        r"key of the branch 'classification' of the space autoloss_zero raises KeyError: 'x' \(tests.*line \d+\)",
    ),
    "a canonical expression of another key": (
        wrong_form(canonical=lambda self, expression: self.parse("Exp(Exp(Exp(Exp(prediction))))")),
        "canonical of the branch 'classification' of the space autoloss_zero must give an expression of the same key",
    ),
    "a blank that raises": (
        wrong_form(blank=lambda self: {}["x"]),
        "blank of the branch 'classification' of the space autoloss_zero raises KeyError: 'x'",
    ),
    "a formula in LaTeX that is no text": (
        wrong_form(latex=lambda self, expression: None),
        "latex of the branch 'classification' of the space autoloss_zero must give a text, not None",
    ),
    "values of an input that is not named": (
        wrong_form(values=lambda self, encoded, inputs, axis_name=None: inputs.arrays["logits"]),
        r"apply of the space autoloss_zero raises KeyError: 'logits' \(tests/test_check_space\.py, line \d+\)",
    ),
    "a loss that is no scalar": (
        broken(loss=lambda self, encoded, inputs, axis_name=None: self.apply(encoded, inputs)[BRANCH]),
        "loss of the space autoloss_zero must give a scalar, float32[], and gives float32[10, 1, 1, 3]",
    ),
}


@pytest.mark.parametrize("mistake", WRONG_SPACES)
def test_a_mistake_of_a_space_is_one_line(mistake):
    space, says = WRONG_SPACES[mistake]
    with pytest.raises(UserError) as caught:
        check_space(space, INPUTS)
    line = str(caught.value)
    assert "\n" not in line
    assert says in line or re.search(says, line), line


WRONG_FIELDS = {
    "name": (None, "name of the space must be a text, not None"),
    "branches": (None, "branches of the space autoloss_zero must be a tuple of Branch, one at least, not None"),
    "offspring": (3, "offspring of the space autoloss_zero must be a function or None, not 3"),
    "num_parents": ("two", "num_parents of the space autoloss_zero must be a whole number, 1 at least, not 'two'"),
    "hyperparameters": (None, "hyperparameters of the space autoloss_zero must be a function, not None"),
    "tuning_ranges": ({"gain": (0, 1)}, "tuning_ranges of the space autoloss_zero must be a dict {name: TuningRange}"),
    "known_losses": ({"plain": 3}, "known_losses of the space autoloss_zero must be a dict {name: formula}"),
    "drawing": (3, "drawing of the space autoloss_zero must be a Drawing or None, not 3"),
}


@pytest.mark.parametrize("field", WRONG_FIELDS)
def test_a_field_of_another_type(field):
    value, says = WRONG_FIELDS[field]
    with pytest.raises(UserError) as caught:
        check_space_fields(dataclasses.replace(SPACE, **{field: value}))
    assert str(caught.value).startswith(says)


def test_needed_inputs_that_are_no_sets():
    branch = dataclasses.replace(SPACE.branches[0], required=("prediction",))
    says = (
        r"required of the branch 'classification' of the space autoloss_zero must be a tuple of sets of names, as in \(frozenset"
    )
    with pytest.raises(UserError, match=says):
        check_space_fields(dataclasses.replace(SPACE, branches=(branch,)))


WRONG_FORMS = {
    "program": (3, "a Layout or None, not 3"),
    "numbers": (None, "a function, not None"),
    "ranges": ({"prediction": 3}, "a dict {name: (low, high)} with low < high, not {'prediction': an int}"),
    "looks_across": ("no", "True or False, not 'no'"),
    "one_hot": ("yes", "True or False, not 'yes'"),
}


@pytest.mark.parametrize("field", WRONG_FORMS)
def test_a_field_of_a_form_of_another_type(field):
    value, says = WRONG_FORMS[field]
    with pytest.raises(UserError) as caught:
        check_space_fields(
            wrong_form(**{field: value, "__init__": lambda self, layout: object.__setattr__(self, "layout", layout)})
        )
    assert str(caught.value).startswith(
        f"{field} of the form of the branch 'classification' of the space autoloss_zero must be {says}"
    )


def test_a_branch_without_a_form():
    with pytest.raises(UserError, match="form of the branch 'one' of the space autoloss_zero must be a Form, not None"):
        check_space_fields(dataclasses.replace(SPACE, branches=(Branch("one", None),)))


def test_a_chooser_that_is_none():
    space = dataclasses.replace(SPACE, make_chooser=lambda context: 3)
    with pytest.raises(UserError, match=r"make_chooser of the space autoloss_zero must give a Chooser, .* or None, not an int"):
        make_chooser(default_config(), space, {}, None, None)


def test_python_that_is_none_ends_a_command_before_a_directory_is_made(tmp_path, capsys):
    space = ["--config.space.name=tests.symbolic.test_export:own", "--config.space.options.mistake=python is broken"]
    assert launch.main(["--config=tests/configs/tiny.py", *space, f"--workdir={tmp_path / 'run'}"]) == 2
    assert re.fullmatch(
        r"error: write_python of .* must give a Python module, .* cannot be compiled: .*\n", capsys.readouterr().err
    )
    assert not (tmp_path / "run").exists()


def test_spaces_without_mistakes():
    check_space_fields(SPACE)
    check_space(SPACE, INPUTS)
    cosines = LossInputs.create(dict.fromkeys(("cosine", "target"), jnp.zeros((4, 1, 1, 3))))
    check_space(autoloss_gms(), {"identity": cosines})
    pair = autoloss_zero(AutoLossZeroSettings(("a", "b"), (1.0, 2.0)))
    check_space(pair, check_task(make_fast(FastSettings(("a", "b"))), BATCH))
