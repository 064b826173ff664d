"""The summary of a regression: which facts, figures, lines and notes an Estimate is printed with."""

import math

import numpy as np

from statkit.results._abbreviate import abbreviate
from statkit.results._numbers import coefficient_columns, count, p_phrase, p_value, plain, quantity, statistic
from statkit.results.summary import Gap, Line, Note, Section, Summary

__all__ = ["summarize"]

_TITLES = {
    ("gaussian", "identity"): "Linear regression",
    ("binomial", "logit"): "Logistic regression",
    ("binomial", "probit"): "Probit regression",
    ("poisson", "log"): "Poisson regression",
    ("gamma", "log"): "Gamma regression",
    ("negative_binomial", "log"): "Negative binomial regression",
    ("quantile", "identity"): "Quantile regression",
    ("huber", "identity"): "Huber regression",
    ("expectile", "identity"): "Expectile regression",
    ("ordered", "logit"): "Ordered logistic regression",
    ("ordered", "probit"): "Ordered probit regression",
    ("softmax", "logit"): "Multinomial logistic regression",
}


def summarize(estimate, *, full, alpha, adjust=None):
    """See `Estimate.summary`."""
    z = estimate._letter
    lines = _lines(estimate, full, alpha, adjust)
    hidden = (
        [Note("Left out (…): see .summary(full=True) or .to_frame().")] if any(map(_is_gap, lines)) else []
    )
    return Summary(
        title=_title(estimate),
        facts=_facts(estimate),
        figures=_figures(estimate),
        columns=("coef", "std err", z, f"P>|{z}|", f"[{alpha / 2:.4g}", f"{1 - alpha / 2:.4g}]"),
        lines=lines,
        notes=hidden + _adjusted(adjust) + _notes(estimate),
    )


def _adjusted(adjust):
    if adjust is None or adjust == "none":
        return []
    return [
        Note(
            f"P-values are adjusted by {adjust} for the number of coefficients; limits are of each by itself."
        )
    ]


def _title(e):
    other = "Generalized linear model" if e.link else f"{e.family.replace('_', ' ').capitalize()} regression"
    return _TITLES.get((e.family, e.link), other)


def _facts(e):
    link = f", {e.link} link" if e.link else ""
    facts = [
        ("Formula", e.formula) if e.formula else ("Response", str(e.response)),
        ("Family", f"{e.family}{link}"),
    ]
    if e.classes is not None and len(e.classes) == 2:
        facts.append(("Modelled", f"{e.response} = {e.classes[1]} (against {e.classes[0]})"))
    elif e.multiclass and e.family == "quantile":
        facts.append(("Modelled", "quantiles " + ", ".join(f"{tau:g}" for tau in e.classes[1:])))
    elif e.multiclass:
        facts.append(("Modelled", f"{len(e.classes)} classes, each against {e.classes[0]}"))
    for name, value in e.shape.items():
        error = f" (std err {plain(e.shape_bse[name])})" if name in e.shape_bse else ""
        facts.append((name.capitalize(), f"{plain(value, 6)}{error}"))
    facts += [("Plan", e.plan), ("Engine", e.engine), ("Covariance", e.cov_type)]
    if e.alpha:
        facts.append(("Penalty", f"alpha {plain(e.alpha)}, l1_ratio {plain(e.l1_ratio)}"))
    if e.target:
        facts.append(("Target", e.target))
    return [(label, value) for label, value in facts if value]


def _dispersion(e) -> str:
    if e.scale != e.scale:
        return "NaN"
    return f"{plain(e.scale, 6)} ({'estimated' if e.use_t and e.scale != 1.0 else 'fixed'})"


def _figures(e):
    """Left: the rows and the work; right: the fit. What is not defined is left out."""
    left = [("Rows read", count(e.rows_read)), ("Rows used", count(e.rows_used))]
    left.append(("Rows with missing values", count(e.rows_missing)))
    if e.nobs != e.rows_used:
        left.append(("Observations", f"{e.nobs:,}"))
    left += [
        ("Passes over the data", plain(e.n_passes)),
        ("Rounds", count(e.n_rounds)),
        ("Seconds", plain(e.seconds, 3)),
        ("Converged", "yes" if e.converged else "NO"),
    ]
    right = [
        ("Log-likelihood", quantity(e.llf)),
        ("Deviance", quantity(e.deviance)),
        ("Null deviance", quantity(e.null_deviance)),
        ("AIC", quantity(e.aic)),
        ("BIC", quantity(e.bic)),
        ("Dispersion", _dispersion(e)),
        ("Residual df", f"{e.df_resid:,.10g}"),
    ]
    return tuple([pair for pair in column if pair[1] != "NaN"] for column in (left, right))


def _lines(e, full, alpha, adjust):
    limits = e._limits(alpha)
    columns = coefficient_columns(e.values, e._bse, limits[:, 0], limits[:, 1])
    pvalues = e._pvalues(adjust)
    attention = ~np.isfinite(e._bse)

    def line(i):
        coef, error, lower, upper = (column[i] for column in columns)
        return Line(e.names[i], (coef, error, statistic(e._tvalues[i]), p_value(pvalues[i]), lower, upper))

    lines = []
    for b, label in enumerate(e._blocks or [None]):
        if e.multiclass:
            lines.append(Section(f"{e.response} = {label}"))
        block = range(b * e._block_width, (b + 1) * e._block_width)
        items = list(block) if full else abbreviate(block, e._positions, attention)
        lines += [_gap(e, *item, block) if isinstance(item, tuple) else line(item) for item in items]
    return lines


def _is_gap(line):
    return isinstance(line, Gap)


def _gap(e, term, left, block):
    if left == 0:
        return Gap("…")
    if term is None:
        return Gap(f"… {left} more coefficients")
    members = [i for i in e._positions[term] if i in block]
    things = "levels" if all("[T." in e.names[i] for i in members) else "coefficients"
    try:
        test = None if e.multiclass else e._term_test(term)
    except ValueError:  # fewer clusters than levels: there is no joint test
        test = None
    joint = ""
    if test is not None:
        df = f"{test.df}" if test.df_denom is None else f"{test.df}, {test.df_denom:.10g}"
        joint = f"; all: {test.distribution}({df}) = {statistic(test.statistic)}, {p_phrase(test.pvalue)}"
    return Gap(f"… {left} more {things} of {term}{joint}")


def _notes(e):
    notes = [Note(text) for text in e.notes]
    if e.alpha and not e.l1_ratio:
        notes.append(
            Note(
                "Standard errors are conditional on the penalty, which shrinks the coefficients towards zero."
            )
        )
    reasons = {}
    for name, reason in e.why_nan.items():
        reasons.setdefault(reason, []).append(name)
    for reason, names in reasons.items():
        shown = ", ".join(names[:10]) + (f" and {len(names) - 10} more" if len(names) > 10 else "")
        notes.append(Note(f"{shown}: {reason}", "NaN"))
    if not e.converged:
        notes.append(
            Note("the fit has not converged: coefficients and errors are those of the last round.", "FAIL")
        )
    for line in e._diagnostics:
        if line.get("verdict") in ("WARN", "FAIL"):
            notes.append(Note(_diagnostic(line), line["verdict"]))
    return notes


def _diagnostic(line):
    value, advice = line.get("value"), line.get("advice")
    number = isinstance(value, (int, float, np.number)) and not isinstance(value, bool)
    value = (
        "" if value is None or (number and math.isnan(value)) else f" = {plain(value) if number else value}"
    )
    return f"{line['name']}{value}" + (f": {advice}" if advice else "")
