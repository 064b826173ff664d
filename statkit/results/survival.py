"""What a survival regression returns: hazard ratios, tests against no effect, and the baseline hazard."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from statkit.results._numbers import count, p_value, plain, quantity, statistic
from statkit.results._tails import two_sided_quantile
from statkit.results.estimate import Estimate
from statkit.results.summary import Line, Note, Summary

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["SurvivalEstimate"]


class SurvivalEstimate(Estimate):
    """An :class:`~statkit.results.Estimate` of proportional hazards.

    Attributes
    ----------
    n_events : int
    llf : float
        Log partial likelihood; ``loglik_null`` is that without columns (with the offset).
    lr_test, wald_test_all, score_test : tuple of (statistic, df, pvalue)
        That no column matters: by likelihood ratio, Wald (with the covariance reported) and score.
    concordance : float
        Harrell's, of the fitted rows; NaN where they were too many.
    """

    @property
    def llnull(self) -> float:
        """Log partial likelihood without columns."""
        return float(self.extra["loglik_null"])

    @property
    def lr_test(self) -> tuple:
        """Likelihood ratio test that no column matters: (statistic, df, pvalue)."""
        return self._chi2(2.0 * (self.llf - self.llnull))

    @property
    def score_test(self) -> tuple:
        """Score (logrank) test that no column matters: (statistic, df, pvalue)."""
        return self._chi2(float(self.extra["score_statistic"]))

    @property
    def wald_test_all(self) -> tuple:
        """Wald test that no column matters, with the covariance reported: (statistic, df, pvalue)."""
        some = np.isfinite(self._bse)
        if not some.any():
            return math.nan, 0, math.nan
        R = np.eye(len(self.values))[some]
        try:
            test = self._wald(R, np.zeros(len(R)), "no effect", use_f=False)
        except ValueError:  # fewer clusters than columns
            return math.nan, int(some.sum()), math.nan
        return float(test.statistic), int(some.sum()), float(test.pvalue)

    def _chi2(self, value):
        from scipy.special import chdtrc

        df = self.rank
        return float(value), df, float(chdtrc(df, max(value, 0.0))) if df else math.nan

    @property
    def bic(self) -> float:
        """Schwarz' criterion with the number of events in place of rows, as R and Volinsky and Raftery (2000)."""
        return -2.0 * self.llf + math.log(self.extra["n_events"]) * self.rank

    @property
    def hazard_ratios(self) -> pd.DataFrame:
        """Frame of hazard ratios, e^coef, with the limits of 95 % intervals."""
        return self._ratios(0.05)

    def _ratios(self, alpha):
        import pandas as pd

        limits = self._limits(alpha)
        with np.errstate(over="ignore"):
            table = np.exp(np.column_stack([self.values, limits]))
        names = ["hazard ratio", f"[{alpha / 2:.4g}", f"{1 - alpha / 2:.4g}]"]
        return pd.DataFrame(table, index=self._index, columns=names)

    def to_frame(self, alpha: float = 0.05, adjust: str | None = None) -> pd.DataFrame:
        """The table of coefficients as a frame: ``coef, exp(coef), std err, z, P>|z|`` and the two limits."""
        frame = super().to_frame(alpha, adjust)
        with np.errstate(over="ignore"):
            frame.insert(1, "exp(coef)", np.exp(self.values))
        return frame

    def summary(self, full: bool = False, alpha: float = 0.05, adjust: str | None = None) -> Summary:
        """The table as R's ``coxph`` prints it, with what was done."""
        base = super().summary(full=full, alpha=alpha, adjust=adjust)
        lines = [self._line(line, alpha) if isinstance(line, Line) else line for line in base.lines]
        rows, fit = base.figures
        rows = [("Rows used", value) if name == "Rows used" else (name, value) for name, value in rows]
        rows.insert(2, ("Events", count(int(self.extra["n_events"]))))
        dropped = ("Deviance", "Null deviance", "Dispersion", "Residual df", "Log-likelihood")
        fit = [pair for pair in fit if pair[0] not in dropped]
        figures = [
            ("Log partial likelihood", quantity(self.llf)), ("Without columns", quantity(self.llnull)), *fit,
        ]  # fmt: skip
        if math.isfinite(self.extra.get("concordance", math.nan)):
            figures.append(("Concordance", plain(self.extra["concordance"], 4)))
        notes = [Note(self._tests())] if self.rank else []
        columns = ("coef", "exp(coef)", "std err", "z", "P>|z|", *base.columns[-2:])
        facts = [pair for pair in base.facts if pair[0] != "Family"]
        facts.insert(1, ("Ties", str(self.extra.get("ties", ""))))
        return replace(
            base, title="Cox proportional hazards regression", facts=facts, figures=(rows, figures), columns=columns,
            lines=lines, notes=notes + base.notes,
        )  # fmt: skip

    def _line(self, line, alpha):
        i = self.names.index(line.label) if line.label in self.names else None
        if i is None:
            return line
        coef, error, *rest = line.cells
        with np.errstate(over="ignore"):
            ratio = np.exp(self.values[i])
        return Line(line.label, (coef, plain(ratio, 4), error, *rest))

    def _tests(self):
        parts = []
        tests = (
            ("Likelihood ratio test", self.lr_test), ("Wald test", self.wald_test_all), ("score test", self.score_test)
        )  # fmt: skip
        for name, (value, df, p) in tests:
            if math.isfinite(value):
                parts.append(f"{name} = {statistic(value)} on {df} df, p = {p_value(p)}")
        return "; ".join(parts) + "."


def survival_limits(log_survival, error, level: float):
    """Lower and upper limits of e^(log_survival), on the scale of the logarithm, as R's ``survfit``."""
    half = two_sided_quantile(1 - level, None) * error
    return np.exp(log_survival - half), np.minimum(np.exp(log_survival + half), 1.0)
