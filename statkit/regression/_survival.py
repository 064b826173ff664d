"""From what a user gives as times and events, and as strata, to a response and a design."""

from __future__ import annotations

import ast
from types import SimpleNamespace

import numpy as np

__all__ = ["strata_of_formula", "survival_response", "survival_table"]

_EVENT_NAMES = ("event", "status", "death", "died", "observed", "censored")


def survival_response(y, extra: int = 0) -> np.ndarray:
    """(time, event) or (start, stop, event) as float64.

    Parameters
    ----------
    y : array of shape (n,), (n, 2) or (n, 3), structured array, or frame
        A vector holds times, all of them events.
    extra : int
        Columns after the event that are to stay.
    """
    if hasattr(y, "to_numpy") and hasattr(y, "columns"):
        y = np.column_stack([np.asarray(y[name], dtype=float) for name in y.columns])
    y = np.asarray(y)
    if y.dtype.names:
        y = np.column_stack([y[name].astype(float) for name in _ordered(y.dtype)])
    if y.dtype.kind == "O":
        y = y.astype(float)
    if y.dtype.kind == "c":
        raise ValueError("Complex data not supported: y holds times and events")
    if y.dtype.kind not in "biuf":
        raise ValueError(f"y must hold times and events as numbers, it holds {y.dtype} values")
    if y.ndim == 1:
        y = y[:, None]
    elif y.ndim == 2 and y.shape[1] == 1:
        import warnings

        from sklearn.exceptions import DataConversionWarning

        warnings.warn(
            "A column-vector y was passed when a 1d array was expected: its values are taken as times of events",
            DataConversionWarning,
            stacklevel=4,
        )
    if y.ndim != 2 or not 1 <= y.shape[1] - extra <= 3:
        raise ValueError(
            f"y must have the columns (time, event) or (start, stop, event), it has the shape {y.shape}"
        )
    y = y.astype(np.float64)
    if y.shape[1] - extra == 1:
        y = np.insert(y, 1, 1.0, axis=1)
    return np.ascontiguousarray(y)


def _ordered(dtype) -> list[str]:
    """Fields with the event last: the boolean one, or the one of a telling name."""
    names = list(dtype.names)
    event = [name for name in names if dtype[name].kind == "b"]
    event = event or [name for name in names if name.lower() in _EVENT_NAMES]
    if len(event) == 1:
        names.remove(event[0])
        names.append(event[0])
    return names


def strata_of_formula(formula: str, columns: list[str]) -> tuple[str, tuple[str, ...]]:
    """The formula without its ``strata(…)`` terms, and what these hold."""
    from statkit.design.expressions import top_call
    from statkit.design.formula_parse import parse_formula

    if "strata" not in formula:
        return formula, ()
    strata: list[str] = []
    for name, factors, _ in parse_formula(formula, columns).terms:
        calls = [top_call(text) for text in factors]
        for text, call in zip(factors, calls, strict=True):
            if call is None or call[0] != "strata":
                continue
            if len(factors) > 1:
                raise ValueError(
                    f"{name}: strata() stands alone in a formula; make an interaction with the column itself"
                )
            strata += [ast.unparse(a) for a in call[1].args]
            formula += f" - {text}"
    return formula, tuple(dict.fromkeys(strata))


def survival_table(model, X, roles, fitted):
    """Source, unfrozen inner design, strata and family of a survival model on named columns."""
    from statkit.design.expressions import quoted
    from statkit.design.survival import without_intercept
    from statkit.regression._tabular import tabular
    from statkit.sources import Source, as_source, column_not_found

    given = model.strata
    given = () if given is None else (given,) if isinstance(given, str) else tuple(given)
    source = X if isinstance(X, Source) else as_source(X)
    schema = source.schema
    for name in given:
        if name not in schema:
            raise column_not_found(name, list(schema))
    strata = tuple(map(quoted, given))
    like = SimpleNamespace(
        formula=model.formula, alpha=model.alpha, na_action=model.na_action, fit_intercept=True,
        _response=model._response, _family=model._family, _categorical_response=False,
    )  # fmt: skip
    if model.formula is not None:
        like.formula, more = strata_of_formula(model.formula, list(schema))
        strata = tuple(dict.fromkeys([*strata, *more]))
        source, design, family = tabular(like, X, roles, fitted)
        response = design._response
        if response.kind != "survival" and response.kind != "beside":
            raise ValueError(
                f"the left side of {model.formula!r} must be Surv(time, event) or Surv(start, stop, event)"
            )
        design = without_intercept(design)
        design.formula = model.formula
        return source, design, strata, family
    return _frame(model, X, source, roles, fitted, given, strata, without_intercept, quoted)


def _frame(model, X, source, roles, fitted, given, strata, without_intercept, quoted):
    """All columns of a table but the roles, with a response of names or an array beside it."""
    from statkit.design.frame import FrameDesign
    from statkit.regression._tabular import _beside
    from statkit.sources import Source, as_source, column_not_found

    y = roles.y
    if y is None:
        raise ValueError(
            f"This {type(model).__name__} estimator requires y to be passed, but the target y is None: give an array, "
            "columns' names such as y=('time', 'event'), or a formula"
        )
    names = tuple(y) if isinstance(y, (tuple, list)) else ()
    if isinstance(y, str) or (names and len(names) not in (2, 3)):
        raise ValueError(f"y must name (time, event) or (start, stop, event), not {y!r}")
    for name in names:
        if name not in source.schema:
            raise column_not_found(name, list(source.schema))
    arrays = {k: v for k, v in roles.arrays().items() if k != "y"}
    response = None if names else model._response(y)[0]
    beside = _beside(arrays, response)
    if isinstance(X, Source):
        if any(v is not None for v in beside.values()):
            raise ValueError("arrays beside a Source are not read: give columns' names")
    else:
        source = as_source(X, **beside)
    named = roles.names()
    taken = {*names, *given, *named.values()}
    columns = [c for c in source.schema if c not in taken]
    design = FrameDesign(
        source.schema, columns, weight=named.get("weight"), offset=named.get("offset"), group=named.get("group"),
        na_action=model.na_action,
    )  # fmt: skip
    design = without_intercept(design, tuple(map(quoted, names)) if names else None)
    fitted["feature_names_in_"] = np.asarray(columns, dtype=object)
    fitted["n_features_in_"] = len(columns)
    return source, design, strata, model._family(None)
