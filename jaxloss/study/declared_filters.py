"""What a run stores of its filters, so that its page can say what stopped the draws."""

from collections.abc import Mapping

from jaxloss.filters.cascade import Cascade
from jaxloss.runs.declared import DeclaredFilter
from jaxloss.search.chooser import NOT_PROMISING, Chooser
from jaxloss.search.chooser import TITLE as CHOICE
from jaxloss.search.selection import REASONS as SELECTED_BY
from jaxloss.search.selection import TITLE as SELECTION


def filter_declarations(cascades: Mapping[str, Cascade], chooser: Chooser | None, selects: bool = False) -> list[DeclaredFilter]:
    """What the filters of all branches may stop a draw for, in the order in which a draw meets them.

    A chooser, or the selection of a search that keeps the best of a generation, stands behind them, as one more filter.
    """
    declared: dict[str, dict[str, str]] = {}
    for one in sorted((one for cascade in cascades.values() for one in cascade.filters), key=lambda one: one.cost):
        declared.setdefault(one.title, {}).update({reason.label: reason.words for reason in one.reasons})
    if chooser is not None:
        declared[CHOICE] = {NOT_PROMISING.label: NOT_PROMISING.words}
    if selects:
        declared[SELECTION] = {reason.label: reason.words for reason in SELECTED_BY}
    return [DeclaredFilter(title, reasons) for title, reasons in declared.items()]
