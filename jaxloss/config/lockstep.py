"""What a search in lock-step needs of a config, said in one line before anything is trained."""

import ml_collections

from jaxloss.config.schema import read
from jaxloss.core.conditions import shown
from jaxloss.core.errors import UserError
from jaxloss.search.lockstep_settings import RIVAL
from jaxloss.spaces.base import Space
from jaxloss.spaces.check_distribution import check_distribution
from jaxloss.tasks.settings import LOSS_SCALES, TrainingSettings


def check_lockstep(config: ml_collections.ConfigDict, space: Space) -> None:
    """Whether losses can be learned, and whether what is compared with them is named.

    Raises:
      UserError: names the key.
    """
    if space.distribution is None:
        raise UserError(
            f"mode=lockstep needs a space with a distribution, and the space {space.name} has none: use mode=search, or another "
            "space.name"
        )
    check_distribution(space)
    settings = config.lockstep
    if settings.epochs_per_round > config.training.num_epochs:
        raise UserError(
            f"lockstep.epochs_per_round ({settings.epochs_per_round:g}) must not be above training.num_epochs "
            f"({config.training.num_epochs:g}): losses are learned from round to round"
        )
    others = {"rate": RIVAL, "longer": True, "best_of": True}
    needing = [f"lockstep.{name}={shown(value)}" for name, value in others.items() if settings[name] == value]
    if needing and not config.comparison.handcrafted:
        raise UserError(f"{needing[0]} needs a hand-crafted loss: name it in comparison.handcrafted, or set another value")
    if settings.longer:
        try:
            read(config, TrainingSettings).longer(settings.num_samples)
        except UserError as error:
            raise UserError(
                f"lockstep.longer=True trains one network lockstep.num_samples ({settings.num_samples}) times as long, and "
                f"{error}: set it to False, or lower lockstep.num_samples or training.num_epochs"
            ) from error
    if config.training.loss_scale != LOSS_SCALES[0]:
        raise UserError(
            f"mode=lockstep trains every copy on with another loss: training.loss_scale={config.training.loss_scale} would keep "
            f"the factor of the first one; set it to {LOSS_SCALES[0]}"
        )
