"""Scores of rows in memory, for those who draw their own samples."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from statkit.sampling.criteria import make_scoring

if TYPE_CHECKING:
    from numpy.typing import ArrayLike


__all__ = ["subsampling_scores"]


def subsampling_scores(
    X: ArrayLike,
    y: ArrayLike,
    coef: Any,
    *,
    family: Any,
    criterion: str = "optLs",
    information: ArrayLike | None = None,
    contrast: ArrayLike | None = None,
    offset: ArrayLike | None = None,
    sample_weight: ArrayLike | None = None,
) -> np.ndarray:
    """Scores m of rows: inclusion probabilities proportional to them minimise the variance a criterion names.

    Parameters
    ----------
    X : array of shape (N, d)
        With its column of ones, if the model has an intercept.
    y : array of shape (N,)
        Response; classes coded 0, 1, … for softmax.
    coef : array of shape (d,), or (K·d,) for softmax with K + 1 classes
        Pilot estimate.
    family : str or Family
    criterion : str, default="optLs"
        "uniform"; "LCC" |r|; "optL" |r|·‖x‖; "optLs" the same with columns scaled by the information's
        diagonal, so that units do not matter; "optA" |r|·‖M⁻¹x‖ (trace of the variance); "optV" (prediction
        of the mean);
        "optC" (one contrast); "response_free" (no responses needed); "cv" (for calibrated estimates).
    information : array of shape (d, d) or None
        M, up to a factor; None is computed from all rows at ``coef``.
    contrast : array of shape (d,) or None
        For "optC".
    offset, sample_weight : array of shape (N,) or None

    Returns
    -------
    scores : ndarray of shape (N,)

    Examples
    --------
    >>> import numpy as np
    >>> from statkit.sampling import subsampling_scores
    >>> subsampling_scores(np.ones((2, 1)), [0.0, 1.0], [0.0], family="binomial", criterion="LCC")
    array([0.5, 0.5])

    References
    ----------
    H. Wang, R. Zhu and P. Ma (2018), Optimal Subsampling for Large Sample Logistic Regression. W. Fithian and
    T. Hastie (2014), Local Case-Control Sampling. H. Zhang, Y. Ning and D. Ruppert (2021), Optimal Sampling
    for Generalized Linear Models under Measurement Constraints.
    """
    from statkit.design.block import make_block
    from statkit.families import resolve_family
    from statkit.rounds.tasks import _information, linear_predictor

    X = np.ascontiguousarray(X, dtype=float)
    if X.ndim != 2:
        raise ValueError(f"X must have two dimensions, it has shape {X.shape}")
    vectors = {}
    for name, values in (("y", y), ("offset", offset), ("weight", sample_weight)):
        if values is not None:
            values = np.ascontiguousarray(values, dtype=float)
            if values.shape != (len(X),):
                raise ValueError(
                    f"{name} must have one value for each of {len(X)} rows, its shape is {values.shape}"
                )
        vectors[name] = values
    family = resolve_family(family, None)
    K = family.predictors
    if family.name == "softmax" and K == 1:
        family = resolve_family("binomial", None)
    coef = np.asarray(coef, dtype=float).ravel()
    if len(coef) != K * X.shape[1]:
        raise ValueError(f"coef has {len(coef)} values for {K * X.shape[1]} coefficients")
    block = make_block(X, n_rows=len(X), intercept=False, owned=False, **vectors)
    eta = linear_predictor(block, coef, K)
    r = np.empty_like(eta)
    w = np.empty((len(eta), K * (K + 1) // 2)) if K > 1 else np.empty_like(eta)
    family.link(eta, block.y, block.weight, None, None, r, w)
    if information is None:
        information = _information(block, w, K)
    curvature = mean_curvature(block, family, eta) if criterion == "optV" else None
    scoring = make_scoring(
        criterion, np.asarray(information, dtype=float), predictors=K, curvature=curvature, contrast=contrast
    )
    return scoring.scores(block, family, eta, r, w, block.y)


def mean_curvature(block, family, eta) -> np.ndarray:
    """Sum over rows of μ'² x x'; classes: of the products of the derivatives of all class probabilities."""
    a = block.weight
    if eta.ndim == 1:
        slope = family.dmu(eta) ** 2
        return block.sandwich(slope if a is None else slope * a)
    p = family.inverse_link(eta)
    K, q = eta.shape[1], block.n_columns
    out = np.empty((K, q, K, q))
    for k in range(K):
        for j in range(k, K):
            d_k = p * ((np.arange(K + 1) == k + 1) - p[:, [k + 1]])
            d_j = p * ((np.arange(K + 1) == j + 1) - p[:, [j + 1]])
            weight = (d_k * d_j).sum(axis=1)
            part = block.sandwich(weight if a is None else weight * a, nonnegative=k == j)
            out[k, :, j] = part
            out[j, :, k] = part.T
    return out.reshape(K * q, K * q)
