"""Means of the machines' estimates that some wrong or hostile machines cannot move."""

from __future__ import annotations

import numpy as np
from scipy import stats
from scipy.special import gammaln

__all__ = [
    "AGGREGATES",
    "geometric_median",
    "robust_mean",
    "robust_total",
    "screened",
    "trimmed_mean",
    "variance_factor",
    "vrmom",
]

AGGREGATES = ("mean", "median", "trimmed", "geometric", "vrmom", "screened")

# Cut of the trimmed mean, and variance of each mean relative to the plain one for many normal machines.
_CUT = 0.1
_LEVELS = 10
_VARIANCE = {"mean": 1.0, "screened": 1.0, "median": np.pi / 2, "trimmed": 1.08, "vrmom": 1.066}
_MAD = 1.4826
_MOST = 200
_SCREENINGS = 5


def variance_factor(kind: str, q: int) -> float:
    """Asymptotic variance relative to the mean's, for normal rows of ``q`` columns."""
    if kind != "geometric":
        return _VARIANCE[kind]
    if q == 1:
        return np.pi / 2
    inverse_length = np.exp(gammaln((q - 1) / 2) - gammaln(q / 2)) / np.sqrt(2)
    return 1 / q / ((q - 1) / q * inverse_length) ** 2


def robust_mean(kind: str, B: np.ndarray, H: np.ndarray) -> np.ndarray:
    """The robust mean of that name, of rows of ``B`` with inverse covariance ``H``; not "mean", "screened"."""
    if kind == "median":
        return np.median(B, axis=0)
    if kind == "trimmed":
        return trimmed_mean(B, _CUT)
    return geometric_median(B, H) if kind == "geometric" else vrmom(B, _LEVELS)


def trimmed_mean(B: np.ndarray, cut: float = 0.1) -> np.ndarray:
    """Coordinatewise mean without the share ``cut`` of the values at each end."""
    left_out = int(np.floor(cut * len(B)))
    return np.sort(B, axis=0)[left_out : len(B) - left_out].mean(axis=0)


def geometric_median(B: np.ndarray, H: np.ndarray | None = None) -> np.ndarray:
    """Point of least summed distance to the rows of ``B``, in the metric of ``H``: Weiszfeld's iteration."""
    H = np.eye(B.shape[1]) if H is None else H
    center = np.median(B, axis=0)
    for _ in range(_MOST):
        away = B - center
        distance = np.sqrt(np.maximum(np.einsum("ij,jk,ik->i", away, H, away), 0.0))
        weight = 1 / np.maximum(distance, 1e-10)
        moved = weight @ B / weight.sum()
        step, center = moved - center, moved
        if np.abs(step).max(initial=0.0) <= 1e-12 * (1 + np.abs(center).max(initial=0.0)):
            break
    return center


def vrmom(B: np.ndarray, levels: int = 10) -> np.ndarray:
    """Median of means with its variance reduced by the counts at ``levels`` quantiles.

    References
    ----------
    J. Tu, W. Liu, X. Mao and X. Chen (2021), Variance reduced median-of-means estimator for Byzantine-robust
    distributed inference.
    """
    m = np.median(B, axis=0)
    s = _MAD * np.median(np.abs(B - m), axis=0)
    t = np.arange(1, levels + 1) / (levels + 1)
    at = stats.norm.ppf(t)
    below = (B[:, None, :] <= m + s * at[:, None]).mean(axis=0) - t[:, None]
    return m - s / stats.norm.pdf(at).sum() * below.sum(axis=0)


def screened(B: np.ndarray, H: np.ndarray, share: np.ndarray, size: np.ndarray):
    """Weighted mean of the rows of ``B`` that lie near their geometric median, and which were kept.

    Parameters
    ----------
    B : ndarray of shape (K, q)
    H : ndarray of shape (q, q)
        Inverse covariance of a row of mean size.
    share : ndarray of shape (K,)
        Weights.
    size : ndarray of shape (K,)
        Sizes of the machines relative to their mean.
    """
    K, q = B.shape
    center = geometric_median(B, H)
    kept = np.ones(K, bool)
    typical, limit = stats.chi2.median(q), stats.chi2.isf(0.01 / K, q)
    for _ in range(_SCREENINGS):
        away = B - center
        distance = size * np.einsum("ij,jk,ik->i", away, H, away)
        now = distance <= limit * max(1.0, np.median(distance) / typical)
        weight = share * now
        center = weight @ B / weight.sum()
        if (now == kept).all():
            break
        kept = now
    return center, kept


def robust_total(kind: str, scores: np.ndarray, sizes: np.ndarray, H: np.ndarray):
    """Robust version of the sum of the machines' scores, and which machines it kept.

    Parameters
    ----------
    scores : ndarray of shape (K, q)
    sizes : ndarray of shape (K,)
    H : ndarray of shape (q, q)
        Information of all rows over the dispersion: scores of a row have its share as covariance.
    """
    total = sizes.sum()
    rows = scores / sizes[:, None]
    finite = np.isfinite(rows).all(axis=1)
    rows, size = rows[finite], sizes[finite]
    metric = np.linalg.pinv(H / total, hermitian=True) * size.mean()
    if kind != "screened":
        return total * robust_mean(kind, rows, metric), finite
    center, near = screened(rows, metric, size / size.sum(), size / size.mean())
    kept = finite.copy()
    kept[finite] = near
    return total * center, kept
