"""Nested fits against each other, and the terms of one fit: tables of deviance and likelihood-ratio tests."""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass

import numpy as np
from scipy import linalg

from statkit.design.roles import colon_parts
from statkit.results._numbers import count, p_phrase, p_value, plain, quantity, statistic
from statkit.results._tails import chi2_tail, f_tail
from statkit.results.estimate import Estimate
from statkit.results.fitted import Fitted, estimate_of
from statkit.results.multiplicity import adjusted_pvalues
from statkit.results.summary import Line, Note, Table

__all__ = ["LikelihoodRatioTest", "anova", "likelihood_ratio_test"]

#: Plans whose deviance and log-likelihood are those of the maximum over all rows.
_AT_MAXIMUM = ("", "Exact", "OneStep", "SurrogateLikelihood", "LeastSquaresApproximation")
#: Relative difference of null deviances that rounding may explain.
_SAME = 1e-8
#: Relative pivot of a covariance below which it has no inverse.
_SINGULAR = 1e-13
_TYPES = {"I": 1, "II": 2, "III": 3, 1: 1, 2: 2, 3: 3}
_TITLES = {
    1: "Terms added one by one (type I, Wald)",
    2: "Each term after those that do not contain it (type II, Wald)",
    3: "Each term after all others (type III, Wald)",
}


@dataclass(frozen=True)
class LikelihoodRatioTest:
    """That the coefficients which the larger fit has beyond the smaller are zero.

    Attributes
    ----------
    statistic : float
        Twice the difference of the log-likelihoods; where the dispersion of gamma, inverse Gaussian and Tweedie
        models is estimated, the difference of the deviances over the dispersion of the larger, as in R.
    pvalue : float
    df : int
    llf : tuple of (float, float)
        Log-likelihoods of the smaller and the larger fit.
    dropped : tuple of str
        The coefficients in question.
    """

    statistic: float
    pvalue: float
    df: int
    llf: tuple[float, float]
    dropped: tuple[str, ...]

    def __repr__(self) -> str:
        shown = ", ".join(self.dropped[:6]) + (
            f" and {len(self.dropped) - 6} more" if len(self.dropped) > 6 else ""
        )
        return (
            f"Likelihood ratio test: {shown or 'larger model'} = 0\n"
            f"log-likelihood {quantity(self.llf[0])} and {quantity(self.llf[1])}\n"
            f"chi2({self.df}) = {statistic(self.statistic)}, {p_phrase(self.pvalue)}"
        )


def likelihood_ratio_test(
    restricted: Estimate | Fitted, full: Estimate | Fitted, *, assume_nested: bool = False
) -> LikelihoodRatioTest:
    """Test a fit against a larger one of the same rows.

    Parameters
    ----------
    restricted, full : fitted regression, or its ``estimate_``
        By maximum likelihood over all rows; the columns of the first are among those of the second.
    assume_nested : bool, default=False
        Do not compare names of columns: the first is nested in the second though they are coded differently, as
        ``x`` is in ``poly(x, 2)``.

    Returns
    -------
    LikelihoodRatioTest

    Raises
    ------
    ValueError
        If the fits are not nested, not of the same rows, response and family, are penalised, or have no likelihood
        (quasi-families: :func:`anova` compares their deviances by F).

    Examples
    --------
    >>> import pandas as pd
    >>> from statkit import glm, likelihood_ratio_test
    >>> frame = pd.DataFrame({"x": [0, 1, 2, 3, 4, 5], "g": [0, 1, 0, 1, 0, 1], "y": [1, 0, 2, 3, 5, 9]})
    >>> likelihood_ratio_test(glm("y ~ x", frame, "poisson"), glm("y ~ x + g", frame, "poisson"))
    Likelihood ratio test: g = 0
    log-likelihood -8.70674 and -8.63309
    chi2(1) = 0.15, p = 0.7011

    References
    ----------
    S. S. Wilks (1938), The large-sample distribution of the likelihood ratio for testing composite hypotheses.
    """
    small, large = estimate_of(restricted), estimate_of(full)
    _comparable([small, large], "a likelihood-ratio test")
    for e in (small, large):
        if math.isnan(e.llf):
            raise ValueError(
                f"the {e.family} family has no likelihood: anova(restricted, full) compares deviances by F, or "
                "full.estimate_.wald_test(…) tests coefficients"
            )
    dropped = () if assume_nested else _nested(small, large)
    df = large.rank - small.rank
    if df < 1:
        raise ValueError(
            f"the second fit has no more coefficients ({large.rank}) than the first ({small.rank}): give the smaller "
            "one first"
        )
    value = _lr_statistic(small, large)
    return LikelihoodRatioTest(value, chi2_tail(value, df), df, (small.llf, large.llf), dropped)


