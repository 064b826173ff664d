"""Residuals of a sample of rows that is drawn while the data stream by."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

import numpy as np

from statkit.regression._after_fit import check_model
from statkit.regression._fit import itself, load_block, resolve
from statkit.regression._reservoir import Reservoir
from statkit.sources import close_made

__all__ = ["KINDS", "Residuals", "residual", "sampled_residuals"]

KINDS = ("quantile", "deviance", "pearson", "response")
_WITH_DISTRIBUTION = (
    "gaussian", "gamma", "inverse_gaussian", "binomial", "poisson", "negative_binomial", "tweedie", "ordered",
)  # fmt: skip


@dataclass
class Residuals:
    """Residuals of a sample.

    Attributes
    ----------
    row : ndarray of shape (m,)
        Row numbers, ascending.
    residual, fitted, linear, y : ndarray of shape (m,)
        Residuals, means (predictors, where classes are ordered), linear predictors and responses.
    against : ndarray of shape (m,) or None
        Values of a column.
    kind : str
    seen : int
        Rows that the sample stands for.
    """

    row: np.ndarray
    residual: np.ndarray
    fitted: np.ndarray
    linear: np.ndarray
    y: np.ndarray
    against: np.ndarray | None
    kind: str
    seen: int


def sampled_residuals(
    model, data, y=None, *, kind=None, column=None, size=5_000, sample_weight=None, offset=None, seed=0, engine=None,
    n_jobs=None,
) -> Residuals:  # fmt: skip
    """Residuals of ``size`` rows, each as likely as any other, from one pass over any data."""
    check_model(model)
    family = model._fitted_family
    kind = _checked_kind(family, kind)
    if not (isinstance(size, (int, np.integer)) and size > 0):
        raise ValueError(f"size must be a positive number of rows, not {size!r}")
    task = partial(_sample, family, _parameters(model), size, seed)
    seen = _one_pass(model, data, y, task, column, sample_weight, offset, engine, n_jobs)["sample"]
    order = np.argsort(seen.columns["row"])
    columns = {name: values[order] for name, values in seen.columns.items()}
    row, eta, response = columns["row"], columns["eta"], columns["y"]
    if not len(row):
        raise ValueError("there are no rows with a value in every column of the model")
    u = np.random.default_rng([seed, 1]).random(len(row))
    found = residual(model, kind, response, eta, columns.get("weight"), u)
    return Residuals(
        row, found, family.inverse_link(eta), eta, response, columns.get("against"), kind, seen.seen
    )


def _checked_kind(family, kind):
    if family.predictors > 1:
        raise ValueError(
            f"the {family.name} family with several predictors has no residual; look at CalibrationDisplay for classes"
        )
    if family.context is not None:
        raise ValueError("residuals of proportional hazards are not among these")
    has = family.name in _WITH_DISTRIBUTION and not (family.name == "tweedie" and family.power > 2)
    if kind is None:
        return "quantile" if has else "pearson" if _has_variance(family) else "response"
    if kind not in KINDS:
        raise ValueError(f"kind must be one of {', '.join(map(repr, KINDS))}, not {kind!r}")
    if family.n_thresholds and kind != "quantile":
        raise ValueError("classes in order have quantile residuals only")
    if kind == "quantile" and not has:
        raise ValueError(
            f"the {family.name} family has no distribution for quantile residuals; use 'pearson' or 'response'"
        )
    if kind in ("pearson", "deviance") and not _has_variance(family):
        raise ValueError(f"the {family.name} family has no variance function; use kind='response'")
    return kind


def _has_variance(family) -> bool:
    return family.likelihood and family.name not in ("ordered", "quantile", "huber", "expectile")


def _parameters(model) -> np.ndarray:
    from statkit.regression._tabular import internal_theta

    return np.ascontiguousarray(internal_theta(model))


def _one_pass(model, data, y, task, column, sample_weight, offset, engine, n_jobs) -> dict:
    """The summary of ``task(block, against)`` over complete rows with their response."""
    from statkit.regression._data import as_vector, is_frame
    from statkit.regression._tabular import open_for_prediction

    beside = {}
    if y is not None:
        beside["y"] = model._response(np.asarray(y), vars(model).get("classes_"))[0]
    if sample_weight is not None:
        beside["weight"] = as_vector(sample_weight, "sample_weight", positive=True)
    if not model._design.columns and y is None:
        raise ValueError("the response of a plain matrix comes beside it: give y")
    if is_frame(data) and not model._design.columns:
        data = model._checked(data)
    source = open_for_prediction(model, data, offset, **beside)
    reading = None
    try:
        texts = _text(column, source.schema)
        columns = _columns(model._design, texts)
        worker, reading = resolve(
            model.engine if engine is None else engine,
            model.n_jobs if n_jobs is None else n_jobs,
            source,
            columns,
        )
        partitions = reading.partitions()
        if not partitions:
            raise ValueError("there are no rows: the data are empty")
        load = partial(_load, reading, model._design, model._fitted_family, columns, texts, column, task)
        with worker.open(load, partitions, cache=False) as session:
            return session.round(itself)
    finally:
        close_made(data, source, reading)


def _text(column, schema):
    from statkit.regression._after_fit import _expressions

    return () if column is None or not schema else _expressions([column], schema, "against")


def _columns(design, texts):
    from statkit.design.expressions import column_names

    return tuple(dict.fromkeys([*design.columns, *(name for text in texts for name in column_names(text))]))


def _load(source, design, family, columns, texts, column, task, partition):
    block = load_block(source, design, family, partition)
    return task(block, _against(source, design, columns, texts, column, partition, block))


def _against(source, design, columns, texts, column, partition, block):
    """Values of a column in the rows of a block, None for none."""
    if column is None:
        return None
    if not texts:
        names = list(design.names[int(design.intercept) :])
        if column not in names:
            raise ValueError(f"the matrix has no column {column!r}: they are {', '.join(names[:12])}")
        at = np.zeros(block.n_columns)
        at[int(design.intercept) + names.index(column)] = 1.0
        return block.matvec(at, offset=False)
    from statkit.design.columns import Columns, as_rows
    from statkit.design.expressions import Evaluator

    rows = source.read(partition, columns)
    value = as_rows(
        Evaluator(Columns(rows.table, rows.where), getattr(design, "_states", None)).value(texts[0])
    )
    value = value.values if hasattr(value, "unit") else value
    return value[block.row_numbers() - rows.first_row]


def _sample(family, theta, size, seed, block, against):
    kept, order = Reservoir.choose(size, seed, block.row_numbers())
    part = block.take(kept)
    columns = {"row": part.row_numbers(), "eta": part.matvec(theta[0]), "y": part.y}
    if part.weight is not None:
        columns["weight"] = part.weight
    if against is not None:
        columns["against"] = against[kept]
    return {"sample": Reservoir(size, order, columns, block.n_rows)}


# -- residuals of rows --------------------------------------------------------------------------------------------


def residual(model, kind: str, y, eta, weight, u) -> np.ndarray:
    """Residuals, scaled so that those of a model that fits spread by about 1 (but for "response").

    Parameters
    ----------
    y, eta : ndarray of shape (n,)
    weight : ndarray of shape (n,) or None
    u : ndarray of shape (n,)
        Uniform numbers for what is discrete.
    """
    family, scale = model._fitted_family, float(model.estimate_.scale)
    shape = model._shape() if hasattr(model, "_shape") else None
    mu = family.inverse_link(eta)
    a = np.ones(len(y)) if weight is None else weight
    if kind == "response":
        return y - mu
    if kind == "pearson":
        return (y - mu) * np.sqrt(a / (scale * family.variance(mu, shape)))
    if kind == "deviance":
        unit = np.maximum(family.unit_deviance(y, mu, shape), 0.0)
        return np.sign(y - mu) * np.sqrt(a * unit / scale)
    lower, mass, upper = _tails(model, y, mu, eta, a, scale, shape)
    return _normal_score(lower + u * mass, upper + (1.0 - u) * mass)


def _normal_score(lower, upper):
    """The normal quantile of a probability, from the smaller of its two tails."""
    from scipy.special import ndtri

    tiny = 1e-300
    return np.where(lower < upper, ndtri(np.maximum(lower, tiny)), -ndtri(np.maximum(upper, tiny)))


def _tails(model, y, mu, eta, a, scale, shape):
    """P(Y < y), P(Y = y) and P(Y > y) of every row."""
    from scipy import stats
    from scipy.special import gammainc, gammaincc, ndtr

    family = model._fitted_family
    none = np.zeros(len(y))
    if family.name == "gaussian":
        z = (y - mu) * np.sqrt(a / scale)
        return ndtr(z), none, ndtr(-z)
    if family.name == "gamma":
        k = a / scale
        return gammainc(k, k * y / mu), none, gammaincc(k, k * y / mu)
    if family.name == "inverse_gaussian":
        law = stats.invgauss(mu * scale / a, scale=a / scale)
        return law.cdf(y), none, law.sf(y)
    if family.name == "ordered":
        return _ordered_tails(model, y, eta)
    if family.name == "tweedie":
        return _tweedie_tails(y, mu, scale / a, family.power)
    if family.name == "negative_binomial":
        alpha = family._alpha(shape)
        law, k = stats.nbinom(1.0 / alpha, 1.0 / (1.0 + alpha * mu)), y
    else:
        # Rows that stand for several trials, or exposures, are counts of all of them.
        k = np.round(y * a)
        if np.abs(k - y * a).max() > 1e-6 * max(1.0, float(np.abs(k).max())):
            k, a = y, np.ones(len(y))
        if (k != np.round(k)).any():
            raise ValueError(
                f"quantile residuals of the {family.name} family need whole counts; use kind='deviance'"
            )
        law = (
            stats.poisson(a * mu) if family.name == "poisson" else stats.binom(np.maximum(np.round(a), k), mu)
        )
    return law.cdf(k - 1), law.pmf(k), law.sf(k)


def _ordered_tails(model, y, eta):
    p = model._fitted_family.probabilities(eta, model.thresholds_)
    code = y.astype(np.intp)
    at = np.arange(len(y))
    below = np.concatenate([np.zeros((len(y), 1)), np.cumsum(p, axis=1)], axis=1)
    above = np.concatenate([np.cumsum(p[:, ::-1], axis=1)[:, ::-1], np.zeros((len(y), 1))], axis=1)
    return below[at, code], p[at, code], above[at, code + 1]


def _tweedie_tails(y, mu, phi, power):
    """A Poisson number of gamma jumps: the distribution function is a sum over their number."""
    from scipy.special import gammainc, gammaincc, pdtr
    from scipy.stats import poisson

    rate = np.power(mu, 2.0 - power) / (phi * (2.0 - power))
    jump = (2.0 - power) / (power - 1.0)
    size = phi * (power - 1.0) * np.power(mu, power - 1.0)
    zero = np.exp(-rate)
    most = int(np.ceil(rate.max() + 10.0 * np.sqrt(rate.max()) + 20.0)) if len(rate) else 0
    lower, upper = zero.copy(), np.zeros(len(y))
    for n in range(1, most + 1):
        weight = poisson.pmf(n, rate)
        lower += weight * gammainc(n * jump, y / size)
        upper += weight * gammaincc(n * jump, y / size)
    upper += 1.0 - pdtr(most, rate)
    at_zero = y == 0.0
    return np.where(at_zero, 0.0, lower), np.where(at_zero, zero, 0.0), np.where(at_zero, 1.0 - zero, upper)
