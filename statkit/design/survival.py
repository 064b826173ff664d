"""A design whose response is a time with an event: rows are coded on the grid of the event times.

Partial likelihoods compare rows at event times only. Once all event times are known, from one profile round,
a row's response is where it enters and leaves the grid, and the times themselves are not needed any more.
"""

from __future__ import annotations

import copy
import hashlib
from dataclasses import dataclass, replace

import numpy as np

from statkit.design.block import Block
from statkit.design.columns import Columns, missing_rows
from statkit.design.design import Design
from statkit.design.expressions import Evaluator, column_names
from statkit.design.levels import as_coded, level_keys
from statkit.design.roles import ResponseSpec, response_numbers
from statkit.design.terms_design import TermsDesign

__all__ = ["EventTimes", "Grid", "SurvivalDesign", "without_intercept"]


def without_intercept(design: TermsDesign, response: tuple[str, ...] | None = None) -> TermsDesign:
    """The same columns without an intercept, where the model has none, factors coded as with one.

    Parameters
    ----------
    design : TermsDesign
        Not frozen.
    response : tuple of str or None
        Expressions of (time, event) or (start, stop, event); None keeps the response that there is.
    """
    spec, classes = design._response, design.classes
    if response is not None:
        shown = ", ".join(text[1:-1] if text.startswith("`") else text for text in response)
        spec = ResponseSpec("survival", response, f"Surv({shown})")
    new = type(design).__new__(type(design))
    TermsDesign.__init__(
        new, formula=design.formula, plan=tuple(t for t in design._plan if any(s.factors for s in t[1])),
        specs=design._specs, response=spec, weight=design._weight, offsets=design._offsets,
        group=design._group, classes=classes, na_action=design.na_action, limit_rule=None,
    )  # fmt: skip
    return new


@dataclass(slots=True)
class EventTimes:
    """Event times with their counts by stratum, merged exactly in any order.

    Attributes
    ----------
    strata : dict
        Labels of a stratum → (sorted times, events at each).
    """

    strata: dict

    def merge(self, other: EventTimes) -> EventTimes:
        """The event times of the rows of both."""
        merged = dict(self.strata)
        for key, (times, counts) in other.strata.items():
            if key in merged:
                both = np.concatenate([merged[key][0], times])
                times, inverse = np.unique(both, return_inverse=True)
                counts = np.bincount(inverse, np.concatenate([merged[key][1], counts])).astype(np.int64)
            merged[key] = times, counts
        return EventTimes(merged)


@dataclass(slots=True)
class Grid:
    """Event times of all strata, one stratum after another.

    Attributes
    ----------
    labels : list of tuple
        Of the strata with events.
    times : ndarray of shape (D,)
    offsets : ndarray of int
        Where each stratum starts in ``times``, and D.
    tied : ndarray of int
        Grid points that may have more than one event.
    n_events : int
        Rows with an event, before any was dropped.
    """

    labels: list
    times: np.ndarray
    offsets: np.ndarray
    tied: np.ndarray
    n_events: int = 0

    @classmethod
    def of(cls, events: EventTimes, most: int | None) -> Grid:
        """The grid of all event times, or of ``most`` quantiles of them in a stratum that has more."""
        labels = sorted(events.strata, key=lambda key: tuple((isinstance(k, str), k) for k in key))
        times, tied, offsets = [], [], [0]
        for key in labels:
            t, count = events.strata[key]
            if most is not None and len(t) > most:
                share = np.cumsum(count) / count.sum()
                last = np.unique(np.searchsorted(share, np.arange(1, most + 1) / most - 1e-12))
                count = np.diff(np.concatenate([[0], np.cumsum(count)[last]]))
                t = t[last]
            times.append(t)
            tied.append(count > 1)
            offsets.append(offsets[-1] + len(t))
        whole = np.concatenate(times) if times else np.empty(0)
        more = np.flatnonzero(np.concatenate(tied)) if tied else np.empty(0, np.intp)
        n = sum(int(count.sum()) for _, count in events.strata.values())
        return cls(labels, whole, np.array(offsets), more, n)

    def codes(self, stratum, start, stop, event) -> np.ndarray:
        """Rows as (first grid point at risk, one past the last, event), (n, 3)."""
        out = np.empty((len(stop), 3))
        out[:, :2] = self.offsets[-1]  # never at risk: a stratum without events
        out[:, 2] = event
        for s, rows in _groups(stratum):
            if s < 0:
                continue
            first, end = self.offsets[s], self.offsets[s + 1]
            times = self.times[first:end]
            left = np.searchsorted(times, stop[rows], "left")
            right = np.searchsorted(times, stop[rows], "right")
            out[rows, 1] = first + np.where(event[rows] > 0, left + 1, right)
            out[rows, 0] = first if start is None else first + np.searchsorted(times, start[rows], "right")
        return out


