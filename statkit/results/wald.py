"""Wald tests of linear hypotheses R b = q about an estimate."""

from dataclasses import dataclass

import numpy as np
from scipy import linalg

from statkit.results._numbers import p_phrase, plain, statistic
from statkit.results._tails import chi2_tail, f_tail

__all__ = ["WaldTest", "linear_effect", "wald"]


@dataclass(frozen=True, eq=False)
class WaldTest:
    """Joint test of linear restrictions on the parameters.

    Attributes
    ----------
    hypothesis : str
        What was tested.
    statistic : float
        F when the dispersion was estimated, chi-squared otherwise.
    pvalue : float
    df : int
        Number of restrictions (``df_num`` is the same).
    df_denom : float or None
        Denominator degrees of freedom of F; None for chi-squared.
    distribution : {"F", "chi2", "random scaling"}
    effect : ndarray of shape (df,)
        R b - q.
    bse : ndarray of shape (df,)
        Standard errors of ``effect``.

    References
    ----------
    A. Wald (1943), Tests of statistical hypotheses concerning several parameters when the number of
    observations is large.
    """

    hypothesis: str
    statistic: float
    pvalue: float
    df: int
    df_denom: float | None
    distribution: str
    effect: np.ndarray
    bse: np.ndarray

    @property
    def df_num(self) -> int:
        """The same as ``df``, under statsmodels' name."""
        return self.df

    def __repr__(self):
        degrees = f"{self.df}" if self.df_denom is None else f"{self.df}, {self.df_denom:,.10g}"
        lines = [f"Wald test: {self.hypothesis}"]
        if self.df == 1:
            lines.append(f"difference {plain(self.effect[0])}, standard error {plain(self.bse[0])}")
        lines.append(f"{self.distribution}({degrees}) = {statistic(self.statistic)}, {p_phrase(self.pvalue)}")
        return "\n".join(lines)


def wald(R, q, params, covariance, *, df_denom, hypothesis):
    """Test R b = q.

    Parameters
    ----------
    R : ndarray of shape (m, k)
    q : ndarray of shape (m,)
    params : ndarray of shape (k,)
    covariance : ndarray of shape (k, k)
        Finite where R is not zero.
    df_denom : float or None
        Denominator degrees of freedom for F, None for chi-squared.
    hypothesis : str
        For the printed result.

    Returns
    -------
    WaldTest

    Raises
    ------
    ValueError
        If the restrictions contradict each other, or their covariance is singular (fewer clusters than
        restrictions).
    """
    effect, bse, chi2 = linear_effect(R, q, params, covariance, hypothesis)
    m = len(effect)
    if df_denom is None:
        return WaldTest(hypothesis, chi2, chi2_tail(chi2, m), m, None, "chi2", effect, bse)
    return WaldTest(hypothesis, chi2 / m, f_tail(chi2 / m, m, df_denom), m, float(df_denom), "F", effect, bse)


def linear_effect(R, q, params, covariance, hypothesis):
    """R b − q without restrictions that follow from others, its standard errors, and their joint statistic."""
    R, q = _independent(R, q)
    used = np.flatnonzero((R != 0).any(axis=0))
    R = R[:, used]
    effect = R @ params[used] - q
    spread = R @ covariance[np.ix_(used, used)] @ R.T
    bse = np.sqrt(np.maximum(np.diagonal(spread), 0.0))
    if not (bse > 0).all():
        raise ValueError(f"the standard error of a restriction in {hypothesis!r} is zero")
    # Unit diagonal, so that units of measurement do not decide what is singular.
    factor, failed = linalg.lapack.dpotrf(spread / np.outer(bse, bse), lower=1)
    if failed or np.diagonal(factor).min() ** 2 < 1e-13:
        raise ValueError(
            f"the covariance of the {len(q)} restrictions in {hypothesis!r} is singular; with clustered"
            " errors there must be more clusters than restrictions: test fewer at once"
        )
    whitened = linalg.solve_triangular(factor, effect / bse, lower=True)
    return effect, bse, float(whitened @ whitened)


def _independent(R, q):
    """Drop restrictions that follow from the others; refuse those that contradict them."""
    rows = np.abs(R).max(axis=1)
    if not (rows > 0).all():
        raise ValueError(f"restriction {int(np.argmin(rows))} has only zero coefficients")
    if len(R) == 1:
        return R, q
    scaled, target = R / rows[:, None], q / rows
    _, upper, order = linalg.qr(scaled.T, mode="economic", pivoting=True)
    size = np.abs(np.diagonal(upper))
    rank = int((size > 1e-10 * size[0]).sum())
    if rank == len(R):
        return R, q
    chosen, rest = np.sort(order[:rank]), order[rank:]
    weights = linalg.lstsq(scaled[chosen].T, scaled[rest].T)[0]
    if not np.allclose(weights.T @ target[chosen], target[rest], rtol=1e-8, atol=1e-8):
        raise ValueError("the restrictions contradict each other: no parameters satisfy all of them")
    return R[chosen], q[chosen]
