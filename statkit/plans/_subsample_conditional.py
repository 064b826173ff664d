"""The likelihood of responses given that their rows were drawn: no weights, and smaller variance if the
model holds.

A drawn row's response y has probability proportional to f(y | x) π(x, y). For responses that can be summed
over, mean and variance of the score under that law are sums over the possible responses.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from scipy.special import gammaln, logsumexp

from statkit.plans._subsample_fit import Solution, score_covariance
from statkit.plans._subsample_pass import link_rows
from statkit.rounds.problem import Evaluation
from statkit.rounds.tasks import _information, linear_predictor
from statkit.solvers.newton import newton

__all__ = ["COUNTABLE", "fit_conditional"]

COUNTABLE = ("binomial", "softmax", "poisson", "negative_binomial")
# Counts are summed to this many beyond the largest drawn one.
_BEYOND = 25
_MOST_LABELS = 5_000


def fit_conditional(plan, problem, pilot, drawn, block, options) -> Solution:
    """Maximum sampled conditional likelihood on the drawn rows (and the pilot's, in the union)."""
    K, family = problem.family.predictors, problem.family
    union = plan.combine == "union" and pilot.representative
    labels = _labels(family, block.y)
    log_pi = np.empty((block.n_rows, len(labels)))
    for j, label in enumerate(labels):
        other = replace(block, y=np.full(block.n_rows, float(label)))
        eta, r, w, _ = link_rows(other, drawn["model"])
        m = drawn["scoring"].scores(other, family, eta, r, w, other.y)
        pi = drawn["probability"](m, other.weight)
        if union:
            pi0 = pilot.rates.of(other)
            pi = pi0 + pi - pi0 * pi
        log_pi[:, j] = np.log(np.maximum(pi, 1e-300))
    scaled = block.scaled(problem.center, problem.scale)
    penalty = options["penalty"]
    if penalty is not None:  # a row stands for itself here, not for 1/π rows
        penalty = penalty * (block.n_rows / drawn["n"])
    own = np.searchsorted(labels, block.y)
    a = np.ones(block.n_rows) if block.weight is None else block.weight

    def tilted(theta):
        """Loss, centred scores (n, K), and the packed variance of the score of each row."""
        eta = linear_predictor(scaled, theta, K)
        log_f = _log_mass(family, eta, labels, problem.shape) + log_pi
        total = logsumexp(log_f, axis=1)
        q = np.exp(log_f - total[:, None])
        scores = _scores(family, eta, labels, problem.shape)  # (n, labels, K)
        mean = np.einsum("nl,nlk->nk", q, scores)
        at = np.arange(len(own))
        pairs = [(k, j) for k in range(K) for j in range(k, K)]
        spread = np.column_stack(
            [a * (np.einsum("nl,nl,nl->n", q, scores[:, :, k], scores[:, :, j]) - mean[:, k] * mean[:, j])
             for k, j in pairs]
        )  # fmt: skip
        return -float(a @ (log_f[at, own] - total)), a[:, None] * (scores[at, own] - mean), spread

    def evaluate(theta, _):
        loss, r, w = tilted(theta)
        gradient = np.concatenate([scaled.transpose_matvec(np.ascontiguousarray(c)) for c in r.T])
        H = _information(scaled, w if K > 1 else np.maximum(w[:, 0], 0.0), K)
        if penalty is not None:
            loss += 0.5 * float(penalty @ (theta * theta))
            gradient, H = gradient - penalty * theta, H + np.diag(penalty)
        n = block.n_rows
        return Evaluation(theta, loss, gradient, H, n, n, 0, float(a.sum()))

    result = newton(evaluate, pilot.theta, tol=1e-10, max_rounds=50)
    theta = np.where(np.isnan(result.theta), 0.0, result.theta)
    _, r, _ = tilted(theta)
    meat = score_covariance(problem, block, r if K > 1 else r[:, 0])
    nothing = np.zeros_like(meat)
    H = result.at.information
    return Conditional(result.theta, result.factor, H, nothing, meat, result)


class Conditional(Solution):
    """Its covariance is the inverse information; there is none about the fit of all rows."""

    def covariances(self):
        inverse = self.factor.inverse()
        return np.full_like(inverse, np.nan), inverse


def _labels(family, y):
    if family.name == "binomial":
        if not np.isin(y, (0.0, 1.0)).all():
            raise ValueError("likelihood='conditional' needs responses 0 and 1, not proportions")
        return np.array([0.0, 1.0])
    if family.name == "softmax":
        return np.arange(family.n_classes, dtype=float)
    top = int(y.max()) + _BEYOND
    if top > _MOST_LABELS:
        raise ValueError(f"likelihood='conditional' sums over all counts, and {int(y.max()):,} is too many")
    if (y != np.floor(y)).any():
        raise ValueError("likelihood='conditional' needs whole counts")
    return np.arange(top + 1, dtype=float)


def _log_mass(family, eta, labels, shape):
    """log f(label | η) up to what does not depend on the label, (n, labels)."""
    if family.name == "binomial":
        return eta[:, None] * labels
    if family.name == "softmax":
        return np.column_stack([np.zeros(len(eta)), eta])
    mu = family.inverse_link(eta)[:, None]
    if family.name == "poisson":
        return labels * np.log(mu) - gammaln(labels + 1)
    size = 1.0 / _alpha(family, shape)
    return labels * (np.log(mu) - np.log(mu + size)) + gammaln(labels + size) - gammaln(labels + 1)


def _scores(family, eta, labels, shape):
    """d log f / dη for every label, (n, labels, K)."""
    n = len(eta)
    if family.name == "softmax":
        K = eta.shape[1]
        return np.broadcast_to((labels[:, None] == np.arange(1, K + 1)).astype(float), (n, len(labels), K))
    if family.name == "binomial":
        return np.broadcast_to(labels[:, None], (n, 2, 1))
    mu = family.inverse_link(eta)
    slope = family.dmu(eta) / family.variance(mu, shape)
    return ((labels - mu[:, None]) * slope[:, None])[:, :, None]


def _alpha(family, shape):
    return float(shape[0]) if shape is not None and len(shape) else float(family.alpha)
