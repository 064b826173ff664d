"""Monte Carlo EM for linear models with non-Gaussian noise: holes are drawn, not averaged."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from statkit.causal._fit import Fit, Options, edge_price
from statkit.causal._graph_em import covariance, precision, regress
from statkit.causal._incomplete import IncompleteData
from statkit.causal._noise import FAMILIES, fit_noise, gibbs_column, total_log_density
from statkit.causal.acyclicity import prune_to_acyclic, topological_order
from statkit.causal.em_gaussian import gaussian_draw, saturated_em, well_conditioned

#: Iterations of the Monte Carlo EM; estimates average over the later half.
N_ITER = 15
_BURN_IN = 30
_DRAWS = 100


class NoiseModel:
    """What draws missing entries; `chains` and `sweep` are the model's own.

    Gaussian approximations ``mean``, ``precision`` and ``covariance`` give the first draw.
    """

    family: np.ndarray
    mean: np.ndarray
    precision: np.ndarray
    covariance: np.ndarray

    def families(self) -> list[str]:
        """Return the name of each column's noise."""
        return [FAMILIES[code] for code in self.family]

    def chains(self, X, random) -> Chains:
        """Return completed copies of the rows of ``X`` as the sampler moves them."""
        filled = gaussian_draw(X, self.mean, self.precision, self.covariance, random)
        return Chains(filled, np.isnan(X))

    def sweep(self, chains: Chains, random) -> float:
        """Move every missing entry once; returns the share of accepted moves."""
        raise NotImplementedError

    def draw(self, X, seed: int, n_draws: int = _DRAWS) -> np.ndarray:
        """Return completed copies of ``X``, shape (n_draws, n, d)."""
        random = np.random.RandomState(seed)
        X = np.asarray(X, dtype=float)
        out = np.repeat(X[None], n_draws, axis=0)
        holes = np.flatnonzero(np.isnan(X).any(axis=1))
        if len(holes):
            chains = self.chains(X[holes], random)
            for _ in range(_BURN_IN):
                self.sweep(chains, random)
            for k in range(n_draws):
                for _ in range(3):
                    self.sweep(chains, random)
                out[k, holes] = chains.X
        return out


@dataclass(frozen=True)
class LinearNoiseModel(NoiseModel):
    """A linear graph with noise families, in the units of the data."""

    W: np.ndarray
    intercept: np.ndarray
    family: np.ndarray
    scale: np.ndarray
    mean: np.ndarray
    precision: np.ndarray
    covariance: np.ndarray

    def sweep(self, chains: Chains, random) -> float:
        """Move every missing entry once; returns the share of accepted moves."""
        return chains.sweep(self.W, self.intercept, self.family, self.scale, np.diag(self.precision), random)


class Chains:
    """Completed rows of a Metropolis-within-Gibbs sampler over their missing entries."""

    def __init__(self, filled, holes):
        self.X = np.ascontiguousarray(filled)
        self.rows = [np.flatnonzero(holes[:, j]) for j in range(holes.shape[1])]

    def sweep(self, W, intercept, family, scale, curvature, random) -> float:
        """Move every missing entry once; ``curvature`` is the diagonal of the precision."""
        E = self.X - intercept - self.X @ W
        accepted = total = 0
        for j, rows, step, log_uniform in self.proposals(curvature, random):
            children = np.flatnonzero(W[j])
            accepted += gibbs_column(self.X, E, rows, j, children, W, scale, family, step, log_uniform)
            total += len(rows)
        return accepted / total if total else 1.0

    def proposals(self, curvature, random):
        """Yield each column with holes, their rows, proposed changes and logarithms of uniform numbers.

        ``curvature`` (d,) is that of the log density of an entry: changes are 2.4 of its standard deviations.
        """
        for j, rows in enumerate(self.rows):
            if len(rows):
                step = random.normal(size=len(rows)) * 2.4 / np.sqrt(curvature[j])
                yield j, rows, step, np.log(random.uniform(size=len(rows)))


class Pool:
    """All rows of a table on the working scale: complete ones once, incomplete ones in several copies."""

    def __init__(self, data: IncompleteData, weight, n_chains: int, start, random):
        mean, Sigma = start
        values = (np.asarray(data.X, dtype=float) - data.shift) / data.unit
        keep = np.ones(len(values), dtype=bool)
        keep[data.dropped] = False
        values, weight = values[keep], weight[keep]
        open_ = np.isnan(values).any(axis=1)
        self.complete, rows = values[~open_], np.tile(values[open_], (n_chains, 1))
        filled = gaussian_draw(rows, mean, np.linalg.inv(Sigma), Sigma, random)
        self.chains = Chains(filled, np.isnan(rows))
        self.weight = np.concatenate([weight[~open_], np.tile(weight[open_] / n_chains, n_chains)])

    def table(self) -> np.ndarray:
        """Return the pooled rows; their weights are ``weight``."""
        return np.concatenate([self.complete, self.chains.X])

    @property
    def has_holes(self) -> bool:
        """True if a row has copies."""
        return len(self.chains.X) > 0


def moments(X, w) -> tuple[np.ndarray, np.ndarray]:
    """Return weighted mean and covariance (divisor: total weight)."""
    mean = w @ X / w.sum()
    R = X - mean
    return mean, (R * w[:, None]).T @ R / w.sum()


