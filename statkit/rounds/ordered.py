"""The round of a model with thresholds: loss, score and information of coefficients and thresholds together."""

from __future__ import annotations

import numpy as np

__all__ = ["evaluate_ordered"]

# Rows whose scores are written out at a time.
_ROWS = 8_192


def evaluate_ordered(block, family, theta, want) -> dict:
    """Sums of a block (scaled already) at θ: coefficients of the columns, then thresholds.

    Combining machines by the coefficients' part of the information alone would not be efficient: the two are
    correlated, and their information is one matrix.
    """
    q, m = block.n_columns, family.n_thresholds
    y, weight = block.y, block.weight
    code = y.astype(np.intp)
    loss, a, b, uu, ll, ul = family.rows(block.matvec(theta[:q]), y, theta[q:])
    if weight is not None:
        on = weight > 0
        loss, a, b, uu, ll, ul = (np.where(on, v * weight, 0.0) for v in (loss, a, b, uu, ll, ul))
    total = float(loss.sum())
    out = {"loss": total if np.isfinite(total) else np.inf}
    upper, lower = np.minimum(code, m - 1), np.maximum(code - 1, 0)
    some_upper, some_lower = code < m, code > 0
    if want.gradient:
        cuts = np.bincount(upper, np.where(some_upper, a, 0.0), m) - np.bincount(
            lower, np.where(some_lower, b, 0.0), m
        )
        out["gradient"] = np.concatenate([block.transpose_matvec(b - a), cuts])
    if want.information:
        H = np.zeros((q + m, q + m))
        with np.errstate(invalid="ignore"):
            w = np.maximum(uu + ll + 2 * ul, 0.0)
        H[:q, :q] = block.sandwich(w)
        cross = block.group_scores(np.where(some_upper, -(uu + ul), 0.0), upper, m)
        cross += block.group_scores(np.where(some_lower, -(ll + ul), 0.0), lower, m)
        H[q:, :q], H[:q, q:] = cross, cross.T
        diagonal = np.bincount(upper, np.where(some_upper, uu, 0.0), m)
        diagonal += np.bincount(lower, np.where(some_lower, ll, 0.0), m)
        H[range(q, q + m), range(q, q + m)] = diagonal
        both = some_upper & some_lower
        beside = np.bincount(lower, np.where(both, ul, 0.0), m)[: m - 1]
        H[range(q, q + m - 1), range(q + 1, q + m)] = beside
        H[range(q + 1, q + m), range(q, q + m - 1)] = beside
        out["information"] = H
    if want.meat is not None:
        out["meat"] = _meat(block, a, b, upper, lower, some_upper, some_lower, m, want.meat)
    return out


def _meat(block, a, b, upper, lower, some_upper, some_lower, m, kind):
    from statkit.rounds.tasks import GroupSums, PartitionScores

    n, q = block.n_rows, block.n_columns
    total, labels, inverse, sums = np.zeros((q + m, q + m)), None, None, None
    if kind == "groups":
        labels, inverse = np.unique(block.group, return_inverse=True)
        sums = np.zeros((len(labels), q + m))
    score = np.zeros(q + m)
    for start in range(0, n, _ROWS):
        part = slice(start, min(start + _ROWS, n))
        k = np.arange(part.stop - start)
        U = np.zeros((len(k), q + m))
        U[:, :q] = block.take(part).to_dense() * (b - a)[part, None]
        U[k, q + upper[part]] += np.where(some_upper[part], a[part], 0.0)
        U[k, q + lower[part]] -= np.where(some_lower[part], b[part], 0.0)
        score += U.sum(axis=0)
        if kind == "rows":
            total += U.T @ U
        elif sums is not None:
            np.add.at(sums, inverse[part], U)
    if sums is not None:
        return GroupSums.of(block, labels, inverse, sums)
    return total if kind == "rows" else PartitionScores([score])
