"""Tests of linear hypotheses about the parameters of an estimate: jointly, one by one, and by term."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from statkit.results._reference import RANDOM_SCALING
from statkit.results.hypothesis import parse_hypothesis
from statkit.results.wald import WaldTest, wald

if TYPE_CHECKING:
    import pandas as pd

    from statkit.results.multiplicity import LinearTests

__all__ = ["HypothesisTests"]


class HypothesisTests:
    """Wald and t tests of what :class:`~statkit.results.Estimate` holds."""

    names: list[str]
    labels: Any
    multiclass: Any
    values: np.ndarray
    covariance: np.ndarray
    why_nan: dict[str, str]
    reference: str | None
    use_t: bool
    df_resid_inference: float
    _bse: Any
    _df: Any
    _letter: Any
    _positions: Any

    def wald_test(self, hypothesis: Any, use_f: bool | None = None) -> WaldTest:
        """Joint test of linear hypotheses.

        Parameters
        ----------
        hypothesis : str, list of str, ndarray or tuple
            ``"x1 = x2 = 0"``, ``"2*x1 - x2 = 3, C(day)[T.5] = C(day)[T.6]"``; a matrix R with a row per
            restriction R b = 0; or (R, q) for R b = q. With several classes ``"b:x1 = 0"`` speaks of class b,
            ``"x1 = 0"`` of every class.
        use_f : bool or None
            F or chi-squared; None takes F when the dispersion was estimated.

        Returns
        -------
        WaldTest

        Raises
        ------
        ValueError
            For unknown names (with the nearest known ones), hypotheses that are not linear or contradict each
            other, and parameters without a standard error.
        """
        if isinstance(hypothesis, (list, tuple)) and all(isinstance(part, str) for part in hypothesis):
            hypothesis = ", ".join(hypothesis)
        if isinstance(hypothesis, str):
            R, q = self._restrictions(hypothesis)
        else:
            R, q = self._matrix(hypothesis)
            hypothesis = f"R b = q, R of shape {R.shape[0]} × {R.shape[1]}"
        self._must_have_errors(R)
        return self._wald(R, q, hypothesis, use_f)

    def t_test(self, hypotheses: Any = None, adjust: str | None = None) -> LinearTests:
        """Linear hypotheses, each tested by itself, as R's ``glht``: estimates, errors, p-values and limits.

        Parameters
        ----------
        hypotheses : str, list of str, dict, ndarray, tuple or None
            As in `wald_test`, an equation or a row each; a dict gives them names; None takes every coefficient with a
            standard error but the intercept.
        adjust : str or None, default=None
            None for each by itself; "single-step" for p-values and limits from the joint law of the statistics, which
            use their correlation; or a method of `statkit.results.adjusted_pvalues`.

        Returns
        -------
        LinearTests

        Raises
        ------
        ValueError
            As `wald_test`, and for an unknown method.

        Examples
        --------
        >>> import numpy as np
        >>> from statkit.results import Estimate
        >>> estimate = Estimate(
        ...     names=["a", "b", "c"], values=np.array([1.0, 0.5, 0.1]), covariance=0.04 * np.eye(3),
        ...     terms={"g": [0, 1, 2]}, family="poisson", link="log", use_t=False, nobs=100, df_resid=97,
        ...     df_model=3, rank=3, response="y")
        >>> estimate.t_test(["a = b", "a = c", "b = c"], adjust="holm").pvalue.round(4).tolist()
        [0.1542, 0.0044, 0.1573]

        References
        ----------
        T. Hothorn, F. Bretz and P. Westfall (2008), Simultaneous inference in general parametric models.
        """
        from statkit.results.multiplicity import linear_tests

        R, q, names = self._each(hypotheses)
        self._must_have_errors(R)
        covariance = self.covariance
        if covariance.ndim == 1:
            if ((R != 0).sum(axis=1) > 1).any() or adjust == "single-step":
                raise ValueError(
                    "only variances are known: effects of several parameters need their covariances"
                )
            covariance = np.diag(covariance)
        if self.reference == "chains":
            raise ValueError(
                "the estimate has independent chains in place of standard errors: see conf_int()"
            )
        letter = "random scaling" if self.reference == "random scaling" else self._letter
        return linear_tests(R, q, self.values, covariance, names, law=self._df, adjust=adjust, letter=letter)

    def _each(self, hypotheses):
        """R, q and a name a row."""
        if hypotheses is None:
            some = [i for i in np.flatnonzero(np.isfinite(self._bse)) if self.names[i] != "Intercept"]
            return np.eye(len(self.values))[some], np.zeros(len(some)), [self.labels[i] for i in some]
        names = None
        if isinstance(hypotheses, Mapping):
            names, hypotheses = list(map(str, hypotheses)), list(hypotheses.values())
        if isinstance(hypotheses, str):
            hypotheses = [hypotheses]
        if isinstance(hypotheses, (list, tuple)) and all(isinstance(part, str) for part in hypotheses):
            parts = [self._restrictions(part) for part in hypotheses]
            told = [
                f"{text} [{i + 1}]" if len(R) > 1 else text
                for text, (R, _) in zip(hypotheses if names is None else names, parts, strict=True)
                for i in range(len(R))
            ]
            return np.vstack([R for R, _ in parts]), np.concatenate([q for _, q in parts]), told
        R, q = self._matrix(hypotheses if names is None else np.vstack(hypotheses))
        return R, q, names or [f"row {i}" for i in range(len(R))]

    def _must_have_errors(self, R):
        touched = (R != 0).any(axis=0)
        for i in np.flatnonzero(touched & ~np.isfinite(self._bse)):
            reason = self.why_nan.get(self.labels[i]) or self.why_nan.get(self.names[i])
            because = f": {reason}" if reason else ""
            raise ValueError(f"{self.labels[i]!r} cannot be tested, it has no standard error{because}")

    def _wald(self, R, q, hypothesis, use_f=None):
        covariance = self.covariance
        if covariance.ndim == 1:
            if ((R != 0).sum(axis=1) > 1).any() or len(R) > 1:
                raise ValueError(
                    "only variances are known: tests of several parameters need their covariances"
                )
            covariance = np.diag(np.where(R[0] != 0, covariance, 0.0))
        if self.reference == "random scaling":
            return RANDOM_SCALING.wald(R, q, self.values, covariance, hypothesis)
        if self.reference == "t" and use_f is None:
            use_f = True
        df = self.df_resid_inference if (self.use_t if use_f is None else use_f) else None
        return wald(R, q, self.values, covariance, df_denom=df, hypothesis=hypothesis)

    def _restrictions(self, text):
        at = {}
        for i, name in enumerate(self.names):
            at.setdefault(name, []).append(i)
        if self.multiclass:
            at = {**at, **{label: [i] for i, label in enumerate(self.labels)}}
        R, q = [], []
        for coefficients, right in parse_hypothesis(text, list(at)):
            # A name that stands for one parameter in each class makes one restriction per class.
            repeats = max(len(at[name]) for name in coefficients)
            if not self.multiclass and repeats > 1:
                raise ValueError(f"several parameters share a name in {text!r}: give a matrix instead")
            for c in range(repeats):
                row = np.zeros(len(self.names))
                for name, value in coefficients.items():
                    row[at[name][c if len(at[name]) > 1 else 0]] += value
                R.append(row)
                q.append(right)
        return np.array(R), np.array(q)

    def _matrix(self, hypothesis):
        if isinstance(hypothesis, tuple) and len(hypothesis) != 2:
            raise ValueError(f"a tuple must be (R, q), got {len(hypothesis)} items")
        R, q = hypothesis if isinstance(hypothesis, tuple) else (hypothesis, None)
        R = np.atleast_2d(np.asarray(R, dtype=np.float64))
        k = len(self.values)
        if R.ndim != 2 or R.shape[1] != k:
            raise ValueError(f"R must have one column per parameter ({k}), got shape {R.shape}")
        q = np.zeros(len(R)) if q is None else np.broadcast_to(np.asarray(q, dtype=np.float64), len(R))
        if not (np.isfinite(R).all() and np.isfinite(q).all()):
            raise ValueError("R and q must be finite")
        return R, q

    def _term_test(self, term):
        """Joint test that the identified parameters of a term are zero; None when there are none."""
        positions = [i for i in self._positions[term] if np.isfinite(self._bse[i])]
        if not positions:
            return None
        R = np.zeros((len(positions), len(self.values)))
        R[np.arange(len(positions)), positions] = 1.0
        return self._wald(R, np.zeros(len(positions)), term)

    def wald_test_terms(self, adjust: str | None = None) -> pd.DataFrame:
        """One joint Wald test per formula term.

        Aliased and infinite parameters are left out of their term, which then has fewer degrees of freedom.

        Parameters
        ----------
        adjust : str or None, default=None
            Adjust the p-values for the number of terms, the intercept not among them, by a method of
            `statkit.results.adjusted_pvalues`.

        Returns
        -------
        DataFrame
            Index: terms. Columns ``statistic`` (F when the dispersion was estimated, chi-squared otherwise),
            ``df``, ``df_denom`` (F only) and ``pvalue``.
        """
        import pandas as pd

        rows = {}
        for term in self._positions:
            row = {"statistic": np.nan, "df": 0, "df_denom": np.nan, "pvalue": np.nan}
            try:
                test = self._term_test(term)
            except ValueError as error:
                warnings.warn(f"no joint test of {term}: {error}", RuntimeWarning, stacklevel=2)
                test = None
            if test is not None:
                row.update(statistic=test.statistic, df=test.df, df_denom=test.df_denom, pvalue=test.pvalue)
            rows[term] = row
        frame = pd.DataFrame.from_dict(
            rows, orient="index", columns=["statistic", "df", "df_denom", "pvalue"]
        )
        if adjust is not None:
            from statkit.results.multiplicity import adjusted_pvalues

            tested = frame.index != "Intercept"
            frame.loc[tested, "pvalue"] = adjusted_pvalues(
                frame.loc[tested, "pvalue"].to_numpy(float), adjust
            )
        return frame if self.use_t else frame.drop(columns="df_denom")
