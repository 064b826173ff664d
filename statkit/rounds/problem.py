"""A problem: a family, a design and a session, and what estimation asks of the three together.

The same class serves the whole data, a pilot, a subsample and one machine's rows: they differ in the session.
"""

from __future__ import annotations

import copy
import time
from dataclasses import dataclass

import numpy as np

from statkit.engines import SerialEngine
from statkit.rounds.tasks import (
    Want,
    column_scaling,
    context_sums,
    evaluate,
    response_sums,
    sample_rows,
)

__all__ = ["Evaluation", "NoRowsLeft", "Problem"]

_NOTHING = np.empty(0)


@dataclass(slots=True)
class Evaluation:
    """Penalised objective at θ: minus log-likelihood (dispersion 1), score and information, with the sums."""

    theta: np.ndarray
    loss: float
    gradient: np.ndarray | None
    information: np.ndarray | None
    n: int
    n_read: int
    n_missing: int
    weight: float
    pearson: float | None = None
    sums: dict | None = None
    null: dict | None = None
    meat: object = None
    null_step: np.ndarray | None = None
    y: np.ndarray | None = None
    n_rows: int = 0
    scores: object = None
    sums_theta: np.ndarray | None = None  # where sums and meat are from, if not from theta


class NoRowsLeft(ValueError):
    """Every row was dropped or set aside."""


class _Held:
    """Loads the one block that it holds: the source of a problem in memory."""

    def __init__(self, block):
        self.block = block

    def __call__(self, partition):
        return self.block


#: Of a column, beyond which the square of its coefficient has no room in double precision.
_LARGEST_SPREAD = 1e140


