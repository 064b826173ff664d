"""Predictions of the rows of a partition with their standard errors and intervals; NaN where a value is missing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from statkit.design.matrix import MatrixDesign
from statkit.regression._effect_pass import Fitted

__all__ = ["Asked", "Pieces", "predict_rows"]

#: Rows whose columns are written out at a time, where there are several means.
_ROWS = 4_096


@dataclass
class Asked:
    """What to predict.

    Parameters
    ----------
    interval : {None, "confidence", "prediction"}
    width : float
        Standard errors on each side.
    root : ndarray of shape (k, k) or None
        Square root of the covariance of the public parameters: its rows' squares add to variances.
    dispersion : float
        Variance of an observation, for intervals of one.
    unknown : ndarray of int
        Internal columns whose coefficients have no standard error.
    """

    interval: str | None
    width: float
    root: Any
    dispersion: float
    unknown: Any = ()


class Pieces:
    """Columns of consecutive partitions, in order; mergeable."""

    def __init__(self, pieces: list):
        self.pieces = pieces

    def merge(self, other: Pieces) -> Pieces:
        return Pieces(self.pieces + other.pieces)


def predict_rows(asked: Asked, source, fitted: Fitted, columns, weight, by, partition) -> dict:
    """The summary of a partition: columns as :func:`statkit.regression.predictions` names them, by row then class."""
    design = fitted.design
    rows = source.read(partition, columns)
    block, limit = design.encode_predictors(rows)
    eta = np.column_stack([block.matvec(theta) for theta in fitted.theta])
    if limit is not None:
        eta = eta + limit[:, None]
    means = fitted.means.at(eta, fitted.cuts)
    several = len(means.labels) > 1
    mean = np.column_stack([means.value(c) for c in range(len(means.labels))])
    bad = np.isnan(eta).any(axis=1)
    mean[bad] = np.nan
    found = {"mean": mean}
    if asked.interval is not None:
        if several:
            error = _errors(block, means, fitted, asked.root)
            low, high = _limits(mean, error, asked.width, means.probability)
        else:
            root = asked.root[:, design.position]
            on_link = block.row_norms(np.ascontiguousarray(root))[:, None]
            with np.errstate(all="ignore"):
                error = np.abs(means.first(0)) * on_link
            low, high = (_at(fitted, eta + side * asked.width * on_link) for side in (-1.0, 1.0))
            low, high = np.minimum(low, high), np.maximum(low, high)
        if len(asked.unknown):
            touched = block.row_norms(np.eye(block.n_columns)[asked.unknown]) > 0
            bad = bad | touched
        for column in (error, low, high):
            column[bad] = np.nan
        found |= {"mean_se": error, "mean_ci_lower": low, "mean_ci_upper": high}
    if asked.interval == "prediction":
        given = rows.beside.get("weight")
        if weight is not None and not isinstance(design, MatrixDesign):
            given = _column(design, rows, weight)
        spread = asked.dispersion if given is None else (asked.dispersion / given)[:, None]
        reach = asked.width * np.sqrt(np.square(error) + spread)
        found |= {"obs_ci_lower": mean - reach, "obs_ci_upper": mean + reach}
    return {"rows": Pieces([{name: column.ravel() for name, column in found.items()}])}


def _column(design, rows, text):
    from statkit.design.columns import Columns, as_rows
    from statkit.design.expressions import Evaluator

    value = Evaluator(Columns(rows.table, rows.where), design._states).value(text)
    return np.asarray(as_rows(value), dtype=np.float64)


def _at(fitted, eta):
    return fitted.means.at(eta, fitted.cuts).value(0)[:, None].astype(np.float64)


def _errors(block, means, fitted, root) -> np.ndarray:
    """Delta-method errors of several means, (n, C)."""
    error = np.empty((block.n_rows, len(means.labels)))
    firsts = [(means.first(c), means.first_cuts(c)) for c in range(error.shape[1])]
    m, K = len(fitted.cuts), len(fitted.theta)
    # Columns of the root by internal coefficient: (k, K, q), then those of the thresholds.
    slopes = root[:, : fitted.size - m].reshape(len(root), K, -1)[:, :, fitted.design.position]
    for start in range(0, block.n_rows, _ROWS):
        part = slice(start, start + _ROWS)
        X = block.take(part).to_dense()
        along = np.einsum("nq,rkq->nrk", X, slopes, optimize=True)
        for c, (first, cuts) in enumerate(firsts):
            spread = np.einsum("nrk,nk->nr", along, first[part])
            if cuts is not None:
                spread += cuts[part] @ root[:, fitted.size - m :].T
            error[part, c] = np.sqrt(np.einsum("nr,nr->n", spread, spread))
    return error


def _limits(mean, error, width, probability):
    """Symmetric limits; of probabilities on the scale of their log-odds, which keeps them inside."""
    if not probability:
        return mean - width * error, mean + width * error
    from scipy.special import expit, logit

    with np.errstate(all="ignore"):
        reach = width * error / (mean * (1.0 - mean))
        centre = logit(mean)
    low, high = expit(centre - reach), expit(centre + reach)
    edge = ~np.isfinite(centre)  # a probability that is 0 or 1 by its limit
    return np.where(edge, mean, low), np.where(edge, mean, high)