def anova(
    *fits: Estimate | Fitted,
    test: str | None = None,
    type: str | int = "I",
    adjust: str | None = None,
    assume_nested: bool = False,
) -> Table:
    """Compare nested fits by their deviances, as R's ``anova``; or test the terms of one fit.

    Parameters
    ----------
    *fits : fitted regressions, or their ``estimate_``
        Several of the same rows, each nested in the next (or the next in it): a line each, with the change from the
        line before. One: a line for each of its terms, by Wald tests with the covariance that it has, robust and
        clustered ones too, without another fit.
    test : {"F", "chi2"} or None, default=None
        Of several fits. None is F where the dispersion is estimated, by that of the largest fit, and chi-squared
        where it is known, as in R.
    type : {"I", "II", "III"}, default="I"
        Of one fit: terms in their order, each after those before it, which for linear models is R's ``anova``; each
        after those that do not contain it, as ``car::Anova``; or each after all others.
    adjust : str or None, default=None
        Adjust the p-values for the number of lines, by a method of :func:`statkit.results.adjusted_pvalues`.
    assume_nested : bool, default=False
        As in :func:`likelihood_ratio_test`.

    Returns
    -------
    Table
        Prints as text, HTML and LaTeX; ``to_frame()`` has the numbers: ``df_resid, deviance, df, change, F`` (or
        ``chi2``), ``pvalue`` of several fits, ``df, F`` (or ``chi2``), ``pvalue`` of one.

    Raises
    ------
    ValueError
        If fits are not nested, not of the same rows, response and family, or are penalised.

    Examples
    --------
    >>> import pandas as pd
    >>> from statkit import anova, glm
    >>> frame = pd.DataFrame({"x": [0, 1, 2, 3, 4, 5], "g": [0, 1, 0, 1, 0, 1], "y": [1, 0, 2, 3, 5, 9]})
    >>> fits = [glm(f"y ~ {right}", frame, "poisson") for right in ("1", "x", "x + g")]
    >>> anova(*fits).to_frame()[["df_resid", "df", "chi2"]].round(3).values.tolist()
    [[5.0, nan, nan], [4.0, 1.0, 14.576], [3.0, 1.0, 0.147]]

    References
    ----------
    J. M. Chambers and T. J. Hastie (1992), Statistical Models in S, chapter 6. S. R. Searle (1987), Linear Models for
    Unbalanced Data.
    """
    if not fits:
        raise ValueError("anova needs a fit, or several")
    if type not in _TYPES:
        raise ValueError(f"type must be 'I', 'II' or 'III', not {type!r}")
    estimates = [estimate_of(fit) for fit in fits]
    if len(estimates) == 1:
        if test is not None:
            raise ValueError(
                "test= is for several fits; the terms of one are tested with the covariance it has"
            )
        return _of_terms(estimates[0], _TYPES[type], adjust)
    return _of_fits(estimates, test, adjust, assume_nested)


# -- several fits -------------------------------------------------------------------------------------------------


