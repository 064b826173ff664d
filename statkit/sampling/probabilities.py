"""From scores to inclusion probabilities: truncation at one, and a uniform part against exploding weights."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import ArrayLike


__all__ = ["inclusion_probabilities", "pilot_threshold", "water_level"]


def water_level(rest: float, largest: np.ndarray, n: int) -> float:
    """H such that the sum of ``min(m / H, 1)`` over all scores is ``n``.

    Parameters
    ----------
    rest : float
        Sum of the scores that are not among ``largest``. (Taking the large ones from a total would cancel.)
    largest : ndarray
        The ``n`` largest scores (or all of them), in any order: nothing else is needed, so that one pass
        finds the level.
    n : int
    """
    top = np.sort(np.asarray(largest, dtype=float))[::-1][:n]
    left = rest + np.cumsum(top[::-1])[::-1]
    level = left / (n - np.arange(len(top)))
    below = np.flatnonzero(top <= level * (1 + 1e-15))
    return float(level[below[0]]) if len(below) else 0.0  # 0: no more than n positive scores, all are taken


def pilot_threshold(pilot_scores, pilot_prob, n: int, n_rows: int, b: float = 2.0) -> tuple[float, float]:
    """H and the estimated sum of truncated scores, from pilot rows drawn with probabilities ``pilot_prob``.

    The quantile is weighted, so that a pilot that prefers some rows (case-control) does not bias it.
    """
    m = np.asarray(pilot_scores, dtype=float)
    w = np.broadcast_to(1.0 if pilot_prob is None else 1.0 / np.asarray(pilot_prob, dtype=float), m.shape)
    share = max(0.0, 1.0 - n / (b * n_rows))
    if np.ptp(w) == 0:
        H = float(np.quantile(m, share))
    else:
        order = np.argsort(m)
        H = float(m[order][min(np.searchsorted(np.cumsum(w[order]) / w.sum(), share), len(m) - 1)])
    if not H > 0:
        H = float(m.max(initial=0.0))
    return H, float(n_rows * np.average(np.minimum(m, H), weights=w))


def inclusion_probabilities(
    scores: ArrayLike,
    n: int,
    *,
    mixture: float = 0.1,
    threshold: Literal["exact", "pilot"] = "exact",
    pilot_scores: ArrayLike | None = None,
    pilot_prob: ArrayLike | None = None,
    b: float = 2.0,
) -> Any:
    """Probabilities proportional to truncated scores, mixed with equal ones.

    Parameters
    ----------
    scores : array of shape (N,)
        Non-negative; rows of score zero are drawn by the uniform part alone.
    n : int
        Expected sample size.
    mixture : float in [0, 1], default=0.1
        Share a of equal probabilities: ``π = (1 − a) π* + a n/N``.
    threshold : {"exact", "pilot"}, default="exact"
        "exact" fills water: ``π* = min(m / H, 1)`` with sum n. "pilot" estimates level and sum from a
        pilot, the convention for a single pass; it misses the size.
    pilot_scores : array of shape (n0,) or None
        Scores of pilot rows, for "pilot".
    pilot_prob : array of shape (n0,) or None
        Their draw probabilities; None is equal.
    b : float, default=2.0
        For "pilot": the level is the ``1 − n/(bN)`` quantile.

    Returns
    -------
    pi : ndarray of shape (N,)
    H : float
        The level at which scores are cut.

    Raises
    ------
    ValueError
        For negative, non-finite or all-zero scores.

    Examples
    --------
    >>> from statkit.sampling import inclusion_probabilities
    >>> pi, H = inclusion_probabilities([1, 2, 3, 10, 20], 3, mixture=0)
    >>> pi.round(3).tolist(), H
    ([0.167, 0.333, 0.5, 1.0, 1.0], 6.0)

    References
    ----------
    M. Ai, J. Yu, H. Zhang and H. Wang (2021), Optimal Subsampling Algorithms for Big Data Regressions.
    """
    m = checked_scores(scores)
    if not (isinstance(n, (int, np.integer)) and n >= 1):
        raise ValueError(f"n must be a positive integer, not {n!r}")
    if not 0 <= mixture <= 1:
        raise ValueError(f"mixture must lie between 0 and 1, not {mixture!r}")
    N = len(m)
    if n >= N:
        return np.ones(N), 0.0
    if threshold == "exact":
        ordered = np.partition(m, N - n)
        H = water_level(float(ordered[: N - n].sum()), ordered[N - n :], n)
        optimal = np.minimum(m / H, 1.0) if H > 0 else (m > 0).astype(float)
        return (1 - mixture) * optimal + mixture * n / N, H
    if threshold != "pilot":
        raise ValueError(f"threshold must be 'exact' or 'pilot', not {threshold!r}")
    if pilot_scores is None:
        raise ValueError("threshold='pilot' needs pilot_scores")
    H, total = pilot_threshold(pilot_scores, pilot_prob, n, N, b)
    return np.minimum(1.0, n * ((1 - mixture) * np.minimum(m, H) / total + mixture / N)), H


def checked_scores(scores) -> np.ndarray:
    """Scores as float64, or an error that says which is wrong."""
    m = np.asarray(scores, dtype=float)
    if m.ndim != 1:
        raise ValueError(f"scores must be one-dimensional, they have shape {m.shape}")
    bad = ~(np.isfinite(m) & (m >= 0))
    if bad.any():
        at = int(np.argmax(bad))
        raise ValueError(f"scores must be finite and not negative: row {at} has {m[at]}")
    if not (m > 0).any():
        raise ValueError("every score is zero: no row can be preferred; use equal scores")
    return m
