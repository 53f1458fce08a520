"""The records of a run as pandas DataFrames. pandas takes a second to import: it comes where the first frame is made."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from jaxloss.runs.rows import Row

if TYPE_CHECKING:
    import pandas

# Columns that records of the summary have in every version, for frames without a row; others stand behind them.
COMPARISON = {"name": str, "kind": str, "formula": str, "untuned": dict, "tuned": dict}
RANKING = {"rank": int, "formula": str, "search_eval": float, "search_score": float}
# By kind and whether a value may be missing. pandas would make floats of whole numbers among which one is missing, and its types
# for text differ between versions 2 and 3: text is as Python has it, and None where there is none.
_DTYPES = {
    (int, False): "int64",
    (int, True): "Int64",
    (float, False): "float64",
    (float, True): "float64",
    (bool, False): "bool",
}


def frame_of_rows(kind: type[Row], rows: Sequence[Row]) -> "pandas.DataFrame":
    """Rows of an archive; columns and their types are those of `kind`, also where there is no row.

    Args:
      kind: of the rows.
      rows: in the order of the frame.
    """
    columns = {name: ([getattr(row, name) for row in rows], declared) for name, declared in kind.columns().items()}
    return _frame(columns)


def frame_of_records(records: Sequence[Mapping[str, Any]], known: Mapping[str, type]) -> "pandas.DataFrame":
    """Records of a summary; a value that a record lacks, or that is None, is missing.

    Args:
      records: name -> JSON value, of any version.
      known: columns that are always there, first, with the types that they have where no record has a value.
    """
    columns = {}
    for name in dict.fromkeys([*known, *(key for record in records for key in record)]):
        values = [record.get(name) for record in records]
        columns[name] = values, (_kind(values, known.get(name, object)), None in values)
    return _frame(columns)


def _kind(values: Sequence[Any], otherwise: type) -> type:
    """The type of JSON values; whole numbers among others are numbers."""
    kinds = {type(value) for value in values} - {type(None)}
    if kinds == {int, float}:
        return float
    return kinds.pop() if len(kinds) == 1 else object if kinds else otherwise


def _frame(columns: Mapping[str, tuple[Sequence[Any], tuple[type, bool]]]) -> "pandas.DataFrame":
    """Of name -> (values, (their type, whether one may be missing))."""
    import pandas

    return pandas.DataFrame(
        {name: pandas.Series(values, dtype=_DTYPES.get(declared, "object")) for name, (values, declared) in columns.items()}
    )
