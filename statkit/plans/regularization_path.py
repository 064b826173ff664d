"""A path of lasso, elastic net or ridge fits that share their rounds over the data, and the choice among them."""

from __future__ import annotations

import copy
import time
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from statkit.engines import merge_summaries
from statkit.plans._machines import line
from statkit.plans._report import report
from statkit.plans._sparse import check_sparse, without_errors
from statkit.plans.plan import Plan
from statkit.rounds.tasks import Want, evaluate
from statkit.solvers.cholesky import Factor
from statkit.solvers.coordinate_descent import minimise
from statkit.solvers.newton import NewtonResult, newton
from statkit.solvers.proximal_newton import proximal_newton, proximal_steps

if TYPE_CHECKING:
    from numpy.typing import ArrayLike


__all__ = ["RegularizationPath"]

_SELECT = ("aic", "bic", "cv", "cv_1se")
# Numbers of all information matrices of a round together: more penalties than fit take another pass.
_MOST_NUMBERS = 2**25
# A ridge path begins where a lasso path of this share of absolute values would.
_RIDGE_SHARE = 1e-3
_PILOT_ROWS = 20_000
_SUMS = Want(False, False, True)


class RegularizationPath(Plan):
    """Fits for a sequence of penalties, exact each, and the one among them that a criterion prefers.

    The estimator's ``l1_ratio`` says which kind of penalty; its ``alpha`` is chosen here. All penalties share the
    rounds: a path on a pilot starts them, and every round over the data serves them all. Linear models take one pass,
    cross-validation included.

    Parameters
    ----------
    n_alphas : int, default=100
        Penalties, equally spaced in logarithm below the smallest one at which all coefficients are zero.
    eps : float, default=1e-3
        Smallest penalty relative to the largest.
    alphas : array or None, default=None
        Penalties to use instead.
    select : {"bic", "aic", "cv", "cv_1se"}, default="bic"
        What chooses: a criterion, least deviance on left-out partitions, or the largest penalty within one standard
        error of it.
    cv : int, default=5
        Folds, for "cv": partitions are dealt to folds in turn; rows in memory are dealt at random.
    partition_by : str, array of shape (n,) or None, default=None
        Rows that share a value stay in one fold.
    tol, max_rounds : as in :class:`Exact`

    Notes
    -----
    ``estimate_.selection_path`` is a frame with a row for every penalty. Its columns are ``("fit", …)`` (``df``,
    ``deviance``, ``explained``, ``llf``, ``aic``, ``bic``, and with folds ``cv_deviance``, ``cv_std_err``: means of
    the unit deviance) and ``("coef", name)``.

    Examples
    --------
    >>> from statkit.datasets import make_glm
    >>> from statkit.plans import RegularizationPath
    >>> from statkit.regression import GLMRegressor
    >>> X, y, coef = make_glm(1_000, 5, random_state=0)
    >>> fit = GLMRegressor(plan=RegularizationPath(20), l1_ratio=1.0).fit(X, y)
    >>> fit.estimate_.selection_path["fit"].shape
    (20, 6)

    References
    ----------
    J. Friedman, T. Hastie and R. Tibshirani (2010), Regularization paths for generalized linear models via
    coordinate descent. H. Zou, T. Hastie and R. Tibshirani (2007), On the degrees of freedom of the lasso.
    """

    fits_l1 = True

    def __init__(
        self,
        n_alphas: int = 100,
        *,
        eps: float = 1e-3,
        alphas: ArrayLike | None = None,
        select: Literal["bic", "aic", "cv", "cv_1se"] = "bic",
        cv: int = 5,
        partition_by: str | ArrayLike | None = None,
        tol: Any = 1e-4,
        max_rounds: Any = 50,
    ) -> None:
        self.n_alphas = n_alphas
        self.eps = eps
        self.alphas = alphas
        self.select = select
        self.cv = cv
        self.partition_by = partition_by
        self.tol = tol
        self.max_rounds = max_rounds

    @property
    def _folded(self):
        return str(self.select).startswith("cv")

    def regrouped(self, source: Any, seed: Any) -> Any:
        """The source with partitions that folds can be made of."""
        from statkit.sources.memory import MemorySource

        if not self._folded:
            return source
        if self.partition_by is not None:
            return source.regroup(by=self.partition_by)
        if isinstance(source, MemorySource):
            return source.regroup(min(self._folds(), sum(p.n_rows for p in source.partitions())), seed=seed)
        return source if len(source.partitions()) >= self._folds() else source.regroup(self._folds())

    def _folds(self):
        if isinstance(self.cv, bool) or not isinstance(self.cv, (int, np.integer)) or self.cv < 2:
            raise ValueError(f"RegularizationPath(cv=…) must be an integer >= 2, not {self.cv!r}")
        return int(self.cv)

    def estimate(self, problem: Any) -> Any:
        """Fit ``problem``; returns an :class:`~statkit.results.Estimate`."""
        self._check(problem)
        started = time.perf_counter()
        folds = _dealt(problem, self._folds()) if self._folded else []
        sums, null = _null_model(problem, folds)
        alphas = self._alphas(problem, null)
        history = [line(problem.session.n_rounds, started, "null model")]
        started = time.perf_counter()
        linear = problem.family.solver == "least_squares"
        if linear:
            results = _linear_path(problem, alphas, null)
            table = _linear_sums(results, null)
            flat = _linear_null(null, problem)
        else:
            results = self._solved(problem, alphas, null.theta)
            everything = [r.theta for r in results] + [null.theta]
            *table, flat = [e.sums for e in _together(problem, everything, _SUMS)]
        frame = self._frame(problem, alphas, results, table, flat, null)
        history.append(line(problem.session.n_rounds, started, "path"))
        if folds:
            started = time.perf_counter()
            deviance = self._left_out(problem, alphas, results, folds, sums if linear else None)
            history.append(line(problem.session.n_rounds, started, "left-out partitions"))
            frame["fit", "cv_deviance"], frame["fit", "cv_std_err"] = deviance
        chosen = self._chosen(frame)
        frame = frame[["fit", "coef"]]
        result = results[chosen]
        problem.alpha = float(alphas[chosen])
        e = result.at
        e.sums, e.null = table[chosen], flat
        result.history = history
        known = without_errors(problem) if problem.is_sparse else {}
        unfinished = [a for a, r in zip(alphas, results, strict=True) if not r.converged]
        if unfinished:
            self._warn_unfinished(unfinished)
        at_end = chosen == len(alphas) - 1 and len(alphas) > 1
        notes = [f"alpha was chosen among {len(alphas)} by {self.select}."]
        if at_end:
            notes.append("The smallest alpha was chosen: the path may end too early; lower eps.")
        return report(problem, self, result, notes=notes, extra={"selection_path": frame}, **known)

    def _check(self, problem):
        if problem.alpha:
            raise ValueError("RegularizationPath chooses alpha: leave the estimator's at 0")
        if self.select not in _SELECT:
            raise ValueError(f"RegularizationPath(select=…) must be one of {_SELECT}, not {self.select!r}")
        if self.alphas is None:
            if not (isinstance(self.n_alphas, (int, np.integer)) and self.n_alphas >= 1):
                raise ValueError(
                    f"RegularizationPath(n_alphas=…) must be an integer >= 1, not {self.n_alphas!r}"
                )
            if not 0 < self.eps < 1:
                raise ValueError(f"RegularizationPath(eps=…) must be in (0, 1), not {self.eps!r}")
        self._needs_shape(problem)
        check_sparse(problem)
        if problem.session.n_rows == 0:
            raise ValueError("there are no rows to fit")

    def _alphas(self, problem, null):
        if self.alphas is not None:
            alphas = np.sort(np.asarray(self.alphas, float).ravel())[::-1]
            if not len(alphas) or not (np.isfinite(alphas) & (alphas > 0)).all():
                raise ValueError("RegularizationPath(alphas=…) must hold positive numbers")
            return alphas
        factor = problem.on_slopes(null.weight, 1)
        slopes = factor > 0
        share = max(problem.l1_ratio, _RIDGE_SHARE)
        most = np.max(np.abs(null.gradient[slopes]) / factor[slopes], initial=0.0) / share
        if not most > 0:
            raise ValueError("no column tells anything about the response: there is no path")
        # The largest is a hair above the bound, where rounding cannot let a coefficient in.
        return most * (1 + 1e-9) * np.logspace(0, np.log10(self.eps), int(self.n_alphas))

    def _options(self, problem):
        return {
            "tol": self.tol, "max_rounds": self.max_rounds, "dispersion": problem.dispersion,
            "newton": problem.family.canonical,
        }  # fmt: skip

    def _solved(self, problem, alphas, theta):
        """Results for all penalties: one after another where rounds cost nothing, else together from a pilot's."""
        small = problem.in_memory and problem.session.n_rows <= 2 * _PILOT_ROWS
        near = problem if small else problem.sample(_PILOT_ROWS, problem.seed)
        results = []
        for alpha in alphas:
            part = _with_alpha(near, alpha)
            start = results[-1].theta if results else theta

            def at(theta, _, fresh, part=part):
                return part.evaluate(theta, Want(True, fresh))

            results.append(proximal_newton(at, start, _l1(part), **self._options(near)))
        return results if small else self._continued(problem, alphas, [r.theta for r in results])

    def _continued(self, problem, alphas, starts):
        """Results for all penalties, every round over the data serving those that are not done."""
        results: list = [None] * len(alphas)
        parts = [_with_alpha(problem, alpha) for alpha in alphas]
        steps = [
            proximal_steps(s, _l1(p), **self._options(problem)) for s, p in zip(starts, parts, strict=True)
        ]
        questions = {k: next(step) for k, step in enumerate(steps)}
        while questions:
            thetas = [theta for theta, _, _ in questions.values()]
            wants = [Want(True, fresh) for _, _, fresh in questions.values()]
            answers = _together(problem, thetas, wants, [parts[k] for k in questions])
            for k, e in zip(list(questions), answers, strict=True):
                try:
                    questions[k] = steps[k].send(e)
                except StopIteration as end:
                    results[k] = end.value
                    del questions[k]
        return results

    def _left_out(self, problem, alphas, results, folds, sums):
        """Mean unit deviance of left-out partitions for every penalty, and its standard error."""
        scores, weights = [], []
        for f, fold in enumerate(folds):
            if sums is not None:
                rest = _added([e for g, e in enumerate(sums) if g != f])
                fits = _linear_path(problem, alphas, rest)
                held = sums[f]
                scores.append([s["deviance"] / held.weight for s in _linear_sums(fits, held)])
                weights.append(held.weight)
                continue
            others = [p for g, part in enumerate(folds) if g != f for p in part]
            fits = self._continued(_on(problem, others), alphas, [r.theta for r in results])
            seen = _together(_on(problem, fold), [r.theta for r in fits], _SUMS)
            scores.append([e.sums["deviance"] / e.weight for e in seen])
            weights.append(seen[0].weight)
        scores, weights = np.array(scores), np.array(weights)
        mean = np.average(scores, axis=0, weights=weights)
        spread = np.average((scores - mean) ** 2, axis=0, weights=weights)
        return mean, np.sqrt(spread / (len(folds) - 1))

    def _frame(self, problem, alphas, results, table, flat, null):
        import pandas as pd

        rows = []
        n = null.n
        for alpha, result, sums in zip(alphas, results, table, strict=True):
            part = _with_alpha(problem, alpha)
            df = _degrees(part, result)
            scale = 1.0
            if problem.dispersion is not None:
                scale = sums["pearson"] / (n - df) if n > df else np.nan
            llf = problem.family.loglik(sums, scale, n)
            explained = 1 - sums["deviance"] / flat["deviance"] if flat["deviance"] > 0 else np.nan
            rows.append(
                [df, sums["deviance"], explained, llf, -2 * llf + 2 * df, -2 * llf + np.log(n) * df,
                 *problem.public_values(result.theta)]
            )  # fmt: skip
        fit = ["df", "deviance", "explained", "llf", "aic", "bic"]
        columns = [("fit", name) for name in fit] + [("coef", name) for name in problem.design.names]
        return pd.DataFrame(
            rows, index=pd.Index(alphas, name="alpha"), columns=pd.MultiIndex.from_tuples(columns)
        )

    def _chosen(self, frame):
        fit = frame["fit"]
        if not self._folded:
            values = fit[self.select].to_numpy()
        else:
            values = fit["cv_deviance"].to_numpy()
        if not np.isfinite(values).any():
            raise ValueError(f"select={self.select!r} has no finite value on this path: choose by 'cv'")
        best = int(np.nanargmin(values))
        if self.select == "cv_1se":
            best = int(np.flatnonzero(values <= values[best] + fit["cv_std_err"].to_numpy()[best])[0])
        return best

    def _warn_unfinished(self, alphas):
        import warnings

        from sklearn.exceptions import ConvergenceWarning

        warnings.warn(
            f"no convergence in {self.max_rounds} rounds for {len(alphas)} penalties, the largest alpha = "
            f"{max(alphas):.3g}: raise max_rounds or eps",
            ConvergenceWarning,
            stacklevel=5,
        )