def fit_noise_model(data: IncompleteData, options: Options, random, *, start=None) -> Fit:
    """Fit the model "nongaussian"."""
    if start is not None:
        start = (start[0] - data.shift) / data.unit, start[1] / np.outer(data.unit, data.unit)
    mean, Sigma, _, used, _ = saturated_em(
        data, max_iter=options.init_max_iter, tol=1e-8, accelerate=options.accelerate, start=start
    )
    weight = data.weight
    pool = Pool(data, weight, options.n_chains, (mean, Sigma), random)
    price = edge_price(data, options)
    counts = data.pair_counts if options.effective_n else data.n
    n_iter = min(options.max_iter, N_ITER) if pool.has_holes else 1
    burn = n_iter // 2
    kept_S, kept_mean, logliks, scores = [], [], [], []
    order = None
    for t in range(n_iter):
        X = pool.table()
        mean, S = moments(X, pool.weight)
        S = well_conditioned(S)
        A, order = choose_graph(data, X, pool.weight, S, counts, price, options, order)
        if t >= burn:
            kept_S.append(S)
            kept_mean.append(mean)
        W, omega = regress(S, A, False)
        E = X - X @ W
        intercept = pool.weight @ E / pool.weight.sum()
        family, scale = fit_noise(E - intercept, pool.weight, options.noise)
        K = precision(W, omega)
        loglik = data.estep(mean, K, covariance(W, omega)).loglik
        logliks.append(loglik)
        scores.append(loglik - price * A.sum())
        if pool.has_holes and t < n_iter - 1:
            for _ in range(options.n_sweeps):
                pool.chains.sweep(W, intercept, family, scale, np.diag(K), random)
    # The answer: the last order, on the moments averaged over the later iterations.
    S, mean = np.mean(kept_S, axis=0), np.mean(kept_mean, axis=0)
    A = A if options.graph is not None else parents(S, counts, price, options, order)
    if options.threshold > 0:
        A = prune_to_acyclic(regress(S, A, False)[0], options.threshold, options.knowledge.required) != 0
    W, omega = regress(S, A, False)
    E = X - X @ W
    E -= pool.weight @ E / pool.weight.sum()
    family, scale = fit_noise(E, pool.weight, options.noise)
    return back_to_units(
        data, W, omega, A, mean, S, family, scale, logliks, scores, used + n_iter, price, (mean, S)
    )


def choose_graph(data, X, w, S, counts, price, options: Options, last):
    """Return graph and order for a pooled table; ``last`` is the order of the iteration before.

    The order of DirectLiNGAM, the last one and, at first, that of equal variances compete by likelihood:
    on the diluted tables of the first iterations DirectLiNGAM alone may go astray.
    """
    from statkit.causal.dag_learners import direct_lingam, top_down

    known = options.knowledge
    if options.graph is not None:
        return options.graph, topological_order(options.graph)
    if options.order is not None:
        return parents(S, counts, price, options, options.order), options.order
    by_variance = top_down(S * np.outer(data.unit, data.unit), knowledge=known, return_order=True)
    if options.learner == "order":
        return parents(S, counts, price, options, by_variance), by_variance
    if options.learner == "ica":
        from statkit.causal.dag_learners.ica import notears_ica

        lambda1 = 0.1 if options.lambda1 is None else options.lambda1
        W = notears_ica(X, sample_weight=w, lambda1=lambda1, knowledge=known)
        found = topological_order(prune_to_acyclic(W, options.threshold, known.required))
        found = known.feasible_order(found)
    else:
        found = direct_lingam(X, sample_weight=w, knowledge=known)
    best = None
    for order in (found, by_variance if last is None else last):
        A = parents(S, counts, price, options, order)
        score = noise_loglik(X, w, S, A, options.noise) - price * A.sum()
        if best is None or score > best[0]:
            best = score, A, order
    return best[1], best[2]


def noise_loglik(X, w, S, A, noise: str) -> float:
    """Return the log-likelihood of completed rows on the edges of ``A`` with the best noise families."""
    W, _ = regress(S, A, False)
    E = X - X @ W
    E -= w @ E / w.sum()
    family, scale = fit_noise(E, w, noise)
    return sum(
        total_log_density(family[j], np.ascontiguousarray(E[:, j]), scale[j], w) for j in range(len(S))
    )


def parents(S, counts, price, options: Options, order) -> np.ndarray:
    """Choose parents among predecessors."""
    from statkit.causal.dag_learners import select_parents

    return select_parents(S, counts, order, penalty=price, knowledge=options.knowledge)


def back_to_units(
    data, W, omega, A, mean, S, family, scale, logliks, scores, n_iter, price, saturated
) -> Fit:
    """Put a fit on the working scale into the units of the data."""
    unit, back = data.unit, np.outer(data.unit, data.unit)
    ratio = unit / unit[:, None]
    weights, centre = W * ratio, mean * unit + data.shift
    Sigma, K = covariance(W, omega), precision(W, omega)
    loglik = data.estep(mean, K, Sigma).loglik
    model = LinearNoiseModel(
        weights, centre - centre @ weights, family, scale * unit, centre, K / back, Sigma * back
    )
    return Fit(
        weights=weights,
        weights_se=np.where(A, np.nan, 0.0),
        adjacency=A,
        noise_var=omega * unit**2,
        mean=centre,
        covariance=Sigma * back,
        precision=K / back,
        S=S * back,
        loglik=loglik - data.log_unit,
        score=loglik - price * A.sum() - data.log_unit,
        loglik_path=np.array(logliks) - data.log_unit,
        score_path=np.array(scores) - data.log_unit,
        n_iter=n_iter,
        converged=True,
        saturated=(centre if saturated is None else saturated[0] * unit + data.shift, saturated[1] * back),
        extra=model,
    )