def _of_fits(estimates, test, adjust, assume_nested):
    import pandas as pd

    _comparable(estimates, "a table of deviances")
    if test not in (None, "F", "chi2"):
        raise ValueError(f"test must be 'F', 'chi2' or None, not {test!r}")
    for a, b in itertools.pairwise(estimates):
        small, large = (a, b) if a.rank <= b.rank else (b, a)
        if small.rank == large.rank:
            raise ValueError(
                f"{_told(a)} and {_told(b)} have as many coefficients as each other: neither is nested in the other"
            )
        if not assume_nested:
            _nested(small, large)
    largest = max(estimates, key=lambda e: e.rank)
    by_likelihood = largest.shape != {} or any(math.isnan(e.deviance) for e in estimates)
    estimated = _estimated(largest) and not by_likelihood
    if by_likelihood and test == "F":
        raise ValueError(
            f"F compares deviances; {largest.family} fits are compared by their likelihoods: 'chi2'"
        )
    by_f = test == "F" if test is not None else estimated
    scale = largest.scale if estimated else 1.0
    measure = [-2.0 * e.llf if by_likelihood else e.deviance for e in estimates]
    if not all(map(math.isfinite, measure)):
        raise ValueError(
            f"a fit of the {largest.family} family has neither a deviance nor a likelihood to compare"
        )
    name = "F" if by_f else "chi2"
    rows = []
    for i, e in enumerate(estimates):
        row = {"df_resid": e.df_resid, "deviance": measure[i]} | dict.fromkeys(
            ("df", "change", name, "pvalue"), np.nan
        )
        if i:
            df = e.rank - estimates[i - 1].rank
            change = measure[i - 1] - measure[i]
            value = change / (df * scale) if by_f else change * np.sign(df) / scale
            tail = (
                f_tail(value, abs(df), largest.df_resid if estimated else np.inf)
                if by_f
                else chi2_tail(value, abs(df))
            )
            row |= {"df": df, "change": change, name: value, "pvalue": tail}
        rows.append(row)
    frame = pd.DataFrame(rows, index=_names(estimates))
    frame["pvalue"] = adjusted_pvalues(frame["pvalue"].to_numpy(), adjust)
    lines = [
        Line(label, (
            plain(row.df_resid, 10), quantity(row.deviance), _blank(row.df, plain), _blank(row.change, quantity),
            _blank(row[name], statistic), _blank(row.pvalue, p_value),
        ))
        for label, row in frame.iterrows()
    ]  # fmt: skip
    what = "-2 loglik" if by_likelihood else "Deviance"
    letter = "F" if by_f else "chi2"
    notes = []
    if estimated:
        notes.append(Note(f"The dispersion is that of {_name_of(largest, estimates)}, {plain(scale, 6)}."))
    if largest.cov_type != "nonrobust":
        notes.append(Note(
            f"Deviances know nothing of cov_type={largest.cov_type!r}: for tests with it, wald_test or anova of one fit."
        ))  # fmt: skip
    return Table(
        "Analysis of deviance" if not by_likelihood else "Likelihood ratio tests",
        facts=[("Response", estimates[0].response), ("Family", _family(estimates[0]))],
        columns=("Resid. df", what, "Df", "Change", letter, f"P>{letter}"), lines=lines,
        notes=notes + _adjusted_note(adjust), frame=frame,
    )  # fmt: skip


def _names(estimates) -> list[str]:
    names = [e.formula or f"{len(e.names)} coefficients" for e in estimates]
    return names if len(set(names)) == len(names) else [f"{i + 1}: {name}" for i, name in enumerate(names)]


def _name_of(e, estimates) -> str:
    return _names(estimates)[next(i for i, other in enumerate(estimates) if other is e)]


def _family(e) -> str:
    return f"{e.family}, {e.link} link" if e.link else e.family


def _told(e) -> str:
    return repr(e.formula) if e.formula else f"a fit of {len(e.names)} coefficients"


