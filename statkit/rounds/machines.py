"""Tasks that keep machines apart: local fits with what corrects their bias, and scores of each machine."""

from __future__ import annotations

import copy
from dataclasses import dataclass, replace

import numpy as np
from scipy.linalg import solve_triangular

from statkit.rounds.tasks import Want, context_sums, evaluate, linear_predictor, score_products
from statkit.solvers.cholesky import Factor
from statkit.solvers.newton import newton

__all__ = ["LocalOptions", "Machines", "bias_is_known", "local_fit", "machine_scores", "portable"]

# A linear predictor this far out says that a binary response is (nearly) separated.
_FAR = 15.0
_FIRTH_STEPS = 60
# Longest Firth step in the linear predictor, and the step in standard errors that ends the iteration.
_FIRTH_REACH, _FIRTH_TOL = 5.0, 1e-7
# Rows at a time where several predictors need a matrix a row.
_TILE = 1024


class Machines(list):
    """One record a machine, in order of the partitions, mergeable."""

    def merge(self, other):
        return Machines([*self, *other])


@dataclass(frozen=True, slots=True)
class LocalOptions:
    """What a machine computes beside its fit.

    Attributes
    ----------
    local : {"auto", "mle", "firth"}
        "auto" is maximum likelihood, and Firth's estimate where the response is separated.
    halves : bool
        Whether the two halves of the rows are fitted too.
    subsample : float or None
        Share of the rows of a second fit.
    seed : int
    """

    local: str = "auto"
    halves: bool = False
    subsample: float | None = None
    seed: int = 0


def local_fit(block, problem, options: LocalOptions) -> dict:
    """Fit of one machine's rows and the sums that combine it with others, all in internal coordinates."""
    q = problem.size
    record = {
        "n": int(block.n_rows if block.weight is None else np.count_nonzero(block.weight)),
        "n_rows": block.n_rows, "n_read": block.n_read, "n_missing": block.n_missing,
        "theta": np.zeros(q), "H": np.zeros((q, q)), "b": np.zeros(q), "c": np.zeros(q), "loss": 0.0,
        "weight": 0.0, "pearson": 0.0, "sums": None, "null": None, "null_score": 0.0, "y": 0.0, "rank": 0,
        "rounds": 0, "converged": True, "separated": False, "firth": False, "events": np.nan, "null_loss": 0.0, "reach": 0.0,
        "halves": None, "part": None, "x": None, "condition": np.inf,
        "offset": block.offset is not None,
    }  # fmt: skip
    if record["n"]:
        _fill(record, block, problem, options)
    return {"machines": Machines([record])}


def _fill(record, block, problem, options):
    local = problem.local(block)
    family = problem.family
    start = local.null_theta(*local.response())
    solved, result = _maximum(local, start)
    theta = np.where(np.isnan(result.theta), 0.0, result.theta)
    scaled = block.scaled(problem.center, problem.scale)
    reach = float(np.abs(linear_predictor(scaled, theta, family.predictors)).max(initial=0.0))
    separated = bool(result.separated.any()) or (problem.may_separate and (reach > _FAR or not solved))
    firth = options.local == "firth" or (options.local == "auto" and separated and bias_is_known(family))
    converged, rounds = bool(result.converged), len(result.history)
    if firth:
        theta, converged, rounds = _firth(local, scaled, start)
    null = np.zeros(family.predictors) if family.name == "gaussian" or not block.intercept else None
    if family.context is not None:
        null = None
        record["null_loss"] = local.evaluate(np.zeros_like(theta), Want(False, False)).loss
    e = local.evaluate(theta, Want(sums=True), null)
    factor = Factor(e.information)
    record.update(
        theta=theta, H=e.information, loss=e.loss, weight=e.weight, sums=e.sums, null=e.null, y=e.y,
        pearson=e.sums["pearson"], rank=factor.rank, rounds=rounds, converged=converged,
        separated=separated, firth=firth, reach=reach, condition=1 / max(factor.smallest_pivot, 1e-300),
    )  # fmt: skip
    if e.null_step is not None:
        record["null_score"] = float(e.null_step[0])
    if bias_is_known(family):
        record["b"], record["c"] = _bias_terms(scaled, family, theta, problem.shape, factor, firth)
    if family.name in ("binomial", "quasi_binomial"):
        record["events"] = float(min(e.y[0], e.weight - e.y[0]))
    elif "n_events" in e.sums:
        record["events"] = e.sums["n_events"]
    ones = np.ones(block.n_rows)
    record["x"] = (scaled.transpose_matvec(ones), np.diag(scaled.sandwich(ones)).copy(), block.n_rows)
    if options.halves or options.subsample is not None:
        first = int(block.row_numbers()[0])
        order = np.random.default_rng([options.seed, first]).permutation(block.n_rows)
    if options.halves:
        half = block.n_rows // 2
        record["halves"] = [_refit(problem, block, part, theta) for part in (order[:half], order[half:])]
    if options.subsample is not None:
        record["part"] = _refit(problem, block, order[: int(np.ceil(options.subsample * len(order)))], theta)


def _maximum(local, start):
    """Whether Newton ended well, and its result."""
    result = newton(
        lambda theta, _: local.evaluate(theta), start, tol=1e-6, max_rounds=50,
        dispersion=local.dispersion, may_separate=local.may_separate,
    )  # fmt: skip
    return result.converged and not result.separated.any(), result


