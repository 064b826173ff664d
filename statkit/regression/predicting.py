"""Predictions of a fitted regression with standard errors and intervals: row by row, or averaged."""

from __future__ import annotations

import os
from collections.abc import Iterator
from functools import partial
from os import PathLike
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from statkit._replaced import replaced
from statkit.regression._after_fit import check_model, effects_table, grid, opened
from statkit.regression._effect_pass import Fitted, Means, average
from statkit.regression._fit import itself, progress_bar
from statkit.regression._means import means_of
from statkit.regression._predicted_rows import Asked, predict_rows
from statkit.results.effects import Effects, interval_width

if TYPE_CHECKING:
    from numpy.typing import ArrayLike


__all__ = ["prediction_batches", "predictions", "write_predictions"]

#: Rows that are predicted at a time, or one partition of more: bounds what waits to be written.
_AT_A_TIME = 2**20


def predictions(
    model: Any,
    data: Any,
    *,
    interval: Literal["confidence", "prediction", None] = "confidence",
    level: float = 0.95,
    scale: Literal["response", "link"] = "response",
    by: Any = None,
    at: dict[str, Any] | None = None,
    weights: Any = None,
    offset: ArrayLike | None = None,
    output: str | PathLike[str] | None = None,
    engine: Any = None,
    n_jobs: Any = None,
    verbose: Any = 0,
) -> Any:
    """Predicted means with standard errors and intervals: of every row, or averaged over groups of rows.

    Intervals of a mean are those of the linear predictor, transformed; so they stay where means can be. With classes
    there is a line for each, and intervals are symmetric in the log-odds.

    Parameters
    ----------
    model : GLMRegressor, GLMClassifier, OrderedClassifier or QuantileRegressor
        Fitted; also what ``glm``, ``polr`` and ``quantreg`` return.
    data : as in ``fit``
        Rows to predict; a response in them is not read.
    interval : {"confidence", "prediction", None}, default="confidence"
        For the mean; for a new observation besides (gaussian family with identity link); or none, which is quicker.
    level : float, default=0.95
    scale : {"response", "link"}, default="response"
        Means, or linear predictors.
    by : None, True, str, list of str, or array of shape (n,)
        Average over groups of rows: columns, or expressions such as ``"hour(date)"``; True averages over all rows.
        ``interval`` and ``level`` are for rows: the table of averages has its own.
    at : dict or None
        Average with variables fixed in all rows, as in ``{"x": [0, 1], "a": "q"}``: every combination.
    weights : None, str, number or array of shape (n,)
        Weights of averages, as in :func:`marginal_effects`; for ``interval="prediction"`` what divides the variance
        of an observation (None is 1).
    offset : array of shape (n,) or None
    output : path or None
        Parquet file to write the rows' predictions to, in bounded memory; it appears when it is whole.
    engine, n_jobs, verbose
        As in the fit; None is the model's.

    Returns
    -------
    predictions : DataFrame, statkit.results.Effects or None
        Of rows: ``mean``, ``mean_se``, ``mean_ci_lower``, ``mean_ci_upper`` and ``obs_ci_lower``, ``obs_ci_upper``, NaN
        for rows with missing values; indexed like ``data``, and by class (or quantile) where there are several.
        Averages come as a table with delta-method errors, over rows without missing values. None with ``output``.

    Raises
    ------
    ValueError
        If the fit has no covariance, or an observation's interval is asked of another family.

    Examples
    --------
    >>> import numpy as np, pandas as pd
    >>> from statkit import glm
    >>> from statkit.regression import predictions
    >>> frame = pd.DataFrame({"x": [0.0, 1, 2, 3], "y": [1.0, 2.5, 5.5, 7]})
    >>> fit = glm("y ~ x", frame)
    >>> predictions(fit, frame[:2], interval="prediction").round(2).columns.tolist()
    ['mean', 'mean_se', 'mean_ci_lower', 'mean_ci_upper', 'obs_ci_lower', 'obs_ci_upper']
    >>> predictions(fit, frame, by=True).params.round(6).tolist()
    [4.0]
    """
    check_model(model)
    if by is not None or at is not None:
        if output is not None:
            raise ValueError("output is for predictions of rows: averages come as a table")
        return _averages(model, data, scale, by, at, weights, offset, engine, n_jobs, verbose)
    options = {
        "interval": interval, "level": level, "scale": scale, "weights": weights, "offset": offset, "engine": engine,
        "n_jobs": n_jobs, "verbose": verbose,
    }  # fmt: skip
    if output is not None:
        write_predictions(model, data, output, **options)
        return None
    return _frame(
        prediction_batches(model, data, **options), means_of(model, scale), getattr(data, "index", None)
    )


