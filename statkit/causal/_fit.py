"""One fit of a graph to a table: data on the working scale, start, learner, EM, back to the data's units."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from statkit.causal._graph_em import (
    continuous_em,
    covariance,
    estep,
    fixed_graph_em,
    precision,
    search_em,
)
from statkit.causal._incomplete import IncompleteData
from statkit.causal._standard_errors import weight_standard_errors
from statkit.causal.acyclicity import prune_to_acyclic, topological_order
from statkit.causal.em_gaussian import saturated_em, well_conditioned
from statkit.causal.equivalence import cpdag
from statkit.causal.knowledge import Knowledge

#: Learners of each model, the default first.
LEARNERS = {
    "gaussian": ("boss", "exact", "hc", "order", "notears", "golem", "dagma", "fixed"),
    "equal_var": ("order", "hc", "notears", "golem", "dagma", "fixed"),
    "nongaussian": ("lingam", "ica", "order", "fixed"),
    "nonlinear": ("splines", "fixed"),
}
GRADIENT = ("notears", "golem", "dagma", "ica")
_LAMBDA = {"notears": 0.02, "dagma": 0.03, "ica": 0.1}


class Options(NamedTuple):
    """What a fit is asked for: the parameters of `MissDAG` after validation."""

    model: str
    learner: str
    penalty_discount: float
    lambda1: float | None
    w_threshold: float | None
    n_starts: int
    effective_n: bool
    init: str
    max_iter: int
    tol: float
    init_max_iter: int
    accelerate: bool
    two_step: bool
    refit: bool
    noise: str
    n_chains: int
    n_sweeps: int
    standardize: bool
    graph: np.ndarray | None
    order: np.ndarray | None
    knowledge: Knowledge

    @property
    def scaled(self) -> bool:
        """Work on columns divided by their observed deviations."""
        units_matter = self.model == "equal_var" or self.learner in (*GRADIENT, "order")
        return self.standardize or not units_matter

    @property
    def threshold(self) -> float:
        """Weights up to this size are no edges, on the working scale."""
        if self.w_threshold is not None:
            return self.w_threshold
        if self.learner not in GRADIENT:
            return 0.0
        return 0.1 if self.scaled else 0.3


class Fit(NamedTuple):
    """A fitted graph in the units of the data."""

    weights: np.ndarray
    weights_se: np.ndarray
    adjacency: np.ndarray
    noise_var: np.ndarray
    mean: np.ndarray
    covariance: np.ndarray
    precision: np.ndarray
    S: np.ndarray
    loglik: float
    score: float
    loglik_path: np.ndarray
    score_path: np.ndarray
    n_iter: int
    converged: bool
    saturated: tuple[np.ndarray, np.ndarray]
    extra: Any = None


def fit_table(X, weight, options: Options, random, *, start=None, with_se: bool = True) -> Fit:
    """Fit a graph to a checked table; ``start`` is (mean, covariance) in the units of the data."""
    data = IncompleteData(X, weight, centre=options.init != "zero", scale=options.scaled)
    if options.model == "nongaussian":
        from statkit.causal.mcem import fit_noise_model

        return fit_noise_model(data, options, random, start=start)
    if options.model == "nonlinear":
        from statkit.causal.nonlinear import fit_additive_model

        return fit_additive_model(data, options, random, start=start)
    return fit_gaussian(data, options, random, start=start, with_se=with_se)


def edge_price(data: IncompleteData, options: Options) -> float:
    """Log-likelihood that an edge must bring."""
    return options.penalty_discount * 0.5 * float(np.log(max(data.n, 2.0)))


def fit_gaussian(data: IncompleteData, options: Options, random, *, start=None, with_se=True) -> Fit:
    """Fit a linear Gaussian model: see `Options.model` "gaussian" and "equal_var"."""
    equal_var = options.model == "equal_var"
    price = edge_price(data, options)
    mean, S, saturated, used = _start(data, options, random, price, start)
    if not options.refit:
        path = _without_refit(data, options, mean, S, random, price)
    else:
        path = _best_of_starts(data, options, random, mean, S, price)
    state, A = path.state, path.A
    if options.refit and options.threshold > 0 and options.learner not in GRADIENT:
        kept = prune_to_acyclic(state.W, options.threshold, options.knowledge.required) != 0
        if not np.array_equal(kept, A):
            path = fixed_graph_em(
                data,
                kept,
                state.next_mean,
                state.S,
                equal_var=equal_var,
                price=price,
                max_iter=options.max_iter,
                tol=options.tol,
            )
            state, A = path.state, path.A
    se = np.full(A.shape, np.nan)
    if with_se and options.refit:
        se = weight_standard_errors(data, state.mean, state.W, state.omega, A, state.S, equal_var=equal_var)
    unit = data.unit
    ratio = unit / unit[:, None]  # an edge weight is in units of its target per unit of its source
    back = np.outer(unit, unit)
    return Fit(
        weights=state.W * ratio,
        weights_se=np.where(A, se * ratio, 0.0),
        adjacency=A,
        noise_var=state.omega * unit**2,
        mean=state.mean * unit + data.shift,
        covariance=covariance(state.W, state.omega) * back,
        precision=precision(state.W, state.omega) / back,
        S=state.S * back,
        loglik=state.loglik - data.log_unit,
        score=state.score - data.log_unit,
        loglik_path=np.array(path.loglik) - data.log_unit,
        score_path=np.array(path.score) - data.log_unit,
        n_iter=used + len(path.loglik),
        converged=path.converged,
        saturated=(saturated[0] * unit + data.shift, saturated[1] * back),
    )


def _start(data, options, random, price, start):
    """Return first expected moments, the saturated (mean, covariance), and the number of E-steps used."""
    d = data.d
    if options.init == "saturated":
        if start is not None:
            start = (start[0] - data.shift) / data.unit, start[1] / np.outer(data.unit, data.unit)
        mean, S, _, used, _ = saturated_em(
            data, max_iter=options.init_max_iter, tol=1e-8, accelerate=options.accelerate, start=start
        )
        return mean, S, (mean, S), used
    if options.init == "observed":
        mean, Sigma = data.observed_moments()
        omega = np.diag(Sigma).copy()
    else:
        mean, omega = np.zeros(d), random.uniform(0.1, 0.3, size=d)
    state = estep(data, mean, np.zeros((d, d)), omega, price)
    S = well_conditioned(state.S)
    return state.next_mean, S, (state.next_mean, S), 1


def _best_of_starts(data, options, random, mean, S, price):
    """Run the EM from each start of the learner and return the one of greatest penalised likelihood."""
    counts = data.pair_counts if options.effective_n else data.n
    several = options.learner == "boss" and data.d > 2
    best, seen = None, set()
    for k in range(options.n_starts if several else 1):
        order = None if k == 0 else options.knowledge.feasible_order(random.permutation(data.d))
        choose = learner(options, counts, price, random, order)
        first = choose(S, None)
        key = cpdag(first).tobytes() if several else b""
        if key in seen:
            continue
        seen.add(key)
        path = search_em(
            data,
            (lambda S, A, first=first: first) if options.two_step else choose,
            first,
            mean,
            S,
            equal_var=options.model == "equal_var",
            price=price,
            accept_better_only=not options.effective_n,
            max_iter=options.max_iter,
            tol=options.tol,
        )
        if best is None or path.state.score > best.state.score:
            best = path
    return best


def learner(options: Options, counts, price: float, random, order=None):
    """Return the search ``choose(S, A)`` of the options; ``A`` is the last graph, None at first."""
    from statkit.causal.dag_learners import boss, exact, hill_climbing, select_parents, top_down

    known = options.knowledge
    name = options.learner
    if name == "boss":

        def choose(S, A):
            start = order if A is None else known.feasible_order(topological_order(A))
            return boss(S, counts, penalty=price, knowledge=known, start=start)

    elif name == "exact":

        def choose(S, A):
            return exact(S, counts, penalty=price, knowledge=known)

    elif name == "hc":
        seed = random.randint(2**31 - 1)  # the same restarts at every step: the search is a function of S

        def choose(S, A):
            return hill_climbing(
                S,
                counts,
                penalty=price,
                knowledge=known,
                start=A,
                n_starts=options.n_starts,
                equal_var=options.model == "equal_var",
                random_state=seed,
            )

    elif name == "order":
        equal_var = options.model == "equal_var"
        # Pairs never seen together stay apart in the polish too, which counts all rows alike.
        together = known._replace(allowed=known.allowed & (np.asarray(counts) > 0))

        def choose(S, A):
            found = top_down(S, counts, penalty=price, knowledge=known)
            if not equal_var:
                return found
            return hill_climbing(
                S, counts, penalty=price, knowledge=together, start=found, n_starts=1, equal_var=True
            )

    elif name == "fixed" and options.graph is not None:

        def choose(S, A):
            return options.graph

    elif name == "fixed":

        def choose(S, A):
            return select_parents(S, counts, options.order, penalty=price, knowledge=known)

    else:
        last = None

        def choose(S, A):
            nonlocal last
            last = gradient_weights(S, options, start=last)
            return prune_to_acyclic(last, options.threshold, known.required) != 0

    return choose


def gradient_weights(S, options: Options, start=None) -> np.ndarray:
    """Return the weights that a gradient learner finds for a covariance."""
    from statkit.causal.dag_learners import dagma, golem, notears

    known = options.knowledge
    equal_var = options.model == "equal_var"
    if options.learner == "golem":
        lambda1 = options.lambda1 if options.lambda1 is not None else (0.02 if equal_var else 0.002)
        return golem(S, lambda1=lambda1, equal_var=equal_var, knowledge=known, start=start)
    lambda1 = _LAMBDA[options.learner] if options.lambda1 is None else options.lambda1
    if options.learner == "dagma":
        return dagma(S, lambda1=lambda1, knowledge=known)
    if options.refit:
        return notears(S, lambda1=lambda1, knowledge=known, start=start, h_tol=1e-6, rho_max=1e10)
    return notears(S, lambda1=lambda1, knowledge=known)


def _without_refit(data, options, mean, S, random, price):
    """Run the published scheme: the learner's own weights drive the E-step."""
    equal_var = options.model == "equal_var"
    if options.init == "zero":
        # The first E-step is at W = 0 and the random variances that `_start` used: S is its answer.
        from statkit.causal._graph_em import residual_variances

        W = gradient_weights(S, options)
        omega = residual_variances(S, W, equal_var)
        n_iter = options.max_iter - 1
    else:
        W, omega = np.zeros_like(S), np.diag(S).copy()
        n_iter = options.max_iter
    return continuous_em(
        data,
        lambda S: gradient_weights(S, options),
        mean,
        W,
        omega,
        equal_var=equal_var,
        price=price,
        n_iter=n_iter,
        threshold=options.threshold,
    )
