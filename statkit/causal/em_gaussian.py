"""Maximum likelihood for a Gaussian table with holes: E-step, observed likelihood, saturated EM."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from statkit.causal._incomplete import IncompleteData, Moments

if TYPE_CHECKING:
    from numpy.typing import ArrayLike


__all__ = ["GaussianEStep", "GaussianFit", "estep_gaussian", "mvn_em", "observed_loglik"]


class GaussianEStep(NamedTuple):
    """What `estep_gaussian` returns.

    Attributes
    ----------
    mean : ndarray of shape (d,)
        Expected mean of the completed table.
    covariance : ndarray of shape (d, d)
        Expected covariance (divisor: total weight) of the completed table.
    loglik : float
        Log-likelihood of the observed entries at the given parameters.
    imputed : ndarray of shape (n, d)
        The table with conditional means in its holes.
    """

    mean: np.ndarray
    covariance: np.ndarray
    loglik: float
    imputed: np.ndarray


class GaussianFit(NamedTuple):
    """What `mvn_em` returns.

    Attributes
    ----------
    mean : ndarray of shape (d,)
    covariance : ndarray of shape (d, d)
    loglik : float
        Log-likelihood of the observed entries at the estimate.
    n_iter : int
        Number of E-steps.
    converged : bool
    """

    mean: np.ndarray
    covariance: np.ndarray
    loglik: float
    n_iter: int
    converged: bool


def estep_gaussian(
    X: ArrayLike, mean: ArrayLike, covariance: ArrayLike, *, sample_weight: ArrayLike | None = None
) -> GaussianEStep:
    """Complete a table in expectation under a Gaussian with given mean and covariance.

    Rows with the same missing pattern share one factorisation.

    Parameters
    ----------
    X : array-like of shape (n, d)
        NaN where missing.
    mean : array-like of shape (d,)
    covariance : array-like of shape (d, d)
        Positive definite.
    sample_weight : array-like of shape (n,), default=None

    Returns
    -------
    GaussianEStep
        Named tuple of ``mean``, ``covariance``, ``loglik`` and ``imputed``.

    References
    ----------
    A. P. Dempster, N. M. Laird, D. B. Rubin (1977), "Maximum likelihood from incomplete data via the EM
    algorithm".

    Examples
    --------
    >>> import numpy as np
    >>> from statkit.causal import estep_gaussian
    >>> step = estep_gaussian([[1.0, np.nan], [0.0, 1.0]], [0, 0], [[1, 0.5], [0.5, 1]])
    >>> step.imputed
    array([[1. , 0.5],
           [0. , 1. ]])
    """
    X = _table(X)
    mean, Sigma, K = _parameters(mean, covariance, X.shape[1])
    data = IncompleteData(X, _weights(sample_weight, X))
    moments = data.estep(mean - data.shift, K, Sigma)
    return GaussianEStep(
        moments.mean + data.shift, moments.covariance, moments.loglik, impute(X, mean, K, Sigma)[0]
    )


def observed_loglik(
    X: ArrayLike, mean: ArrayLike, covariance: ArrayLike, *, sample_weight: ArrayLike | None = None
) -> float:
    """Return the Gaussian log-likelihood of the observed entries of a table.

    Parameters
    ----------
    X : array-like of shape (n, d)
        NaN where missing.
    mean : array-like of shape (d,)
    covariance : array-like of shape (d, d)
        Positive definite.
    sample_weight : array-like of shape (n,), default=None

    Returns
    -------
    float

    Examples
    --------
    >>> import numpy as np
    >>> from statkit.causal import observed_loglik
    >>> round(observed_loglik([[0.0, np.nan], [0.0, 0.0]], [0, 0], np.eye(2)), 6)
    -2.756816
    """
    X = _table(X)
    mean, Sigma, K = _parameters(mean, covariance, X.shape[1])
    data = IncompleteData(X, _weights(sample_weight, X))
    return data.estep(mean - data.shift, K, Sigma).loglik


def mvn_em(
    X: ArrayLike,
    *,
    sample_weight: ArrayLike | None = None,
    max_iter: int = 1000,
    tol: float = 1e-8,
    accelerate: bool = True,
) -> GaussianFit:
    """Fit the mean and covariance of a Gaussian by maximum likelihood to a table with holes.

    Under data missing at random this is consistent where complete cases and pairwise covariances are not.

    Parameters
    ----------
    X : array-like of shape (n, d)
        NaN where missing.
    sample_weight : array-like of shape (n,), default=None
    max_iter : int, default=1000
        Largest number of E-steps.
    tol : float, default=1e-8
        Stop when the log-likelihood rises by less than ``tol`` times its size.
    accelerate : bool, default=True
        Extrapolate along the path of the EM steps (SQUAREM), which needs several times fewer of them.

    Returns
    -------
    GaussianFit
        Named tuple of ``mean``, ``covariance``, ``loglik``, ``n_iter``, ``converged``.

    References
    ----------
    R. Varadhan, C. Roland (2008), "Simple and globally convergent methods for accelerating the convergence of
    any EM algorithm".

    Examples
    --------
    >>> import numpy as np
    >>> from statkit.causal import mvn_em
    >>> fit = mvn_em([[0.0, 1.0], [1.0, np.nan], [2.0, 2.0], [3.0, 5.0]])
    >>> fit.mean.round(3)
    array([1.5  , 2.464])
    """
    X = _table(X)
    data = IncompleteData(X, _weights(sample_weight, X), scale=True)
    absent = np.flatnonzero(data.counts == 0)
    if len(absent):
        raise ValueError(f"column {absent[0]} of X has no observed value")
    mean, S, loglik, n_iter, converged = saturated_em(data, max_iter=max_iter, tol=tol, accelerate=accelerate)
    return GaussianFit(
        mean * data.unit + data.shift,
        S * np.outer(data.unit, data.unit),
        loglik - data.log_unit,
        n_iter,
        converged,
    )


def saturated_em(data: IncompleteData, *, max_iter, tol, accelerate=True, start=None):
    """Run the EM of an unrestricted Gaussian on the scale of ``data``.

    Returns mean, covariance, log-likelihood, number of E-steps and whether it converged.
    """
    mean, Sigma = data.observed_moments() if start is None else start
    if not data.has_holes:
        moments = data.estep(mean, np.linalg.inv(Sigma), Sigma)
        mean, Sigma = moments.mean, well_conditioned(moments.covariance)
        return mean, Sigma, data.estep(mean, np.linalg.inv(Sigma), Sigma).loglik, 1, True

    used = 0

    def step(mean, Sigma) -> Moments:
        nonlocal used
        used += 1
        moments = data.estep(mean, np.linalg.inv(Sigma), Sigma)
        return moments._replace(covariance=well_conditioned(moments.covariance))

    if not accelerate:
        before = -np.inf
        while used < max_iter:
            now = step(mean, Sigma)
            mean, Sigma = now.mean, now.covariance
            if now.loglik - before <= tol * abs(now.loglik):
                return mean, Sigma, now.loglik, used, True
            before = now.loglik
        return mean, Sigma, before, used, False

    zero = step(mean, Sigma)  # zero.loglik belongs to (mean, Sigma); its moments are one EM step on
    while used < max_iter:
        one = step(zero.mean, zero.covariance)
        if one.loglik - zero.loglik <= tol * abs(one.loglik):
            return one.mean, one.covariance, one.loglik, used, True
        # theta0, theta1, theta2 are the parameters, two EM steps apart.
        theta0 = _pack(mean, Sigma)
        theta1 = _pack(zero.mean, zero.covariance)
        theta2 = _pack(one.mean, one.covariance)
        r = theta1 - theta0
        v = theta2 - theta1 - r
        length = np.linalg.norm(v)
        a = min(-np.linalg.norm(r) / length, -1.0) if length > 0 else -1.0
        while True:
            if a > -1.01:  # plain EM
                mean, Sigma = one.mean, one.covariance
                zero = step(mean, Sigma)
                break
            trial_mean, trial = _unpack(theta0 - 2 * a * r + a * a * v, data.d)
            try:
                tried = step(trial_mean, trial)
            except np.linalg.LinAlgError:
                tried = None
            if tried is not None and tried.loglik >= one.loglik:
                mean, Sigma, zero = trial_mean, trial, tried
                break
            a = (a - 1) / 2
            if a > -1.5:
                a = -1.0
    return zero.mean, zero.covariance, zero.loglik, used, False


def well_conditioned(S: np.ndarray) -> np.ndarray:
    """Return ``S``, with a millionth of its diagonal added if it is numerically singular."""
    unit = np.sqrt(np.diag(S))
    if not (unit > 0).all():
        S = S + np.diag(np.where(unit > 0, 0.0, 1e-12))
        unit = np.sqrt(np.diag(S))
    try:
        pivots = np.diag(np.linalg.cholesky(S / np.outer(unit, unit)))
        if pivots.min() > 1e-5:
            return S
    except np.linalg.LinAlgError:
        pass
    return S + 1e-6 * np.diag(np.diag(S))


def impute(X, mean, K, Sigma, *, spread: bool = False):
    """Return ``X`` with conditional means in its holes, and with ``spread`` their standard deviations."""
    data = IncompleteData(X, centre=False)
    out = np.array(X, dtype=float)
    deviations = np.zeros_like(out) if spread else None
    empty = np.isnan(out).all(axis=1)
    for block, R, _, _, variances in data.filled(mean, K, Sigma, spread=spread):
        holes = np.isnan(out[block.rows])
        part = out[block.rows]
        part[holes] = (R + mean)[holes]
        out[block.rows] = part
        if spread:
            deviations[block.rows] = np.sqrt(np.repeat(variances, np.diff(block.starts), axis=0))
    out[empty] = mean
    if spread:
        deviations[empty] = np.sqrt(np.diag(Sigma))
    return out, deviations


def gaussian_draw(X, mean, K, Sigma, random) -> np.ndarray:
    """Fill the holes with a draw given the observed entries under a Gaussian.

    What a full draw differs by from its own imputation is a draw of the conditional error.
    """
    holes = np.isnan(X)
    fill = impute(X, mean, K, Sigma)[0]
    z = mean + random.normal(size=X.shape) @ np.linalg.cholesky(Sigma).T
    guess = impute(np.where(holes, np.nan, z), mean, K, Sigma)[0]
    return np.where(holes, fill + z - guess, X)


def _pack(mean, Sigma):
    L = np.linalg.cholesky(Sigma)
    return np.concatenate([mean, L[np.tril_indices(len(L), -1)], np.log(np.diag(L))])


def _unpack(theta, d):
    L = np.zeros((d, d))
    L[np.tril_indices(d, -1)] = theta[d:-d]
    L[np.diag_indices(d)] = np.exp(theta[-d:])
    return theta[:d], L @ L.T


def _table(X) -> np.ndarray:
    from sklearn.utils import check_array

    return check_array(X, dtype=[np.float64, np.float32], ensure_all_finite="allow-nan")


def _weights(sample_weight, X):
    from sklearn.utils.validation import _check_sample_weight

    return None if sample_weight is None else _check_sample_weight(sample_weight, X, ensure_non_negative=True)


def _parameters(mean, covariance, d):
    mean = np.asarray(mean, dtype=float)
    Sigma = np.asarray(covariance, dtype=float)
    if mean.shape != (d,) or Sigma.shape != (d, d):
        raise ValueError(
            f"X has {d} columns: mean must have shape ({d},) and covariance ({d}, {d}), "
            f"not {mean.shape} and {Sigma.shape}"
        )
    try:
        np.linalg.cholesky(Sigma)
    except np.linalg.LinAlgError:
        raise ValueError("covariance is not positive definite") from None
    return mean, Sigma, np.linalg.inv(Sigma)