def prediction_batches(
    model,
    data,
    *,
    interval=None,
    level=0.95,
    scale="response",
    weights=None,
    offset=None,
    engine=None,
    n_jobs=None,
    verbose=0,
) -> Iterator[dict[str, np.ndarray]]:
    """Yield columns of predictions of consecutive rows, a partition at a time; see :func:`predictions`."""
    means = means_of(model, scale)
    fitted = Fitted.of(model, means)
    asked = _asked(model, means, interval, level, scale)
    own = weights if interval == "prediction" and weights is not None else 1.0
    with opened(
        model, fitted, data, weights=own, offset=offset, engine=engine, n_jobs=n_jobs,
        prepare=partial(predict_rows, asked),
    ) as rows:  # fmt: skip
        progress, done, total = progress_bar(verbose), 0, rows.session.n_rows
        for some in _stretches(rows.session.partitions):
            yield from rows.session.round(itself, partitions=some)["rows"].pieces
            done += sum(partition.n_rows for partition in some)
            if progress is not None:
                progress(1, done, total)


def _stretches(partitions) -> Iterator[list]:
    some: list = []
    for partition in partitions:
        if some and sum(p.n_rows for p in some) + partition.n_rows > _AT_A_TIME:
            yield some
            some = []
        some.append(partition)
    yield some


def _asked(model, means, interval, level, scale) -> Asked:
    family, estimate = model._fitted_family, model.estimate_
    if interval not in (None, "confidence", "prediction"):
        raise ValueError(f"interval must be 'confidence', 'prediction' or None, not {interval!r}")
    if interval is None:
        return Asked(None, np.nan, None, np.nan)
    if not 0 < level < 1:
        raise ValueError(f"level must lie strictly between 0 and 1, not {level!r}")
    if interval == "prediction" and not (family.name == "gaussian" and family.link_name == "identity"):
        raise ValueError(
            f"interval='prediction' is for the gaussian family with identity link, not for {family.name} with "
            f"{family.link_name}; use interval='confidence'"
        )
    V = estimate.covariance
    if V.ndim == 1 or np.isnan(estimate._bse).all():
        raise ValueError(
            f"{estimate.plan} gives no covariance of the coefficients, which intervals of predictions need; "
            "interval=None predicts without"
        )
    values, vectors = np.linalg.eigh(np.where(np.isnan(V), 0.0, V))
    root = np.sqrt(np.maximum(values, 0.0))[:, None] * vectors.T
    lacking = estimate._open
    lacking = lacking[: len(lacking) - family.n_thresholds].reshape(family.predictors, -1).any(axis=0)
    unknown = np.flatnonzero(lacking[model._design.position])
    return Asked(interval, interval_width(estimate, level), root, float(estimate.scale), unknown)


def _averages(model, data, scale, by, at, weights, offset, engine, n_jobs, verbose) -> Effects:
    from statkit.design.counterfactual import variables_of

    means = means_of(model, scale)
    fitted = Fitted.of(model, means)
    if at is not None and not isinstance(at, dict):
        raise ValueError(f"at must be a dict of values by variable, not {at!r}")
    by = None if by is True else by
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
        scenarios = grid(variables_of(model._design, rows.schema), at or {})
        questions = [Means()]
        changes = [change for _, change in scenarios]
        groups = rows.session.round(average, fitted, changes, questions, rows.by)["averages"].groups
        title = "Average predictions" + (" of the linear predictor" if scale == "link" else "")
        return effects_table(
            rows, model, means, groups, scenarios, questions, title=title, name="mean", notes=[]
        )


def _frame(batches, means, index):
    import pandas as pd

    pieces = list(batches)
    columns = {name: np.concatenate([piece[name] for piece in pieces]) for name in pieces[0]}
    C = len(means.labels)
    n = len(columns["mean"]) // C
    index = index if isinstance(index, pd.Index) else pd.RangeIndex(n)
    if C > 1:
        index = pd.MultiIndex.from_arrays(
            [index.repeat(C), np.tile(np.asarray(means.labels, dtype=object), n)], names=["row", means.column]
        )
    return pd.DataFrame(columns, index=index)


def write_predictions(model, data, output, *, scale="response", name="mean", **options) -> None:
    """Write the predictions of every row to a Parquet file; the means are called ``name``."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    means = means_of(model, scale)
    batches = prediction_batches(model, data, scale=scale, **options)
    C, row = len(means.labels), 0
    labels = pa.array([str(label) for label in means.labels])
    with replaced(os.fspath(output)) as unfinished:
        writer = None
        try:
            for batch in batches:
                n = len(batch["mean"]) // C
                table = {
                    name if key == "mean" else key: pa.array(column, from_pandas=True)
                    for key, column in batch.items()
                }
                if C > 1:
                    which = pa.array(np.tile(np.arange(C, dtype=np.int32), n))
                    what = pa.DictionaryArray.from_arrays(which, labels)
                    table = {
                        "row": pa.array(np.repeat(np.arange(row, row + n), C)),
                        means.column: what,
                        **table,
                    }
                row += n
                table = pa.table(table)
                if writer is None:
                    writer = pq.ParquetWriter(unfinished, table.schema, compression="zstd")
                writer.write_table(table)
        finally:
            if writer is not None:
                writer.close()
