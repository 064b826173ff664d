"""What functions on fitted models share: opening data with weights and groups beside, grids of values, messages."""

from __future__ import annotations

import difflib
import itertools
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from sklearn.utils.validation import check_is_fitted

from statkit.design.expressions import column_names, quoted
from statkit.design.matrix import MatrixDesign
from statkit.regression._data import as_vector, is_frame
from statkit.regression._effect_pass import load_rows
from statkit.regression._fit import progress_bar, resolve
from statkit.sources import Source, close_made

__all__ = ["Opened", "check_model", "checked_value", "effects_table", "grid", "opened", "variable_named"]


def check_model(model) -> None:
    """Refuse what is no fitted regression of this package."""
    from statkit.regression._base import RegressionBase

    if not isinstance(model, RegressionBase):
        raise TypeError(
            f"model must be a fitted regression such as glm() returns, not {type(model).__name__}"
        )
    check_is_fitted(model, "estimate_")


@dataclass
class Opened:
    """Data that a pass can be made over.

    Attributes
    ----------
    session : Session
        Its blocks are the complete rows of a partition.
    schema : dict or None
    by : tuple of str
        Expressions whose values make groups.
    by_names : list of str
    by_labels : ndarray or None
        Labels of groups that came as an array.
    """

    session: Any
    schema: dict | None
    by: tuple[str, ...]
    by_names: list[str]
    by_labels: np.ndarray | None
    engine: str
    started: float

    def label(self, group) -> dict:
        """A group's values by name."""
        if self.by_labels is not None:
            value = self.by_labels[group[0]]
            return {self.by_names[0]: value.item() if hasattr(value, "item") else value}
        return dict(zip(self.by_names, group, strict=True))

    @property
    def seconds(self) -> float:
        return time.perf_counter() - self.started

    @property
    def n_passes(self) -> float:
        return self.session.n_rounds


@contextmanager
def opened(
    model,
    fitted,
    data,
    *,
    weights=None,
    offset=None,
    by=None,
    engine=None,
    n_jobs=None,
    verbose=0,
    prepare=None,
) -> Iterator[Opened]:
    """Open a session over complete rows of new data; closed at the end.

    ``prepare`` loads a partition, as :func:`~statkit.regression._effect_pass.load_rows` does.
    """
    from statkit.regression._tabular import open_for_prediction

    started = time.perf_counter()
    beside, by_names, by_labels = {}, [], None
    if weights is not None and not isinstance(weights, str) and not np.isscalar(weights):
        beside["weight"] = as_vector(weights, "weights", positive=True)
    by_texts: list[str] = []
    if isinstance(by, str) or (isinstance(by, (list, tuple)) and all(isinstance(name, str) for name in by)):
        by_names = by_texts = [by] if isinstance(by, str) else list(by)
    elif by is not None:
        by_labels, beside["group"] = _labelled(by)
        by_names = [getattr(by, "name", None) or "by"]
    if isinstance(data, Source) and (beside or offset is not None):
        raise ValueError("arrays beside a Source are not read: name columns, or make the Source with them")
    if is_frame(data) and not model._design.columns:
        data = model._checked(data)
    source = open_for_prediction(model, data, offset, **beside)
    session = reading = None
    try:
        matrix = isinstance(model._design, MatrixDesign)
        schema = None if matrix else dict(source.schema)
        texts = _expressions(by_texts, schema, "by")
        weight = _weight_text(model, weights, schema)
        columns = () if matrix else _columns(model._design, [*texts, *([] if weight is None else [weight])])
        worker, reading = resolve(
            model.engine if engine is None else engine, _jobs(model, n_jobs), source, columns
        )
        partitions = reading.partitions()
        if not partitions:
            raise ValueError("there are no rows: the data are empty")
        load = partial(prepare or load_rows, reading, fitted, columns, weight, texts)
        session = worker.open(load, partitions, progress=progress_bar(verbose), cache=False)
        yield Opened(session, schema, texts, by_names, by_labels, repr(worker), started)
    finally:
        if session is not None:
            session.close()
        close_made(data, source, reading)


def _labelled(by) -> tuple[np.ndarray, np.ndarray]:
    """Labels of groups, and which of them each row has: NaN for none, so that such rows are left out."""
    import pandas as pd

    by = np.asarray(by)
    if by.ndim != 1:
        raise ValueError(
            f"by must be a column's name, a list of them or one label a row: its shape is {by.shape}"
        )
    codes, labels = pd.factorize(by, sort=True)
    return labels, np.where(codes < 0, np.nan, codes.astype(np.float64))


def _jobs(model, n_jobs):
    return model.n_jobs if n_jobs is None else n_jobs


