"""What a fit returns: parameters, their covariance, and what was done to get them, under statsmodels' names.

A fit of a thousand rows takes less time than importing pandas, so building an Estimate only stores what it is
given; Series, p-values, tests and texts are made when someone asks for them.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from functools import cached_property
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import numpy as np

from statkit.results._fit_measures import FitMeasures
from statkit.results._hypothesis_tests import HypothesisTests
from statkit.results._record import from_record, to_record
from statkit.results._reference import RANDOM_SCALING, REFERENCES
from statkit.results._tails import two_sided_tail
from statkit.results._values import EstimatedValues
from statkit.results.maketables import ReadByMaketables

if TYPE_CHECKING:
    from typing import Self

    import pandas as pd

    from statkit.results.summary import Summary

__all__ = ["Estimate"]

#: In ``why_nan``: a coefficient of which the rows of the fit say nothing, that of an empty cell for instance.
NO_ROW = "no row of the fit has it"
# Parameters up to which a matrix of their pairs is made on request.
_MOST_PAIRS = 20_000


class Estimate(ReadByMaketables, EstimatedValues, HypothesisTests, FitMeasures):
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
        limits = super()._limits(alpha)
        if self.reference == "chains":
            chains = np.asarray(self.extra["chains"], dtype=float)
            if 2.0 ** (1 - len(chains)) > alpha:  # the extremes of so few cover less
                return np.full((len(self.values), 2), np.nan)
            return np.column_stack([chains.min(axis=0), chains.max(axis=0)])
        return limits

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
