"""The exact maximum likelihood (or ridge) estimate in a few rounds: a pilot, then summed Newton steps."""

from __future__ import annotations

import warnings
from importlib import import_module
from typing import Any, Literal

import numpy as np

from statkit.exceptions import SeparationWarning
from statkit.plans._report import evaluation_points, report
from statkit.plans.plan import Plan
from statkit.rounds.tasks import Want
from statkit.solvers.newton import newton
from statkit.solvers.proximal_newton import proximal_newton

__all__ = ["Exact"]

# Families say what solves them (`Family.solver`): the file and the function for all but Newton's rounds, which are here.
_SOLVERS = {
    "least_squares": ("_linear", "least_squares"),
    "linear_program": ("_quantile", "exact_quantile"),
    "partial_likelihood": ("_cox", "exact_cox"),
    "thresholds": ("_ordered", "exact_ordered"),
}

# A prior this strong on scaled columns pulls in levels of which the pilot has few rows. With a weaker one such
# levels start so far out that the full data's first steps overshoot: .25 diverges on sorted data, 1 costs a round.
_PILOT_PRIOR = 4.0
_PILOT_PARTITIONS = 4
# Partitions from which the spread of their scores says something, and numbers that may be held for it.
_FEWEST_PARTITIONS, _MOST_SCORES = 20, 10_000_000


