"""What a fit returns: parameters, their covariance, and what was done to get them, under statsmodels' names.

A fit of a thousand rows takes less time than importing pandas, so building an Estimate only stores what it is
given; Series, p-values, tests and texts are made when someone asks for them.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Mapping, Sequence
from functools import cached_property
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import numpy as np

from statkit.results._record import from_record, to_record
from statkit.results._reference import RANDOM_SCALING, REFERENCES
from statkit.results._tails import two_sided_quantile, two_sided_tail
from statkit.results.hypothesis import parse_hypothesis
from statkit.results.maketables import ReadByMaketables
from statkit.results.wald import WaldTest, wald

if TYPE_CHECKING:
    from typing import Self

    import pandas as pd

    from statkit.results.multiplicity import LinearTests
    from statkit.results.summary import Summary

__all__ = ["Estimate"]

#: In ``why_nan``: a coefficient of which the rows of the fit say nothing, that of an empty cell for instance.
NO_ROW = "no row of the fit has it"
# Parameters up to which a matrix of their pairs is made on request.
_MOST_PAIRS = 20_000


class Estimate(ReadByMaketables):
    """Estimated parameters of a regression, with everything that is known about their errors and their
    making.

    Fits build it; users read it. Where theory gives no standard error it is NaN, and `why_nan` says why.

    Parameters
    ----------
    names : sequence of str
        Parameter names, ``"Intercept"`` first. Softmax: the names of one class, or of every class one after
        another.
    values : ndarray of shape (k,)
        Estimates: NaN where a column is aliased, plus or minus infinity where the likelihood has no maximum.
    covariance : ndarray of shape (k, k), or (k,) where only variances are known
        NaN in the rows and columns of aliased and infinite parameters.
    terms : dict of str to list of int
        Formula terms and the positions of their parameters (softmax: positions within a class are enough).
    family, link : str
    use_t : bool
        Whether the dispersion was estimated: Student's t and F instead of normal and chi-squared.
    scale : float
        Dispersion.
    nobs : int
        Observations.
    df_resid, df_model : float
        Residual degrees of freedom; parameters without the intercept.
    llf, deviance, null_deviance, pearson_chi2 : float
        Log-likelihood (NaN for quasi families), deviance of the model and of the intercept alone, Pearson's
        statistic.
    rank : int
        Parameters that were estimated.
    cov_type : str, default="nonrobust"
        Which covariance this is.
    information, meat : ndarray of shape (k, k) or None
        Fisher information without the dispersion; covariance of the score. NaN rows as in ``covariance``.
    shape, shape_bse : dict
        Estimated shape parameters of the family (negative binomial ``alpha``) and their standard errors.
    response : str
        Name of the response.
    formula : str or None
    classes : sequence or None
        Classes of the response. With more than two, ``params`` is indexed by (class, name), the first class
        being the reference.
    plan, engine : str
        How and where it was computed.
    rows_read, rows_used, rows_missing : int
        Rows that were read, that entered the estimate, and that were dropped for missing values.
    n_passes : float
        Times the data were read through; pilots count as fractions.
    n_rounds : int
        Rounds of messages.
    seconds : float
        Wall time.
    converged : bool
    history, diagnostics : list of dict
        One line per round; one line per diagnostic with keys ``name, value, verdict, advice``.
    notes : list of str
        What the reader of the table must know.
    why_nan : dict of str to str
        Why a parameter has no standard error, by name.
    target : str or None
        What the errors refer to when it is not the population, for instance the fit of all rows.
    df_resid_inference : float or None
        Degrees of freedom of t and F when they are not ``df_resid`` (one less than the number of clusters).
    alpha, l1_ratio : float, default=0
        Penalty that was used.
    reference : {None, "t", "random scaling", "chains"}, default=None
        What t-values are compared to. None is the normal law, or Student's where the dispersion was estimated; "t"
        is Student's with ``df_resid_inference`` in any case. With "chains" there are no standard errors, and limits
        are the extremes of ``extra["chains"]``, independent estimates, a row each.
    evaluated_at : ndarray of shape (2, k) or None
        Where ``information``, and where log-likelihood and ``meat`` were computed, a step before ``values``; None is
        at ``values``.
    extra : dict or None
        Further results of a plan, reachable as attributes.

    Examples
    --------
    >>> import numpy as np
    >>> estimate = Estimate(
    ...     names=["Intercept", "x"], values=np.array([0.5, 2.0]), covariance=np.diag([0.01, 0.04]),
    ...     terms={"Intercept": [0], "x": [1]}, family="poisson", link="log", use_t=False, nobs=100,
    ...     df_resid=98, df_model=1, rank=2, response="y")
    >>> estimate.bse["x"]
    np.float64(0.2)
    >>> estimate.wald_test("x = 1")
    Wald test: x = 1
    difference 1, standard error 0.2
    chi2(1) = 25.00, p = 5.7e-07
    """

    #: Computes another covariance from the rows; set by the fitted model.
    _again: Any = None

    def __init__(
        self,
        *,
        names: Sequence[str],
        values: np.ndarray,
        covariance: np.ndarray,
        terms: Mapping[str, Sequence[int]],
        family: str,
        link: str,
        use_t: bool,
        nobs: int,
        df_resid: float,
        df_model: float,
        rank: int,
        response: str,
        scale: float = 1.0,
        llf: float = math.nan,
        deviance: float = math.nan,
        null_deviance: float = math.nan,
        pearson_chi2: float = math.nan,
        cov_type: str = "nonrobust",
        information: np.ndarray | None = None,
        meat: np.ndarray | None = None,
        shape: dict[str, float] | None = None,
        shape_bse: dict[str, float] | None = None,
        formula: str | None = None,
        classes: Sequence[Any] | np.ndarray | None = None,
        plan: str = "",
        engine: str = "",
        rows_read: int | None = None,
        rows_used: int | None = None,
        rows_missing: int = 0,
        n_passes: float = math.nan,
        n_rounds: int = 0,
        seconds: float = math.nan,
        converged: bool = True,
        history: list[dict] | None = None,
        diagnostics: list[dict] | None = None,
        notes: list[str] | None = None,
        why_nan: dict[str, str] | None = None,
        target: str | None = None,
        df_resid_inference: float | None = None,
        alpha: float = 0.0,
        l1_ratio: float = 0.0,
        reference: str | None = None,
        evaluated_at: np.ndarray | None = None,
        extra: dict[str, Any] | None = None,
    ) -> None:
        k = len(values)
        if reference not in REFERENCES:
            raise ValueError(f"reference must be one of {REFERENCES}, got {reference!r}")
        if covariance.shape not in ((k, k), (k,)):
            raise ValueError(f"{k} parameters, but a covariance of shape {covariance.shape}")
        # Classes with parameters of their own; two classes are one model, of the second against the first.
        blocks = list(classes[1:]) if classes is not None and len(classes) > 2 else []
        if blocks and len(names) * len(blocks) == k:
            names = list(names) * len(blocks)
        if len(names) != k:
            raise ValueError(f"{k} parameters, but {len(names)} names")
        self.names = list(names)
        self.values = values
        self.covariance = covariance
        self.terms = terms
        self.family = family
        self.link = link
        self.use_t = use_t
        self.scale = scale
        self.nobs = nobs
        self.df_resid = df_resid
        self.df_model = df_model
        self.llf = llf
        self.deviance = deviance
        self.null_deviance = null_deviance
        self.pearson_chi2 = pearson_chi2
        self.rank = rank
        self.cov_type = cov_type
        self.information = information
        self.meat = meat
        self.shape = shape or {}
        self.shape_bse = shape_bse or {}
        self.response = response
        self.formula = formula
        self.classes = classes
        self._blocks = blocks
        self.plan = plan
        self.engine = engine
        self.rows_read = nobs if rows_read is None else rows_read
        self.rows_used = nobs if rows_used is None else rows_used
        self.rows_missing = rows_missing
        self.n_passes = n_passes
        self.n_rounds = n_rounds
        self.seconds = seconds
        self.converged = converged
        self.notes = notes or []
        self.why_nan = why_nan or {}
        self.target = target
        self.df_resid_inference = df_resid if df_resid_inference is None else df_resid_inference
        self.alpha = alpha
        self.l1_ratio = l1_ratio
        self.reference = reference
        self.evaluated_at = evaluated_at
        self.extra = extra or {}
        self._history = history or []
        self._diagnostics = diagnostics or []
        for key in self.extra:
            if hasattr(type(self), key) or key in self.__dict__:
                raise ValueError(f"extra result {key!r} would hide the attribute of that name")

    def _shown(self) -> Estimate:
        return self

    # -- names --------------------

    @property
    def multiclass(self) -> bool:
        """Whether there is one set of parameters per class."""
        return bool(self._blocks)

    @property
    def _block_width(self) -> int:
        """Parameters of one class."""
        return len(self.names) // max(len(self._blocks), 1)

    @cached_property
    def labels(self) -> list[str]:
        """One string per parameter, for hypotheses and files: ``name``, with classes ``class:name``."""
        if not self.multiclass:
            return self.names
        width = self._block_width
        return [f"{self._blocks[i // width]}:{name}" for i, name in enumerate(self.names)]

    @cached_property
    def _positions(self) -> Mapping[str, Sequence[int]]:
        """Term -> positions among all parameters, over all classes."""
        width = self._block_width
        if not self.multiclass or any(max(members, default=0) >= width for members in self.terms.values()):
            return self.terms
        starts = range(0, len(self.names), width)
        return {term: [s + j for s in starts for j in members] for term, members in self.terms.items()}

    @cached_property
    def _index(self) -> pd.Index:
        import pandas as pd

        if not self.multiclass:
            return pd.Index(self.names)
        classes = [label for label in self._blocks for _ in range(self._block_width)]
        return pd.MultiIndex.from_arrays([classes, self.names], names=["class", "name"])

    def _series(self, values):
        import pandas as pd

        return pd.Series(values, index=self._index, copy=True)

    # -- parameters and their errors --------------------

    @cached_property
    def _bse(self) -> np.ndarray:
        variance = self.covariance if self.covariance.ndim == 1 else np.diagonal(self.covariance)
        with np.errstate(invalid="ignore"):
            return np.where(np.isfinite(self.values), np.sqrt(variance), np.nan)

    @cached_property
    def _tvalues(self) -> np.ndarray:
        with np.errstate(invalid="ignore", divide="ignore"):
            return np.where(np.isfinite(self.values), self.values / self._bse, np.nan)

    @property
    def _open(self) -> np.ndarray:
        """Mask of the parameters that leave what they enter without an error: one that is known up to its own, or
        not at all. What is aliased with other columns is no such: their coefficients stand for it."""
        empty = [self.why_nan.get(name, "").startswith(NO_ROW) for name in self.names]
        return np.isfinite(self.values) & np.isnan(self._bse) | np.array(empty, bool)

    @property
    def _df(self) -> Any:
        """Degrees of freedom of t and F; None for normal and chi-squared; or another law."""
        if self.reference == "random scaling":
            return RANDOM_SCALING
        if self.reference == "t":
            return self.df_resid_inference
        return self.df_resid_inference if self.use_t else None

    @property
    def _letter(self) -> str:
        """What the table calls estimate over standard error."""
        return "t" if self.use_t or self.reference is not None else "z"

    def _limits(self, alpha):
        if not 0 < alpha < 1:
            raise ValueError(f"alpha must lie between 0 and 1, got {alpha!r}: 0.05 gives 95 % intervals")
        if self.reference == "chains":
            chains = np.asarray(self.extra["chains"], dtype=float)
            if 2.0 ** (1 - len(chains)) > alpha:  # the extremes of so few cover less
                return np.full((len(self.values), 2), np.nan)
            return np.column_stack([chains.min(axis=0), chains.max(axis=0)])
        half = two_sided_quantile(alpha, self._df) * self._bse
        with np.errstate(invalid="ignore"):
            return np.column_stack([self.values - half, self.values + half])

    @property
    def params(self) -> pd.Series:
        """Series of the estimates."""
        return self._series(self.values)

    @property
    def bse(self) -> pd.Series:
        """Series of standard errors; NaN for aliased and infinite parameters."""
        return self._series(self._bse)

    @property
    def tvalues(self) -> pd.Series:
        """Series of estimate over standard error (t or z, see `use_t`)."""
        return self._series(self._tvalues)

    @property
    def pvalues(self) -> pd.Series:
        """Series of two-sided p-values of the hypotheses that a parameter is zero."""
        return self._series(two_sided_tail(self._tvalues, self._df))

    def cov_params(self) -> pd.DataFrame:
        """Frame of the covariance of the estimates."""
        import pandas as pd

        if self.covariance.ndim == 1:
            if len(self.values) > _MOST_PAIRS:
                raise ValueError("only variances are known, of too many parameters for a matrix: see bse")
            full = np.full((len(self.values), len(self.values)), np.nan)
            np.fill_diagonal(full, self.covariance)
            return pd.DataFrame(full, index=self._index, columns=self._index)
        return pd.DataFrame(self.covariance, index=self._index, columns=self._index, copy=True)

    def conf_int(self, alpha: float = 0.05) -> pd.DataFrame:
        """Confidence intervals of level 1 - alpha: a frame with columns 0 and 1."""
        import pandas as pd

        return pd.DataFrame(self._limits(alpha), index=self._index, columns=[0, 1])

    def _pvalues(self, adjust: str | None = None) -> np.ndarray:
        pvalues = two_sided_tail(self._tvalues, self._df)
        if adjust is None:
            return pvalues
        from statkit.results.multiplicity import adjusted_pvalues

        return adjusted_pvalues(pvalues, adjust)

    def to_frame(self, alpha: float = 0.05, adjust: str | None = None) -> pd.DataFrame:
        """The table of coefficients as a frame: ``coef, std err, z, P>|z|`` and the two limits.

        With an estimated dispersion (`use_t`) t stands in place of z.

        Parameters
        ----------
        alpha : float, default=0.05
            The limits, of each coefficient by itself, are those of 1 - alpha.
        adjust : str or None, default=None
            Adjust the p-values for the number of coefficients: "holm", "bonferroni", "fdr_bh" and others of
            `statkit.results.adjusted_pvalues`. For some coefficients only, and limits that hold together: `t_test`.
        """
        import pandas as pd

        z = self._letter
        limits = self._limits(alpha)
        columns = {
            "coef": self.values,
            "std err": self._bse,
            z: self._tvalues,
            f"P>|{z}|": self._pvalues(adjust),
            f"[{alpha / 2:.4g}": limits[:, 0],
            f"{1 - alpha / 2:.4g}]": limits[:, 1],
        }
        return pd.DataFrame(columns, index=self._index)

    def with_cov(
        self,
        cov_type: str | Mapping[str, Any],
        data: Any = None,
        *,
        y: Any = None,
        sample_weight: Any = None,
        offset: Any = None,
        strata: Any = None,
    ) -> Self:
        """The same estimate with another covariance, without another fit.

        What the fit kept serves where it suffices; otherwise the rows are read once more, by the engine of the fit.
        Files are remembered by their paths, and refused if they changed. Data in memory are remembered as long as
        something else holds them, so that a model keeps no table alive; when they are gone, or the model was loaded
        from a file, give them again.

        Parameters
        ----------
        cov_type : str or dict
            ``"nonrobust"``; ``"HC0"``, ``"HC1"``; ``"HC2"``, ``"HC3"``, by the leverage of rows, for models with one
            linear predictor and without a penalty; ``{"cluster": column}``, a column's name or an array of labels in
            the order of the rows; ``{"cluster": [a, b]}`` (a list of names or of arrays, or a matrix with a column
            for each) where rows are dependent within either; ``"partition"``; for one quantile ``"robust"``.
        data : object or None
            The rows that ``fit`` was given as ``X`` or ``data``.
        y, sample_weight, offset, strata : array or None
            What ``fit`` was given beside them.

        Returns
        -------
        Estimate
            A new one.

        Raises
        ------
        ValueError
            If the rows are not at hand, are not those of the fit, or the model has no such covariance.

        Examples
        --------
        >>> import numpy as np
        >>> from statkit.regression import GLMRegressor
        >>> x = np.arange(20.0)
        >>> X, y = x[:, None], x + np.sin(x)
        >>> estimate = GLMRegressor().fit(X, y).estimate_
        >>> estimate.with_cov("HC3").bse.round(3).tolist()
        [0.299, 0.026]
        >>> estimate.with_cov({"cluster": x // 4}).cov_type
        'cluster'

        References
        ----------
        J. G. MacKinnon and H. White (1985), Some heteroskedasticity-consistent covariance matrix estimators with
        improved finite sample properties. A. Zeileis (2006), Object-oriented computation of sandwich estimators.
        A. C. Cameron, J. B. Gelbach and D. L. Miller (2011), Robust inference with multiway clustering.
        """
        from statkit.results._with_cov import with_cov

        given = {"y": y, "sample_weight": sample_weight, "offset": offset, "strata": strata}
        return with_cov(self, cov_type, data, given)

    # -- tests --------------------

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

    # -- fit --------------------

    @property
    def aic(self) -> float:
        """Akaike's criterion, -2 llf + 2 (rank + estimated shape parameters).

        As statsmodels' GLM, an estimated dispersion is not counted (R counts it for gaussian and gamma).
        """
        return -2.0 * self.llf + 2.0 * (self.rank + len(self.shape))

    @property
    def bic(self) -> float:
        """Schwarz' criterion, -2 llf + log(nobs) (rank + estimated shape parameters).

        As statsmodels' ``bic_llf``, not its older criterion from the deviance.
        """
        return -2.0 * self.llf + math.log(self.nobs) * (self.rank + len(self.shape))

    @property
    def bic_llf(self) -> float:
        """`bic` under the name that statsmodels' GLM gives it."""
        return self.bic

    @property
    def llnull(self) -> float:
        """Log-likelihood with the intercept alone, from the two deviances.

        At the same dispersion and shape; for the gaussian family at its own, as ``llf`` is.
        """
        if self.family == "gaussian":
            with np.errstate(divide="ignore", invalid="ignore"):
                return float(
                    self.llf - 0.5 * self.nobs * np.log(np.divide(self.null_deviance, self.deviance))
                )
        return self.llf - 0.5 * (self.null_deviance - self.deviance) / self.scale

    def pseudo_rsquared(self, kind: str = "cs") -> float:
        """Share of explained variation.

        Parameters
        ----------
        kind : {"cs", "mcf"}
            Cox and Snell (1989), which is R² for the gaussian family, or McFadden (1974).
        """
        if kind == "cs":
            return -math.expm1(2.0 / self.nobs * (self.llnull - self.llf))
        if kind == "mcf":
            return 1.0 - self.llf / self.llnull
        raise ValueError(f'kind must be "cs" or "mcf", got {kind!r}')

    @property
    def rsquared(self) -> float:
        """Share of explained variance; NaN outside linear regression: see `pseudo_rsquared`."""
        linear = self.family == "gaussian" and self.link == "identity"
        return 1.0 - self.deviance / self.null_deviance if linear else math.nan

    @property
    def rsquared_adj(self) -> float:
        """`rsquared`, adjusted for the number of parameters."""
        return 1.0 - (1.0 - self.rsquared) * (self.df_resid + self.df_model) / self.df_resid

    # -- how it was made --------------------

    @property
    def history(self) -> pd.DataFrame:
        """Frame with a line per round."""
        import pandas as pd

        return pd.DataFrame(self._history)

    @property
    def diagnostics(self) -> pd.DataFrame:
        """Frame with a line per diagnostic: ``name, value, verdict, advice``."""
        import pandas as pd

        return pd.DataFrame(self._diagnostics, columns=["name", "value", "verdict", "advice"])

    @property
    def model(self) -> SimpleNamespace:
        """Names of response and regressors, where readers of statsmodels' results look for them."""
        return SimpleNamespace(endog_names=self.response, exog_names=list(self.labels), formula=self.formula)

    @property
    def default_model_infos(self) -> dict:
        """What `statsmodels.iolib.summary2.summary_col` prints under the coefficients."""
        return {"N": lambda estimate: f"{estimate.nobs:,}"}

    def summary(self, full: bool = False, alpha: float = 0.05, adjust: str | None = None) -> Summary:
        """The table with the header of what was done, as an object that prints as text, HTML or LaTeX.

        Parameters
        ----------
        full : bool, default=False
            Print every coefficient. Otherwise terms with many coefficients are abbreviated once the table has
            more than 60 lines; coefficients without a standard error are always there.
        alpha : float, default=0.05
            The limits are those of the 1 - alpha confidence interval.
        adjust : str or None, default=None
            Adjust the p-values for the number of coefficients, as in `to_frame`.

        Returns
        -------
        Summary
        """
        from statkit.results._regression import summarize

        return summarize(self, full=full, alpha=alpha, adjust=adjust)

    def to_dict(self, matrices: bool = True) -> dict[str, Any]:
        """Everything as plain numbers, strings, lists and dicts, ready for ``json.dump(…, allow_nan=False)``.

        Keys are the attribute names. NaN and infinities become the strings ``"NaN"``, ``"Infinity"`` and
        ``"-Infinity"``, which ``float`` in Python, ``Number`` in JavaScript and ``as.numeric`` in R read
        back.

        Parameters
        ----------
        matrices : bool, default=True
            Include ``cov_params``, ``information`` and ``meat``: k × k numbers each, needed by `from_dict`.

        Raises
        ------
        TypeError
            If an extra result cannot be written that way.
        """
        return to_record(self, matrices)

    @classmethod
    def from_dict(cls, record: dict[str, Any]) -> Estimate:
        """The Estimate that `to_dict` was called on."""
        return cls(**from_record(record))

    def __getattr__(self, name):
        extra = self.__dict__.get("extra", {})
        if name in extra:
            return extra[name]
        raise AttributeError(
            f"{type(self).__name__} of a {self.__dict__.get('plan') or 'fit'} has no {name!r}"
        )

    def __dir__(self):
        return [*super().__dir__(), *self.extra]

    def __getstate__(self):
        # Those of the parent classes too: a copy with another covariance must not keep the errors of the first.
        derived = {
            key
            for kind in type(self).__mro__
            for key, value in vars(kind).items()
            if isinstance(value, cached_property)
        }
        return {key: value for key, value in self.__dict__.items() if key not in derived and key != "_again"}

    def __repr__(self):
        return (
            f"<Estimate of {self.response}: {self.family} family, {self.link} link,"
            f" {len(self.values)} parameters, {self.nobs:,} observations, {self.plan or 'no plan'}>"
        )
