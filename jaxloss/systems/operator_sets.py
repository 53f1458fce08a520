"""The operator sets of all systems, by the names that runs store."""

from collections.abc import Mapping

from jaxloss.graphs.operators.operator import OperatorSet
from jaxloss.systems.autoloss_gms.operators import AUTOLOSS_GMS
from jaxloss.systems.autoloss_zero.operators import AUTOLOSS_ZERO
from jaxloss.systems.cse_autoloss.operators import CSE_AUTOLOSS

OPERATOR_SETS: Mapping[str, OperatorSet] = {
    operators.name: operators for operators in (AUTOLOSS_ZERO, AUTOLOSS_GMS, CSE_AUTOLOSS)
}