def _blank(value, write):
    return "" if math.isnan(value) else write(value)


def _adjusted_note(adjust):
    return [] if adjust in (None, "none") else [Note(f"P-values are adjusted by {adjust}.")]


def _estimated(e) -> bool:
    """Whether the dispersion was (t may have other reasons, such as few clusters)."""
    return e.use_t and e.scale != 1.0


def _lr_statistic(small, large) -> float:
    """Twice the difference of the maxima; the scaled deviance where the likelihoods are not at their dispersions'."""
    if _estimated(large) and large.family != "gaussian":
        return max((small.deviance - large.deviance) / large.scale, 0.0)
    return max(2.0 * (large.llf - small.llf), 0.0)


def _comparable(estimates, what):
    """Refuse fits whose deviances say nothing of each other."""
    first = estimates[0]
    for e in estimates:
        plan = e.plan.partition("(")[0]
        if e.alpha:
            raise ValueError(
                f"{_told(e)} is penalised (alpha = {e.alpha:g}), and {what} is of maximum likelihood"
            )
        if (
            e.target is not None or plan not in _AT_MAXIMUM or e.rows_used < e.nobs
        ):  # more are rows of weight zero
            raise ValueError(
                f"the deviance of {e.plan} is not that of the maximum over all rows: fit with plan=Exact(), or use "
                "wald_test"
            )
        if (e.family, e.link) != (first.family, first.link):
            raise ValueError(f"the fits are of different models: {_family(first)} and {_family(e)}")
        if str(e.response) != str(first.response):
            raise ValueError(f"the fits are of different responses: {first.response!r} and {e.response!r}")
        if _classes(e) != _classes(first):
            raise ValueError("the fits are of different classes of the response")
        if e.nobs != first.nobs:
            raise ValueError(
                f"the fits are of different rows, {first.nobs:,} and {e.nobs:,}: a column of one misses values; leave "
                "these rows out of both"
            )
        if not _same_null(first, e):
            raise ValueError(
                "the fits are of different responses, weights or offsets: without columns they have the deviances "
                f"{_null(first):.8g} and {_null(e):.8g}"
            )


def _classes(e):
    return None if e.classes is None else [str(label) for label in e.classes]


def _null(e) -> float:
    """Deviance, or minus twice the log-likelihood, of the model without columns."""
    return -2.0 * float(e.extra["loglik_null"]) if "loglik_null" in e.extra else e.null_deviance


def _same_null(a, b) -> bool:
    if a.shape or b.shape:  # each at its own shape
        return True
    # Without columns the one is nothing, the other its intercept.
    if ("Intercept" in a.names) != ("Intercept" in b.names):
        return True
    one, other = _null(a), _null(b)
    if not (math.isfinite(one) and math.isfinite(other)):
        return True
    return abs(one - other) <= _SAME * max(abs(one), abs(other), 1e-300)


def _nested(small, large) -> tuple[str, ...]:
    """Coefficients of the larger fit that the smaller lacks; an error if it has others."""
    has = [label for label, value in zip(large.labels, large.values, strict=True) if not math.isnan(value)]
    wanted = [label for label, value in zip(small.labels, small.values, strict=True) if not math.isnan(value)]
    missing = [label for label in wanted if label not in set(has)]
    if missing:
        shown = ", ".join(map(repr, missing[:4])) + (
            f" and {len(missing) - 4} more" if len(missing) > 4 else ""
        )
        raise ValueError(
            f"{_told(small)} is not nested in {_told(large)}: {shown} is not among its coefficients; if it is nested "
            "all the same (coded in another way), set assume_nested=True"
        )
    return tuple(label for label in has if label not in set(wanted))


# -- one fit ------------------------------------------------------------------------------------------------------


