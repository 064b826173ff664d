"""From a bread (the information) and a meat (summed squares of scores) to the covariance of an estimate.

Plain arrays in, plain arrays out. Parameters that are not identified (aliased columns, infinite limits) have
NaN rows and columns in the information; they have them in the covariance too, and count nowhere.
"""

import numpy as np
from scipy import linalg

__all__ = [
    "cluster_covariance",
    "hc0_covariance",
    "hc1_covariance",
    "model_covariance",
    "sandwich_covariance",
]

# A direction counts as empty when it holds less than this share of what its columns hold alone: beyond it,
# double precision has lost every digit of the variance along it.
_EMPTY = 1e-13
# A parameter is not identified when this much of its unit vector lies in the empty directions.
_TOUCHED = 1e-4


def model_covariance(information: np.ndarray, scale: float = 1.0) -> np.ndarray:
    """Covariance of a maximum likelihood estimate whose model is right: the dispersion times the inverse
    information.

    Parameters
    ----------
    information : ndarray of shape (k, k)
        Fisher information without the dispersion. Rows and columns that are NaN, or zero, mark parameters
        that are not estimated.
    scale : float, default=1.0
        Dispersion.

    Returns
    -------
    ndarray of shape (k, k)
        NaN in the rows and columns of parameters that are not identified.

    Examples
    --------
    >>> import numpy as np
    >>> model_covariance(np.array([[4.0, 0.0], [0.0, np.nan]]), scale=2.0)
    array([[0.5, nan],
           [nan, nan]])
    """
    inverse, keep = _inverse(information)
    return _place(scale * inverse, keep)


def sandwich_covariance(information: np.ndarray, meat: np.ndarray) -> np.ndarray:
    """Covariance that does not trust the model for the variance: bread, meat, bread.

    Parameters
    ----------
    information : ndarray of shape (k, k)
        Bread: the derivative of the estimating equations (with a ridge penalty, the penalty's included).
    meat : ndarray of shape (k, k)
        Estimated covariance of the total score.

    Returns
    -------
    ndarray of shape (k, k)

    References
    ----------
    P. J. Huber (1967), The behavior of maximum likelihood estimates under nonstandard conditions.

    Examples
    --------
    >>> import numpy as np
    >>> sandwich_covariance(np.diag([2.0, 4.0]), np.eye(2))
    array([[0.25  , 0.    ],
           [0.    , 0.0625]])
    """
    inverse, keep = _inverse(information)
    meat = np.asarray(meat, dtype=np.float64)
    if meat.shape != np.shape(information):
        raise ValueError(f"meat has shape {meat.shape}, information has shape {np.shape(information)}")
    product = inverse @ meat[np.ix_(keep, keep)] @ inverse
    return _place(0.5 * (product + product.T), keep)


def hc0_covariance(information: np.ndarray, meat: np.ndarray) -> np.ndarray:
    """Heteroscedasticity-consistent covariance.

    Parameters
    ----------
    information : ndarray of shape (k, k)
        As in `sandwich_covariance`.
    meat : ndarray of shape (k, k)
        Sum over rows of the outer product of their scores.

    Returns
    -------
    ndarray of shape (k, k)

    References
    ----------
    H. White (1980), A heteroskedasticity-consistent covariance matrix estimator and a direct test for
    heteroskedasticity.

    Examples
    --------
    >>> import numpy as np
    >>> hc0_covariance(np.array([[4.0]]), np.array([[8.0]]))
    array([[0.5]])
    """
    return sandwich_covariance(information, meat)


def hc1_covariance(information: np.ndarray, meat: np.ndarray, nobs: int) -> np.ndarray:
    """`hc0_covariance` times ``nobs / (nobs - k)``, where k counts the identified parameters.

    As R's sandwich and Stata; statsmodels applies the factor in OLS but not in GLM.

    Parameters
    ----------
    information, meat : ndarray of shape (k, k)
        As in `hc0_covariance`.
    nobs : int
        Number of rows. With no more rows than parameters the covariance is NaN.

    Returns
    -------
    ndarray of shape (k, k)

    Examples
    --------
    >>> import numpy as np
    >>> hc1_covariance(np.array([[4.0]]), np.array([[8.0]]), nobs=5)
    array([[0.625]])

    References
    ----------
    J. G. MacKinnon and H. White (1985), Some heteroskedasticity-consistent covariance matrix estimators with
    improved finite sample properties.
    """
    covariance = sandwich_covariance(information, meat)
    return covariance * (nobs / _residual(nobs, covariance))


