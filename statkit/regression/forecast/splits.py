"""What splitting the rows over machines costs, learnt by splitting the pilot.

The mean of K local fits of n rows each differs from the fit of all in two ways. Its bias, b/n with b known from third
derivatives, does not average out: in standard errors it grows as √N / n. The second-order part of each local fit's
error does: in standard errors it is about c/√n whatever K. Machines that differ (rows sorted by time) add a distance
that grows with √N; it shows where the pilot's pieces are fitted apart.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from statkit.regression.forecast.pilot import Pilot
from statkit.regression.forecast.steps import distance_between, one_step_curvature
from statkit.rounds.machines import LocalOptions, bias_is_known, local_fit, portable
from statkit.solvers.cholesky import Factor
from statkit.solvers.newton import newton

__all__ = ["Splits"]

_MACHINES, _ROWS_EACH, _REPEATS = 8, 20, 2
#: Rows of the pilot that are split: the cost is that of a few fits.
_MOST_ROWS = 65_536
#: Excess of pieces over random parts, in squared distance, that is more than chance.
_MORE, _AT_LEAST = 2.0, 0.01


@dataclass
class Split:
    """Local fits of some of the pilot's rows, and the fit of these rows together."""

    records: list[dict]
    together: np.ndarray

    @property
    def n(self) -> int:
        return sum(m["n"] for m in self.records)

    @property
    def n_each(self) -> float:
        return self.n / len(self.records)

    @cached_property
    def estimable(self) -> np.ndarray:
        """Coefficients of which every machine has information."""
        diagonal = np.array([np.diag(m["H"]) for m in self.records])
        return diagonal.min(axis=0) > 1e-6 * diagonal.max(axis=0)

    def bias(self, estimator: str, phi: float) -> np.ndarray:
        """Predicted first-order bias of the "mean" of local estimates, or of "wlse"."""
        if estimator == "mean":
            return phi * sum(m["n"] / self.n * m["b"] for m in self.records)
        return phi * Factor(sum(m["H"] for m in self.records)).solve(sum(m["c"] for m in self.records))

    def combined(self, estimator: str) -> np.ndarray:
        if estimator == "mean":
            return sum(m["n"] / self.n * m["theta"] for m in self.records)
        total = Factor(sum(m["H"] for m in self.records))
        return total.solve(sum(m["H"] @ m["theta"] for m in self.records))


@dataclass
class Splits:
    """Splits of a pilot, made when they are asked for."""

    pilot: Pilot
    seed: int

    @cached_property
    def random(self) -> list[Split]:
        """The rows dealt at random to a few machines."""
        n, q = min(self.pilot.n, _MOST_ROWS), len(self.pilot.theta)
        machines = int(np.clip(n // (_ROWS_EACH * q), 2, _MACHINES))
        rng = np.random.default_rng([self.seed, 1])
        return [
            self._split(np.array_split(rng.permutation(self.pilot.n)[:n], machines)) for _ in range(_REPEATS)
        ]

    @cached_property
    def pieces(self) -> Split | None:
        """The pilot's pieces as machines; None where there are not two that can be fitted."""
        parts = [np.flatnonzero(self.pilot.piece == k) for k in range(self.pilot.piece.max() + 1)]
        parts = [p[: _MOST_ROWS // len(parts)] for p in parts if len(p) > _ROWS_EACH * len(self.pilot.theta)]
        return self._split(parts) if len(parts) > 1 else None

    def _split(self, parts: list[np.ndarray]) -> Split:
        problem, model = self.pilot.problem, portable(self.pilot.problem)
        blocks = [self.pilot.block.take(np.sort(index)) for index in parts]
        records = [local_fit(block, model, LocalOptions())["machines"][0] for block in blocks]
        union = problem.local(self.pilot.block.take(np.sort(np.concatenate(parts))))
        fit = newton(
            lambda theta, _: union.evaluate(theta), self.pilot.theta, tol=1e-4, max_rounds=10,
            dispersion=problem.dispersion,
        )  # fmt: skip
        together = np.where(np.isnan(fit.theta), 0.0, fit.theta)
        return Split([m for m in records if m["n"]], together)

    @cached_property
    def curvature(self) -> float:
        """c of Newton's steps on this problem."""
        starts = [m["theta"] for m in self.random[0].records if not m["separated"]]
        return one_step_curvature(self.pilot, starts[:4])

    # -- distances

    def distance(self, estimator: str, machines: int, n_rows: int, corrected: bool) -> float:
        """Distance of "mean" or "wlse" over machines of equal size to the exact estimate, in standard errors."""
        if machines <= 1 or (self.pilot.problem.family.quadratic and estimator == "wlse"):
            return 0.0
        n_each = n_rows / machines
        squared = self._random(estimator) / n_each + self.differing(estimator) * n_rows / self.pilot.n
        if not corrected:
            squared += self._bias(estimator) * n_rows / n_each**2
        return float(np.sqrt(squared))

    def _random(self, estimator: str) -> float:
        """Squared distance of corrected combinations of random machines, times rows a machine."""
        return float(np.mean([self._squared(s, estimator, True) * s.n_each for s in self.random]))

    def _bias(self, estimator: str) -> float:
        """Squared bias in standard errors, times n²/N."""
        split = self.random[0]
        if bias_is_known(self.pilot.problem.family):
            shift = split.bias(estimator, self.pilot.phi)
            own = distance_between(self.pilot, shift, np.zeros_like(shift), split.estimable) ** 2
            own *= split.n / self.pilot.n
        else:
            own = max(self._squared(split, estimator, False) - self._squared(split, estimator, True), 0.0)
        return own * split.n_each**2 / split.n

    def differing(self, estimator: str) -> float:
        """Squared distance, in the pilot's standard errors, that comes from machines that differ; often zero."""
        if self.pieces is None:
            return 0.0
        own = self._squared(self.pieces, estimator, True)
        chance = self._random(estimator) / self.pieces.n_each
        return own - chance if own > _MORE * chance + _AT_LEAST else 0.0

    def _squared(self, split: Split, estimator: str, corrected: bool) -> float:
        """Squared distance of a combination to the fit of the same rows, in those rows' standard errors."""
        combined = split.combined(estimator)
        if corrected and bias_is_known(self.pilot.problem.family):
            combined = combined - split.bias(estimator, self.pilot.phi)
        distance = distance_between(self.pilot, combined, split.together, split.estimable)
        return distance**2 * split.n / self.pilot.n if np.isfinite(distance) else 0.0
