"""Fits and predictions on tables: frames, files and streams with named columns, with or without a formula."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np

from statkit.engines import ThreadsEngine
from statkit.regression._data import as_vector, group_codes, is_frame, is_matrix, one_class
from statkit.regression._fit import freeze, itself
from statkit.sources import close_made

__all__ = [
    "eta_of_partition",
    "open_for_prediction",
    "predicted",
    "tabular",
]

#: Most classes that a response in a file may have: more is a number that was taken for a label.
_MOST_CLASSES = 1_000


def tabular(model, X, roles, fitted, labels=None):
    """Source, unfrozen design and family of a model on named columns; ``labels`` are classes known before."""
    from statkit.sources import Source, as_source

    arrays = roles.arrays()
    y, classes = arrays.get("y"), labels
    if y is not None:
        y, classes = model._response(y, labels)
    if classes is not None:
        fitted["classes_"] = classes
    beside = _beside(arrays, y)
    if isinstance(X, Source):
        if any(v is not None for v in beside.values()):
            raise ValueError(
                "arrays beside a Source are not read: give columns' names, or make the Source with them"
            )
        source = X
    else:
        source = as_source(X, **beside)
    if not source.schema:
        raise ValueError("a formula needs named columns; X is a plain matrix")
    named = roles.names()
    if model._categorical_response and classes is None:
        classes = _classes_in(model, source, named, X)
        fitted["classes_"] = classes
    family = model._family(classes)
    design = _design(model, source, named, y is not None, classes, family)
    if classes is None:
        fitted.pop("classes_", None)
    if model.formula is None:
        names = [c for c in source.schema if c not in named.values()]
        fitted["feature_names_in_"] = np.asarray(names, dtype=object)
        fitted["n_features_in_"] = len(names)
    return source, design, family


def _beside(arrays, y) -> dict:
    beside = {"y": y}
    if "weight" in arrays:
        beside["weight"] = as_vector(arrays["weight"], "sample_weight", positive=True)
    if "offset" in arrays:
        beside["offset"] = as_vector(arrays["offset"], "offset")
    if "group" in arrays:
        beside["group"] = group_codes(arrays["group"])
    return beside


def batch_source(model, X, roles):
    """A source on a later batch of a stream."""
    from statkit.sources import as_source

    if is_matrix(X):
        X = _named(model, X)
    arrays = roles.arrays()
    y = arrays.get("y")
    if y is not None:
        y, _ = model._response(y, getattr(model, "classes_", None))
    return as_source(X, **_beside(arrays, y))


def _design(model, source, named, y_beside, classes, family):
    roles = {"weight": named.get("weight"), "offset": named.get("offset"), "group": named.get("group")}
    labels = None if classes is None or y_beside else [c.item() if hasattr(c, "item") else c for c in classes]
    options = {
        **roles,
        "na_action": model.na_action,
        "classes": labels,
        "limit_rule": None if model.alpha else _limits(family),
    }
    if model.formula is None:
        from statkit.design.frame import FrameDesign

        if not y_beside and "y" not in named:
            raise ValueError(
                f"This {type(model).__name__} estimator requires y to be passed, but the target y is None: give an "
                "array, a column's name, or a formula"
            )
        return FrameDesign(source.schema, intercept=model.fit_intercept, y=named.get("y"), **options)
    from statkit.design.formula import FormulaDesign

    if "y" in named:
        raise ValueError("the formula names the response; leave y out")
    return FormulaDesign(model.formula, source.schema, y_beside=y_beside, **options)


def _limits(family) -> dict | None:
    """Constant responses of a level for which its coefficient has no finite estimate."""
    if family.name in ("binomial", "quasi_binomial"):
        return {0.0: -np.inf, 1.0: np.inf}
    counts = ("poisson", "quasi_poisson", "negative_binomial", "tweedie")
    return {0.0: -np.inf} if family.name in counts and family.link_name == "log" else None


def _distinct(source, design, partition):
    rows = source.read(partition, design.columns)
    block = design.encode(rows)
    return {"values": Distinct(np.unique(block.y))}


class Distinct:
    """Distinct values seen so far."""

    def __init__(self, values):
        self.values = values

    def merge(self, other):
        return Distinct(np.union1d(self.values, other.values))


def _classes_in(model, source, named, X) -> np.ndarray:
    """Classes of a response that is a column or an expression, from one pass over it."""
    design: Any
    if model.formula is None:
        from statkit.design.frame import FrameDesign

        if "y" not in named:
            raise ValueError(
                f"This {type(model).__name__} estimator requires y to be passed, but the target y is None: give an "
                "array, a column's name, or a formula"
            )
        design = FrameDesign(source.schema, columns=[], y=named["y"])
    else:
        from statkit.design.formula import FormulaDesign

        design = FormulaDesign(model.formula.split("~")[0] + "~ 1", source.schema)
    engine = ThreadsEngine(1)
    reading = source.on(engine, design.columns)
    try:
        classes = _classes_read(reading, design, engine)
    finally:
        close_made(source, reading)
    if len(classes) < 2:
        raise one_class(classes[0])
    return classes


def _classes_read(source, design, engine) -> np.ndarray:
    """Sorted classes of the response, from a pass of its own."""
    design, _ = freeze(design, source, engine)
    if design.classes is not None:
        return np.asarray(design.classes)
    with engine.open(partial(_distinct, source, design), source.partitions(), cache=False) as session:
        values = session.round(itself)["values"].values
    if len(values) > _MOST_CLASSES:
        raise ValueError(
            f"the response {design.response_name!r} has {len(values):,} distinct values: it is a number, not a "
            "class; use GLMRegressor"
        )
    return values.astype(int) if (values == np.floor(values)).all() else values


# -- prediction ---------------------------------------------------------------------------------------------------


def internal_theta(model) -> np.ndarray:
    """Coefficients by internal column, (K, q), in the units of the raw columns; aliased ones are zero."""
    values = model.estimate_.values.reshape(model._fitted_family.predictors, -1)
    theta = values[:, model._design.position]
    return np.where(np.isfinite(theta), theta, 0.0)


def eta_of_partition(source, model, partition) -> np.ndarray:
    """Linear predictors of a partition's rows."""
    design = model._design
    block, limit = design.encode_predictors(source.read(partition, design.predictor_columns))
    theta = internal_theta(model)
    if len(theta) == 1:
        eta = block.matvec(theta[0])
    else:
        eta = np.column_stack([block.matvec(row) for row in theta])
    if limit is not None:
        eta = eta + (limit if eta.ndim == 1 else limit[:, None])
    return eta


