"""One pass that averages what is asked of a fit over rows, with the derivatives that standard errors need."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from statkit.design.counterfactual import MatrixRows, TermsRows
from statkit.design.matrix import MatrixDesign

__all__ = ["Averages", "Changes", "Fitted", "Means", "Slope", "answers", "average", "groups_of", "load_rows"]


@dataclass
class Fitted:
    """What workers need of a fit.

    Parameters
    ----------
    design : Design
    means : object
        See ``_means``.
    theta : ndarray of shape (K, q)
        Coefficients by internal column.
    cuts : ndarray of shape (m,)
        Thresholds.
    size : int
        Parameters of the estimate.
    """

    design: Any
    means: Any
    theta: np.ndarray
    cuts: np.ndarray
    size: int

    @classmethod
    def of(cls, model, means) -> Fitted:
        from statkit.regression._tabular import internal_theta

        values, m = model.estimate_.values, model._fitted_family.n_thresholds
        theta = np.ascontiguousarray(internal_theta(model))
        return cls(model._design, means, theta, values[len(values) - m :], len(values))

    def public(self, internal: np.ndarray, cuts: np.ndarray | None) -> np.ndarray:
        """A derivative in the internal coefficients (K, q) and thresholds, by public parameter."""
        out = np.zeros(self.size)
        m = len(self.cuts)
        out[: self.size - m].reshape(len(self.theta), -1)[:, self.design.position] = internal
        if cuts is not None:
            out[self.size - m :] = cuts
        return out


@dataclass
class Means:
    """The means themselves."""

    #: What each answer is of, without its class.
    keys: list[dict] = field(default_factory=lambda: [{}])


@dataclass
class Slope:
    """The derivative of the means in a variable.

    Parameters
    ----------
    key : object
        See :class:`~statkit.design.counterfactual.Variable`.
    method : {"dydx", "eyex", "dyex", "eydx"}
        In units, or as elasticities of mean (ey) and variable (ex).
    """

    keys: list[dict]
    key: object
    method: str


@dataclass
class Changes:
    """The change of the means as a variable goes from one value to each of some others.

    Parameters
    ----------
    low : object
    highs : list
    log : bool
        The change of their logarithms.
    """

    keys: list[dict]
    key: object
    low: object
    highs: list
    log: bool


def answers(rows, fitted: Fitted, changes: dict, questions: list, weight: np.ndarray) -> list:
    """(Σ w f, Σ w ∂f) of every question about rows with some changes: by question, key and class."""
    base = rows.encoded(changes)
    means = fitted.means.at(base.eta(fitted.theta), fitted.cuts)
    found = []
    for question in questions:
        if isinstance(question, Slope):
            found += _slopes(rows, fitted, changes, question, weight, base, means)
        elif isinstance(question, Changes):
            found += _changes(rows, fitted, changes, question, weight)
        else:
            found += [
                (float(weight @ means.value(c)), _first(base, means, c, weight, fitted))
                for c in range(len(means.labels))
            ]
    return found


def _first(rows, means, c, weight, fitted):
    cuts = means.first_cuts(c)
    internal = rows.adjoint(weight[:, None] * means.first(c))
    return fitted.public(internal, None if cuts is None else weight @ cuts)


def _slopes(rows, fitted, changes, question, weight, base, means):
    tilt = rows.slope(question.key, changes)
    v = tilt.eta(fitted.theta)
    if question.method.endswith("ex"):
        x = changes[question.key] if question.key in changes else rows.values(question.key)
        weight = weight * x
    found = []
    for c in range(len(means.labels)):
        first, second = means.first(c), means.second(c, v)
        slope = np.einsum("nk,nk->n", first, v)
        cuts, more = means.first_cuts(c), means.second_cuts(c, v)
        w = weight
        if question.method.startswith("ey"):
            mean = means.value(c)
            w = weight / mean
            drop = slope / mean
            second = second - drop[:, None] * first
            more = None if more is None else more - drop[:, None] * cuts
        internal = base.adjoint(w[:, None] * second) + tilt.adjoint(w[:, None] * first)
        found.append((float(w @ slope), fitted.public(internal, None if more is None else w @ more)))
    return found


def _changes(rows, fitted, changes, question, weight):
    def at(value):
        encoded = rows.encoded({**changes, question.key: value})
        means = fitted.means.at(encoded.eta(fitted.theta), fitted.cuts)
        found = []
        for c in range(len(means.labels)):
            mean = means.value(c)
            w = weight / mean if question.log else weight
            total = float(weight @ (np.log(mean) if question.log else mean))
            found.append((total, _first(encoded, means, c, w, fitted)))
        return found

    low = at(question.low)
    found = []
    for value in question.highs:
        for (high, high_slope), (before, before_slope) in zip(at(value), low, strict=True):
            found.append((high - before, high_slope - before_slope))
    return found


class Averages:
    """Sums of answers by group of rows, mergeable.

    Parameters
    ----------
    groups : dict
        Label of a group → [rows, weight, sums (E,), derivatives (E, k)].
    """

    #: Groups that an average may have: each costs a table of derivatives.
    MOST = 10_000

    def __init__(self, groups: dict):
        self.groups = groups
        if len(groups) > self.MOST:
            raise ValueError(f"by has more than {self.MOST:,} groups: name columns with fewer values")

    def merge(self, other: Averages) -> Averages:
        merged = dict(self.groups)
        for label, sums in other.groups.items():
            before = merged.get(label)
            merged[label] = sums if before is None else [a + b for a, b in zip(before, sums, strict=True)]
        return Averages(merged)


def load_rows(source, fitted: Fitted, columns, weight, by, partition):
    """Complete rows of a partition."""
    rows = source.read(partition, columns)
    if isinstance(fitted.design, MatrixDesign):
        return MatrixRows(fitted.design, rows)
    return TermsRows(fitted.design, rows, weight=weight, extra=by)


def groups_of(rows, by: tuple[str, ...]):
    """(label, rows) of the groups that occur; one group of all rows where none are asked for."""
    if rows.n_rows == 0:
        return
    if by:
        labels, codes = rows.labels(by)
        yield from ((labels[code], part) for code, part in rows.split(codes))
    elif "group" in rows.rows.beside:
        yield from (((int(code),), part) for code, part in rows.split(rows.rows.beside["group"]))
    else:
        yield (), rows


def average(rows, fitted: Fitted, scenarios: list[dict], questions: list, by: tuple[str, ...]) -> dict:
    """The summary of a partition: answers of every scenario, question and class, by group."""
    groups = {}
    for label, part in groups_of(rows, by):
        weight = np.ones(part.n_rows) if part.weight is None else np.asarray(part.weight, dtype=np.float64)
        if weight.min() < 0:
            raise ValueError(f"weights must not be negative ({part.rows.where})")
        found = [
            answer for changes in scenarios for answer in answers(part, fitted, changes, questions, weight)
        ]
        sums, slopes = np.array([a for a, _ in found]), np.array([b for _, b in found])
        groups[label] = [part.n_rows, float(weight.sum()), sums, slopes]
    return {"averages": Averages(groups)}
