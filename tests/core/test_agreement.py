"""The foundation: interpreter, population, blocks and compiled form agree with the NumPy reference in value and gradient.

NaN and infinity are part of the agreement. An element may differ by what stochastic arithmetic says of its conditioning;
those without a correct answer are counted, so that the excuse cannot swallow the test.
"""

import numpy as np
import pytest

from tests.core import forms
from tests.core.random_graphs import FLAT, SETTINGS, SPATIAL, random_batch, random_graphs

EXCUSED = {np.float64: 0.03, np.float32: 0.05}

every_setting = pytest.mark.parametrize("setting", SETTINGS.values(), ids=SETTINGS)
# Whole populations of the other two sets of operators take as long again; their programs have their turn one by one.
quick_for_one = pytest.mark.parametrize(
    "setting",
    [pytest.param(one, id=name, marks=() if name == "autoloss_zero" else pytest.mark.slow) for name, one in SETTINGS.items()],
)


def assert_agreement(tried, graphs, setting, batch, tolerated=0.0):
    """Compares values and every gradient of some forms; returns the largest share of undetermined elements.

    The reference takes longer than the forms: all that are tried are compared with one run of it. `tolerated` is the share of
    elements that may be wrong. The runs only sample the rounding errors: among thousands of graphs they miss an outcome now and
    then (all ten find the root of a random sign to be NaN), more so where float32 saturates.
    """
    spread = forms.compiled not in tried and bool(setting.layout.per_sample_inputs)
    expected = forms.expected(graphs, setting, batch, spread)
    return max(_share_undetermined(form, expected, graphs, setting, batch, tolerated) for form in tried)


def _share_undetermined(form, expected, graphs, setting, batch, tolerated):
    (values, gradients), (expected_values, expected_gradients) = form(graphs, setting, batch), expected
    results = {} if values is None else {"value": (values, expected_values)}
    results |= {k: (gradients[k], expected_gradients[k]) for k in gradients}
    undetermined = valid = 0
    for name, (actual, runs) in results.items():
        assert actual.dtype == runs.dtype
        compared = forms.compare(actual, runs, batch.mask)
        wrong = [
            f"{form.__name__}, {name} of {graphs[place[0]]} at {place[1:]}: {actual[place]}, not {runs[place[0], :, *place[1:]]}"
            for place in map(tuple, np.argwhere(compared.wrong)[:3])
        ]
        share_wrong = compared.wrong.sum() / compared.valid.sum()
        assert share_wrong <= tolerated, "\n".join(wrong)
        undetermined += compared.undetermined.sum()
        valid += compared.valid.sum()
    share = undetermined / valid
    assert share < EXCUSED[batch.cotangent.dtype.type]
    return share


WHOLE_POPULATIONS = (forms.population, forms.in_blocks)


# Spatial batches without a mask are left to the tests in float32 and of many.
@quick_for_one
@pytest.mark.parametrize(
    ("shape", "masked"),
    [
        pytest.param(SPATIAL, True, id="spatial-masked"),
        pytest.param(FLAT, False, id="flat-whole", marks=pytest.mark.slow),
    ],
)
def test_population(float64, setting, shape, masked):
    graphs = random_graphs(100, setting, 100)
    assert_agreement(WHOLE_POPULATIONS, graphs, setting, random_batch(200, setting, shape, masked))


@pytest.mark.slow
@every_setting
def test_population_in_float32(setting):
    graphs = random_graphs(300, setting, 75)
    for masked in (False, True):
        assert_agreement(WHOLE_POPULATIONS, graphs, setting, random_batch(301, setting, SPATIAL, masked, np.float32))


@every_setting
def test_one_program_at_a_time(float64, setting):
    graphs = random_graphs(400, setting, 100)
    assert_agreement([forms.mapped], graphs, setting, random_batch(401, setting, SPATIAL, masked=True))


@every_setting
def test_compiled(float64, setting):
    graphs = random_graphs(501, setting, 6)
    assert_agreement([forms.compiled], graphs, setting, random_batch(501, setting, SPATIAL, masked=True))


@every_setting
def test_compiled_in_float32(setting):
    graphs = random_graphs(600, setting, 6)
    assert_agreement([forms.compiled], graphs, setting, random_batch(601, setting, FLAT, True, np.float32))


@pytest.mark.slow
@every_setting
def test_population_of_many(float64, setting):
    for chunk in range(20):
        graphs = random_graphs(1000 + chunk, setting, 500)
        batch = random_batch(2000 + chunk, setting, SPATIAL, masked=bool(chunk % 2))
        print(setting.name, chunk, assert_agreement(WHOLE_POPULATIONS, graphs, setting, batch, tolerated=1e-4))


@pytest.mark.slow
@every_setting
def test_population_of_many_in_float32(setting):
    for chunk in range(6):
        graphs = random_graphs(3000 + chunk, setting, 500)
        batch = random_batch(4000 + chunk, setting, SPATIAL, bool(chunk % 2), np.float32)
        print(setting.name, chunk, assert_agreement([forms.population], graphs, setting, batch, tolerated=5e-4))


@pytest.mark.slow
@every_setting
def test_compiled_of_many(float64, setting):
    for chunk in range(4):
        graphs = random_graphs(5000 + chunk, setting, 60)
        batch = random_batch(6000 + chunk, setting, SPATIAL, masked=bool(chunk % 2))
        print(setting.name, chunk, assert_agreement([forms.compiled], graphs, setting, batch))
