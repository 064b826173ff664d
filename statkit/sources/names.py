"""Names of columns: what to say when there is none of that name."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

__all__ = ["check_distinct", "column_not_found", "nearest"]

_SHOWN = 40


def nearest(name: str, available: Iterable[str]) -> str:
    """``"; did you mean 'distance'?"`` when something is near, else an empty text."""
    names = list(available)
    folded = {n.lower(): n for n in reversed(names)}
    match = difflib.get_close_matches(str(name).lower(), list(folded), n=1)
    return f"; did you mean {folded[match[0]]!r}?" if match else ""


def column_not_found(name: str, available: Iterable[str], what: str = "the data") -> ValueError:
    """Return the error for a column that does not exist, with the nearest name that does.

    Parameters
    ----------
    name : str
        The name that was looked up.
    available : iterable of str
        The names that exist.
    what : str, default="the data"
        What was searched.

    Returns
    -------
    error : ValueError
        To be raised by the caller.

    Examples
    --------
    >>> from statkit.sources import column_not_found
    >>> print(column_not_found("distanse", ["delay", "distance"], "flights.parquet"))
    flights.parquet has no column 'distanse'; did you mean 'distance'? Columns: delay, distance
    """
    names = [str(n) for n in available]
    has = "have" if what == "the data" else "has"
    if not names:
        return ValueError(f"{what} {has} no column {name!r}: there are no named columns")
    shown = ", ".join(names[:_SHOWN]) + (f", … ({len(names)} in all)" if len(names) > _SHOWN else "")
    near = nearest(name, names)
    return ValueError(f"{what} {has} no column {name!r}{near or '.'} Columns: {shown}")


def check_distinct(names: Iterable[str], what: str) -> None:
    """Refuse two columns of one name."""
    seen: set[str] = set()
    for name in names:
        if name in seen:
            raise ValueError(f"{what} has two columns named {name!r}: rename one of them")
        seen.add(name)
