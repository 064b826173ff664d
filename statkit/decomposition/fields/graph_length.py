"""The correlation length of a field on a graph: the heat-kernel time that fits the sample correlations."""

from __future__ import annotations

import numpy as np
from scipy import sparse
from scipy.sparse.csgraph import breadth_first_order

from statkit.decomposition.fields.correlation_length import CorrelationFit, LengthFit, unidentified_fit
from statkit.decomposition.fields.kernel import Kernel
from statkit.decomposition.fields.pairs import Pairs, pair_correlations

_BALL = 700  # nodes of a graph whose heat kernel is computed densely; a larger graph is seen through a ball


def fit_graph_length(X, mesh, nugget, n_bootstrap: int, rng: np.random.Generator) -> CorrelationFit:
    """Fit ℓ (τ = ℓ²/2) and the nugget to correlations between nodes."""
    laplacian = mesh.laplacian
    p = laplacian.shape[0]
    nodes, inner = np.arange(p), np.arange(p)
    if p > _BALL:
        centre = int(rng.integers(p))
        nodes = breadth_first_order(laplacian, centre, directed=False, return_predecessors=False)[:_BALL]
        inner = np.arange(len(nodes) // 2)  # away from the ball's rim, where edges are cut
    part = laplacian[nodes][:, nodes]
    away = part - sparse.diags_array(part.diagonal())
    part = (sparse.diags_array(-away.sum(axis=1)) + away).toarray()
    value, vectors = np.linalg.eigh(part)
    strength = float(np.median(value[value > 1e-9 * max(value.max(), 1e-300)])) if value.max() > 0 else 0.0
    if len(inner) < 2 or strength == 0:
        return unidentified_fit(1.0, Kernel.of("gaussian"))
    i, j = np.triu_indices(len(inner), 1)
    pairs = Pairs(nodes[i], nodes[j], np.zeros((len(i), 1)), np.ones(len(i)))
    counts = np.concatenate(
        [np.ones((1, len(X))), rng.multinomial(len(X), np.full(len(X), 1 / len(X)), n_bootstrap)]
    )
    grid = np.sqrt(2 * np.geomspace(0.01, 30, 33) / strength)

    def heat(length):
        kernel = (vectors[inner] * np.exp(-0.5 * length**2 * np.maximum(value, 0))) @ vectors[inner].T
        root = np.sqrt(np.maximum(np.diag(kernel), 1e-300))
        return kernel[i, j] / (root[i] * root[j])

    # Only pairs that some candidate correlates say anything.
    near = heat(grid[len(grid) // 2]) > 1e-3
    if near.sum() > 20_000:
        near[rng.permutation(np.flatnonzero(near))[20_000:]] = False
    if not near.any():
        return unidentified_fit(float(grid[0]), Kernel.of("gaussian"))
    i, j = i[near], j[near]
    pairs = Pairs(pairs.i[near], pairs.j[near], pairs.difference[near], pairs.distance[near])
    r = pair_correlations(X, pairs, counts)
    fit = LengthFit(pairs, None, r, len(X), nugget)

    def loss(length, target, weights):
        rho = heat(length)
        return np.sum(weights * (target - fit.signal(rho, weights, target) * rho) ** 2)

    weights = np.ones(len(i))
    for _ in range(2):
        losses = np.array([loss(g, r[0], weights) for g in grid])
        at = int(np.clip(np.argmin(losses), 1, len(grid) - 2))
        length = float(np.exp(_vertex(np.log(grid[at - 1 : at + 2]), losses[at - 1 : at + 2])))
        rho = heat(length)
        signal = fit.signal(rho, weights, r[0])
        weights = fit.weights(signal * rho)
    h = 1e-3
    columns = [signal * (heat(length * np.exp(h)) - heat(length * np.exp(-h))) / (2 * h)]
    if nugget == "fit":
        columns.append(rho)
    se = np.nan
    if n_bootstrap >= 2:
        from statkit.decomposition.fields.correlation_length import gauss_newton_steps

        se = float(gauss_newton_steps(np.stack(columns, 1), weights, r)[:, 0].std(ddof=1))
    inside = 0 < np.argmin(losses) < len(grid) - 1
    identified = inside and (np.isnan(se) or np.exp(2 * 1.96 * se) <= 4)
    table = unidentified_fit(1.0, Kernel.of("gaussian")).table
    return CorrelationFit(length, length * se, float(1 - signal), "gaussian", {}, bool(identified), table)


def _vertex(x, y) -> float:
    """Minimum of the parabola through three points, inside them."""
    top = (y[0] - y[2]) * (x[1] - x[0])
    bottom = 2 * (y[0] - 2 * y[1] + y[2])
    return float(np.clip(x[1] + top / bottom if bottom > 0 else x[1], x[0], x[2]))