def cluster_covariance(information: np.ndarray, meat: np.ndarray, nobs: int, n_groups: int) -> np.ndarray:
    """Covariance when rows of one group are dependent.

    The factor ``G / (G - 1) * (nobs - 1) / (nobs - k)`` is that of statsmodels' ``cov_type="cluster"`` and of
    Stata.

    Parameters
    ----------
    information : ndarray of shape (k, k)
        As in `sandwich_covariance`.
    meat : ndarray of shape (k, k)
        Sum over groups of the outer product of their scores.
    nobs : int
        Number of rows.
    n_groups : int
        Number of groups G.

    Returns
    -------
    ndarray of shape (k, k)

    Examples
    --------
    >>> import numpy as np
    >>> cluster_covariance(np.array([[4.0]]), np.array([[8.0]]), nobs=5, n_groups=2)
    array([[1.]])

    Raises
    ------
    ValueError
        With fewer than two groups: there is nothing to compare.

    References
    ----------
    K.-Y. Liang and S. L. Zeger (1986), Longitudinal data analysis using generalized linear models.
    """
    if n_groups < 2:
        raise ValueError(f"clustered standard errors need at least 2 groups, the data have {n_groups}")
    covariance = sandwich_covariance(information, meat)
    return covariance * (n_groups / (n_groups - 1) * (nobs - 1) / _residual(nobs, covariance))


def _residual(nobs, covariance):
    """Rows left over once the identified parameters are paid for; NaN, hence no errors, if there are none."""
    left = nobs - np.count_nonzero(~np.isnan(np.diagonal(covariance)))
    return left if left > 0 else np.nan


def _place(small, keep):
    """Write the covariance of the identified parameters into a NaN matrix of all of them."""
    if keep.all():
        return small
    full = np.full((keep.size, keep.size), np.nan)
    full[np.ix_(keep, keep)] = small
    return full


def _inverse(information):
    """Inverse over the identified parameters, and the mask that says which they are.

    Unit diagonal first, so that units of measurement do not decide what is singular; Cholesky where it can,
    else eigenvectors: the variance of whatever the empty directions do not touch is still right.
    """
    information = np.asarray(information, dtype=np.float64)
    if information.ndim != 2 or information.shape[0] != information.shape[1]:
        raise ValueError(f"information must be a square matrix, got shape {information.shape}")
    diagonal = np.diagonal(information)
    keep = diagonal > 0  # False for NaN too
    if np.isinf(diagonal).any():
        raise ValueError("information holds infinite values: the linear predictor has overflowed")
    if not keep.any():
        return np.empty((0, 0)), keep
    root = np.sqrt(diagonal[keep])
    unit = information[np.ix_(keep, keep)] / np.outer(root, root)
    if not np.isfinite(unit).all():
        raise ValueError("information holds NaN outside the rows of parameters that are not estimated")
    factor, failed = linalg.lapack.dpotrf(unit, lower=1)
    if not failed and np.diagonal(factor).min() ** 2 > _EMPTY:
        inverse, _ = linalg.lapack.dpotri(factor, lower=1)
        inverse = np.tril(inverse) + np.tril(inverse, -1).T
        return inverse / np.outer(root, root), keep
    values, vectors = linalg.eigh(unit)
    empty = values <= _EMPTY * values[-1]
    identified = np.abs(vectors[:, empty]).max(axis=1, initial=0.0) < _TOUCHED
    half = vectors[np.ix_(identified, ~empty)] / np.sqrt(values[~empty])
    keep[np.flatnonzero(keep)[~identified]] = False
    root = root[identified]
    return half @ half.T / np.outer(root, root), keep