class Problem:
    """Everything a plan needs to estimate a model.

    Parameters
    ----------
    family : Family
    design : Design
        Frozen.
    session : Session
    alpha, l1_ratio : float
        Penalty in units of the mean loss, never on the intercept, and the share of it that is absolute values.
    shape : ndarray
        Shape parameters of the family (negative binomial α), current values.
    cov_type : str
        Covariance of the estimate that is asked for.
    seed : int
        For pilots and samples.
    """

    def __init__(
        self,
        family,
        design,
        session,
        *,
        alpha=0.0,
        l1_ratio=0.0,
        shape=_NOTHING,
        cov_type="nonrobust",
        seed=0,
        scaling=None,
    ):
        self.family = family
        self.design = design
        self.session = session
        self.alpha = alpha
        self.l1_ratio = l1_ratio
        self.shape = shape
        self.cov_type = cov_type
        self.seed = seed
        self.machines = None  # labels of the partitions, where they are machines
        self.classes = None  # labels of the response, where they were coded before the design saw them
        self.engine_name = "serial"
        self.stream = None  # state of a plan that can go on with more rows
        self.started = time.perf_counter()
        if scaling is None:
            scaling = session.round(column_scaling, family.centered, partitions=session.partitions[:1])
            session.n_rounds -= 1  # a look at a few rows, not a round over the data
            session.rows_visited -= session.partitions[0].n_rows
        self.center, self.scale = scaling["center"], scaling["scale"]
        self._check_scale()

    def _check_scale(self):
        """Refuse columns whose coefficients would have variances that are no numbers."""
        with np.errstate(divide="ignore"):  # a column that holds infinity, which is refused with its row
            spread = 1.0 / self.scale
        bad = np.isfinite(spread) & ((spread > _LARGEST_SPREAD) | (spread < 1.0 / _LARGEST_SPREAD))
        if bad.any():
            j = int(np.argmax(bad))
            name = self.design.names[self.design.position[int(self.design.intercept) + j]]
            raise ValueError(
                f"column {name!r} has values of the order of {spread[j]:.0e}, whose squares are not numbers in "
                f"double precision: {'divide' if spread[j] > 1 else 'multiply'} it by a constant"
            )

    @property
    def width(self) -> int:
        """Internal columns of one predictor, the intercept included."""
        return len(self.design.position)

    @property
    def size(self) -> int:
        """Number of coefficients."""
        return self.width * self.family.predictors + self.family.n_thresholds

    @property
    def stride(self) -> int:
        """Internal parameters of one predictor, thresholds among them."""
        return self.width + self.family.n_thresholds

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the public parameters of one predictor: the design's, then thresholds."""
        m = self.family.n_thresholds
        labels = self.classes if self.classes is not None else self.design.classes
        labels = range(m + 1) if labels is None else labels
        return (*self.design.names, *(f"{labels[j]}|{labels[j + 1]}" for j in range(m)))

    @property
    def in_memory(self) -> bool:
        """Whether blocks are views of the caller's arrays, so that another look at them costs no reading."""
        return not self.design.columns

    @property
    def meat(self) -> str | None:
        """Which sums of score products the covariance needs."""
        return {
            "nonrobust": None, "between": None, "cluster": "groups", "partition": "partitions", "bootstrap": "bootstrap",
        }.get(self.cov_type, "rows")  # fmt: skip

    @property
    def is_sparse(self) -> bool:
        """Whether absolute values of coefficients are penalised."""
        return bool(self.alpha and self.l1_ratio)

    @property
    def may_separate(self) -> bool:
        """Whether the family's likelihood can lack a maximum at finite coefficients."""
        return not self.alpha and self.family.name in (
            "binomial",
            "quasi_binomial",
            "softmax",
            "cox",
            "ordered",
        )

    @property
    def dispersion(self):
        """``(evaluation, rank) -> φ`` for the stopping rule, or None where φ = 1."""
        return None if self.family.dispersion == "known" else _pearson_dispersion

    def penalty(self, weight: float) -> np.ndarray | None:
        """Diagonal of the ridge penalty in internal coordinates, for data of total weight ``weight``."""
        ridge = self.alpha * (1 - self.l1_ratio)
        return self.on_slopes(ridge * weight, 2) if ridge else None

    def l1_penalty(self, weight: float) -> np.ndarray | None:
        """Factors of the absolute values of the internal coefficients, as `penalty`."""
        lasso = self.alpha * self.l1_ratio
        return self.on_slopes(lasso * weight, 1) if lasso else None

    def on_slopes(self, value: float, power: int) -> np.ndarray:
        """``value`` for every slope, in the units of the internal coefficients to ``power``; zero for intercepts."""
        diagonal = np.full(self.width, value)
        i = int(self.design.intercept)
        if i:
            diagonal[0] = 0.0
        if self.scale.size:
            diagonal[i : i + len(self.scale)] *= self.scale**power
        return np.append(np.tile(diagonal, self.family.predictors), np.zeros(self.family.n_thresholds))

    def evaluate(self, theta: np.ndarray, want: Want = Want(), null=None) -> Evaluation:  # noqa: B008 - frozen
        """One round, or two for a family with context: the objective at θ over all rows."""
        family, context = self.family, None
        if family.context is not None:
            context, null = self.context(theta, want.information), None
        rows = None if context is None else context.rows
        out = self.session.round(
            evaluate, family, theta, self.shape, self.center, self.scale, null, want, rows
        )
        if context is not None:
            family.close(out, context)
        return self._penalised(theta, out)

    def context(self, theta: np.ndarray, moments: bool = True):
        """One round: what the family must know of all rows at θ before it can evaluate any."""
        out = self.session.round(context_sums, self.family, theta, self.center, self.scale, moments)
        return self.family.prepare(out["context"])

    def _penalised(self, theta, out) -> Evaluation:
        _must_have_rows(out["n"], out["n_read"], out["n_missing"])
        e = Evaluation(
            theta, out["loss"], out.get("gradient"), out.get("information"), out["n"], out["n_read"],
            out["n_missing"], out["weight"], out.get("pearson"), out.get("sums"), out.get("null"), out.get("meat"),
            out.get("null_step"), out["y"], out["n_rows"], out.get("scores"),
        )  # fmt: skip
        diagonal = self.penalty(e.weight)
        if diagonal is not None:
            e.loss += 0.5 * float(diagonal @ (theta * theta))
            if e.gradient is not None:
                e.gradient = e.gradient - diagonal * theta
            if e.information is not None:
                e.information = e.information + np.diag(diagonal)
        return e

    def response(self) -> tuple[np.ndarray, float]:
        """Weighted sum(s) of the response and the sum of weights."""
        family = self.family
        out = self.session.round(
            response_sums, family.n_classes if family.n_thresholds else family.predictors + 1
        )
        if not out["weight"] > 0:
            _must_have_rows(0, out["n_read"], out["n_missing"])
        return out["y"], out["weight"]

    def null_theta(self, y_sum: np.ndarray, weight: float) -> np.ndarray:
        """Start: the intercept that fits the mean response, zero slopes."""
        theta = np.zeros(self.size)
        if self.family.n_thresholds:
            theta[self.width :] = self.family.null_thresholds(_per_class(y_sum, weight))
        elif self.design.intercept and self.family.context is None:
            theta[:: self.width] = self.family.null_eta(y_sum if len(y_sum) > 1 else y_sum[0], weight)
        return theta

    def sample(self, size: int, seed: int, partitions=None) -> Problem:
        """A random sample of about ``size`` rows as a problem in memory, evenly over ``partitions``."""
        chosen = self.session.partitions if partitions is None else partitions
        read = sum(p.n_rows for p in chosen)
        block = self.session.round(sample_rows, seed, size / max(1, read), 1, partitions=chosen)[
            "kept"
        ].block()
        if self.session.all_cached or self.in_memory:
            self.session.rows_visited -= read - block.n_rows  # nothing else was looked at
        return self.local(block)

    def with_scaling(self, center: np.ndarray, scale: np.ndarray) -> Problem:
        """The same problem with other centres and scales of the dense columns."""
        other = copy.copy(self)
        other.center, other.scale = center, scale
        return other

    def without_rows(self) -> Problem:
        """The model alone, for rows that come later."""
        other = copy.copy(self)
        other.session = other.stream = None
        return other

    def local_with(self, block, center: np.ndarray, scale: np.ndarray) -> Problem:
        """The same model on one block in memory, with its own scaling."""
        return self.with_scaling(center, scale).local(block)

    def local(self, block) -> Problem:
        """The same model on one block in memory."""
        from statkit.sources.partition import Partition

        partition = Partition(0, None, None, 0, block.n_rows, None)
        session = SerialEngine(0).open(_Held(block), [partition])
        return Problem(
            self.family, self.design, session, alpha=self.alpha, l1_ratio=self.l1_ratio, shape=self.shape,
            scaling={"center": self.center, "scale": self.scale},
        )  # fmt: skip

    def unscale(self) -> np.ndarray:
        """Matrix T (width, width) that maps scaled internal coefficients to those of the raw columns."""
        T = np.eye(self.width + self.family.n_thresholds)
        if self.scale.size:
            i = int(self.design.intercept)
            d = len(self.scale)
            T[range(i, i + d), range(i, i + d)] = self.scale
            if i:
                T[0, 1 : 1 + d] = -self.center * self.scale
            T[self.width :, :d] = self.center * self.scale  # thresholds take up what centring took off
        return T

    def _rescale(self) -> np.ndarray:
        """The inverse of `unscale`, which is known in closed form and exists at any scale."""
        T = np.eye(self.width + self.family.n_thresholds)
        if self.scale.size:
            i = int(self.design.intercept)
            d = len(self.scale)
            T[range(i, i + d), range(i, i + d)] = 1.0 / self.scale
            if i:
                T[0, 1 : 1 + d] = self.center
            T[self.width :, :d] = -self.center
        return T

    @property
    def position(self) -> np.ndarray:
        """Public position of each internal parameter of one predictor."""
        first = len(self.design.names)
        return np.append(self.design.position, np.arange(first, first + self.family.n_thresholds)).astype(
            np.intp
        )

    @property
    def internal_names(self) -> list[str]:
        """Public name of each internal parameter, predictors one after another."""
        return [self.names[j] for j in self.position] * self.family.predictors

    def public_values(self, theta: np.ndarray) -> np.ndarray:
        """θ in the order and units of ``design.names``, classes one after another.

        NaN stays NaN (columns left out), and levels that were set aside get their limit, ±inf.
        """
        K, names, position = self.family.predictors, len(self.names), self.position
        values = np.full((K, names), np.nan)
        raw = theta.reshape(K, -1)
        if self.scale.size:
            raw = np.where(np.isnan(raw), np.nan, np.where(np.isnan(raw), 0.0, raw) @ self.unscale().T)
        values[:, position] = raw
        for name, limit in self.design.limits.items():
            values[:, self.design.names.index(name)] = limit
        return values.ravel()

    def internal_values(self, values: np.ndarray) -> np.ndarray:
        """The way back from `public_values`; zero for columns left out."""
        raw = values.reshape(self.family.predictors, -1)[:, self.position]
        raw = np.where(np.isfinite(raw), raw, 0.0)
        return (raw @ self._rescale().T if self.scale.size else raw).ravel()

    def public_matrix(self, M: np.ndarray, *, inverse: bool = False) -> np.ndarray:
        """A covariance of θ (or, with ``inverse``, an information or meat) in public order and units.

        NaN in the rows and columns of columns left out and of levels set aside.
        """
        K, names = self.family.predictors, len(self.names)
        left_out = np.isnan(np.diag(M))
        M = np.where(np.isnan(M), 0.0, M)
        if self.scale.size:
            T = self._rescale().T if inverse else self.unscale()
            T = np.kron(np.eye(K), T) if K > 1 else T
            with np.errstate(over="ignore", invalid="ignore"):  # columns of 1e300 have no finite information
                M = T @ M @ T.T
        M[left_out] = np.nan
        M[:, left_out] = np.nan
        where = (np.arange(K)[:, None] * names + self.position).ravel()
        full = np.full((K * names, K * names), np.nan)
        full[np.ix_(where, where)] = M
        return full


def _per_class(y_sum, weight):
    """Weight of every class; two classes may come as the weight of the second."""
    return y_sum if len(y_sum) > 1 else np.array([weight - y_sum[0], y_sum[0]])


def _pearson_dispersion(evaluation, rank):
    return evaluation.pearson / max(evaluation.n - rank, 1)


def _must_have_rows(n, n_read, n_missing):
    if n == 0 and n_missing == n_read:
        raise NoRowsLeft(f"no row is left to fit: all {n_read:,} rows have missing values or were set aside")
    if n == 0:
        raise ValueError("every sample weight is zero: at least one row must have a positive weight")