class Exact(Plan):
    """The estimate that a fit on all rows in memory would give, in rounds of summed gradient and information.

    A pilot fit on about one row in a hundred starts within a few standard errors of the answer, so that two or
    three rounds over the data suffice, where a cold start takes six to eight. The last round is the certificate:
    it measures the distance to the optimum, and one more step makes it far smaller.

    With a lasso or elastic net penalty (``alpha``, ``l1_ratio`` of the estimator) every round is followed by
    coordinate descent on its quadratic; linear models take one round in all. Such estimates have no standard errors.

    Parameters
    ----------
    max_rounds : int, default=20
        Rounds over all rows at most.
    tol : float, default=1e-4
        Distance to the optimum that may remain, in standard errors (root mean square over coefficients).
    pilot_size : int or "auto", default="auto"
        Rows of the pilot; "auto" is ``max(20_000, 20 p, N / 100)``, 0 starts from the mean response.
    certify : bool, default=True
        Whether the last round must measure a distance within ``tol`` of the optimum after its step. False stops
        as soon as the steps so far predict one, usually a round earlier; errors are then those at the last round.

    Examples
    --------
    >>> from statkit.plans import Exact
    >>> from statkit.regression import GLMClassifier
    >>> from statkit.datasets import make_glm
    >>> X, y, coef = make_glm(1_000, 3, family="binomial", random_state=0)
    >>> GLMClassifier(plan=Exact(tol=1e-6)).fit(X, y).estimate_.converged
    True

    References
    ----------
    P. McCullagh and J. A. Nelder (1989), Generalized Linear Models, 2nd edition, §2.5.
    """

    fits_l1 = fits_context = fits_thresholds = bootstraps = True

    def __init__(
        self,
        max_rounds: int = 20,
        tol: float = 1e-4,
        pilot_size: int | Literal["auto"] = "auto",
        certify: bool = True,
    ) -> None:
        self.max_rounds = max_rounds
        self.tol = tol
        self.pilot_size = pilot_size
        self.certify = certify

    def estimate(self, problem: Any) -> Any:
        """Fit ``problem`` (:class:`statkit.rounds.Problem`); returns an :class:`~statkit.results.Estimate`."""
        self._check()
        family = problem.family
        if problem.session.n_rows == 0:
            raise ValueError("there are no rows to fit")
        if problem.is_sparse:
            from statkit.plans._sparse import check_sparse, lasso_from_gram

            check_sparse(problem)
            if family.solver == "least_squares":
                return lasso_from_gram(self, problem)
        if family.solver in _SOLVERS:
            file, function = _SOLVERS[family.solver]
            return getattr(import_module(f"statkit.plans.{file}"), function)(self, problem)
        if family.n_shape and not len(problem.shape):
            from statkit.plans._shape import with_estimated_shape

            return with_estimated_shape(self, problem)
        result, null = self.solve(problem)
        return self.finish(problem, result, null)

    def _check(self):
        if not (isinstance(self.max_rounds, (int, np.integer)) and self.max_rounds >= 1):
            raise ValueError(f"Exact(max_rounds=…) must be an integer >= 1, not {self.max_rounds!r}")
        if not self.tol > 0:
            raise ValueError(f"Exact(tol=…) must be positive, not {self.tol!r}")
        if self.pilot_size != "auto" and not (
            isinstance(self.pilot_size, (int, np.integer)) and self.pilot_size >= 0
        ):
            raise ValueError(
                f"Exact(pilot_size=…) must be 'auto' or an integer >= 0, not {self.pilot_size!r}"
            )

    def solve(self, problem: Any, start: Any = None) -> Any:
        """Newton rounds from a pilot (or ``start``); the result and the null model's η."""
        theta, null = self.start(problem) if start is None else start

        def evaluate(theta, nearly_done, fresh=True):
            last = nearly_done or self.max_rounds == 1
            meat = problem.meat if last else None
            want = Want(
                information=fresh, sums=last, meat=meat, scores=last and _tells(problem), seed=problem.seed
            )
            e = problem.evaluate(theta, want, null)
            if e.null_step is None:
                null[:] = problem.null_theta(e.y, e.weight)[:: problem.width]
            elif e.null_step[1] > 0:
                null[0] += e.null_step[0] / e.null_step[1]
            return e

        if problem.is_sparse:
            result = proximal_newton(
                evaluate, theta, problem.l1_penalty, tol=self.tol, max_rounds=self.max_rounds,
                dispersion=problem.dispersion, newton=problem.family.canonical,
            )  # fmt: skip
        else:
            result = newton(
                evaluate, theta, tol=self.tol, max_rounds=self.max_rounds, dispersion=problem.dispersion,
                may_separate=problem.may_separate, predict=not self.certify,
            )  # fmt: skip
        if result.at.sums is None or (problem.meat and result.at.meat is None):
            # It ended sooner than expected (small data, separation): one light round for what is missing.
            theta = np.where(np.isnan(result.theta), 0.0, result.theta)
            last = problem.evaluate(theta, Want(False, False, True, problem.meat, seed=problem.seed), null)
            result.at.sums, result.at.null, result.at.meat = last.sums, last.null, last.meat
            result.at.sums_theta = theta
        return result, null

    def finish(self, problem: Any, result: Any, null: Any, **known: Any) -> Any:
        """The estimate of a solved problem, with the warnings that it deserves."""
        self.warn(problem, result)
        if problem.is_sparse:
            from statkit.plans._sparse import carry_sums, without_errors

            carry_sums(problem, result)
            known |= without_errors(problem)
        else:
            known.setdefault("diagnostics", _checked(problem, result))
        return report(problem, self, result, evaluated_at=evaluation_points(problem, result.at), **known)

    def warn(self, problem: Any, result: Any) -> None:
        """Say that the response is separated, or that there was no convergence."""
        if result.separated.any():
            self._warn_separated(problem, result)
        elif not result.converged:
            from sklearn.exceptions import ConvergenceWarning

            warnings.warn(
                f"no convergence in {self.max_rounds} rounds: the last step was still {result.decrement:.2g} "
                "standard errors; raise Exact(max_rounds=…), or look for a nearly separated response",
                ConvergenceWarning,
                stacklevel=5,
            )

    def start(self, problem: Any) -> Any:
        """Start of the Newton rounds and η of the null model."""
        session, size = problem.session, self.pilot_size
        n = session.n_rows
        if size == "auto":
            size = max(20_000, 20 * problem.size, n // 100)
        intercepts = slice(None, None, problem.width)
        if size == 0 or n < 2 * size or len(session.partitions) == 1:
            theta = problem.null_theta(*problem.response())
            return theta, theta[intercepts].copy()
        chosen = session.partitions
        if not problem.in_memory and not session.all_cached and len(chosen) > _PILOT_PARTITIONS:
            # Reading is dear: a few partitions spread over the data. A pilot that is not a fair sample costs
            # rounds, never the answer.
            spread = np.linspace(0, len(chosen) - 1, _PILOT_PARTITIONS + 2)[1:-1]
            chosen = [chosen[round(i)] for i in spread]
        pilot = problem.sample(size, problem.seed, chosen)
        if problem.is_sparse:
            theta = problem.null_theta(*pilot.response())
            fit = proximal_newton(
                lambda theta, _, fresh: pilot.evaluate(theta, Want(True, fresh)), theta.copy(), pilot.l1_penalty,
                tol=0.01, max_rounds=25, dispersion=problem.dispersion,
            )  # fmt: skip
            return fit.theta, theta[intercepts].copy()
        prior = np.full(problem.size, _PILOT_PRIOR)
        if problem.design.intercept:
            prior[intercepts] = 0.0
        theta = problem.null_theta(*pilot.response())
        fit = newton(
            lambda theta, _: pilot.evaluate(theta), theta, tol=0.01,
            max_rounds=25, prior=prior, dispersion=problem.dispersion,
        )  # fmt: skip
        return np.where(np.isnan(fit.theta), 0.0, fit.theta), theta[intercepts].copy()

    def _warn_separated(self, problem, result):
        names = _column_names(problem, np.flatnonzero(result.separated))
        warnings.warn(
            f"the response is separated along {names}: no finite maximum likelihood estimate exists, and the "
            "coefficients and errors of these columns mean nothing; leave them out, merge levels, or set "
            "alpha > 0 for a ridge estimate",
            SeparationWarning,
            stacklevel=6,
        )


def _tells(problem) -> bool:
    """Whether scores of partitions tell of correlation within them, and fit in memory."""
    K = len(problem.session.partitions)
    return _FEWEST_PARTITIONS <= K and K * problem.size <= _MOST_SCORES


def _checked(problem, result):
    """What the last round says of the answer: how far it was, and whether partitions differ by more than chance."""
    from statkit.plans._machine_checks import distance_line, partition_line

    e, lines = result.at, []
    if not result.separated.any():
        lines.append(distance_line("newton_decrement", min(result.decrement, result.decrement**2)))
    if e.scores is not None and not problem.alpha:
        keep = np.flatnonzero(np.array(e.scores.sizes) > 0)
        sizes = np.array(e.scores.sizes, float)[keep]
        phi = 1.0 if problem.dispersion is None else problem.dispersion(e, result.factor.rank)
        inverse = np.nan_to_num(result.factor.inverse())
        if len(keep) >= _FEWEST_PARTITIONS:
            lines += partition_line(np.array(e.scores.scores)[keep], sizes, inverse, phi)
    return lines


def _column_names(problem, internal) -> str:
    names = [problem.internal_names[j] for j in internal]
    shown = list(dict.fromkeys(names))
    return ", ".join(map(repr, shown[:8])) + (f" and {len(shown) - 8} more" if len(shown) > 8 else "")
