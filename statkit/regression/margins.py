"""Marginal effects of a fitted regression: derivatives and contrasts of its mean, averaged or at chosen values."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from statkit.design.counterfactual import variables_of
from statkit.regression._after_fit import (
    check_model,
    checked_value,
    effects_table,
    grid,
    opened,
    variable_named,
)
from statkit.regression._effect_pass import Changes, Fitted, Slope, answers, average
from statkit.regression._means import means_of
from statkit.regression._profiles import MEDIAN_ROWS, PROFILES, profile_row, profile_sums
from statkit.results.effects import Effects

if TYPE_CHECKING:
    from numpy.typing import ArrayLike


__all__ = ["marginal_effects"]

_METHODS = {"dydx": "dy/dx", "eyex": "ey/ex", "dyex": "dy/ex", "eydx": "ey/dx"}

_TITLES = {
    "overall": "Average marginal effects",
    "mean": "Marginal effects at the mean",
    "median": "Marginal effects at the median",
    "zero": "Marginal effects at zero",
}


def marginal_effects(
    model: Any,
    data: Any,
    variables: str | list[str] | dict[str, Any] | None = None,
    *,
    at: Any = "overall",
    method: Literal["dydx", "eyex", "dyex", "eydx"] = "dydx",
    by: str | list[str] | ArrayLike | None = None,
    scale: Literal["response", "link"] = "response",
    weights: Any = None,
    offset: ArrayLike | None = None,
    engine: Any = None,
    n_jobs: Any = None,
    verbose: Any = 0,
) -> Effects:
    """How the expected response changes with each variable, with delta-method errors.

    Of a number the effect is the derivative of the mean through everything the formula makes of it (``poly``,
    splines, logarithms, powers, interactions, offsets), exactly; of a category or a condition it is the contrast with
    the reference. Effects, their derivatives in the coefficients and so their errors are sums over rows: one pass over
    data of any size, on any engine, with whatever covariance the fit has.

    Parameters
    ----------
    model : GLMRegressor, GLMClassifier, OrderedClassifier or QuantileRegressor
        Fitted; also what ``glm``, ``polr`` and ``quantreg`` return.
    data : as in ``fit``
        Rows to average over: those of the fit, others, or one row for the effects at a point of your own. Rows with
        missing values are left out.
    variables : None, str, list of str, or dict
        Which; None is all of them (offsets only when named). A dict says how: ``{"x": (0, 1)}`` is the change of the
        mean as x goes from 0 to 1, ``{"a": "q"}`` contrasts the levels of a with q, None is the default. Timestamps
        enter by their parts, as in ``"hour(date)"``; a factor that is computed, as in ``C(x > 3)``, by its name.
    at : {"overall", "mean", "median", "zero"}, dict, or (str, dict), default="overall"
        "overall" averages the effects of all rows. "mean" is the effect at the average row: numbers at their means,
        factors at the shares of their levels (for the average of the effects this is no substitute); "median" and
        "zero" take medians with the most frequent levels, and zeros with the reference levels. A dict fixes variables
        in all rows: ``{"x": [1, 2], "a": "q"}`` gives every combination. ``("mean", {"x": 1})`` does both.
    method : {"dydx", "eyex", "dyex", "eydx"}, default="dydx"
        Derivative, elasticity, or semi-elasticities. Contrasts are differences; of logarithms where y is in e.
    by : None, str, list of str, or array of shape (n,)
        Columns, or expressions such as ``"month(date)"``: a table for each group of rows.
    scale : {"response", "link"}, default="response"
        Effects on the mean (a probability of every class where there are classes), or on the linear predictor.
    weights : None, str, number or array of shape (n,)
        Weights of the average: a column or expression, or an array. None takes the fit's where it was a column; a
        number weighs all rows alike.
    offset : array of shape (n,) or None
        Where the fit's offset was an array beside the data.
    engine, n_jobs, verbose
        As in the fit; None is the model's.

    Returns
    -------
    effects : statkit.results.Effects
        Prints as a table; ``params``, ``bse``, ``pvalues``, ``conf_int()``, ``cov_params()``, ``wald_test()``,
        ``to_frame()``, ``summary()``.

    Raises
    ------
    ValueError
        For unknown variables or levels, data without complete rows, and derivatives that are infinite at a row.

    Notes
    -----
    Rows are taken as given: errors are those of the coefficients, not of the sampling of rows. With levels λ of a
    factor every row is encoded λ times: name the variables you need when factors have hundreds of levels.

    Examples
    --------
    >>> import numpy as np, pandas as pd
    >>> from statkit import glm
    >>> from statkit.regression import marginal_effects
    >>> rng = np.random.default_rng(0)
    >>> frame = pd.DataFrame({"x": rng.normal(size=2_000), "a": rng.choice(["p", "q"], 2_000)})
    >>> frame["y"] = rng.random(2_000) < 1 / (1 + np.exp(-frame.x - (frame.a == "q")))
    >>> fit = glm("y ~ x * a", frame, "binomial")
    >>> marginal_effects(fit, frame).params.round(2)
    variable  contrast
    x                     0.20
    a         q - p       0.21
    dtype: float64

    References
    ----------
    R. Breen, K. B. Karlson and A. Holm (2018), Interpreting and understanding logits, probits, and other nonlinear
    probability models. E. C. Norton and B. E. Dowd (2018), Log odds and the interpretation of logit models.
    """
    check_model(model)
    if method not in _METHODS:
        raise ValueError(f"method must be one of {', '.join(map(repr, _METHODS))}, not {method!r}")
    where, fixed = _place(at)
    means = means_of(model, scale)
    fitted = Fitted.of(model, means)
    with opened(
        model,
        fitted,
        data,
        weights=weights,
        offset=offset,
        by=by,
        engine=engine,
        n_jobs=n_jobs,
        verbose=verbose,
    ) as rows:
        known = variables_of(model._design, rows.schema)
        questions = _questions(known, variables, method)
        scenarios = grid(known, fixed)
        changes = [change for _, change in scenarios]
        if where == "overall":
            groups = rows.session.round(average, fitted, changes, questions, rows.by)["averages"].groups
            notes = []
        else:
            groups, notes = _at_profiles(rows, fitted, where, changes, questions)
        title = _TITLES[where] + (" on the linear predictor" if scale == "link" else "")
        if method.startswith("ey") and any(isinstance(question, Changes) for question in questions):
            notes = [*notes, "Contrasts are differences of logarithms."]
        return effects_table(
            rows, model, means, groups, scenarios, questions, title=title, name=_METHODS[method], notes=notes
        )


def _place(at) -> tuple[str, dict]:
    """Where effects are taken, and the values that are fixed."""
    where, fixed = at if isinstance(at, tuple) and len(at) == 2 else (None, None)
    if isinstance(at, str):
        where, fixed = at, {}
    elif isinstance(at, dict):
        where, fixed = "overall", at
    if where not in ("overall", *PROFILES) or not isinstance(fixed, dict):
        raise ValueError(
            "at must be 'overall', 'mean', 'median', 'zero', a dict of values, or one of the former with a dict, "
            f"not {at!r}"
        )
    return where, fixed


def _questions(known: list, asked, method: str) -> list:
    """What to average, by variable."""
    if asked is None:
        chosen: dict[Any, Any] = {v.name: None for v in known if v.kind in ("number", "boolean", "levels")}
        if not chosen:
            raise ValueError("the model has no variable: it is an intercept alone")
    elif isinstance(asked, dict):
        chosen = asked
    else:
        chosen = dict.fromkeys([asked] if isinstance(asked, str) else asked)
    if not chosen:
        raise ValueError("variables names none: None stands for all of them")
    return [_question(variable_named(known, name), how, method) for name, how in chosen.items()]


def _question(variable, how, method: str):
    name, log = variable.name, method.startswith("ey")
    if isinstance(how, (tuple, list)):
        if len(how) != 2:
            raise ValueError(f"variables[{name!r}] must be a pair of values, from and to, not {how!r}")
        low, high = (checked_value(variable, value) for value in how)
        return Changes([{"variable": name, "contrast": f"{high} - {low}"}], variable.key, low, [high], log)
    if variable.kind in ("levels", "boolean"):
        low = variable.levels[variable.base] if how is None else checked_value(variable, how)
        highs = [level for level in variable.levels if level != low]
        keys = [{"variable": name, "contrast": f"{high} - {low}"} for high in highs]
        return Changes(keys, variable.key, low, highs, log)
    if how is not None:
        raise ValueError(f"variables[{name!r}] must be None or a pair of values, from and to, not {how!r}")
    if variable.kind == "other":
        raise ValueError(
            f"{name!r} is no number and no factor of the formula: give a pair of values, {{{name!r}: (from, to)}}"
        )
    return Slope([{"variable": name}], variable.key, method)


def _at_profiles(rows, fitted, where, changes, questions):
    """Answers at one row for each group, and what to say about them."""
    found = rows.session.round(profile_sums, where, rows.by, 0)["profiles"].groups
    groups, notes = {}, []
    for label, sums in found.items():
        if not sums["weight"] > 0:
            raise ValueError("the weights are all zero")
        row = profile_row(fitted.design, sums, where)
        one = [a for change in changes for a in answers(row, fitted, change, questions, np.ones(1))]
        groups[label] = [sums["n"], 1.0, np.array([a for a, _ in one]), np.array([b for _, b in one])]
        if where == "median" and sums["n"] > MEDIAN_ROWS and not notes:
            notes = [f"Medians are those of {MEDIAN_ROWS:,} rows drawn at random."]
    return groups, notes
