"""Averaging lasso estimates of machines after their bias was taken out: many columns, one round, intervals."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from statkit.plans._machines import MachinePlan, label, line
from statkit.plans._report import report
from statkit.rounds.machines import Machines, portable
from statkit.rounds.problem import Evaluation
from statkit.rounds.tasks import Want
from statkit.solvers.cholesky import Factor
from statkit.solvers.coordinate_descent import minimise
from statkit.solvers.newton import NewtonResult, newton
from statkit.solvers.proximal_newton import proximal_newton

if TYPE_CHECKING:
    from numpy.typing import ArrayLike


__all__ = ["DebiasedAverage"]

_NOISE_STEPS = 3


class DebiasedAverage(MachinePlan):
    """Mean of the machines' debiased lasso estimates, with standard errors, for models with many columns.

    The lasso of a machine is shrunk, and the mean of such estimates stays so. Every machine takes the bias out with
    an approximate inverse of its own information, found column by column by a lasso; the mean then errs like a sum
    over all rows, and a threshold brings the zeros back.

    Parameters
    ----------
    n_partitions : int or None, default=None
        Number of machines to cut the rows into; None takes the partitions of the source.
    partition_by : str, array of shape (n,) or None, default=None
        Rows that share a value make one machine.
    penalty : float, default=1.0
        Penalty of the local lassos in units of √(2 log p) standard errors of a score.
    threshold : {"hard", "soft"}, default="hard"
        How ``estimate_.sparse_params`` is made: coefficients below √(2 log p) standard errors are zero; "soft" moves
        the others by as much towards zero.
    shuffle : bool, default=False
        Whether ``n_partitions`` deals rows at random.

    Notes
    -----
    The table holds the debiased mean, for which the errors are; ``sparse_params`` is nearer to the truth where that
    is sparse.

    Examples
    --------
    >>> import numpy as np
    >>> from statkit.plans import DebiasedAverage
    >>> from statkit.regression import GLMRegressor
    >>> rng = np.random.default_rng(0)
    >>> X = rng.standard_normal((2_000, 40))
    >>> fit = GLMRegressor(plan=DebiasedAverage(4)).fit(X, X[:, 3] + rng.standard_normal(2_000))
    >>> bool(fit.estimate_.sparse_params["x3"] > 0.8)
    True

    References
    ----------
    J. D. Lee, Q. Liu, Y. Sun and J. E. Taylor (2017), Communication-efficient sparse regression. S. van de Geer, P.
    Bühlmann, Y. Ritov and R. Dezeure (2014), On asymptotically optimal confidence regions and tests for
    high-dimensional models.
    """

    bootstraps = False

    def __init__(
        self,
        n_partitions: int | None = None,
        *,
        partition_by: str | ArrayLike | None = None,
        penalty: float = 1.0,
        threshold: Literal["hard", "soft"] = "hard",
        shuffle: bool = False,
    ) -> None:
        self.n_partitions = n_partitions
        self.partition_by = partition_by
        self.penalty = penalty
        self.threshold = threshold
        self.shuffle = shuffle

    def estimate(self, problem: Any) -> Any:
        """Fit ``problem``; returns an :class:`~statkit.results.Estimate`."""
        started = time.perf_counter()
        self._choice("threshold", ("hard", "soft"))
        if not self.penalty > 0:
            raise ValueError(f"DebiasedAverage(penalty=…) must be positive, not {self.penalty!r}")
        self._prepare(problem)
        if problem.alpha:
            raise ValueError("DebiasedAverage has a penalty of its own: leave the estimator's alpha at 0")
        if problem.family.predictors > 1 or problem.cov_type != "nonrobust":
            raise ValueError("DebiasedAverage is for one linear predictor and cov_type='nonrobust'")
        out = problem.session.round(debiased_fit, portable(problem), float(self.penalty))["machines"]
        machines = [m for m in out if m["n"]]
        if not machines:
            raise ValueError("no row is left to fit: all rows have missing values or zero weights")
        n = sum(m["n"] for m in machines)
        share = np.array([m["n"] for m in machines]) / n
        theta = share @ np.array([m["theta"] for m in machines])
        e = _pooled(problem, machines, theta, out)
        phi = 1.0
        if problem.dispersion is not None:
            phi = sum(m["pearson"] for m in machines) / max(n - sum(m["active"] for m in machines), 1)
            e.sums["pearson"] = e.pearson = phi * max(n - problem.size, 1)
        covariance = phi * sum(w**2 * m["V"] for w, m in zip(share, machines, strict=True))
        result = NewtonResult(
            theta, e, Factor(np.diag(np.maximum(np.diag(e.information), 1e-300))), np.nan,
            all(m["converged"] for m in machines), np.zeros(problem.size, bool), [line(1, started, "local lassos")],
        )  # fmt: skip
        extra = {
            "sparse_params": self._sparse(problem, theta, covariance),
            "partitions": _table(problem, machines, out),
        }
        notes = [
            "Estimates are the debiased mean; estimate_.sparse_params are those that a threshold leaves."
        ]
        return report(problem, self, result, covariance=covariance, notes=notes, extra=extra)

    def _sparse(self, problem, theta, covariance):
        """Thresholded slopes, and the intercept that goes with them, in public units."""
        import pandas as pd

        i = int(problem.design.intercept)
        reach = np.sqrt(2 * np.log(max(problem.size - i, 2)) * np.diag(covariance))
        kept = np.where(np.abs(theta) > reach, theta, 0.0)
        if self.threshold == "soft":
            kept = np.sign(kept) * np.maximum(np.abs(kept) - reach, 0.0)
        if i:
            kept[0] = theta[0]
        return pd.Series(problem.public_values(kept), index=problem.design.names)


def debiased_fit(block, problem, penalty: float) -> dict:
    """Lasso of a machine's rows, debiased, and the covariance that it then has (without the dispersion)."""
    n = int(block.n_rows if block.weight is None else np.count_nonzero(block.weight))
    record = {"n": n, "n_read": block.n_read, "n_missing": block.n_missing, "n_rows": block.n_rows}
    if not n:
        return {"machines": Machines([record])}
    local = problem.local(block)
    i, q = int(problem.design.intercept), problem.size
    theta = local.null_theta(*local.response())
    e = local.evaluate(theta)
    slopes = np.arange(i, q)
    spread = np.sqrt(np.maximum(np.diag(_profiled(e.information, i)), 0.0))
    price = np.zeros(q)
    price[i:] = penalty * np.sqrt(2 * np.log(max(q - i, 2))) * spread
    phi = 1.0 if local.dispersion is None else local.dispersion(e, i)
    for _ in range(1 if local.dispersion is None else _NOISE_STEPS):
        scaled = price * np.sqrt(phi)
        result = proximal_newton(
            lambda at, *_: local.evaluate(at), theta, lambda _, s=scaled: s, max_rounds=50
        )
        theta = result.theta
        e = local.evaluate(theta, Want(sums=True))
        active = int(np.count_nonzero(theta[i:])) + i
        phi = 1.0 if local.dispersion is None else e.pearson / max(n - active, 1)
    if not problem.family.quadratic:
        # A shrunk start is too far off for one linear step: the chosen columns are fitted again, unpenalised.
        chosen = (theta != 0) | (np.arange(q) < i)
        refit = newton(
            lambda at, _: local.evaluate(at), theta, keep=chosen, max_rounds=50, dispersion=local.dispersion,
            may_separate=local.may_separate,
        )  # fmt: skip
        if refit.converged and not refit.separated.any():
            theta = np.where(np.isnan(refit.theta), 0.0, refit.theta)
            e = local.evaluate(theta, Want(sums=True))
    H, g = e.information, e.gradient
    G = _profiled(H, i)
    T = _nodewise(G, penalty, n)
    lean = H[0, i:] / H[0, 0] if i else np.zeros(q)
    moved = np.zeros(q)
    moved[slopes] = T @ (g[i:] - (lean * g[0] if i else 0.0))
    V = np.zeros((q, q))
    V[i:, i:] = T @ G @ T.T
    if i:
        moved[0] = g[0] / H[0, 0] - lean @ moved[1:]
        V[0, 1:] = V[1:, 0] = -lean @ V[1:, 1:]
        V[0, 0] = 1 / H[0, 0] + lean @ V[1:, 1:] @ lean
    record |= {
        "theta": theta + moved, "lasso": theta, "g": g, "H": H, "V": V, "active": active, "loss": e.loss,
        "sums": e.sums, "pearson": e.sums["pearson"], "weight": e.weight, "y": e.y, "null": e.null,
        "converged": bool(result.converged),
    }  # fmt: skip
    return {"machines": Machines([record])}


