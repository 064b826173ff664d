"""Several tests at once: p-values adjusted for their number, and limits that hold together."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import special

from statkit.results._numbers import coefficient_columns, p_value, statistic
from statkit.results._tails import two_sided_quantile, two_sided_tail
from statkit.results.summary import Gap, Line, Note, Section, Table

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["LinearTests", "adjusted_pvalues", "linear_tests"]

#: R's names of the methods, and statsmodels'.
_METHODS = {
    "bonferroni": "bonferroni", "holm": "holm", "hochberg": "simes-hochberg", "simes-hochberg": "simes-hochberg",
    "hommel": "hommel", "sidak": "sidak", "holm-sidak": "holm-sidak", "BH": "fdr_bh", "fdr": "fdr_bh",
    "fdr_bh": "fdr_bh", "BY": "fdr_by", "fdr_by": "fdr_by", "fdr_tsbh": "fdr_tsbh", "fdr_tsbky": "fdr_tsbky",
}  # fmt: skip
# Points of a scrambled Sobol sequence for the law of the largest statistic, and how many at a time.
_POINTS, _PIECE = 2**16, 2**12


def adjusted_pvalues(pvalues: np.ndarray, method: str | None) -> np.ndarray:
    """P-values adjusted for their number, as R's ``p.adjust`` and statsmodels' ``multipletests``.

    Parameters
    ----------
    pvalues : ndarray of shape (m,)
        NaN is left out of the count and stays NaN.
    method : str or None
        "bonferroni", "sidak", "holm", "holm-sidak", "hochberg" (``simes-hochberg``), "hommel", which bound the chance
        of any false rejection; "fdr_bh" ("BH"), "fdr_by" ("BY"), "fdr_tsbh", "fdr_tsbky", which bound the expected
        share of false ones among the rejections. None or "none" changes nothing.

    Returns
    -------
    ndarray of shape (m,)

    Raises
    ------
    ValueError
        For an unknown method.

    Examples
    --------
    >>> import numpy as np
    >>> adjusted_pvalues(np.array([0.01, 0.04, np.nan, 0.03]), "holm").tolist()
    [0.03, 0.06, nan, 0.06]

    References
    ----------
    S. Holm (1979), A simple sequentially rejective multiple test procedure. Y. Benjamini and Y. Hochberg (1995),
    Controlling the false discovery rate.
    """
    pvalues = np.asarray(pvalues, dtype=float)
    if method is None or method == "none":
        return pvalues.copy()
    if method not in _METHODS:
        raise ValueError(f"adjust must be None or one of {', '.join(map(repr, _METHODS))}, not {method!r}")
    known = ~np.isnan(pvalues)
    out = np.full(pvalues.shape, np.nan)
    if known.any():
        from statsmodels.stats.multitest import multipletests

        out[known] = multipletests(pvalues[known], method=_METHODS[method])[1]
    return out


@dataclass(frozen=True, eq=False)
class LinearTests:
    """Linear combinations of parameters, each tested by itself.

    Attributes
    ----------
    hypotheses : list of str
    effect : ndarray of shape (m,)
        R b, as R's ``glht`` and statsmodels report it; what it is compared to, q, is in the hypothesis.
    sd, tvalue, pvalue : ndarray of shape (m,)
        Standard errors, statistics, and p-values with the adjustment.
    adjust : str
        How p-values, and limits where it has any, account for the number of tests.
    distribution : {"t", "z", "random scaling"}
    df : float or None
        Degrees of freedom of t.
    """

    hypotheses: list[str]
    effect: np.ndarray
    sd: np.ndarray
    tvalue: np.ndarray
    pvalue: np.ndarray
    adjust: str
    distribution: str
    df: float | None
    _largest: np.ndarray | None
    _law: Any

    def conf_int(self, alpha: float = 0.05) -> np.ndarray:
        """Limits of the effects, (m, 2): together of level 1 − alpha after "single-step", "bonferroni" and "sidak"."""
        if not 0 < alpha < 1:
            raise ValueError(f"alpha must lie between 0 and 1, got {alpha!r}")
        m = max(int(np.isfinite(self.sd).sum()), 1)
        if self._largest is not None:
            reach = float(np.quantile(self._largest, 1 - alpha))
        else:
            level = {"bonferroni": alpha / m, "sidak": -math.expm1(math.log1p(-alpha) / m)}.get(
                self.adjust, alpha
            )
            reach = two_sided_quantile(level, self._law)
        return np.column_stack([self.effect - reach * self.sd, self.effect + reach * self.sd])

    def to_frame(self, alpha: float = 0.05) -> pd.DataFrame:
        """Frame with a row a hypothesis: ``estimate, std err, t, P>|t|`` (or z) and the two limits."""
        import pandas as pd

        letter = "z" if self.distribution == "z" else "t"
        limits = self.conf_int(alpha)
        return pd.DataFrame(
            {
                "estimate": self.effect, "std err": self.sd, letter: self.tvalue, f"P>|{letter}|": self.pvalue,
                "lower": limits[:, 0], "upper": limits[:, 1],
            },
            index=self.hypotheses,
        )  # fmt: skip

    def summary(self, alpha: float = 0.05) -> Table:
        """The tests as a table that prints as text, HTML or LaTeX."""
        frame = self.to_frame(alpha)
        limits = frame[["lower", "upper"]].to_numpy().T
        columns = coefficient_columns(self.effect, self.sd, *limits)
        lines: list[Line | Gap | Section] = [
            Line(name, (c, s, statistic(t), p_value(p), low, high))
            for name, c, s, low, high, t, p in zip(
                self.hypotheses, *columns, self.tvalue, self.pvalue, strict=True
            )
        ]
        return Table(
            "Linear hypotheses", columns=("estimate", *frame.columns[1:4], f"[{alpha / 2:.4g}", f"{1 - alpha / 2:.4g}]"),
            lines=lines, notes=[Note(self._told())], frame=frame,
        )  # fmt: skip

    def _told(self) -> str:
        m = len(self.hypotheses)
        if self.adjust == "none":
            return "P-values and limits are of each test by itself."
        name = (
            "the joint law of all statistics (single-step)" if self.adjust == "single-step" else self.adjust
        )
        together = self.adjust in ("single-step", "bonferroni", "sidak")
        limits = "limits hold together" if together else "limits are of each by itself"
        return f"P-values are adjusted for {m} {'test' if m == 1 else 'tests'} by {name}; {limits}."

    def __str__(self) -> str:
        return str(self.summary())

    __repr__ = __str__

    def _repr_html_(self) -> str:
        return self.summary().as_html()


def linear_tests(R, q, values, covariance, names, *, law, adjust, letter):
    """See `Estimate.t_test`; ``law`` is what statistics are compared to, as in `two_sided_tail`."""
    used = np.flatnonzero((R != 0).any(axis=0))
    R = R[:, used]
    effect = R @ values[used]
    spread = R @ covariance[np.ix_(used, used)] @ R.T
    sd = np.sqrt(np.maximum(np.diagonal(spread), 0.0))
    zero = np.flatnonzero(~(sd > 0))
    if len(zero):
        raise ValueError(f"the standard error of {names[zero[0]]!r} is zero")
    t = (effect - q) / sd
    raw = two_sided_tail(t, law)
    largest = None
    if adjust == "single-step":
        if hasattr(law, "tail"):
            raise ValueError("adjust='single-step' needs a normal or t law: 'holm' or 'bonferroni'")
        largest = largest_statistics(spread / np.outer(sd, sd), law)
        p = np.array([np.mean(largest >= abs(value)) for value in t])
        p = np.clip(p, raw, np.minimum(len(t) * raw, 1.0))
    else:
        p = adjusted_pvalues(raw, adjust)
    df = law if isinstance(law, (int, float)) else None
    return LinearTests(list(names), effect, sd, t, p, adjust or "none", letter, df, largest, law)


def largest_statistics(correlation: np.ndarray, df: float | None) -> np.ndarray:
    """Sorted draws of max |T| for statistics with a joint normal (``df`` None) or t law.

    By a scrambled Sobol sequence with a fixed seed, so that the same tests have the same p-values.

    References
    ----------
    F. Bretz, T. Hothorn and P. Westfall (2010), Multiple Comparisons Using R, chapter 3.
    """
    from scipy.stats import qmc

    values, vectors = np.linalg.eigh(correlation)
    some = values > 1e-12 * values[-1]
    root = (vectors[:, some] * np.sqrt(values[some])).T
    r = len(root)
    sequence = qmc.Sobol(r + (df is not None), rng=np.random.default_rng(0))
    largest = np.empty(_POINTS)
    for start in range(0, _POINTS, _PIECE):
        u = np.clip(sequence.random(_PIECE), 1e-12, 1 - 1e-12)
        size = np.abs(special.ndtri(u[:, :r]) @ root).max(axis=1)
        if df is not None and math.isfinite(df):
            size /= np.sqrt(special.gammaincinv(df / 2, u[:, r]) * 2 / df)
        largest[start : start + _PIECE] = size
    return np.sort(largest)
