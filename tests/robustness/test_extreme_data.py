"""Every estimator on data at the edge: a fit with finite answers, or an error that says what is wrong.

Never a silent NaN, never an error of some library deep below, and no estimator that is half fitted after one.
"""

from __future__ import annotations

import inspect
import warnings

import numpy as np
import pytest

from statkit import all_estimators
from statkit._magnitude import check_magnitude

NAMES = [name for name, _ in all_estimators()]
#: Fitted attributes that are infinite or NaN for a reason that their documentation states.
STATED = {
    "m_critical_": "infinite: the uniform partition is a minimum for every m",
    "drift_z_": "infinite: every document says the same, the standard error is zero",
    "label_error_proba_": "NaN: a document without a label",
    "varsortability_": "NaN: the graph has no directed path",
    "correlation_length_se_": "NaN: given, or not identified",
}
#: What libraries below say when nobody checked before them.
BARE = (
    "infs or NaNs", "zero-size", "out of bounds", "invalid numeric", "not converge", "singular matrix",
    "math domain", "could not broadcast", "NoneType", "unpack",
)  # fmt: skip


def poked(X, value):
    X = X.copy()
    X[5, 1] = value
    return X


def at_row_3(n, value, rest):
    return np.where(np.arange(n) == 3, value, rest)


def cases(X, y):
    """Name to (X, y, options of fit)."""
    n = len(y)
    rng = np.random.default_rng(1)
    return {
        "no rows": (X[:0], y[:0], {}),
        "no columns": (X[:, :0], y, {}),
        "one row": (X[:1], y[:1], {}),
        "two rows": (X[:2], np.array([0, 1]), {}),
        "three rows": (X[:3], np.array([0, 1, 0]), {}),
        "more columns than rows": (np.abs(rng.normal(size=(8, 20))), np.arange(8) % 2, {}),
        "constant": (np.ones((n, 4)), y, {}),
        "zeros": (np.zeros((n, 4)), y, {}),
        "a constant column": (np.column_stack([X, np.full(n, 3.0)]), y, {}),
        "a column twice": (np.column_stack([X, X[:, 0]]), y, {}),
        "four rows ten times": (np.repeat(X[:4], 10, axis=0), y, {}),
        "infinity": (poked(X, np.inf), y, {}),
        "nan": (poked(X, np.nan), y, {}),
        "words": (np.full(X.shape, "word"), y, {}),
        "huge": (X * 1e300, y, {}),
        "tiny": (X * 1e-300, y, {}),
        "columns of all sizes": (X * np.array([1e-60, 1.0, 1e60, 1e8]), y, {}),
        "far away": (X + 1e9, y, {}),
        "one class": (X, np.ones(n, int), {}),
        "nan response": (X, at_row_3(n, np.nan, y), {}),
        "infinite response": (X, at_row_3(n, np.inf, y), {}),
        "huge response": (X, y * 1e300, {}),
        "tiny response": (X, y * 1e-300, {}),
        "weights of zero": (X, y, {"sample_weight": np.arange(n) % 2.0}),
        "all weights zero": (X, y, {"sample_weight": np.zeros(n)}),
        "a negative weight": (X, y, {"sample_weight": at_row_3(n, -1.0, 1.0)}),
        "a weight of nan": (X, y, {"sample_weight": at_row_3(n, np.nan, 1.0)}),
        "huge weights": (X, y, {"sample_weight": np.full(n, 1e300)}),
        "tiny weights": (X, y, {"sample_weight": np.full(n, 1e-300)}),
        "too few weights": (X, y, {"sample_weight": np.ones(n - 1)}),
        "too few responses": (X, y[:-1], {}),
    }


#: Those that ``make test`` tries; all of them are in ``make test-slow``.
QUICK = (
    "no rows", "one row", "two rows", "more columns than rows", "constant", "a column twice", "infinity", "nan",
    "huge", "tiny", "one class", "all weights zero", "a negative weight", "huge weights", "words",
)  # fmt: skip


def unstated(estimator):
    """Fitted attributes that hold NaN or infinity and should not."""
    found = []
    for name, value in vars(estimator).items():
        if name.startswith("_") or not name.endswith("_") or name in STATED:
            continue
        for part in value if isinstance(value, list | tuple) else [value]:
            if isinstance(part, float | np.ndarray) and np.asarray(part).dtype.kind == "f":
                if not np.isfinite(part).all():
                    found.append(name)
    return found


def try_case(name, case, made, fit, rows):
    X, y, options = case
    estimator = made(name)
    if options and "sample_weight" not in inspect.signature(estimator.fit).parameters:
        return
    fresh = dict(vars(estimator))
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        try:
            fit(name, estimator, X, y, **options)
        except (ValueError, TypeError) as error:
            assert not isinstance(error, np.linalg.LinAlgError), f"{type(error).__name__}: {error}"
            assert not any(words in str(error) for words in BARE), f"a bare error: {error}"
            assert len(str(error)) > 10
            assert vars(estimator) == fresh, "half fitted"
            return
        assert not unstated(estimator), f"{unstated(estimator)} with {[str(w.message) for w in said]}"
        careless = [w for w in said if w.category is RuntimeWarning]
        assert not careless, f"{careless[0].message} at {careless[0].filename}:{careless[0].lineno}"
        for method in ("predict", "predict_proba", "transform"):
            if hasattr(estimator, method) and X.shape == rows[0].shape and name != "DawidSkene":
                answer = np.asarray(getattr(estimator, method)(rows[0]))
                assert answer.dtype.kind != "f" or np.isfinite(answer).all(), f"{method} is not finite"


def go_over(name, wanted, made, fit, rows):
    failed = []
    for what, case in cases(*rows).items():
        if what in wanted:
            try:
                try_case(name, case, made, fit, rows)
            except Exception as error:
                failed.append(f"{what}: {type(error).__name__}: {error}")
    assert not failed, "\n".join(failed)


@pytest.mark.parametrize("name", NAMES)
def test_a_finite_fit_or_an_error_that_says_why(name, made, fit, rows):
    go_over(name, QUICK, made, fit, rows)


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_every_case(name, made, fit, rows):
    go_over(name, cases(*rows), made, fit, rows)


@pytest.mark.parametrize("name", NAMES)
def test_a_failing_fit_leaves_the_earlier_one(name, made, fit, rows):
    X, y = rows
    estimator = made(name)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        fit(name, estimator, X, y)
        before = dict(vars(estimator))
        for what in ("no rows", "words", "huge"):
            other, response, _ = cases(X, y)[what]
            try:
                fit(name, estimator, other, response)
            except (ValueError, TypeError):
                now = vars(estimator)
                assert sorted(now) == sorted(before), what
                assert all(now[k] is before[k] for k in before), what
            else:
                before = dict(vars(estimator))


@pytest.mark.parametrize("values", [np.array([[1.0, 2.0], [np.nan, -3e38]]), np.array([1.0, 3e38])])
def test_single_precision_is_judged_without_a_warning(values):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        check_magnitude(values.astype(np.float32))
