"""Networks for segmentation from outside the package: they train, are scored and shown; mistakes in them are one line each."""

import flax.linen as nn
import jax.numpy as jnp
import pytest

from jaxloss.execution.base import Trial
from jaxloss.spaces.families import family
from jaxloss.tasks.base import SEARCH_EVAL
from jaxloss.tasks.check import check_task
from jaxloss.tasks.settings import TrainingSettings
from tests.errors import user_error
from tests.execution.trainings import make as make_execution
from tests.execution.trainings import outcomes
from tests.segmentation_task.scenes import make

LINEN, NNX = (f"examples.own_dense_network:{name}" for name in ("DilatedNetwork", "PixelwiseModel"))
READS = {"segmentation": ("prediction", "target", "prior")}


class Whole(nn.Module):
    """Logits of a whole image."""

    num_classes: int

    @nn.compact
    def __call__(self, images):
        return nn.Dense(self.num_classes)(images.reshape(len(images), -1))


def fixed_size(num_classes):
    """Logits of 24 x 32 pixels, whatever comes in."""

    class Fixed(nn.Module):
        @nn.compact
        def __call__(self, images):
            return nn.Conv(num_classes, (1, 1))(jnp.resize(images, (len(images), 24, 32, 3)))

    return Fixed()


@pytest.mark.parametrize(
    ("model", "options"), [(LINEN, {"features": 8, "rates": (1, 2)}), pytest.param(NNX, {"features": 8}, marks=pytest.mark.slow)]
)
def test_a_network_keeps_the_contract_and_learns(folder, model, options):
    task = make(folder, model=model, model_options=options)
    check_task(task, batch_size=4, reads=READS, num_samples=2)
    assert task.details["network"] == model
    assert task.details["auxiliary_head"] == "no"
    assert task.backbone is None
    execution = make_execution("serial", task, TrainingSettings(optimiser="adam", batch_size=4, num_epochs=40))
    trial = Trial(family("cross_entropy"), {}, 0.02, 0, 0, SEARCH_EVAL)
    (outcome,) = outcomes(execution, [trial])
    assert outcome.score > execution.untrained_scores(0, 0)["mean_iou"] + 0.3


@pytest.mark.parametrize(
    ("changed", "expected"),
    [
        ({"model": "light_unett", "model_options": {}}, "Did you mean 'light_unet'?"),
        ({"model": f"{__name__}:Whole", "model_options": {}}, "must give logits, float32[2, 24, 32, 3] for 2 examples"),
        ({"model": f"{__name__}:Whole", "model_options": {"widht": 3}}, "option"),
        (
            {"model": f"{__name__}:fixed_size", "model_options": {}, "augmentation": "scale_crop_flip",
             "augmentation_options": {"crop_size": (16, 16)}},
            "must give logits, float32[2, 16, 16, 3] for 2 examples",
        ),
        ({"model": f"{__name__}:Whole", "model_options": {}, "precision": "bfloat16"}, "task.segmentation.precision=bfloat16"),
    ],
)  # fmt: skip
def test_a_mistake_is_one_line(folder, changed, expected):
    with user_error(expected):
        make(folder, **changed)