def _groups(labels: np.ndarray):
    """(label, rows) of every distinct label."""
    if not len(labels):
        return
    if (labels == labels[0]).all():
        yield labels[0], slice(None)
        return
    order = np.argsort(labels, kind="stable")
    cuts = np.flatnonzero(np.diff(labels[order])) + 1
    for rows in np.split(order, cuts):
        yield labels[rows[0]], rows


class SurvivalDesign(Design):
    """Columns of another design, with a response of the form ``Surv(time, event)``.

    Parameters
    ----------
    inner : TermsDesign or MatrixDesign
        Without an intercept. Its response has the columns time and event, or start, stop and event.
    strata : tuple of str
        Expressions of a table's columns: risk sets are within their combinations.
    coded_strata : bool
        The last column of a response given as an array numbers the stratum.
    most_times : int or None
        Event times of a stratum are rounded up to this many quantiles; None keeps them.
    """

    def __init__(self, inner, strata=(), *, coded_strata=False, most_times=None):
        self.inner = inner
        self.strata = tuple(strata)
        self.coded_strata = coded_strata
        self.most_times = most_times
        self.grid: Grid | None = None
        self._describe()

    def _describe(self):
        inner = self.inner
        self.formula, self.na_action, self.response_name = inner.formula, inner.na_action, inner.response_name
        self.notes, self.intercept = inner.notes, inner.intercept
        extra = tuple(dict.fromkeys(name for text in self.strata for name in column_names(text)))
        self._strata_columns = extra
        self.columns = tuple(dict.fromkeys([*inner.columns, *extra]))
        self.predictor_columns = inner.predictor_columns
        if self.grid is not None:
            self.names, self.terms, self.position = inner.names, inner.terms, inner.position
            self.profile_columns = None
            return
        response = getattr(inner, "_response", None)
        texts = response.texts if response is not None else ()
        times = [name for text in texts for name in column_names(text)]
        self._texts = texts
        self.profile_columns = tuple(dict.fromkeys([*(inner.profile_columns or ()), *times, *extra]))

    @property
    def token(self) -> str:
        if self.grid is None:
            return self.inner.token
        of_times = hashlib.sha1(self.grid.times.tobytes() + repr(self.grid.labels).encode()).hexdigest()
        return self.inner.token + of_times

    def grouped_by(self, group: str | None, schema: dict) -> SurvivalDesign:
        """The same design with clusters by an expression; None for none."""
        other = copy.copy(self)
        other.inner = self.inner.grouped_by(group, schema)
        other._describe()
        return other

    # The profile round: levels and transforms of the columns, and the event times.

    def profile(self, rows) -> dict:
        """Summary of the raw rows that freezing needs: the inner design's, and the event times."""
        summary = {} if self.inner.profile_columns is None else self.inner.profile(rows)
        if self._texts:
            values = Evaluator(Columns(rows.table, rows.where), None)
            response = np.column_stack([response_numbers(values.value(t)) for t in self._texts])
        else:
            response = np.asarray(rows.beside["y"], dtype=float)
        keys, stratum = self._strata_of(rows, response)
        start, stop, event = self._parts(response)
        here = (event == 1) & np.isfinite(stop) & (stratum >= 0)
        found = {}
        times = stop[here]
        for s, rows in _groups(stratum[here]):
            found[keys[s]] = np.unique(times[rows], return_counts=True)
        summary["event times"] = EventTimes(found)
        return summary

    def freeze(self, summary: dict | None) -> SurvivalDesign:
        """The design with levels, states and the grid of event times fixed."""
        if self.grid is not None:
            return self
        summary = dict(summary or {})
        events = summary.pop("event times", EventTimes({}))
        frozen = copy.copy(self)
        frozen.inner = self.inner.freeze(summary or None)
        frozen.grid = Grid.of(events, self.most_times)
        if not len(frozen.grid.times):
            raise ValueError(
                f"{self.response_name}: no row has an event, every time is censored; there is nothing to model "
                "(check the coding of the event: 1 or True is an event)"
            )
        frozen._describe()
        if self.most_times is not None and any(len(t) > self.most_times for t, _ in events.strata.values()):
            frozen.notes = (*frozen.notes, f"Event times were rounded up to {self.most_times:,} quantiles.")
        return frozen

    def _parts(self, response):
        """start or None, stop, event of raw responses."""
        k = response.shape[1] - int(self.coded_strata)
        start = response[:, 0] if k == 3 else None
        return start, response[:, k - 2], response[:, k - 1]

    def _strata_of(self, rows, response=None) -> tuple[list, np.ndarray]:
        """Labels of the strata in these rows, and each row's place among them, −1 where it has none."""
        if self.coded_strata:
            labels, index = np.unique(response[:, -1], return_inverse=True)
            keys = [(v.item(),) for v in labels]
            return keys, np.where(np.isnan(response[:, -1]), -1, index)
        n = rows.n_rows
        if not self.strata:
            return [()], np.zeros(n, np.intp)
        values = Evaluator(Columns(rows.table, rows.where), None)
        whole, missing, tables = np.zeros(n, np.int64), np.zeros(n, bool), []
        for text in self.strata:
            value = values.value(text)
            absent = missing_rows(value)
            if absent is not None:
                missing |= absent
            coded = as_coded(value)
            keys = level_keys(coded.values)
            tables.append(keys)
            whole = whole * max(len(keys), 1) + np.where(coded.codes < 0, 0, coded.codes)
        present, index = np.unique(whole, return_inverse=True)
        labels = []
        for code in present.tolist():
            label = []
            for keys in reversed(tables):
                label.append(keys[code % len(keys)] if keys else None)
                code //= max(len(keys), 1)
            labels.append(tuple(reversed(label)))
        # Different table values may be one label, as in strata(k > 10).
        place: dict[tuple, int] = {}
        target = np.array([place.setdefault(label, len(place)) for label in labels], np.intp)
        return list(place), np.where(missing, -1, target[index] if len(target) else index)

    def stratum_index(self, rows) -> np.ndarray:
        """Place of each row's stratum in ``grid.labels``; −1 for one without events or without a value."""
        keys, local = self._strata_of(rows, rows.beside.get("y"))
        place = {label: i for i, label in enumerate(self.grid.labels)}
        table = np.array([place.get(key, -1) for key in keys] + [-1])
        return table[local]

    # Encoding.

    def encode(self, rows) -> Block:
        """Complete rows as a block whose response is (first grid point, one past the last, event)."""
        block = self.inner.encode(rows)
        kept = slice(None) if not isinstance(block.rows, np.ndarray) else block.rows - rows.first_row
        beside = rows.beside.get("y")
        keys, local = self._strata_of(rows, None if beside is None else np.asarray(beside, dtype=float))
        local = local[kept]
        place = {label: i for i, label in enumerate(self.grid.labels)}
        table = np.array([place.get(key, -1) for key in keys] + [-1])
        start, stop, event = self._parts(block.y)
        self._check(block, rows, start, stop, event)
        block = replace(block, y=self.grid.codes(table[local], start, stop, event))
        without = local < 0
        if not without.any():
            return block
        if self.na_action == "raise":
            row = block.row_numbers()[int(np.argmax(without))]
            raise ValueError(
                f"stratum {', '.join(self.strata)} is missing in row {row} ({rows.where}); "
                "na_action='drop' leaves such rows out"
            )
        n_read, n_missing = block.n_read, block.n_missing + int(without.sum())
        return replace(block.take(np.flatnonzero(~without)), n_read=n_read, n_missing=n_missing)

    def _check(self, block, rows, start, stop, event):
        for bad, reason in (
            ((event != 0) & (event != 1), "the event must be 0 or 1 (or False, True), found {event:g}"),
            (None if start is None else ~(start < stop), "start must come before stop, found {start:g} and {stop:g}"),
        ):  # fmt: skip
            if bad is not None and bad.any():
                at = int(np.argmax(bad))
                text = reason.format(
                    event=event[at], stop=stop[at], start=0.0 if start is None else start[at]
                )
                raise ValueError(
                    f"{self.response_name}: {text} in row {block.row_numbers()[at]} ({rows.where})"
                )

    @property
    def names_response(self) -> bool:
        """Whether times and events are among the data's columns."""
        return getattr(self.inner, "names_response", False)

    def response(self, rows) -> np.ndarray:
        """Times and events of raw rows, every one of them: NaN where missing."""
        return self.inner.response(rows)

    def encode_predictors(self, rows):
        return self.inner.encode_predictors(rows)

    def missing_columns(self, rows) -> list[str]:
        """Columns that have no value in these rows."""
        return self.inner.missing_columns(rows)
