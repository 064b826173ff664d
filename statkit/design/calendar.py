"""Hour, weekday, date, … of timestamp columns as small tables and codes, by integer arithmetic.

Days come from one division of the integers under the timestamps; everything that depends on the day alone is
looked up in a table over the days that occur.
"""

from __future__ import annotations

import numpy as np

from statkit.design.columns import Coded, Instants

__all__ = ["PARTS", "calendar_part"]

PARTS = ("hour", "minute", "weekday", "day", "dayofyear", "month", "year", "date")

_PER_DAY = {"D": 1, "s": 86_400, "ms": 86_400_000, "us": 86_400_000_000, "ns": 86_400_000_000_000}
# Beyond this many days between the first and the last, only the days that occur are tabulated.
_MANY_DAYS = 400_000


def calendar_part(name: str, instants: Instants) -> Coded:
    """The part of a timestamp column: integers (``date``: days), coded.

    Parameters
    ----------
    name : one of PARTS
        ``weekday`` counts from Monday = 0.
    instants : Instants
    """
    v, unit, missing = instants.values, instants.unit, instants.missing
    if name in ("hour", "minute"):
        return _within_day(name, v, unit, missing)
    days = v if unit == "D" else v // (_PER_DAY[unit])
    present = days if missing is None else days[~missing]
    if len(present) == 0:
        table = np.empty(0, "datetime64[D]" if name == "date" else np.int64)
        return Coded(table, np.full(len(v), -1, np.int8), len(v) == 0, categorical=name == "date")
    first, last = int(present.min()), int(present.max())
    if last - first < _MANY_DAYS:
        table = np.arange(first, last + 1)
        codes = (days - first).astype(np.intp, copy=False)
    else:
        table, codes = np.unique(days, return_inverse=True)
    values, of_day = _of_day(name, table)
    if of_day is not None:
        codes = np.take(of_day, codes, mode="clip")
    if missing is not None:
        codes = np.where(missing, -1, codes)
    return Coded(values, codes, missing is None, categorical=name == "date")


def _within_day(name: str, v: np.ndarray, unit: str, missing) -> Coded:
    per_hour = _PER_DAY[unit] // 24
    if unit == "D":
        codes, size = np.zeros(len(v), np.int8), 24
    elif name == "hour":
        hours = v // per_hour
        codes, size = (hours - 24 * (hours // 24)).astype(np.int8), 24
    else:
        minutes = v // (per_hour // 60)
        codes, size = (minutes - 60 * (minutes // 60)).astype(np.int8), 60
    if missing is not None:
        codes = np.where(missing, np.int8(-1), codes)
    return Coded(np.arange(size), codes, missing is None)


def _of_day(name: str, days: np.ndarray) -> tuple[np.ndarray, np.ndarray | None]:
    """Table of values of the part, and the row of that table for each of ``days``."""
    if name == "date":
        return days.astype("datetime64[D]"), None
    if name == "weekday":
        return np.arange(7), ((days + 3) % 7).astype(np.int8)
    stamp = days.astype("datetime64[D]")
    month = stamp.astype("datetime64[M]")
    year = stamp.astype("datetime64[Y]")
    if name == "month":
        return np.arange(1, 13), (month - year).astype(np.int8)
    if name == "day":
        return np.arange(1, 32), (stamp - month).astype(np.int8)
    if name == "dayofyear":
        return np.arange(1, 367), (stamp - year).astype(np.int16)
    years = year.astype(np.int64) + 1970
    low = int(years.min())
    return np.arange(low, int(years.max()) + 1), years - low
