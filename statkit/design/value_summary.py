"""What a profile round keeps of a numeric column, so that transforms get their state from all rows.

While a column has few distinct values, they are kept with their counts and every state is exact. Beyond that
each partition keeps a Gauss quadrature rule of its own values: *m* nodes and weights that have the moments of
its values up to order 2m − 1, so that means, variances and orthogonal polynomials of all rows are still exact
(to about 1e-12); quantiles then come from a sample of rows chosen by a hash of their numbers.

Golub and Welsch (1969), "Calculation of Gauss quadrature rules".
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from statkit.design.columns import Coded

__all__ = ["MAX_DISTINCT", "SAMPLE_SIZE", "ValueSummary", "stieltjes", "summarise_values"]

MAX_DISTINCT = 65_536
# Rows kept for quantiles: the rank of a knot is off by about 0.4 % of the rows.
SAMPLE_SIZE = 16_384


@dataclass(frozen=True, slots=True)
class ValueSummary:
    """Values of a column in some partitions; merging in any order and grouping gives equal results.

    Attributes
    ----------
    n : int
        Rows with a value.
    low, high : float
    distinct : pair of ndarrays or None
        Values in order and their counts; None when there are more than ``MAX_DISTINCT``.
    rules : dict of int to pair of ndarrays
        First row of a partition → nodes and weights of its quadrature rule.
    sample : pair of ndarrays or None
        Hashes in order and values of the rows with the smallest hashes.
    """

    n: int
    low: float
    high: float
    distinct: tuple[np.ndarray, np.ndarray] | None
    rules: dict[int, tuple[np.ndarray, np.ndarray]]
    sample: tuple[np.ndarray, np.ndarray] | None

    def merge(self, other: ValueSummary) -> ValueSummary:
        """The summary of the rows of both."""
        return ValueSummary(
            self.n + other.n,
            min(self.low, other.low),
            max(self.high, other.high),
            _merge_distinct(self.distinct, other.distinct),
            self.rules | other.rules,
            _merge_samples(self.sample, other.sample),
        )

    def measure(self) -> tuple[np.ndarray, np.ndarray]:
        """Values and weights with the moments of all rows."""
        if self.distinct is not None:
            return self.distinct[0], self.distinct[1].astype(np.float64)
        rules = [self.rules[key] for key in sorted(self.rules)]
        nodes = np.concatenate([r[0] for r in rules])
        weights = np.concatenate([r[1] for r in rules])
        order = np.argsort(nodes, kind="stable")
        return nodes[order], weights[order]

    def quantile_rows(self) -> tuple[np.ndarray, np.ndarray]:
        """Values in order and counts whose quantiles stand for those of all rows."""
        if self.distinct is not None:
            return self.distinct
        if self.sample is None:
            raise ValueError("no sample was kept for quantiles")
        return np.unique(self.sample[1], return_counts=True)


def summarise_values(value, first_row: int, keep, n_nodes: int, sampled: bool) -> ValueSummary:
    """Summary of one partition's values.

    Parameters
    ----------
    value : Coded or float ndarray of shape (n,)
        Without missing values in the rows kept.
    first_row : int
    keep : bool ndarray of shape (n,) or None
        Rows that count; None for all.
    n_nodes : int
        Nodes of the quadrature rule.
    sampled : bool
        Whether quantiles will be needed.
    """
    rows = np.arange(len(value)) if keep is None else np.flatnonzero(keep)
    if len(rows) == 0:
        empty = (np.empty(0), np.empty(0, np.int64))
        sample = (np.empty(0, np.uint64), np.empty(0)) if sampled else None
        return ValueSummary(0, np.inf, -np.inf, empty, {}, sample)
    if isinstance(value, Coded):
        codes = value.codes if keep is None else value.codes[keep]
        counts = np.bincount(codes, minlength=len(value.values))
        present = np.flatnonzero(counts)
        table = value.values.astype(np.float64)
        points, weights = _sum_equal(table[present], counts[present])
        distinct = (points, weights) if len(points) <= MAX_DISTINCT else None
    else:
        values = (value if keep is None else value[keep]).astype(np.float64, copy=False)
        distinct = _distinct(values)
        points, weights = distinct if distinct is not None else (values, np.ones(len(values)))
    sample = None
    if sampled:
        hashes = _hash_rows(first_row + rows)
        few = np.argsort(hashes, kind="stable")[:SAMPLE_SIZE]
        sample = (hashes[few], table[codes[few]] if isinstance(value, Coded) else values[few])
    return ValueSummary(
        len(rows), float(points.min()), float(points.max()), distinct,
        {int(first_row): _gauss_rule(points, weights.astype(np.float64), n_nodes)}, sample,
    )  # fmt: skip


def _distinct(values: np.ndarray):
    # Most continuous columns show in their first rows that they have too many values: sort only those.
    if len(values) > 2 * MAX_DISTINCT and len(np.unique(values[: 5 * MAX_DISTINCT // 4])) > MAX_DISTINCT:
        return None
    found = np.unique(values, return_counts=True)
    return None if len(found[0]) > MAX_DISTINCT else found


def _sum_equal(values: np.ndarray, counts: np.ndarray):
    unique, inverse = np.unique(values, return_inverse=True)
    if len(unique) == len(values):
        order = np.argsort(values, kind="stable")
        return values[order], counts[order]
    return unique, np.bincount(inverse, counts).astype(np.int64)


def _merge_distinct(a, b):
    if a is None or b is None:
        return None
    merged = _sum_equal(np.concatenate([a[0], b[0]]), np.concatenate([a[1], b[1]]))
    return None if len(merged[0]) > MAX_DISTINCT else merged


def _merge_samples(a, b):
    if a is None or b is None:
        return None
    hashes = np.concatenate([a[0], b[0]])
    few = np.argsort(hashes, kind="stable")[:SAMPLE_SIZE]
    return hashes[few], np.concatenate([a[1], b[1]])[few]


def _hash_rows(rows: np.ndarray) -> np.ndarray:
    """A fixed 64-bit mix of row numbers (the finaliser of splitmix64), distinct for distinct rows."""
    z = rows.astype(np.uint64) + np.uint64(0x9E3779B97F4A7C15)
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return z ^ (z >> np.uint64(31))


def stieltjes(x: np.ndarray, w: np.ndarray, degree: int) -> tuple[np.ndarray, np.ndarray]:
    """Recursion of the monic orthogonal polynomials of a weighted set of points.

    Parameters
    ----------
    x, w : ndarray of shape (n,)
    degree : int

    Returns
    -------
    alpha : ndarray of shape (degree,)
    norms2 : ndarray of shape (degree + 1,)
        Squared norms of the polynomials of degree 0 to ``degree``.
    """
    alpha, norms2 = np.empty(degree), np.empty(degree + 1)
    before, now = np.zeros_like(x), np.ones_like(x)
    norms2[0] = w.sum()
    for k in range(degree):
        squared = w * now * now
        alpha[k] = (x * squared).sum() / squared.sum()
        after = (x - alpha[k]) * now
        if k:
            after -= norms2[k] / norms2[k - 1] * before
        before, now = now, after
        norms2[k + 1] = (w * now * now).sum()
    return alpha, norms2


def _gauss_rule(x: np.ndarray, w: np.ndarray, n_nodes: int) -> tuple[np.ndarray, np.ndarray]:
    low, high = x.min(), x.max()
    if len(x) <= n_nodes:
        return x, w
    if low == high:
        return x[:1].copy(), np.array([w.sum()])
    middle, half = (low + high) / 2, (high - low) / 2
    with np.errstate(invalid="ignore", divide="ignore"):
        alpha, norms2 = stieltjes((x - middle) / half, w, n_nodes)
    # Fewer distinct points than nodes show as a vanishing polynomial: the shorter rule is then exact.
    vanishing = np.flatnonzero(~(norms2[:n_nodes] > 1e-26 * norms2[0]))
    size = int(vanishing[0]) if len(vanishing) else n_nodes
    side = np.sqrt(norms2[1:size] / norms2[: size - 1])
    nodes, vectors = np.linalg.eigh(np.diag(alpha[:size]) + np.diag(side, 1) + np.diag(side, -1))
    return middle + half * nodes, norms2[0] * vectors[0] ** 2