def _of_terms(e, kind, adjust):
    import pandas as pd

    if e.covariance.ndim == 1:
        raise ValueError(
            "only variances are known: tests of terms need the covariances of their coefficients"
        )
    terms = [term for term in e._positions if term != "Intercept"]
    if not np.isfinite(e._bse).any():
        why = next(iter(e.why_nan.values()), "none has a standard error")
        raise ValueError(f"the coefficients of {_told(e)} cannot be tested: {why}")
    rows = {}
    for term in terms:
        test = _term_test(e, term, kind)
        if test is None:
            rows[term] = {"df": 0, "statistic": np.nan, "pvalue": np.nan}
        else:
            rows[term] = {"df": test.df, "statistic": test.statistic, "pvalue": test.pvalue}
    letter = "F" if isinstance(e._df, (int, float)) else "chi2" if e._df is None else "W"
    frame = pd.DataFrame.from_dict(rows, orient="index", columns=["df", "statistic", "pvalue"])
    frame["pvalue"] = adjusted_pvalues(frame["pvalue"].to_numpy(float), adjust)
    frame = frame.rename(columns={"statistic": letter})
    squares = e.family == "gaussian" and e.cov_type == "nonrobust" and not e.alpha and letter == "F"
    if squares:
        frame.insert(1, "sum_sq", frame["F"] * frame["df"] * e.scale)
        frame.loc["Residuals"] = {"df": e.df_resid, "sum_sq": e.deviance, "F": np.nan, "pvalue": np.nan}
        frame["df"] = frame["df"].astype(int)
    lines = [
        Line(str(term), (
            count(row.df), *((quantity(row.sum_sq),) if squares else ()), _blank(row[letter], statistic),
            _blank(row.pvalue, p_value),
        ))
        for term, row in frame.iterrows()
    ]  # fmt: skip
    facts = [("Formula", e.formula) if e.formula else ("Response", str(e.response)), ("Family", _family(e))]
    facts.append(("Covariance", e.cov_type))
    if letter == "F":
        facts.append(("Denominator", f"{e._df:,.10g} degrees of freedom"))
    return Table(
        _TITLES[kind], facts=facts, columns=("Df", *(("Sum of squares",) if squares else ()), letter, f"P>{letter}"),
        lines=lines, notes=_adjusted_note(adjust), frame=frame,
    )  # fmt: skip


def _term_test(e, term, kind):
    """Wald test of a term after others; None where it has no coefficient with an error."""
    here = [i for i in e._positions[term] if np.isfinite(e._bse[i])]
    if not here:
        return None
    if kind == 3:
        return e._term_test(term)
    order = list(e._positions)
    if kind == 1:
        before = order[: order.index(term)]
    else:
        before = [other for other in order if other != term and not _contains(other, term)]
    first = [i for name in before for i in e._positions[name] if np.isfinite(e._bse[i])]
    rest = [i for i in np.flatnonzero(np.isfinite(e._bse)) if i not in {*first, *here}]
    positions = [*first, *here, *rest]
    # V = U U' with U upper triangular: the entries of U⁻¹b are what each coefficient adds to those before it, and are
    # independent.
    V = e.covariance[np.ix_(positions, positions)]
    size = np.sqrt(np.diagonal(V))
    C, failed = linalg.lapack.dpotrf((V / np.outer(size, size))[::-1, ::-1], lower=1)
    if failed or np.diagonal(C).min() ** 2 < _SINGULAR:
        raise ValueError(
            "the covariance of the coefficients is singular (fewer clusters than coefficients): use type='III'"
        )
    inverse = linalg.solve_triangular(C[::-1, ::-1], np.eye(len(V)))
    rows = slice(len(first), len(first) + len(here))
    R = np.zeros((len(here), len(e.values)))
    R[:, positions] = (inverse / size)[rows]
    return e._wald(R, np.zeros(len(here)), term)


def _contains(other, term) -> bool:
    """Whether a term is an interaction that has all factors of another."""
    return set(colon_parts(term)) < set(colon_parts(other))