class _Stack(list):
    """Answers for several parameters, added one by one."""

    def merge(self, other):
        return _Stack(merge_summaries(a, b) for a, b in zip(self, other, strict=True))


def evaluate_many(block, family, thetas, shape, center, scale, wants) -> dict:
    """`evaluate` at several parameters, while the block is at hand."""
    pairs = zip(thetas, wants, strict=True)
    return {
        "stack": _Stack(evaluate(block, family, at, shape, center, scale, None, want) for at, want in pairs)
    }


class _Part:
    """Rounds over some partitions of a session."""

    def __init__(self, session, partitions):
        self.session, self.partitions = session, tuple(partitions)

    def round(self, task, *args):
        return self.session.round(task, *args, partitions=self.partitions)


def _on(problem, partitions):
    other = copy.copy(problem)
    other.session = _Part(problem.session, partitions)
    return other


def _with_alpha(problem, alpha):
    other = copy.copy(problem)
    other.alpha = float(alpha)
    return other


def _l1(problem):
    zero = np.zeros(problem.size)

    def l1(weight):
        price = problem.l1_penalty(weight)
        return zero if price is None else price

    return l1


def _together(problem, thetas, wants, parts=None):
    """Evaluations at several parameters, in as few rounds as their matrices allow."""
    parts = [problem] * len(thetas) if parts is None else parts
    wants = [wants] * len(thetas) if isinstance(wants, Want) else wants
    most = max(1, _MOST_NUMBERS // problem.size**2) if any(w.information for w in wants) else len(thetas)
    out = []
    for first in range(0, len(thetas), most):
        chunk = slice(first, first + most)
        out += problem.session.round(
            evaluate_many,
            problem.family,
            thetas[chunk],
            problem.shape,
            problem.center,
            problem.scale,
            wants[chunk],
        )["stack"]
    return [part._penalised(theta, o) for part, theta, o in zip(parts, thetas, out, strict=True)]


def _dealt(problem, folds):
    """Partitions of every fold, dealt in turn."""
    partitions = [p for p in problem.session.partitions if p.n_rows]
    if len(partitions) < folds:
        raise ValueError(f"cv={folds} folds need as many partitions with rows, there are {len(partitions)}")
    return [partitions[f::folds] for f in range(folds)]


def _null_model(problem, folds):
    """Evaluations of the folds, and of all rows, at the model without columns."""
    theta = problem.null_theta(*problem.response())
    want = Want(True, True, True)
    sums = [_on(problem, fold).evaluate(theta, want) for fold in folds]
    e = _added(sums) if folds else problem.evaluate(theta, want)
    if problem.design.intercept and abs(e.gradient[0]) > 1e-9 * e.weight and not problem.family.quadratic:
        # With an offset the mean response is not enough.
        only = np.zeros(problem.size, bool)
        only[0] = True
        result = newton(lambda at, _: problem.evaluate(at, want), theta, tol=1e-12, keep=only)
        e = problem.evaluate(np.where(np.isnan(result.theta), 0.0, result.theta), want)
    return sums, e


def _added(evaluations):
    """The evaluation of several sets of rows at one parameter."""
    first = evaluations[0]
    total = copy.copy(first)
    for name in ("loss", "gradient", "information", "n", "n_read", "n_missing", "weight", "y", "n_rows"):
        setattr(total, name, sum(getattr(e, name) for e in evaluations[1:]) + getattr(first, name))
    total.sums = {key: sum(e.sums[key] for e in evaluations) for key in first.sums}
    return total


def _linear_path(problem, alphas, e):
    """Results of a linear model from its sums at any parameter, one penalty after another."""
    moment = e.information @ e.theta + e.gradient
    beta, results = e.theta, []
    for alpha in alphas:
        part = _with_alpha(problem, alpha)
        diagonal, l1 = part.penalty(e.weight), _l1(part)(e.weight)
        H = e.information if diagonal is None else e.information + np.diag(diagonal)
        beta = minimise(H, moment, l1, beta)
        at = copy.copy(e)
        at.information = H
        results.append(
            NewtonResult(
                beta, at, Factor(H, keep=(beta != 0) | (l1 == 0)), 0.0, True, np.zeros(len(beta), bool), []
            )
        )
    return results


def _linear_sums(results, e):
    """Sums at the results from those at ``e``: the loss is a quadratic."""
    table = []
    for result in results:
        step = result.theta - e.theta
        left = max(
            e.sums["deviance"] - 2 * float(e.gradient @ step) + float(step @ e.information @ step), 0.0
        )
        table.append({**e.sums, "deviance": left, "pearson": left, "loss": left / 2})
    return table


def _linear_null(e, problem):
    step = e.gradient[0] ** 2 / e.information[0, 0] if problem.design.intercept else 0.0
    return {**e.sums, "deviance": max(e.sums["deviance"] - step, 0.0)}


def _degrees(problem, result) -> float:
    """Effective number of coefficients: those that are not zero, less what a ridge shrinks."""
    keep = np.ones(problem.size, bool) if result.factor.keep is None else result.factor.keep
    ridge = problem.penalty(result.at.weight)
    if ridge is None:
        return float(keep.sum())
    return float(keep.sum() - np.nansum(ridge[keep] * np.diag(result.factor.inverse())[keep]))
