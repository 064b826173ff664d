"""The rows of a fit once more: what an estimate keeps of them, and the covariance that another pass gives."""

from __future__ import annotations

import os
import time
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from statkit.engines.engine import one_blas_thread
from statkit.regression._data import Roles, group_codes, is_matrix
from statkit.regression._fit import open_problem, progress_bar, resolve
from statkit.rounds.errors import errors_at
from statkit.sources import close_made

__all__ = ["Again", "Rows"]

#: Plans whose estimate is that of all rows, up to less than its standard errors.
_WHOLE = ("Exact", "OneStep", "SurrogateLikelihood", "LeastSquaresApproximation", "OneShot", "Renewable")
#: Relative change of a deviance that rounding may explain; after plans that stop short of the optimum, any small one.
_ROUNDING, _NEAR = 1e-7, 1e-2


class Rows:
    """What ``fit`` was given: paths as they are, data in memory by weak reference, so that they can be freed."""

    def __init__(self, X, **given):
        self._kept = {name: _reference(value) for name, value in {"X": X, **given}.items()}
        self.given = {name: value for name, value in given.items() if value is not None}
        self.given = {
            name: value if isinstance(value, str) else "an array" for name, value in self.given.items()
        }
        self.stamps = _stamps(X)

    def get(self) -> dict | None:
        """The same arguments, or None when one of them is gone."""
        found = {name: reference() for name, reference in self._kept.items()}
        return None if any(value is _GONE for value in found.values()) else found


class _Gone:
    """In the place of what cannot be had any more."""


_GONE = _Gone()


def _reference(value):
    """A function that returns the value, or `_GONE`."""
    if isinstance(value, (list, tuple)) and value and hasattr(value[0], "columns"):
        return lambda: _GONE  # frames one after another
    if value is None or isinstance(value, (str, os.PathLike, int, float, list, tuple, np.generic)):
        return lambda: value  # a list cannot be referred to weakly; one of paths is small
    if any(hasattr(value, name) for name in ("__next__", "read", "read_next_batch")):
        return lambda: _GONE  # was read to its end
    try:
        reference = weakref.ref(value)
    except TypeError:
        return lambda: _GONE

    def get():
        found = reference()
        return _GONE if found is None else found

    return get


def _is_path(X) -> bool:
    first = X[0] if isinstance(X, (list, tuple)) and X else X
    return isinstance(first, (str, os.PathLike)) and first != "-"


def _stamps(X):
    """Paths with size and time of the last change; None for what is no path."""
    if not _is_path(X):
        return None
    from statkit.sources.paths import find_files

    return tuple((file.path, file.stamp) for file in find_files(X).files)


class Again:
    """A fitted model as it was when its estimate was made, with its rows where they are known.

    Called by `Estimate.with_cov`; the model itself may be fitted to other data since.
    """

    def __init__(self, model, rows: Rows | None):
        twin = object.__new__(type(model))
        vars(twin).update({k: v for k, v in vars(model).items() if k not in ("_stream", "_estimate")})
        self._model = twin
        self._rows = rows

    @property
    def has_rows(self) -> bool:
        """Whether a pass needs no data from its caller."""
        return self._rows is not None and self._rows.get() is not None

    def __call__(self, estimate, kind: str, groups, data, given: dict) -> dict[str, Any]:
        """Attributes of the estimate that change with its covariance."""
        started = time.perf_counter()
        family = self._model._fitted_family
        kind = _possible(self._model, family, estimate, kind)
        arguments = self._arguments(kind, data, given)
        with self._problem(estimate, kind, groups, **arguments) as problem, one_blas_thread():
            points = estimate.evaluated_at
            points = np.array([estimate.values] * 2) if points is None else points
            internal = np.array([problem.internal_values(point) for point in points])
            values = estimate.values.reshape(family.predictors, -1)[:, problem.position]
            keep = np.isfinite(values).ravel()
            errors = errors_at(problem, internal, keep, estimate.scale)
            _must_be_the_rows(estimate, errors.at, groups)
            covariance, meat = errors.covariance, errors.meat
            if kind == "nonrobust" and not family.curved:
                covariance = _sparsity(problem, estimate, internal[0], keep)
            session = problem.session
            return {
                "covariance": problem.public_matrix(covariance),
                "meat": None if meat is None else problem.public_matrix(meat, inverse=True),
                "cov_type": "robust" if not family.curved and kind == "HC0" else kind,
                "df_resid_inference": estimate.df_resid if errors.clusters is None else errors.clusters - 1,
                "use_t": family.dispersion != "known" or kind == "partition",
                "n_passes": estimate.n_passes + session.rows_visited / max(session.n_rows, 1),
                "n_rounds": estimate.n_rounds + session.n_rounds,
                "seconds": estimate.seconds + time.perf_counter() - started,
            }

    def _arguments(self, kind, data, given) -> dict:
        """X, y, sample_weight, offset and strata: those given now, or those of the fit."""
        if data is not None:
            return {"X": data, **given}
        if any(value is not None for value in given.values()):
            raise ValueError("y, sample_weight, offset and strata go with data=: give the rows too")
        rows = self._rows
        found = None if rows is None else rows.get()
        if found is None:
            named = ", ".join(["data=…", *(f"{name}=…" for name in (rows.given if rows is not None else ()))])
            raise ValueError(
                f"cov_type={kind!r} needs a pass over the rows of the fit, which are not at hand: data in memory are "
                "held only while something else holds them, and a loaded model has none; give them again, "
                f"with_cov(…, {named})"
            )
        if rows is not None and rows.stamps is not None and _stamps(found["X"]) != rows.stamps:
            raise ValueError(
                f"{found['X']} changed since the fit: its coefficients are those of other rows; fit again"
            )
        return found

    @contextmanager
    def _problem(self, estimate, kind, groups, X, y, sample_weight, offset, strata) -> Iterator[Any]:
        """The fit's problem on its rows, for another covariance."""
        model = self._model
        roles = Roles(y, sample_weight, offset, None if isinstance(groups, str) else groups)
        source, design = _source_and_design(model, X, model._remembered_roles(roles, strata), groups)
        reading = problem = None
        try:
            engine, reading = resolve(model.engine, model.n_jobs, source, design.columns)
            problem = open_problem(
                reading, design, model._fitted_family, engine, alpha=estimate.alpha, l1_ratio=estimate.l1_ratio,
                cov_type=kind, seed=model._seed(), progress=progress_bar(model.verbose),
            )  # fmt: skip
            problem.classes = vars(model).get("classes_")
            if model._fitted_family.n_shape:
                problem.shape = np.array(list(estimate.shape.values()))
            elif not model._fitted_family.curved:
                problem.shape = np.atleast_1d(np.asarray(estimate.extra["bandwidth"], dtype=float))
            yield problem
        finally:
            if problem is not None:
                problem.session.close()
            close_made(X, source, reading)


