"""``--where``: from texts such as view=PA or age>=60 to the filters of `Index.query`."""

from typing import TYPE_CHECKING, Any

from graphret._errors import InvalidParameterError
from graphret.index.conditions import COMPARISONS, LABEL

if TYPE_CHECKING:
    from graphret.data import ImageTable

__all__ = ["parse_where"]

_BY_LENGTH = sorted(COMPARISONS, key=len, reverse=True)  # ">=" before ">"
_FORM = "COLUMN=VALUE, or with !=, <, <=, > or >=, for example view=PA, 'age>=60' or label=Edema"
_QUOTES = "put it in quotes: the shell takes < and > for itself"


def parse_where(films: "ImageTable", entries: list[str] | None) -> dict[str, Any] | None:
    """Read conditions in the types of the columns; equal values of one column are alternatives, others hold together.

    Raises
    ------
    InvalidParameterError
        No comparison, an unknown column, a text for a column of numbers, or a comparison of a column twice.

    Examples
    --------
    >>> from graphret.data import ImageTable
    >>> films = ImageTable(["a"], [], [], (), columns={"age": [57]})
    >>> parse_where(films, ["view=PA", "view=AP", "age >= 50", "age<60"])
    {'view': ['PA', 'AP'], 'age': {'>=': 50, '<': 60}}
    """
    conditions: dict[str, dict[str, Any]] = {}
    for entry in entries or ():
        column, comparison, text = _split(films, entry)
        of_column = conditions.setdefault(column, {})
        value = _value(films, entry, column, text)
        if comparison in {"=", "!="}:
            of_column.setdefault(comparison, []).append(value)
        elif comparison in of_column:
            raise InvalidParameterError("where", entry, f"{comparison} of a column once")
        else:
            of_column[comparison] = value
    filters = {column: given["="] if list(given) == ["="] else given for column, given in conditions.items()}
    return filters or None


def _split(films: "ImageTable", entry: str) -> tuple[str, str, str]:
    """Column, comparison and value; a column whose name has such signs in it is found by its whole name."""
    for name in sorted(films.columns, key=len, reverse=True):
        rest = entry.removeprefix(name).lstrip()
        comparison = next((sign for sign in _BY_LENGTH if rest.startswith(sign)), None)
        if entry.startswith(name) and comparison is not None:
            return name, comparison, rest.removeprefix(comparison).strip()
    found = [(entry.find(sign), -len(sign), sign) for sign in COMPARISONS if sign in entry]
    if not found or min(found)[0] == 0:
        raise InvalidParameterError("where", entry, _FORM, _QUOTES)
    place, _, comparison = min(found)
    return entry[:place].strip(), comparison, entry[place + len(comparison) :].strip()


def _value(films: "ImageTable", entry: str, column: str, text: str) -> Any:
    if column == LABEL and LABEL not in films.columns:
        return text
    kind = films.column(column).dtype.kind
    if kind in "UT":
        return text
    if kind == "b" and text.lower() in {"true", "false"}:
        return text.lower() == "true"
    try:
        return int(text) if kind in "iu" and text.strip("+- ").isdecimal() else float(text)
    except ValueError as error:
        raise InvalidParameterError("where", entry, "COLUMN=NUMBER (or true, false), as the column holds") from error
