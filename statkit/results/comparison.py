"""Fits side by side in one table: coefficients with their errors below, then what describes each fit."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from statkit.results._numbers import coefficient_columns, count, p_value, plain, quantity, statistic
from statkit.results._tails import two_sided_tail
from statkit.results.estimate import Estimate
from statkit.results.fitted import Fitted, estimate_of
from statkit.results.summary import Line, Note, Section, Table

__all__ = ["compare"]

_BELOW = ("std err", "conf_int", "statistic", "pvalue", None)
_STARS = ((0.001, "***"), (0.01, "**"), (0.05, "*"))


def compare(
    *fits: Estimate | Fitted | Mapping[str, Any],
    names: Sequence[str] | None = None,
    below: str | None = "std err",
    stars: bool = False,
    keep: Sequence[str] | None = None,
    alpha: float = 0.05,
) -> Table:
    """Put fits side by side: a column each, a line for every coefficient that one of them has.

    Parameters
    ----------
    *fits : fitted regressions, their ``estimate_``, or one dict of them by name
        Of any families, plans and rows.
    names : sequence of str or None, default=None
        Headings; None numbers the fits.
    below : {"std err", "conf_int", "statistic", "pvalue"} or None, default="std err"
        What stands in brackets below a coefficient.
    stars : bool, default=False
        Mark p-values below 0.05, 0.01 and 0.001.
    keep : sequence of str or None, default=None
        Coefficients to show, in this order; None shows all.
    alpha : float, default=0.05
        For ``below="conf_int"``: limits of level 1 − alpha.

    Returns
    -------
    Table
        Prints as text, HTML and LaTeX. ``to_frame()`` has the numbers, a column a fit, indexed by coefficient (or
        ``""`` for the fit's own) and ``coef``, ``std err``, ``nobs``, ``llf``, ….

    Raises
    ------
    TypeError
        For something that is no fitted regression.
    ValueError
        For headings that are too few or alike, and a coefficient to keep that no fit has.

    Examples
    --------
    >>> import pandas as pd
    >>> from statkit import compare, glm
    >>> frame = pd.DataFrame({"x": [0, 1, 2, 3, 4, 5], "g": [0, 1, 0, 1, 0, 1], "y": [1, 0, 2, 3, 5, 9]})
    >>> table = compare(glm("y ~ x", frame, "poisson"), glm("y ~ x + g", frame, "poisson"))
    >>> table.to_frame().loc[("x", "coef")].round(3).tolist()
    [0.569, 0.595]
    """
    fits, names = _named(fits, names)
    if below not in _BELOW:
        raise ValueError(f"below must be one of {', '.join(map(repr, _BELOW))}, not {below!r}")
    estimates = [estimate_of(fit) for fit in fits]
    for name, e in zip(names, estimates, strict=True):
        if len(set(e.labels)) < len(e.labels):
            raise ValueError(f"fit {name} has several coefficients of one name")
    labels = _labels(estimates, keep)
    cells = [_cells(e, below, stars, alpha) for e in estimates]
    lines: list = []
    for label in labels:
        found = [column.get(label, ("", "")) for column in cells]
        lines.append(Line(label, tuple(coef for coef, _ in found)))
        if below is not None:
            lines.append(Line("", tuple(under for _, under in found)))
    lines.append(Section("Fit"))
    lines += [Line(label, values) for label, values in _described(estimates) if any(values)]
    return Table(
        "Fits side by side", columns=tuple(names), lines=lines, notes=_notes(estimates, below, stars, alpha),
        frame=_frame(estimates, names, labels),
    )  # fmt: skip


def _named(fits, names):
    if len(fits) == 1 and isinstance(fits[0], Mapping):
        if names is not None:
            raise ValueError("the dict of fits has their names already: leave names out")
        names, fits = list(map(str, fits[0])), list(fits[0].values())
    if not fits:
        raise ValueError("compare needs at least one fit")
    if names is None:
        names = [f"({i + 1})" for i in range(len(fits))]
    names = list(names)
    if len(names) != len(fits):
        raise ValueError(f"{len(fits)} fits, but {len(names)} names")
    if len(set(names)) < len(names):
        raise ValueError(f"names must be different from each other: {names}")
    return list(fits), names


def _labels(estimates, keep):
    labels = list(dict.fromkeys(label for e in estimates for label in e.labels))
    if keep is None:
        return labels
    for label in keep:
        if label not in labels:
            shown = ", ".join(map(repr, labels[:8])) + (", …" if len(labels) > 8 else "")
            raise ValueError(f"no fit has a coefficient {label!r}; they have {shown}")
    return list(keep)


def _cells(e, below, stars, alpha) -> dict:
    """Texts of every coefficient: itself, and what stands below."""
    limits = e._limits(alpha)
    columns = coefficient_columns(e.values, e._bse, limits[:, 0], limits[:, 1])
    pvalues = two_sided_tail(e._tvalues, e._df)
    out = {}
    for i, label in enumerate(e.labels):
        coef, error, lower, upper = (column[i] for column in columns)
        mark = next((mark for level, mark in _STARS if pvalues[i] < level), "") if stars else ""
        under = {
            "std err": f"({error})", "conf_int": f"[{lower}, {upper}]", "statistic": f"({statistic(e._tvalues[i])})",
            "pvalue": f"({p_value(pvalues[i])})", None: "",
        }[below]  # fmt: skip
        if math.isnan(e.values[i]):
            out[label] = ("aliased", "")
        else:
            # Blanks after them put the digits of a column under each other.
            room = 3 if stars else int(below is not None)
            under = under + " " * (room - 1) if np.isfinite(e._bse[i]) or below == "conf_int" else ""
            out[label] = (coef + mark.ljust(room), under)
    return out


def _described(estimates):
    """Lines about the fits; what a fit does not have is blank."""

    def line(label, value):
        return label, tuple(value(e) for e in estimates)

    def number(name):
        return lambda e: "" if math.isnan(getattr(e, name)) else quantity(getattr(e, name))

    yield line("Response", lambda e: str(e.response))
    yield line("Family", lambda e: f"{e.family}, {e.link}" if e.link else e.family)
    yield line("Covariance", lambda e: e.cov_type)
    if len({e.plan for e in estimates}) > 1:
        yield line("Plan", lambda e: e.plan)
    yield line("Observations", lambda e: count(e.nobs))
    yield line("Log-likelihood", number("llf"))
    yield line("AIC", number("aic"))
    yield line("BIC", number("bic"))
    yield line("Deviance", number("deviance"))
    yield line("R²", lambda e: "" if math.isnan(e.rsquared) else f"{e.rsquared:.4f}")
    yield line("Dispersion", lambda e: plain(e.scale, 4) if e.use_t and math.isfinite(e.scale) else "")
    for name in dict.fromkeys(name for e in estimates for name in e.shape):
        yield line(name.capitalize(), lambda e, name=name: plain(e.shape[name], 4) if name in e.shape else "")


def _notes(estimates, below, stars, alpha):
    notes = []
    told = {
        "std err": "Standard errors", "conf_int": f"Limits of {1 - alpha:.4g} confidence", "statistic": "t or z values",
        "pvalue": "P-values",
    }  # fmt: skip
    if below is not None:
        notes.append(Note(f"{told[below]} in brackets."))
    if stars:
        notes.append(Note("* p < 0.05, ** p < 0.01, *** p < 0.001."))
    if len({e.nobs for e in estimates}) > 1:
        notes.append(Note("The fits are of different numbers of rows: their AIC and BIC do not compare."))
    elif len({str(e.response) for e in estimates}) > 1:
        notes.append(Note("The fits are of different responses: their AIC and BIC do not compare."))
    if any(not e.converged for e in estimates):
        notes.append(Note("a fit has not converged.", "FAIL"))
    return notes


def _frame(estimates, names, labels):
    import pandas as pd

    columns = []
    for e in estimates:
        at = {label: i for i, label in enumerate(e.labels)}
        column = {}
        for label in labels:
            i = at.get(label)
            column[label, "coef"] = np.nan if i is None else e.values[i]
            column[label, "std err"] = np.nan if i is None else e._bse[i]
        for key in ("nobs", "df_resid", "llf", "aic", "bic", "deviance", "rsquared", "scale"):
            column["", key] = float(getattr(e, key))
        columns.append(column)
    index = pd.MultiIndex.from_tuples(list(columns[0]), names=["name", "value"])
    return pd.DataFrame({n: list(c.values()) for n, c in zip(names, columns, strict=True)}, index=index)