def _profiled(H, i):
    """Information of the slopes once the intercept is free."""
    return H[i:, i:] - np.outer(H[i:, 0], H[0, i:]) / H[0, 0] if i and H[0, 0] > 0 else H[i:, i:].copy()


def _nodewise(G, penalty, n):
    """Approximate inverse of ``G``: every column is predicted from the others by a lasso."""
    p = len(G)
    root = np.sqrt(np.diag(G))
    alive = root > 0
    root = np.where(alive, root, 1.0)
    unit = G / root / root[:, None]
    price = np.full(p - 1, penalty * np.sqrt(2 * np.log(max(p, 2)) / n))
    T = np.zeros((p, p))
    for j in np.flatnonzero(alive):
        others = np.delete(np.arange(p), j)
        gamma = minimise(np.ascontiguousarray(unit[np.ix_(others, others)]), unit[others, j], price)
        left = unit[j, j] - unit[j, others] @ gamma
        T[j, j] = 1.0
        T[j, others] = -gamma
        T[j] /= max(left, 1e-12)
    return T / root / root[:, None]


def _pooled(problem, machines, theta, out):
    """Sums at the mean from those at the local lassos, to second order."""
    gains = []
    for m in machines:
        step = theta - m["lasso"]
        gains.append(2 * float(m["g"] @ step) - float(step @ m["H"] @ step))
    gain = sum(gains)
    sums = {key: sum(m["sums"][key] for m in machines) for key in machines[0]["sums"]}
    sums["loss"] -= gain / 2
    sums["deviance"] -= gain
    y, weight = sum(np.asarray(m["y"]) for m in machines), sum(m["weight"] for m in machines)
    null = {"deviance": np.nan}
    if problem.family.name != "gaussian" and problem.design.intercept:
        value = problem.family.null_loss(np.ravel(y)[0], weight, problem.shape)
        null = {"deviance": sums["deviance"] + 2 * (value - sums["loss"])}
    return Evaluation(
        theta, sums["loss"], None, sum(m["H"] for m in machines), sum(m["n"] for m in machines),
        sum(m["n_read"] for m in out), sum(m["n_missing"] for m in out), weight, sums["pearson"], sums, null, y=y,
        n_rows=sum(m["n_rows"] for m in out),
    )  # fmt: skip


def _table(problem, machines, out):
    import pandas as pd

    index = [k for k, m in enumerate(out) if m["n"]]
    return pd.DataFrame({
        "partition": [label(problem, k) for k in index], "rows": [m["n"] for m in machines],
        "active": [m["active"] for m in machines], "converged": [m["converged"] for m in machines],
    })  # fmt: skip
