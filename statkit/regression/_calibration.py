"""Calibration of probabilities from one pass: sums in fine cells of the predicted log-odds, joined into bins."""

from __future__ import annotations

from functools import partial

import numpy as np

from statkit.regression._after_fit import check_model
from statkit.regression._residuals import _one_pass

__all__ = ["Cells", "bins_of", "calibration_cells"]

#: Cells of the log-odds between ±_REACH: finer than any plot shows.
_CELLS, _REACH = 4_096, 18.0


class Cells:
    """Sums of rows by cell of their predicted probability: arrays of shape (cells,), mergeable.

    Attributes
    ----------
    sums : ndarray of shape (5, cells)
        Rows' weights w, w², w p, w y and w (y − p)².
    n : int
    """

    def __init__(self, sums: np.ndarray, n: int):
        self.sums, self.n = sums, n

    def merge(self, other: Cells) -> Cells:
        return Cells(self.sums + other.sums, self.n + other.n)

    @classmethod
    def of(cls, p: np.ndarray, y: np.ndarray, weight: np.ndarray | None) -> Cells:
        """Cells of probabilities ``p`` and events ``y``, both of shape (n,)."""
        from scipy.special import logit

        w = np.ones(len(p)) if weight is None else weight
        with np.errstate(divide="ignore"):
            place = (np.clip(logit(p), -_REACH, _REACH) + _REACH) * (_CELLS / (2 * _REACH))
        cell = np.minimum(place.astype(np.intp), _CELLS - 1)
        terms = (w, w * w, w * p, w * y, w * np.square(y - p))
        return cls(np.array([np.bincount(cell, term, minlength=_CELLS) for term in terms]), len(p))

    @property
    def brier(self) -> float:
        """Mean squared difference of event and probability."""
        return float(self.sums[4].sum() / self.sums[0].sum())


def calibration_cells(
    model, data, y=None, *, sample_weight=None, offset=None, engine=None, n_jobs=None
) -> dict:
    """Cells of every class that has probabilities of its own: the second of two, each of more."""
    from statkit.regression._base import RegressionBase

    if not isinstance(model, RegressionBase):
        return _of_any_classifier(model, data, y, sample_weight)
    check_model(model)
    family = model._fitted_family
    classes = vars(model).get("classes_")
    if classes is None and family.name.removeprefix("quasi_") != "binomial":
        raise ValueError(f"calibration is for probabilities; the {family.name} family has none")
    labels = [1] if classes is None else classes[1:] if len(classes) == 2 else classes
    from statkit.regression._residuals import _parameters

    cuts = getattr(model, "thresholds_", None)
    found = _one_pass(
        model, data, y, partial(_cells, family, _parameters(model), cuts, len(labels)), None, sample_weight, offset,
        engine, n_jobs,
    )  # fmt: skip
    return {label: found[k] for k, label in enumerate(np.asarray(labels).tolist())}


def _cells(family, theta, cuts, K, block, against):
    eta = np.column_stack([block.matvec(row) for row in theta])
    if cuts is not None:
        p = family.probabilities(eta[:, 0], cuts)
    elif len(theta) == 1:
        p = family.inverse_link(eta[:, 0])[:, None]
    else:
        p = family.inverse_link(eta)
    if K == 1:
        return {0: Cells.of(p[:, -1], block.y, block.weight)}
    return {k: Cells.of(p[:, k], (block.y == k).astype(np.float64), block.weight) for k in range(K)}


def _of_any_classifier(model, X, y, sample_weight) -> dict:
    if not hasattr(model, "predict_proba"):
        raise TypeError(f"{type(model).__name__} predicts no probabilities")
    if y is None:
        raise ValueError("give y, the labels of the rows")
    y, p = np.asarray(y), np.asarray(model.predict_proba(X))
    classes = model.classes_
    chosen = [1] if len(classes) == 2 else range(len(classes))
    weight = None if sample_weight is None else np.asarray(sample_weight, dtype=np.float64)
    labels = np.asarray(classes).tolist()
    return {labels[k]: Cells.of(p[:, k], (y == classes[k]).astype(np.float64), weight) for k in chosen}


def bins_of(cells: Cells, n_bins: int, strategy: str, level: float) -> dict[str, np.ndarray]:
    """Bins of about equal weight ("quantile") or width ("uniform"), with Wilson intervals for the share of events.

    Returns
    -------
    bins : dict of ndarray of shape (b,)
        ``predicted``, ``observed``, ``lower``, ``upper`` and ``weight`` of the bins that have rows.

    References
    ----------
    E. B. Wilson (1927), Probable inference, the law of succession, and statistical inference.
    """
    from scipy.special import ndtri

    if strategy not in ("quantile", "uniform"):
        raise ValueError(f"strategy must be 'quantile' or 'uniform', not {strategy!r}")
    if not (isinstance(n_bins, (int, np.integer)) and n_bins >= 1):
        raise ValueError(f"n_bins must be a positive whole number, not {n_bins!r}")
    if not 0 < level < 1:
        raise ValueError(f"level must lie strictly between 0 and 1, not {level!r}")
    used = cells.sums[0] > 0
    if not used.any():
        raise ValueError("there are no rows of positive weight")
    w, w2, wp, wy, _ = cells.sums[:, used]
    if strategy == "quantile":
        middle = (np.cumsum(w) - 0.5 * w) / w.sum()
        which = np.minimum((middle * n_bins).astype(int), n_bins - 1)
    else:
        which = np.minimum((wp / w * n_bins).astype(int), n_bins - 1)
    present, which = np.unique(which, return_inverse=True)
    W, W2, P, Y = (np.bincount(which, term, minlength=len(present)) for term in (w, w2, wp, wy))
    z, n, share = ndtri(0.5 + 0.5 * level), W * W / W2, Y / W
    centre = (share + z * z / (2 * n)) / (1 + z * z / n)
    half = z / (1 + z * z / n) * np.sqrt(np.maximum(share * (1 - share), 0.0) / n + z * z / (4 * n * n))
    lower, upper = np.clip(centre - half, 0.0, share), np.clip(centre + half, share, 1.0)
    return {"predicted": P / W, "observed": share, "lower": lower, "upper": upper, "weight": W}