def _source_and_design(model, X, roles, groups):
    """Rows with the arrays beside them, and the fit's design with clusters by ``groups``."""
    from statkit.regression._tabular import batch_source

    design = model._design
    if not design.columns:
        if isinstance(groups, str):
            raise ValueError(
                f"{{'cluster': {groups!r}}} names a column, but the fit was of a plain matrix without column names: "
                "give an array of labels"
            )
        if not is_matrix(X) and not hasattr(X, "columns"):
            raise ValueError(f"the fit was of a plain matrix; data is a {type(X).__name__}")
        return model._plain(X, roles, {}, vars(model).get("classes_"))[0], design
    if is_matrix(X):
        raise ValueError("the fit was of a table with named columns; data is a plain matrix")
    if roles.group is not None:
        roles.group = group_codes(roles.group)
    source = batch_source(model, X, roles)
    return source, design.grouped_by(groups if isinstance(groups, str) else None, source.schema)


def _possible(model, family, e, kind) -> str:
    """The kind under its inner name, or an error where there is none for this model."""
    plan = model._plan()
    name = type(plan).__name__
    if name not in _WHOLE or getattr(plan, "forgetting", 1.0) != 1.0:
        raise ValueError(f"{name} has errors of its own; fit with plan=Exact() for cov_type={kind!r}")
    if not family.curved:
        if family.predictors > 1 or kind not in ("robust", "nonrobust", "cluster"):
            what = (
                "one quantile has 'robust', 'nonrobust' or clustered errors, several have those of their fit"
            )
            raise ValueError(f"cov_type={kind!r} is not for quantile regression: {what}")
        return "HC0" if kind == "robust" else kind
    if kind == "robust":
        raise ValueError("cov_type='robust' is that of quantiles: 'HC0' or 'HC1'")
    if kind == "nonrobust" and not family.likelihood:
        raise ValueError(
            f"the loss of {e.family} is no likelihood whose information would serve: 'HC0', 'HC1' or clustered"
        )
    if kind in ("HC2", "HC3") and (
        family.predictors > 1 or family.n_thresholds or family.context is not None or e.alpha
    ):
        why = "after a penalty" if e.alpha else f"in the {e.family} family"
        raise ValueError(
            f"{kind} divides by what rows leave to each other, which is not exact {why}: use 'HC1'"
        )
    if kind == "partition" and name != "Exact":
        raise ValueError(f"cov_type='partition' after {name} comes with the fit alone")
    return kind


def _must_be_the_rows(e, at, groups):
    """Other rows than those of the fit give nonsense that looks like errors."""
    if at.n != e.nobs:
        lost = "; rows without a label of their cluster are left out" if groups is not None else ""
        raise ValueError(
            f"the data have {at.n:,} complete rows, the fit had {e.nobs:,}: these are not its rows{lost}"
        )
    exact = e.plan.startswith("Exact")
    for name, before, now in (
        ("deviance", e.deviance, at.sums.get("deviance", np.nan)),
        ("log-likelihood", e.llf if e.family == "cox" else np.nan, -at.sums.get("loss", np.nan)),
        ("loss", e.extra.get("objective", np.nan), at.sums.get("loss", np.nan)),
    ):
        reach = (_ROUNDING if exact else _NEAR) * max(abs(before), 1e-8 * e.nobs)
        if np.isfinite(before) and np.isfinite(now) and abs(before - now) > reach:
            raise ValueError(
                f"the {name} of these rows is {now:.6g}, that of the fit {before:.6g}: the rows, the response, the "
                "weights or the offset are not those of the fit, or were changed since"
            )


def _sparsity(problem, e, theta, keep):
    """Koenker and Bassett's covariance of a quantile: errors whose density at it is the same in every row."""
    from statkit.rounds.tasks import Want
    from statkit.solvers.cholesky import Factor

    density = problem.evaluate(theta).information
    problem.shape = np.empty(0)  # without a bandwidth every row counts
    gram = problem.evaluate(theta, Want()).information
    height = np.trace(np.linalg.pinv(gram) @ density) / keep.sum()
    tau = problem.family.tau
    return tau * (1 - tau) / height**2 * Factor(gram, keep=keep).inverse()