def _expressions(names, schema, role: str) -> tuple[str, ...]:
    if names and schema is None:
        raise ValueError(
            f"{role} = {names[0]!r} names a column, but the data are a plain matrix: give an array"
        )
    texts = []
    for name in names:
        text = quoted(name) if name in schema else name
        for column in column_names(text):
            if column not in schema:
                from statkit.sources import column_not_found

                raise column_not_found(column, list(schema))
        texts.append(text)
    return tuple(texts)


def _weight_text(model, weights, schema) -> str | None:
    """The expression of the weights: the user's, or the fit's where the data have its columns."""
    if isinstance(weights, str):
        return _expressions([weights], schema, "weights")[0]
    own = getattr(model._design, "_weight", None)
    if weights is not None or own is None:
        return None
    return own if all(name in schema for name in column_names(own)) else None


def _columns(design, texts) -> tuple[str, ...]:
    return tuple(
        dict.fromkeys([*design.predictor_columns, *(name for text in texts for name in column_names(text))])
    )


def grid(variables: list, values: dict) -> list[tuple[dict, dict]]:
    """Every combination of fixed values: (descriptor by name, value by key of the variable)."""
    found = [variable_named(variables, name) for name in values]
    choices = []
    for variable, given in zip(found, values.values(), strict=True):
        given = list(given) if isinstance(given, (list, tuple, range, np.ndarray)) else [given]
        if not given:
            raise ValueError(f"at[{variable.name!r}] has no value")
        choices.append([checked_value(variable, value) for value in given])
    return [
        (
            {v.name: x for v, x in zip(found, row, strict=True)},
            {v.key: x for v, x in zip(found, row, strict=True)},
        )
        for row in itertools.product(*choices)
    ]


def variable_named(variables: list, name: str):
    """The variable of this name, or an error with the nearest names."""
    for variable in variables:
        if variable.name == name:
            return variable
    names = [variable.name for variable in variables]
    near = difflib.get_close_matches(str(name), names, n=3)
    known = (
        f"did you mean {', '.join(map(repr, near))}?"
        if near
        else f"they are {', '.join(map(repr, names[:20]))}"
    )
    raise ValueError(f"the model has no variable {name!r}: {known}")


def checked_value(variable, value):
    """A value that a variable may be given."""
    value = value.item() if isinstance(value, np.generic) and not isinstance(value, np.datetime64) else value
    if variable.kind == "levels" and variable.levels:
        if isinstance(value, str) and not isinstance(variable.levels[0], str):
            for level in variable.levels:
                if str(level) == value:
                    return level
        if value not in variable.levels:
            near = ", ".join(map(repr, map(str, variable.levels[:12])))
            raise ValueError(f"{variable.name!r} has no level {value!r}: its levels are {near}")
    elif variable.kind == "boolean" and value not in (False, True):
        raise ValueError(f"{variable.name!r} is False or True, not {value!r}")
    elif variable.kind == "number" and (isinstance(value, str) or not np.isfinite(value)):
        raise ValueError(f"{variable.name!r} must be given a finite number, not {value!r}")
    return value


def effects_table(rows: Opened, model, means, groups: dict, scenarios, questions, *, title, name, notes):
    """The answers of all groups as a table: divided by the weights, and named."""
    from statkit.results.effects import Effects

    if not groups:
        raise ValueError("there are no rows with a value in every column of the model")
    keys, values, slopes = [], [], []
    total, n = 0.0, 0
    several = len(means.labels) > 1
    for group in sorted(groups, key=_order):
        size, weight, sums, derivatives = groups[group]
        if not weight > 0:
            raise ValueError("the weights are all zero")
        n, total = n + size, total + weight
        values.append(sums / weight)
        slopes.append(derivatives / weight)
        for fixed, _ in scenarios:
            at = {f"at {variable}": value for variable, value in fixed.items()}
            for key in (key for question in questions for key in question.keys):
                for label in means.labels:
                    keys.append(
                        {**key, **({means.column: label} if several else {}), **at, **rows.label(group)}
                    )
    classes = vars(model).get("classes_")
    if means.probability and not several and classes is not None:
        notes = [*notes, f"Of the probability that {model.estimate_.response} = {classes[1]}."]
    return Effects(
        keys, np.concatenate(values), np.concatenate(slopes), model.estimate_, title=title, name=name, nobs=n,
        weight=total, notes=notes, seconds=rows.seconds, n_passes=rows.n_passes, engine=rows.engine,
    )  # fmt: skip


def _order(group: tuple) -> tuple:
    """Groups in the order of their values, numbers before text."""
    return tuple((1, 0, v) if isinstance(v, str) else (0, v, "") for v in group)