def _summary(answer, source, model, partition):
    return {"rows": Pieces([answer(source, model, partition)])}


class Pieces:
    """Arrays of consecutive partitions, in order."""

    def __init__(self, arrays):
        self.arrays = arrays

    def merge(self, other):
        return Pieces(self.arrays + other.arrays)


def open_for_prediction(model, X, offset=None, **beside):
    """A source of new rows with the columns that the design reads; arrays beside them as in ``as_source``."""
    from statkit.sources import Source, as_source

    if isinstance(X, Source):
        return X
    if is_matrix(X):
        X = _named(model, X) if model._design.columns else model._checked(X)
    elif is_frame(X) and model.formula is None:
        from sklearn.utils.validation import _check_feature_names, _get_feature_names

        if _get_feature_names(X) is not None:  # frames of a cluster are not known to scikit-learn
            _check_feature_names(model, X, reset=False)
    return as_source(X, offset=None if offset is None else as_vector(offset, "offset"), **beside)


def _named(model, X):
    """A plain matrix with the names of the columns that the model was fitted on."""
    import warnings

    import pandas as pd

    if model.formula is not None:
        raise ValueError("the model has a formula: predict needs named columns, not a plain matrix")
    X = np.asarray(X)
    names = model.feature_names_in_
    if X.ndim != 2 or X.shape[1] != len(names):
        raise ValueError(
            f"X has shape {X.shape}, but {type(model).__name__} is expecting {len(names)} features as input"
        )
    warnings.warn(
        f"X does not have valid feature names, but {type(model).__name__} was fitted with feature names",
        UserWarning,
        stacklevel=4,
    )
    return pd.DataFrame(X, columns=names)


def predicted(answer, model, X, offset=None) -> np.ndarray:
    """``answer(source, model, partition)`` for all rows of ``X``, in order."""
    source = open_for_prediction(model, X, offset)
    try:
        partitions = source.partitions()
        if not partitions:
            raise ValueError("there are no rows to predict")
        engine = ThreadsEngine(model.n_jobs)
        with engine.open(partial(_summary, answer, source, model), partitions, cache=False) as session:
            return np.concatenate(session.round(itself)["rows"].arrays)
    finally:
        close_made(X, source)


def response_of(model, X) -> np.ndarray:
    """The response that a model's formula names, of all rows of ``X``; of classes their codes."""
    if not getattr(model._design, "names_response", False):
        raise ValueError(
            "score needs y: the model has no formula such as 'y ~ x' that says which column it is"
        )
    return predicted(_response_of_partition, model, X)


def labels_of(model, X) -> np.ndarray:
    """The labels that a classifier's formula names, of all rows of ``X``."""
    codes = response_of(model, X)
    bad = ~(codes >= 0)
    if bad.any():
        what = "no label" if np.isnan(codes[bad.argmax()]) else "a label that the fit did not have"
        raise ValueError(f"row {int(bad.argmax())} has {what}: leave such rows out")
    return model.classes_[codes.astype(int)]


def _response_of_partition(source, model, partition):
    design = model._design
    return design.response(source.read(partition, design.columns))
