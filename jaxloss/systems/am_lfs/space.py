"""The space of AM-LFS (ICCV 2019): piecewise-linear t and tau inside of a softmax."""

from collections.abc import Sequence

import numpy as np

from jaxloss.core.problem import COSINES, PREDICTIONS
from jaxloss.filters.base import Filter
from jaxloss.filters.context import FilterContext
from jaxloss.filters.remembered_losses import RememberedLosses
from jaxloss.filters.settings import EquivalenceSettings
from jaxloss.filters.standard import gradient_filter, rejection_filters
from jaxloss.spaces.base import Branch, Space
from jaxloss.systems.am_lfs.drawing import make_drawing
from jaxloss.systems.am_lfs.export import make_write_python
from jaxloss.systems.am_lfs.form import PiecewiseForm, Theta, as_theta
from jaxloss.systems.am_lfs.members import MEMBERS, fitted
from jaxloss.systems.am_lfs.reinforce import draw, make_distribution, start_of
from jaxloss.systems.am_lfs.settings import COSINE, AMLFSSettings

MOVED = "all numbers moved"


def am_lfs(settings: AMLFSSettings | None = None) -> Space:
    """Makes the space. It is searched in lock-step; a draw, and an offspring of evolution, is one from its Gaussian.

    References:
      C. Li et al.: AM-LFS: AutoML for Loss Function Search, ICCV 2019.
    """
    settings = settings or AMLFSSettings()
    form = PiecewiseForm(settings)
    problem = COSINES if settings.similarity == COSINE else PREDICTIONS

    def sample(generator: np.random.Generator, branch: Branch) -> Theta:
        del branch
        return draw(settings, generator, np.array(start_of(settings)))

    def offspring(generator: np.random.Generator, branch: Branch, parents: Sequence[Theta]) -> tuple[Theta, str]:
        del branch
        return draw(settings, generator, np.array(parents[0])), MOVED

    def make_filters(context: FilterContext) -> list[Filter]:
        return [gradient_filter(context, problem), RememberedLosses(context.branch.name), *rejection_filters(context, problem)]

    return Space(
        name="am_lfs",
        branches=(Branch(settings.branch, form),),
        sample=sample,
        offspring=offspring,
        known_losses={name: form.write(as_theta(fitted(one, settings.num_intervals))) for name, one in MEMBERS.items()},
        problems=(problem,),
        make_filters=make_filters,
        sections=(EquivalenceSettings.section,),
        drawing=make_drawing(settings),
        write_python=make_write_python(settings),
        distribution=make_distribution(settings, settings.branch),
    )
