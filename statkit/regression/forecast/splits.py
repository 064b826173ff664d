"""What splitting the rows over machines costs, learnt by splitting the pilot.

The mean of K local fits of n rows each differs from the fit of all in two ways. Its bias, b/n with b known from third
derivatives, does not average out: in standard errors it grows as √N / n. The second-order part of each local fit's
error does: in standard errors it is about c/√n whatever K. Machines that differ (rows sorted by time) add a distance
that grows with √N; it shows where the pilot's pieces are fitted apart.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from statkit.design.block import concatenate
from statkit.regression.forecast.pilot import Pilot
from statkit.regression.forecast.steps import distance_between, one_step_curvature
from statkit.rounds.machines import bias_is_known
from statkit.solvers.cholesky import Factor
from statkit.solvers.newton import newton

__all__ = ["Splits"]

_MACHINES, _ROWS_EACH, _REPEATS = 8, 20, 2
#: Rows of the pilot that are split, and products of a row's columns from which a bias is summed.
_MOST_ROWS, _MOST_PRODUCTS = 65_536, 2e8
#: Coefficients from which half of the starts tell enough.
_WIDE = 100
#: Excess of pieces over random parts, in squared distance, that is more than chance.
_MORE, _AT_LEAST = 2.0, 0.01
#: Standard deviations of Q beyond which machines differ for certain.
_SURE = 5.0


@dataclass
class Split:
    """Local fits of some of the pilot's rows, and the fit of these rows together.

    Attributes
    ----------
    thetas, informations : list of ndarray
        Of every part.
    sizes : ndarray
        Rows of every part.
    together : ndarray
    estimable : ndarray of bool
        Coefficients that every part has an estimate of.
    """

    thetas: list[np.ndarray]
    informations: list[np.ndarray]
    sizes: np.ndarray
    together: np.ndarray
    estimable: np.ndarray

    @property
    def n(self) -> int:
        return int(self.sizes.sum())

    @property
    def n_each(self) -> float:
        return float(self.sizes.mean())

    def spread(self, keep: np.ndarray) -> float:
        """Q, the squared distances of the parts' estimates from all rows', by the parts' informations."""
        away = [np.where(keep, theta - self.together, 0.0) for theta in self.thetas]
        return float(sum(a @ H @ a for a, H in zip(away, self.informations, strict=True)))

    def combined(self, estimator: str) -> np.ndarray:
        """The "mean" of the local estimates by rows, or "wlse", their mean by information."""
        if estimator == "mean":
            return np.average(self.thetas, axis=0, weights=self.sizes)
        total = Factor(np.sum(self.informations, axis=0))
        return total.solve(sum(H @ t for H, t in zip(self.informations, self.thetas, strict=True)))


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
    def pieces(self) -> tuple[Split, Split] | None:
        """The pilot's pieces as machines, and as many machines of the same rows at random.

        Where some pieces stand for all rows of a partition, only these; None where there are not two that can be
        fitted.
        """
        whole = sum(self.pilot.whole) > 1
        chosen = [
            b
            for b, all_rows in zip(self.pilot.blocks, self.pilot.whole, strict=True)
            if all_rows or not whole
        ]
        chosen = [b for b in chosen if b.n_rows > _ROWS_EACH * len(self.pilot.theta)]
        if len(chosen) < 2:
            return None
        rng = np.random.default_rng([self.seed, 6])
        most = _MOST_ROWS if whole else _MOST_ROWS // len(chosen)
        taken = [b.take(np.sort(rng.permutation(b.n_rows)[:most])) for b in chosen]
        block, sizes = concatenate(taken), np.cumsum([b.n_rows for b in taken])
        in_order, dealt = (
            np.split(rows, sizes[:-1]) for rows in (np.arange(sizes[-1]), rng.permutation(sizes[-1]))
        )
        return self._split(in_order, block), self._split(dealt, block)

    def _split(self, parts: list[np.ndarray], block: Any = None) -> Split:
        block = self.pilot.block if block is None else block
        thetas, informations, estimable = [], [], np.isfinite(self.pilot.variance)
        for index in parts:
            fit = self._fit(block.take(np.sort(index)))
            thetas.append(np.where(np.isnan(fit.theta), 0.0, fit.theta))
            informations.append(fit.at.information)
            own = np.diag(fit.at.information) / len(index)
            whole = np.diag(self.pilot.information) / self.pilot.n
            estimable = estimable & ~fit.separated & ~np.isnan(fit.theta) & (own > 0.1 * whole)
        together = self._fit(block.take(np.sort(np.concatenate(parts)))).theta
        together = np.where(np.isnan(together), 0.0, together)
        return Split(thetas, informations, np.array([len(i) for i in parts]), together, estimable)

    def _fit(self, block: Any):
        problem = self.pilot.problem
        local = problem.local(block)
        with np.errstate(over="ignore", invalid="ignore"):
            return newton(
                lambda theta, _: local.evaluate(theta), self.pilot.theta, tol=1e-5, max_rounds=20,
                dispersion=problem.dispersion, may_separate=problem.may_separate,
            )  # fmt: skip

    @cached_property
    def curvature(self) -> float:
        """c of Newton's steps on this problem."""
        estimable = np.logical_and.reduce([split.estimable for split in self.random])
        starts = [theta for split in self.random for theta in split.thetas]
        return one_step_curvature(self.pilot, starts[:: 1 + (len(estimable) > _WIDE)], estimable)

    @cached_property
    def bias(self) -> dict[str, np.ndarray] | None:
        """First-order bias of a fit to as many rows as the pilot has; None where it has no formula.

        "mean" is Cox and Snell's, −½ H⁻¹ Σ w z (μ''/μ') x with z = x'H⁻¹x; "wlse" adds what weighting by information
        that depends on the estimate does, H⁻¹ Σ w' z x.
        """
        pilot = self.pilot
        problem, family = pilot.problem, pilot.problem.family
        if not bias_is_known(family) or family.predictors > 1:
            return None
        rng = np.random.default_rng([self.seed, 2])
        count = int(min(pilot.n, max(_MOST_PRODUCTS / len(pilot.theta) ** 2, 1_000)))
        block = pilot.block.take(np.sort(rng.choice(pilot.n, count, replace=False)))
        scaled = block.scaled(problem.center, problem.scale)
        eta = scaled.matvec(pilot.theta)
        r, w = np.empty_like(eta), np.empty_like(eta)
        family.link(eta, block.y, block.weight, problem.shape, None, r, w)
        slope = family.weight_derivative(eta, problem.shape) * np.ones_like(eta)
        if block.weight is not None:
            slope = slope * block.weight
        factor = Factor(pilot.information)
        values, vectors = np.linalg.eigh(np.nan_to_num(factor.inverse()))
        z = scaled.row_norms(np.sqrt(np.maximum(values, 0.0))[:, None] * vectors.T) ** 2
        own = scaled.transpose_matvec(np.ascontiguousarray(w * z * family.dmu_ratio(eta) * np.ones_like(z)))
        weighting = scaled.transpose_matvec(np.ascontiguousarray(slope * z))
        scale = pilot.phi * pilot.n / count
        mean = -0.5 * scale * factor.solve(own)
        return {"mean": mean, "wlse": scale * factor.solve(weighting) + mean}

    # -- distances

    def distance(
        self, estimator: str, machines: int, n_rows: int, corrected: bool, shuffled: bool = False
    ) -> float:
        """Distance of "mean" or "wlse" over machines of equal size to the exact estimate, in standard errors."""
        if machines <= 1 or (self.pilot.problem.family.quadratic and estimator == "wlse"):
            return 0.0
        n_each = n_rows / machines
        squared = self._random(estimator) / n_each
        if not shuffled:
            squared += self.differing(estimator) * n_rows
        if not corrected:
            squared += self._bias(estimator) * n_rows / n_each**2
        return float(np.sqrt(squared))

    def _random(self, estimator: str) -> float:
        """Squared distance of corrected combinations of random machines, times rows a machine."""
        return float(np.mean([self._squared(s, estimator, True) * s.n_each for s in self.random]))

    def _bias(self, estimator: str) -> float:
        """Squared bias in standard errors, times n²/N."""
        split = self.random[0]
        if self.bias is not None:
            shift = self.bias[estimator]
            own = distance_between(self.pilot, shift, np.zeros_like(shift), split.estimable) ** 2
            return own * self.pilot.n
        own = max(self._squared(split, estimator, False) - self._squared(split, estimator, True), 0.0)
        return own * split.n_each**2 / split.n

    def differing(self, estimator: str) -> float:
        """Squared distance, a row of all, that comes from machines that differ; often zero.

        NaN where they do differ, but by how much their combination suffers is lost in chance.
        """
        if self.pieces is None:
            return 0.0
        keep = np.logical_and(*(split.estimable for split in self.pieces))
        own, chance = (self._squared(split, estimator, True, keep) for split in self.pieces)
        if own > _MORE * chance + _AT_LEAST:
            return (own - chance) / self.pieces[0].n
        return np.nan if self.differ else 0.0

    @cached_property
    def differ(self) -> bool:
        """Whether the estimates of pieces differ by more than those of random rows: Cochran's Q of both."""
        if self.pieces is None:
            return False
        keep = np.logical_and(*(split.estimable for split in self.pieces))
        own, chance = (split.spread(keep) / self.pilot.phi for split in self.pieces)
        df = (len(self.pieces[0].sizes) - 1) * int(keep.sum())
        return bool(own > max(chance, df) + _SURE * np.sqrt(2 * df))

    def _squared(self, split: Split, estimator: str, corrected: bool, keep=None) -> float:
        """Squared distance of a combination to the fit of the same rows, in those rows' standard errors."""
        combined = split.combined(estimator)
        if corrected and self.bias is not None:
            combined = combined - self.bias[estimator] * (self.pilot.n / split.n_each)
        distance = distance_between(
            self.pilot, combined, split.together, split.estimable if keep is None else keep
        )
        return distance**2 * split.n / self.pilot.n if np.isfinite(distance) else 0.0