def _refit(problem, block, rows, theta):
    """(estimate, whether it converged) on some of the rows."""
    _, result = _maximum(problem.local(block.take(np.sort(rows))), theta)
    ok = result.converged and not result.separated.any()
    return np.where(np.isnan(result.theta), 0.0, result.theta), bool(ok)


def _root(factor, q):
    """T with T'T = H⁻¹ (zero in columns left out), so that x'H⁻¹x is the squared length of Tx."""
    keep = np.ones(q, bool) if factor.keep is None else factor.keep
    L = np.tril(factor._L)
    T = np.zeros((len(L), q))
    T[:, keep] = solve_triangular(L, np.diag(1 / factor._root), lower=True)
    return T


def bias_is_known(family) -> bool:
    """Whether the first-order bias of a local estimate has a formula here."""
    return family.curved and family.analytic_bias


def _third_order(scaled, family, theta, shape, factor):
    """Sums of z (μ''/μ') w x and of z w' x over the rows, z = x'H⁻¹x (prior weights inside).

    With several predictors both are Σ x ⊗ v, v the third cumulants of the classes applied to the covariance Z of
    the row's predictors: v_a = π_a (q_a − Σ_c π_c q_c), q_c = (e_c − π)'Z(e_c − π).
    """
    if family.predictors > 1:
        total = _class_cumulants(scaled, family, theta, factor)
        return total, total
    eta = linear_predictor(scaled, theta, 1)
    r, w = np.empty_like(eta), np.empty_like(eta)
    family.link(eta, scaled.y, scaled.weight, shape, None, r, w)
    slope = family.weight_derivative(eta, shape) * np.ones_like(eta)
    if scaled.weight is not None:
        slope *= scaled.weight
    z = scaled.row_norms(_root(factor, len(theta))) ** 2
    own = scaled.transpose_matvec(np.ascontiguousarray(w * z * family.dmu_ratio(eta) * np.ones_like(z)))
    return own, scaled.transpose_matvec(np.ascontiguousarray(slope * z))


def _class_cumulants(scaled, family, theta, factor):
    K, q = family.predictors, scaled.n_columns
    root = _root(factor, len(theta)).reshape(-1, K, q)
    eta = linear_predictor(scaled, theta, K)
    out = np.zeros((K, q))
    for start in range(0, scaled.n_rows, _TILE):
        part = slice(start, min(start + _TILE, scaled.n_rows))
        X = scaled.take(part).to_dense()
        U = np.einsum("mkj,ij->ikm", root, X)
        Z = np.einsum("ikm,ilm->ikl", U, U)
        share = family.inverse_link(eta[part])
        own = np.einsum("ikl,il->ik", Z, share[:, 1:])
        both = np.einsum("ik,ik->i", own, share[:, 1:])
        distance = np.column_stack([both, np.einsum("ikk->ik", Z) - 2 * own + both[:, None]])
        v = share[:, 1:] * (distance[:, 1:] - np.einsum("ic,ic->i", share, distance)[:, None])
        if scaled.weight is not None:
            v *= scaled.weight[part, None]
        out += v.T @ X
    return out.ravel()


def _bias_terms(scaled, family, theta, shape, factor, firth):
    """First-order bias of the local estimate, and of H times it in the weighted sum; both without φ.

    Cox and Snell's b = −½ H⁻¹ Σ w z (μ''/μ') x; because H depends on the local estimate, weighting by it adds
    Σ w' z x. Firth's estimate has no bias of that order.
    """
    own, weighting = _third_order(scaled, family, theta, shape, factor)
    if firth:
        return np.zeros(len(theta)), weighting
    return -0.5 * factor.solve(own), weighting - 0.5 * own


def _firth(local, scaled, theta):
    """Firth's estimate: the score is moved by half the bias, which keeps binary responses finite."""
    family = local.family
    bare = replace(scaled, offset=None)
    for number in range(1, _FIRTH_STEPS + 1):
        e = local.evaluate(theta)
        factor = Factor(e.information)
        phi = 1.0 if local.dispersion is None else local.dispersion(e, factor.rank)
        own, _ = _third_order(scaled, family, theta, local.shape, factor)
        score = e.gradient + 0.5 * phi * own
        step = factor.solve(score)
        if float(score @ step) < _FIRTH_TOL**2 * phi * len(theta):
            return theta + step, True, number
        longest = float(np.abs(linear_predictor(bare, step, family.predictors)).max(initial=0.0))
        theta = theta + step * min(1.0, _FIRTH_REACH / max(longest, 1e-300))
    return theta, False, _FIRTH_STEPS


def machine_scores(block, family, theta, shape, center, scale, null, want) -> dict:
    """The usual sums at θ, and every machine's score and information beside them.

    A family with context takes it from the machine's rows alone: risk sets are within machines.
    """
    if family.context is None:
        out = evaluate(block, family, theta, shape, center, scale, null, want)
    else:
        context = family.prepare(context_sums(block, family, theta, center, scale)["context"])
        out = evaluate(block, family, theta, shape, center, scale, None, want, context.rows)
        family.close(out, context)
        if want.meat is not None:
            out["meat"] = score_products(
                block, family, theta, center, scale, context.rows, context.tables(), want.meat
            )["meat"]
    out["machines"] = Machines(
        [(out["gradient"], out.get("information"), out["weight"], out["n"], out.get("pearson", np.nan))]
    )
    return out


def portable(problem):
    """The model alone, as tasks take it along."""
    other = copy.copy(problem.without_rows())
    other.classes = None
    return other
