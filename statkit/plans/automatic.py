"""The plan for as many rounds as there may be."""

from __future__ import annotations

from typing import Any

import numpy as np

from statkit.plans.exact import Exact
from statkit.plans.least_squares_approximation import LeastSquaresApproximation
from statkit.plans.one_shot import OneShot
from statkit.plans.one_step import OneStep
from statkit.plans.plan import Plan

__all__ = ["Automatic"]

# Rows a coefficient below which local fits are Firth's.
_THIN = 20
# Coefficients from which a matrix a round from every machine costs more than further rounds of scores.
_WIDE, _MANY_MACHINES = 300, 16
_CHORD_STEPS = 20
# Distance to the estimate of all rows, in standard errors, at which steps end early.
_TOL = 1e-3


class Automatic(Plan):
    """Choose a plan by the rounds that are allowed: exact where they are, else the one with the least error.

    One round: the bias-corrected least squares approximation, or the mean of Firth's local estimates where machines
    have fewer than 20 rows a coefficient. Two and more: the same, and as many steps on the scores of all rows. No limit,
    or a linear model, which needs one round only: :class:`Exact`; with more than 300 coefficients on a cluster, steps
    that send scores only.

    Parameters
    ----------
    max_rounds : int or None, default=None
        Rounds over the machines at most; None is as many as it takes.
    n_partitions, partition_by, shuffle : as in :class:`LeastSquaresApproximation`
        Which machines there are, where rounds are limited.

    Examples
    --------
    >>> from statkit.datasets import make_glm
    >>> from statkit.plans import Automatic
    >>> from statkit.regression import GLMClassifier
    >>> X, y, coef = make_glm(4_000, 3, family="binomial", random_state=0)
    >>> GLMClassifier(plan=Automatic(1, n_partitions=8)).fit(X, y).estimate_.plan
    'LeastSquaresApproximation(n_partitions=8)'
    """

    fits_l1 = bootstraps = True

    def __init__(
        self,
        max_rounds: int | None = None,
        *,
        n_partitions: Any = None,
        partition_by: Any = None,
        shuffle: Any = False,
    ) -> None:
        self.max_rounds = max_rounds
        self.n_partitions = n_partitions
        self.partition_by = partition_by
        self.shuffle = shuffle

    def regrouped(self, source: Any, seed: Any) -> Any:
        """The source with one partition a machine, where machines matter."""
        self._check()
        if self.max_rounds is None:
            return source
        return LeastSquaresApproximation(**self._machines()).regrouped(source, seed)

    def estimate(self, problem: Any) -> Any:
        """Fit ``problem``; returns an :class:`~statkit.results.Estimate`."""
        self._check()
        return self.choose(problem).estimate(problem)

    def choose(self, problem: Any) -> Plan:
        """The plan for ``problem``."""
        family, rounds = problem.family, self.max_rounds
        linear = family.solver == "least_squares"
        estimated = family.n_shape and not len(problem.shape)
        if linear or problem.is_sparse or not family.curved or estimated or rounds is None:
            return self._exact(problem, rounds)
        thin = min(p.n_rows for p in problem.session.partitions) < _THIN * problem.size
        local = "firth" if thin and family.context is None else "auto"
        if rounds > 1:
            return OneStep("least_squares", rounds - 1, tol=_TOL, local=local, **self._machines())
        if local == "firth":
            return OneShot(local="firth", **self._machines())
        return LeastSquaresApproximation(**self._machines())

    def _exact(self, problem, rounds):
        apart = not problem.engine_name.startswith(("threads", "serial"))
        wide = problem.size > _WIDE and len(problem.session.partitions) >= _MANY_MACHINES
        smooth = problem.family.curved and not problem.is_sparse and not problem.family.n_shape
        if apart and wide and smooth and rounds is None and not problem.family.quadratic:
            return OneStep("pilot", _CHORD_STEPS, chord=True, tol=_TOL)
        return Exact() if rounds is None else Exact(max_rounds=rounds)

    def _machines(self):
        return {name: getattr(self, name) for name in ("n_partitions", "partition_by", "shuffle")}

    def _check(self):
        rounds = self.max_rounds
        whole = isinstance(rounds, (int, np.integer)) and not isinstance(rounds, bool)
        if rounds is not None and not (whole and rounds >= 1):
            raise ValueError(f"Automatic(max_rounds=…) must be an integer >= 1 or None, not {rounds!r}")
