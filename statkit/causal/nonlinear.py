"""Monte Carlo EM for additive models: parents act through smooth functions, holes are drawn.

Functions are kept as tables over a grid: the sampler looks them up, and moving an entry costs one look a child.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numba import njit

from statkit.causal._fit import Fit, Options, edge_price
from statkit.causal._incomplete import IncompleteData
from statkit.causal._noise import fit_noise, log_density, total_log_density
from statkit.causal.dag_learners.splines import AdditiveScore, Products, SplineBasis, search
from statkit.causal.em_gaussian import saturated_em, well_conditioned
from statkit.causal.knowledge import Knowledge
from statkit.causal.mcem import N_ITER, Chains, NoiseModel, Pool, moments

_N_KNOTS = 5
#: Iterations in which an edge costs half its price. What is drawn without an edge speaks against it, so an edge that is
#: left out at first would starve; for nothing, edges would come in that then feed themselves.
_GENEROUS = 3
_GRID = 256
#: Quantiles of a column's noise that are kept, to draw from it.
_QUANTILES = np.linspace(0.0, 1.0, 201)
_DRAWN = 20_000


@njit(cache=True, nogil=True)
def look_up(table, low, width, x):
    """Value at ``x`` of a function tabulated from ``low`` in steps of ``width``; straight beyond the ends."""
    t = (x - low) / width
    k = min(max(int(np.floor(t)), 0), table.shape[0] - 2)
    return table[k] + (t - k) * (table[k + 1] - table[k])


@njit(cache=True, nogil=True)
def additive_residuals(X, A, tables, low, width, intercept, E):
    """Fill ``E`` with the columns less intercept and effects; ``tables[i, j]`` is the effect of i on j."""
    n, d = X.shape
    for j in range(d):
        for r in range(n):
            E[r, j] = X[r, j] - intercept[j]
        for i in range(d):
            if A[i, j]:
                for r in range(n):
                    E[r, j] -= look_up(tables[i, j], low[i], width[i], X[r, i])


@njit(cache=True, nogil=True)
def gibbs_additive(X, E, rows, j, children, tables, low, width, scale, family, step, log_uniform):
    """Update the missing entries of column ``j`` by one Metropolis step each; returns the number accepted.

    As `gibbs_column`, with ``tables[k]`` the effect of column j on column k.
    """
    accepted = 0
    change = np.empty(children.shape[0])
    for m in range(rows.shape[0]):
        r = rows[m]
        x = X[r, j]
        moved = E[r, j] + step[m]
        ratio = log_density(family[j], moved / scale[j]) - log_density(family[j], E[r, j] / scale[j])
        for c in range(children.shape[0]):
            k = children[c]
            change[c] = look_up(tables[k], low, width, x + step[m]) - look_up(tables[k], low, width, x)
            ratio += log_density(family[k], (E[r, k] - change[c]) / scale[k])
            ratio -= log_density(family[k], E[r, k] / scale[k])
        if log_uniform[m] < ratio:
            accepted += 1
            X[r, j] = x + step[m]
            E[r, j] = moved
            for c in range(children.shape[0]):
                E[r, children[c]] -= change[c]
    return accepted


@dataclass(frozen=True)
class AdditiveNoiseModel(NoiseModel):
    """An additive graph with noise families, on the scale (x − shift) / unit.

    ``tables[i, j]`` is the effect of column i on column j over the grid ``low[i] + width[i] * (0, 1, …)``;
    ``curvature`` (d,) about that of the log density of an entry; ``quantiles`` (d, …) those of the noise.
    """

    A: np.ndarray
    tables: np.ndarray
    low: np.ndarray
    width: np.ndarray
    intercept: np.ndarray
    family: np.ndarray
    scale: np.ndarray
    omega: np.ndarray
    curvature: np.ndarray
    quantiles: np.ndarray
    mean: np.ndarray
    precision: np.ndarray
    covariance: np.ndarray
    shift: np.ndarray
    unit: np.ndarray

    def residuals(self, X) -> np.ndarray:
        """Return the noise of completed rows."""
        E = np.empty_like(X)
        additive_residuals(X, self.A, self.tables, self.low, self.width, self.intercept, E)
        return E

    def sweep(self, chains: Chains, random) -> float:
        """Move every missing entry once; returns the share of accepted moves."""
        E = self.residuals(chains.X)
        accepted = total = 0
        for j, rows, step, log_uniform in chains.proposals(self.curvature, random):
            children = np.flatnonzero(self.A[j])
            accepted += gibbs_additive(
                chains.X, E, rows, j, children, self.tables[j], self.low[j], self.width[j],
                self.scale, self.family, step, log_uniform,
            )  # fmt: skip
            total += len(rows)
        return accepted / total if total else 1.0

    def draw(self, X, seed: int, n_draws: int = 100) -> np.ndarray:
        """Return completed copies of ``X`` (in the units of the data), shape (n_draws, n, d)."""
        X = np.asarray(X, dtype=float)
        drawn = super().draw((X - self.shift) / self.unit, seed, n_draws)
        return np.where(np.isnan(X), drawn * self.unit + self.shift, X)

    def effect(self, i: int, j: int, x) -> np.ndarray:
        """Return the effect of column i on column j at values of i, in the units of the data; its mean is 0."""
        grid = self.low[i] + self.width[i] * np.arange(self.tables.shape[2])
        z = (np.asarray(x, dtype=float) - self.shift[i]) / self.unit[i]
        table = self.tables[i, j]
        inside = np.interp(z, grid, table)
        ends = np.where(z < grid[0], table[1] - table[0], table[-1] - table[-2]) / self.width[i]
        return (inside + ends * (z - np.clip(z, grid[0], grid[-1]))) * self.unit[j]

    def intervene(self, values: dict[int, float], order, seed: int) -> tuple[np.ndarray, np.ndarray]:
        """Return mean and covariance of drawn rows in which some columns are set to values."""
        random = np.random.RandomState(seed)
        d = len(self.unit)
        X = np.empty((_DRAWN, d))
        for j in order:
            if j in values:
                X[:, j] = values[j]
                continue
            noise = np.interp(random.uniform(size=_DRAWN), _QUANTILES, self.quantiles[j])
            X[:, j] = (self.intercept[j] + noise) * self.unit[j] + self.shift[j]
            for i in np.flatnonzero(self.A[:, j]):
                X[:, j] += self.effect(i, j, X[:, i])
        return X.mean(axis=0), np.cov(X.T, bias=True).reshape(d, d)


def fit_additive_model(data: IncompleteData, options: Options, random, *, start=None) -> Fit:
    """Fit the model "nonlinear"."""
    if start is not None:
        start = (start[0] - data.shift) / data.unit, start[1] / np.outer(data.unit, data.unit)
    mean, Sigma, _, used, _ = saturated_em(
        data, max_iter=options.init_max_iter, tol=1e-8, accelerate=options.accelerate, start=start
    )
    saturated = mean * data.unit + data.shift, Sigma * np.outer(data.unit, data.unit)
    pool = Pool(data, data.weight, options.n_chains, (mean, Sigma), random)
    values = (np.asarray(data.X, dtype=float) - data.shift) / data.unit
    basis = SplineBasis(values, data.weight, _N_KNOTS)
    price = edge_price(data, options)
    counts = data.pair_counts if options.effective_n else np.full((data.d, data.d), data.n)
    # Completed tables hold what missing pairs say for an edge that is there: their rows count, but in the answer.
    everywhere = np.where(data.pair_counts > 0, data.n, 0.0)
    knowledge = _restricted(options)
    generous = _GENEROUS if pool.has_holes else 0
    n_iter = min(options.max_iter, N_ITER) if pool.has_holes else 1
    kept: list[Products] = []
    kept_moments = []
    logliks, scores = [], []
    A = None
    for t in range(n_iter):
        X = pool.table()
        products = Products.of(basis, X, pool.weight)
        score = AdditiveScore(basis, products, everywhere, price / 2 if t < generous else price)
        if t >= n_iter // 2:
            kept.append(products)
            kept_moments.append(moments(X, pool.weight))
        A = _graph(score, options, knowledge)
        model, loglik = _model(data, score, A, X, pool.weight, options)
        logliks.append(loglik)
        scores.append(loglik - price * A.sum())
        if pool.has_holes and t < n_iter - 1:
            for _ in range(options.n_sweeps):
                model.sweep(pool.chains, random)
    # The answer: the graph and functions for products averaged over the later iterations.
    score = AdditiveScore(basis, Products.mean(kept), counts, price)
    A = _graph(score, options, knowledge, A)
    model, loglik = _model(data, score, A, X, pool.weight, options)
    mean, S = (np.mean(parts, axis=0) for parts in zip(*kept_moments, strict=True))
    S = well_conditioned(S)
    unit, back = data.unit, np.outer(data.unit, data.unit)
    return Fit(
        weights=_mean_slopes(model, X, pool.weight) * (unit / unit[:, None]),
        weights_se=np.where(A, np.nan, 0.0),
        adjacency=A,
        noise_var=model.omega * unit**2,
        mean=mean * unit + data.shift,
        covariance=S * back,
        precision=np.linalg.inv(S) / back,
        S=S * back,
        loglik=loglik - data.log_unit,
        score=loglik - price * A.sum() - data.log_unit,
        loglik_path=np.array([*logliks, loglik]) - data.log_unit,
        score_path=np.array([*scores, loglik - price * A.sum()]) - data.log_unit,
        n_iter=used + n_iter,
        converged=True,
        saturated=saturated,
        extra=model,
    )


def _restricted(options: Options) -> Knowledge:
    """Knowledge, and the order if one is given."""
    if options.order is None:
        return options.knowledge
    place = np.argsort(options.order)
    return options.knowledge._replace(allowed=options.knowledge.allowed & (place[:, None] < place))


def _graph(score: AdditiveScore, options: Options, knowledge: Knowledge, start=None) -> np.ndarray:
    return options.graph if options.graph is not None else search(score, knowledge, start)


def _model(data, score: AdditiveScore, A, X, w, options: Options) -> tuple[AdditiveNoiseModel, float]:
    """Return functions and noise on the edges of ``A``, and the log-likelihood of the completed table."""
    basis, centre = score.basis, score.products.centre
    d = len(A)
    tables = np.zeros((d, d, _GRID))
    low, width = np.empty(d), np.empty(d)
    for i in range(d):
        first, last = basis.knots[i][0], basis.knots[i][-1]
        span = max(last - first, 1e-6)
        low[i], width[i] = first - span, 3.0 * span / (_GRID - 1)
        children = np.flatnonzero(A[i])
        if not len(children):
            continue
        at = basis.columns([i])
        B = basis.evaluate(i, low[i] + width[i] * np.arange(_GRID)) - centre[at]
        for j in children:
            parents = np.flatnonzero(A[:, j])
            place = np.searchsorted(basis.columns(parents), at)
            tables[i, j] = B @ score.coefficients(j, parents)[place]
    E = np.empty_like(X)
    additive_residuals(X, A, tables, low, width, np.zeros(d), E)
    intercept = w @ E / w.sum()
    E -= intercept
    omega = w @ np.square(E) / w.sum()
    family, scale = fit_noise(E, w, options.noise)
    loglik = sum(total_log_density(family[j], np.ascontiguousarray(E[:, j]), scale[j], w) for j in range(d))
    mean, S = moments(X, w)
    S = well_conditioned(S)
    model = AdditiveNoiseModel(
        A, tables, low, width, intercept, family, scale, omega, np.ones(d),
        np.array([_weighted_quantiles(E[:, j], w) for j in range(d)]),
        mean, np.linalg.inv(S), S, data.shift, data.unit,
    )  # fmt: skip
    squares = _mean_slopes(model, X, w, power=2)
    floor = np.maximum(omega, 1e-8)
    return replace(model, curvature=1.0 / floor + (squares / floor).sum(axis=1)), loglik


def _mean_slopes(model: AdditiveNoiseModel, X, w, power: int = 1) -> np.ndarray:
    """Return the mean slope of every effect over the rows, or the mean square of it."""
    out = np.zeros(model.A.shape)
    for i, j in np.argwhere(model.A):
        slopes = np.diff(model.tables[i, j]) / model.width[i]
        at = np.clip(((X[:, i] - model.low[i]) / model.width[i]).astype(int), 0, len(slopes) - 1)
        out[i, j] = w @ slopes[at] ** power / w.sum()
    return out


def _weighted_quantiles(x, w) -> np.ndarray:
    order = np.argsort(x)
    share = (np.cumsum(w[order]) - 0.5 * w[order]) / w.sum()
    return np.interp(_QUANTILES, share, x[order])
