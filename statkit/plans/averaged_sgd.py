"""Averaged stochastic gradient descent: O(p) a row, for losses and widths that Newton steps cannot take."""

from __future__ import annotations

import warnings
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from statkit.exceptions import DriftWarning
from statkit.families.row_link import link_code
from statkit.plans import _sgd_kernels as k
from statkit.plans._sgd_inference import Inference, choose, finish_stream, merge_states
from statkit.plans._sgd_order import ordered_blocks
from statkit.plans._sgd_pilot import MOST_COLUMNS
from statkit.plans._sgd_state import first_state, flushed, update_state
from statkit.plans.plan import Plan

if TYPE_CHECKING:
    from numpy.typing import ArrayLike


__all__ = ["AveragedSGD"]

METHODS = {
    "sgd": k.SGD, "momentum": k.MOMENTUM, "nesterov": k.NESTEROV, "adagrad": k.ADAGRAD, "rmsprop": k.RMSPROP,
    "adam": k.ADAM, "amsgrad": k.AMSGRAD, "implicit": k.IMPLICIT,
}  # fmt: skip
RATES = ("auto", "constant", "power", "xu", "exponential", "step")
_MOST_PILOT = 20_000


class AveragedSGD(Plan):
    """Averaged stochastic gradient descent with standard errors, in one pass and O(p) memory.

    For what streaming Newton (:class:`Renewable`) cannot do: very many columns, losses without curvature, losses of
    users, one row at a time. Gradients are multiplied by the inverse information of a pilot fit on the first rows,
    without which correlated columns ruin both the estimate and its errors, and iterates are averaged.

    Parameters
    ----------
    method : str, default="sgd"
        "sgd" (explicit steps), "implicit" (the gradient at the step's end: stable at any rate), "momentum",
        "nesterov", and the adaptive "adagrad", "rmsprop", "adam", "amsgrad", for which no theory gives standard
        errors.
    precondition : {"pilot", "diag", "none"}, default="pilot"
        Multiply gradients by the pilot's inverse information, by its diagonal, or not. Beyond 3,000 coefficients
        "none" is used.
    inference : str or None, default="auto"
        How errors are found; in the table's notes. "plugin": sandwich of information and score products at the
        iterates. "rs", "rs_diag": random scaling, with or without covariances, against its exact distribution.
        "obm", "ibm": overlapping, increasing batch means. "tbatch": means of few equal blocks, Student's t.
        "bootstrap": perturbed chains beside the descent. "higrad": a tree of segments. "hulc": limits are the extremes
        of independent chains. None: no errors. "auto" is "plugin" for smooth losses and up to 1,000 coefficients, else
        random scaling.
    batch_size : int, default=64
        Rows of a minibatch, counted from the first row of the stream, however rows arrive.
    start : array or None, default=None
        First iterate, in the order of ``estimate_.params``; None is the pilot's fit.
    learning_rate : {"auto", "power", "constant", "xu", "exponential", "step"}, default="auto"
        Rate of step t: γ₀ (t + t0)^−power ("auto" and "power"), γ₀, γ₀ (1 + decay γ₀ t)^−power ("xu"),
        γ₀ exp(−decay t), γ₀ halved every ``1/decay`` steps.
    eta0 : float or None, default=None
        γ₀; None is min(½, B/p) in the pilot's coordinates (min(p/2, B) over the trace of the information without
        them).
    power : float, default=0.505
        In (½, 1] for averages.
    decay : float, default=1.0
    t0 : float, default=0.0
    momentum : float, default=0.9
    betas : tuple of two floats, default=(0.9, 0.999)
        Decay of the moments of "rmsprop" (the second), "adam" and "amsgrad".
    average : bool, default=True
        Whether the estimate is the mean of the iterates, or the last one.
    average_from : float, default=0.0
        Share of the steps before averaging starts (a fit), or number of steps (>= 1).
    average_power : int, default=0
        Weight of iterate t in the mean grows as t to this power.
    pilot_rows : int or "auto", default="auto"
        "auto" is max(1000, 20 p, n/200), at most 20,000.
    n_passes : int, default=1
    shuffle : bool, default=False
        Rows in random order within partitions, and partitions among each other, anew in every pass.
    refine : {None, "newton"}, default=None
        "newton": one Newton step on all rows at the end, which makes any of these the maximum likelihood estimate
        with its errors; for fits, not for streams.
    n_chains : int, default=100
        Perturbed chains of the bootstrap.
    n_blocks : int, default=5
        Blocks of "tbatch" (between this and twice as many).
    tree : tuple of int, default=(2, 2)
        Branches of HiGrad's tree, level by level.
    level : float, default=0.95
        Level for which "hulc" makes chains.

    Examples
    --------
    >>> from statkit.datasets import make_glm
    >>> from statkit.plans import AveragedSGD
    >>> from statkit.regression import GLMClassifier
    >>> X, y, coef = make_glm(20_000, 3, family="binomial", random_state=0)
    >>> fit = GLMClassifier(plan=AveragedSGD()).fit(X, y)
    >>> exact = GLMClassifier().fit(X, y).estimate_
    >>> bool((abs(fit.estimate_.params - exact.params) < exact.bse).all())
    True

    References
    ----------
    B. T. Polyak and A. B. Juditsky (1992), Acceleration of stochastic approximation by averaging.
    P. Toulis and E. M. Airoldi (2017), Asymptotic and finite-sample properties of estimators based on stochastic
    gradients.
    X. Chen, J. D. Lee, X. T. Tong and Y. Zhang (2020), Statistical inference for model parameters in stochastic
    gradient descent.
    W. Zhu, X. Chen and W. B. Wu (2023), Online covariance matrix estimation in stochastic gradient descent.
    S. Lee, Y. Liao, M. H. Seo and Y. Shin (2022), Fast and robust online inference with stochastic gradient descent
    via random scaling.
    Y. Fang, J. Xu and L. Yang (2018), Online bootstrap confidence intervals for the stochastic gradient descent
    estimator.
    W. J. Su and Y. Zhu (2023), HiGrad: uncertainty quantification for online learning and stochastic approximation.
    A. K. Kuchibhotla, S. Balakrishnan and L. Wasserman (2024), The HulC: confidence regions from convex hulls.
    """

    def __init__(
        self,
        method: str = "sgd",
        precondition: Literal["pilot", "diag", "none"] = "pilot",
        inference: str | None = "auto",
        batch_size: int = 64,
        start: ArrayLike | None = None,
        *,
        learning_rate: Literal["auto", "power", "constant", "xu", "exponential", "step"] = "auto",
        eta0: float | None = None,
        power: float = 0.505,
        decay: float = 1.0,
        t0: float = 0.0,
        momentum: float = 0.9,
        betas: tuple[float, float] = (0.9, 0.999),
        average: bool = True,
        average_from: float = 0.0,
        average_power: int = 0,
        pilot_rows: int | Literal["auto"] = "auto",
        n_passes: int = 1,
        shuffle: bool = False,
        refine: Literal[None, "newton"] = None,
        n_chains: int = 100,
        n_blocks: int = 5,
        tree: tuple[int, ...] = (2, 2),
        level: float = 0.95,
    ) -> None:
        self.method = method
        self.precondition = precondition
        self.inference = inference
        self.batch_size = batch_size
        self.start = start
        self.learning_rate = learning_rate
        self.eta0 = eta0
        self.power = power
        self.decay = decay
        self.t0 = t0
        self.momentum = momentum
        self.betas = betas
        self.average = average
        self.average_from = average_from
        self.average_power = average_power
        self.pilot_rows = pilot_rows
        self.n_passes = n_passes
        self.shuffle = shuffle
        self.refine = refine
        self.n_chains = n_chains
        self.n_blocks = n_blocks
        self.tree = tree
        self.level = level

    # -- one fit ---------------------------------------------------------------------------------------------

    def estimate(self, problem: Any) -> Any:
        """Descend over all rows in order, ``n_passes`` times."""
        inference = self._check(problem)
        if problem.session.n_rows == 0:
            raise ValueError("there are no rows to fit")
        state = None
        for epoch in range(self.n_passes):
            if state is not None:
                state = _next_epoch(self, problem, state)
            for block in ordered_blocks(problem, epoch, self.shuffle):
                if state is None:
                    state = first_state(self, problem, block, inference)
                update_state(self, problem, state, block)
            problem.session.rows_visited += problem.session.n_rows
            problem.session.n_rounds += 1
        problem.center, problem.scale = state.center, state.scale
        if not state.n_rows and not state.pending:
            problem.response()  # says what is missing
        state = self._shown(problem, state)
        problem.stream = state if inference.name not in ("ibm", "higrad") else None
        if self.refine == "newton":
            return self._refined(problem, state)
        return self.finish(problem, state)

    def _refined(self, problem, state):
        from statkit.plans._report import report
        from statkit.plans.exact import Exact

        null = problem.null_theta(state.y, state.weight)[:: problem.width].copy()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            result, _ = Exact(max_rounds=1, certify=False).solve(problem, (state.theta, null))
        result.converged = result.decrement < 1.0
        if not result.converged:
            warnings.warn(
                f"the Newton step on all rows moved the estimate by {result.decrement:.2g} standard errors, too far for "
                "one step to end at the maximum: the stream drifts or its steps are badly chosen; use Exact()",
                DriftWarning,
                stacklevel=5,
            )
        result.history = state.history
        problem.stream = None
        return report(problem, self, result, notes=[
            f"One Newton step on all rows after the descent, of {result.decrement:.2g} standard errors; ordinary errors "
            "of that step.",
        ])  # fmt: skip

    # -- streams ---------------------------------------------------------------------------------------------

    def update(self, problem: Any, state: Any, block: Any) -> Any:
        """A new state with one more batch; the old one is untouched."""
        if state is None:
            inference = self._check(problem)
            state = first_state(self, problem, block, inference)
        else:
            state = state.copy()
        if state.chains is None:  # it will wait, and the caller may fill his arrays anew
            missing = block.n_read, block.n_missing
            block = block.take(np.arange(block.n_rows))
            block.n_read, block.n_missing = missing
        update_state(self, problem, state, block)
        return self._shown(problem, state)

    def _shown(self, problem, state):
        """``state`` with the estimate from every row so far, those that wait included."""
        if state.chains is None and not state.pending:
            return state
        return replace(state, theta=flushed(self, problem, state, sums=False).theta_now(self))

    def merge(self, problem: Any, a: Any, b: Any) -> Any:
        """The state of both streams' rows: means weighted by rows, and sums added."""
        return self._shown(problem, merge_states(self, problem, a, b))

    def provisional(self, problem: Any, state: Any) -> Any:
        """A state with an estimate; only a stream without any row of positive weight needs it."""
        return replace(state, theta=np.zeros(problem.size))

    def finish(self, problem: Any, state: Any) -> Any:
        """The estimate of a stream, those rows included that wait for a minibatch."""
        state = flushed(self, problem, state)
        if state.chains is None:
            raise ValueError("the stream has no row of positive weight yet: there is nothing to estimate")
        return finish_stream(self, problem, state)

    # -- what the descent asks ----------------------------------------------------------------------------------

    @property
    def code(self) -> int:
        """Number of the method in the kernels."""
        return METHODS[self.method]

    @property
    def rule(self) -> Any:
        """Parameters of the method as the kernels take them."""
        one, two = self.betas
        return self.code, float(self.momentum), float(one), float(two), 1e-8

    def first_rows(self, problem: Any) -> int:
        """Rows of the pilot, which wait until they are all there."""
        if self.pilot_rows != "auto":
            return max(int(self.pilot_rows), 1)
        if self.start is not None and self.precondition == "none" and self.eta0 is not None:
            return 1
        known = problem.session.n_rows // 200 if problem.session is not None else 0
        return int(min(max(1_000, 20 * problem.size, known), _MOST_PILOT))

    def first_rate(self, pilot: Any, precondition: Any, Q: Any) -> float:
        """γ₀."""
        if self.eta0 is not None:
            return float(self.eta0)
        B = self.batch_size
        if self.code == k.ADAGRAD:
            return 0.1
        if self.code in (k.RMSPROP, k.ADAM, k.AMSGRAD):
            return 0.05
        damped = 1.0 - self.momentum if self.code in (k.MOMENTUM, k.NESTEROV) else 1.0
        if precondition == "none":
            return damped * min(0.5 * Q, B) / max(pilot.trace, 1e-300)
        return damped * min(0.5, B / Q)

    def rates(self, eta0: Any, t: Any, steps: Any) -> np.ndarray:
        """Rates of ``steps`` steps after the first ``t``."""
        t = np.arange(t + 1, t + steps + 1, dtype=float)
        if self.learning_rate in ("auto", "power"):
            return eta0 * (t + self.t0) ** -self.power
        if self.learning_rate == "constant":
            return np.full(steps, eta0)
        if self.learning_rate == "xu":
            return eta0 * (1.0 + self.decay * eta0 * t) ** -self.power
        if self.learning_rate == "exponential":
            return eta0 * np.exp(-self.decay * t)
        return eta0 * 0.5 ** np.floor(self.decay * t)

    def average_start(self, problem: Any) -> int:
        """Steps before averaging starts."""
        if 0 < self.average_from < 1:
            if problem.session is None:
                raise ValueError(
                    f"average_from={self.average_from!r} is a share of the steps, of which a stream does not know the "
                    "number: give a number of steps"
                )
            return int(self.average_from * self.n_passes * problem.session.n_rows / self.batch_size)
        return int(self.average_from)

    def increasing_blocks(self, steps: Any) -> int:
        """Blocks of increasing batch means: T^((1−α)/2), between 10 and 30."""
        return int(np.clip(steps ** ((1.0 - self.power) / 2.0), 10, 30))

    def internal_start(self, problem: Any, state: Any) -> np.ndarray:
        """``start`` in internal order and coordinates."""
        start = np.asarray(self.start, dtype=float).ravel()
        K, names = problem.family.predictors, len(problem.design.names)
        if start.size != K * names or not np.isfinite(start).all():
            raise ValueError(
                f"AveragedSGD(start=…) must hold {K * names} finite numbers, one for each of "
                f"{', '.join(problem.design.names[:5])}{', …' if names > 5 else ''}; it has {start.size}"
            )
        raw = start.reshape(K, names)[:, problem.design.position]
        if state.scale.size:
            raw = np.linalg.solve(problem.with_scaling(state.center, state.scale).unscale(), raw.T).T
        return np.ascontiguousarray(raw).ravel()

    def _check(self, problem) -> Inference:
        """Refuse what cannot be done, and settle how errors are found."""
        for name, allowed in (
            ("method", METHODS), ("precondition", ("pilot", "diag", "none")), ("learning_rate", RATES),
            ("refine", (None, "newton")),
        ):  # fmt: skip
            _choice(self, name, allowed)
        for name, least in (("batch_size", 1), ("n_passes", 1), ("n_chains", 2), ("n_blocks", 2)):
            value = getattr(self, name)
            if not (isinstance(value, (int, np.integer)) and value >= least):
                raise ValueError(f"AveragedSGD({name}=…) must be an integer >= {least}, not {value!r}")
        if self.eta0 is not None and not (np.isfinite(self.eta0) and self.eta0 > 0):
            raise ValueError(f"AveragedSGD(eta0=…) must be positive, not {self.eta0!r}")
        if not 0 < self.power <= 1:
            raise ValueError(f"AveragedSGD(power=…) must lie in (0, 1], not {self.power!r}")
        for name, value in (
            ("momentum", self.momentum),
            ("betas[0]", self.betas[0]),
            ("betas[1]", self.betas[1]),
        ):
            if not 0 <= value < 1:
                raise ValueError(f"AveragedSGD({name}) must lie in [0, 1), not {value!r}")
        if self.average_from < 0:
            raise ValueError(f"AveragedSGD(average_from=…) must not be negative, not {self.average_from!r}")
        family = problem.family
        self._needs_shape(problem)
        if problem.session is None:
            if self.refine is not None or self.n_passes > 1:
                name = "refine" if self.refine is not None else "n_passes"
                raise ValueError(
                    f"AveragedSGD({name}={getattr(self, name)!r}) reads rows again, which a stream cannot: use fit"
                )
        if self.method == "implicit":
            if family.predictors > 1:
                raise ValueError(
                    "method='implicit' is for losses of one predictor; with more than two classes use another method"
                )
            if family.solver == "linear_program" and self.batch_size > 1:
                raise ValueError(
                    "method='implicit' has a closed form for one row of the check loss: set batch_size=1"
                )
            one_root = self.batch_size == 1 and not problem.alpha and link_code(family) is not None
            if problem.size > MOST_COLUMNS and not one_root:
                raise ValueError(
                    f"method='implicit' with {problem.size:,} coefficients would solve a system that large for each "
                    "step: set batch_size=1 and alpha=0, with a family of statkit"
                )
        return choose(self, problem)


def _choice(plan, name, allowed):
    value = getattr(plan, name)
    if value not in allowed:
        raise ValueError(
            f"AveragedSGD({name}=…) must be one of {', '.join(map(repr, allowed))}, not {value!r}"
        )


def _next_epoch(plan, problem, state):
    """The path goes on; what is summed over rows starts again."""
    state = flushed(plan, problem, state)
    information = None if state.information is None else np.zeros_like(state.information)
    return replace(
        state, n=0, n_rows=0, n_read=0, n_missing=0, weight=0.0, loss=0.0, y=None, sums={}, meat=None,
        information=information,
    )  # fmt: skip
