"""Logistic regression of rare events: keep every event, and the non-events that tell most."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np

from statkit.plans._subsample_conditional import Conditional
from statkit.plans._subsample_draw import pilot_scores, priority_pass
from statkit.plans._subsample_fit import fit_rows, score_covariance, solve_weighted
from statkit.plans._subsample_pass import Model, PriorityDraw, link_rows
from statkit.plans._subsample_pilot import draw_pilot, fit_pilot, pilot_level, scoring_of
from statkit.plans._subsample_report import TARGETS, all_rows, report_sample
from statkit.plans.plan import Plan
from statkit.rounds.problem import Evaluation
from statkit.sampling.criteria import Scoring
from statkit.sampling.priority import priority_keys
from statkit.solvers.newton import newton

__all__ = ["RareEvents"]

_CRITERIA = ("uniform", "LCC", "optL", "optLs", "optA")


@dataclass(frozen=True)
class NegativeScoring:
    """Score of a row as if it had no event: μ √(1 − μ) ‖T x‖."""

    base: Scoring
    squares = None

    def scores(self, block, family, eta, r, w, y):
        mu = family.inverse_link(eta)
        if self.base.criterion != "LCC":
            mu = mu * np.sqrt(1.0 - mu)
        r0 = mu if block.weight is None else mu * block.weight
        return self.base.scores(block, family, eta, r0, w, y)


@dataclass(frozen=True)
class NegativesDraw(PriorityDraw):
    """Every event, and non-events by priority; ``n`` counts both."""

    def take(self, m, part, u):
        m = self.mixed(m, part.weight)
        keys = priority_keys(m, u)
        event = (part.y == 1.0) if part.weight is None else (part.y == 1.0) & (part.weight > 0)
        keys = np.where(event, np.inf, keys)
        index = np.flatnonzero(keys > self.floor)
        return index, keys[index], m[index]


class RareEvents(Plan):
    """Logistic regression when events are rare: all of them and a few well-chosen non-events per event.

    With rare events the information is in the events: their number, not the number of rows, sets the standard
    errors. Non-events are drawn with probabilities that follow their scores, and the likelihood is corrected
    for the draw.

    Parameters
    ----------
    negatives_per_event : float, default=5
        Non-events to draw for every event.
    criterion : {"optLs", "optA", "optL", "LCC", "uniform"}, default="optLs"
        Which non-events to prefer.
    likelihood : {"conditional", "weighted"}, default="conditional"
        Log-odds correction by the inclusion probabilities (smaller variance if the model holds), or inverse
        probability weights.
    pilot_size : int or None, default=None
        Rows of the pilot, half of them events; None is ``max(40 p, 1000)``.
    mixture : float, default=0.1
        Share of uniform probabilities.
    prevalence : float or None, default=None
        Share of events in the population, where it is known to differ from that of the data: the intercept is
        moved accordingly.
    firth : bool, default=False
        Firth's penalty against the bias of few (fewer than about 50) events; conditional likelihood only.
    target : {"population", "full_data"}, default="population"
        "full_data" needs ``likelihood="weighted"``.

    Examples
    --------
    >>> import numpy as np
    >>> from statkit.plans import RareEvents
    >>> from statkit.regression import GLMClassifier
    >>> rng = np.random.default_rng(1)
    >>> X = rng.standard_normal((50_000, 2))
    >>> y = rng.random(50_000) < 1 / (1 + np.exp(5.5 - X[:, 0]))
    >>> fit = GLMClassifier(plan=RareEvents(), random_state=0).fit(X, y)
    >>> bool(fit.estimate_.rows_used == 6 * y.sum())
    True

    References
    ----------
    H. Wang (2020), Logistic Regression for Massive Data with Rare Events. H. Wang, A. Zhang and C. Wang
    (2021), Nonuniform Negative Sampling and Log Odds Correction with Rare Events Data. W. Fithian and T.
    Hastie (2014), Local Case-Control Sampling. D. Firth (1993), Bias Reduction of Maximum Likelihood
    Estimates. G. King and L. Zeng (2001), Logistic Regression in Rare Events Data.
    """

    def __init__(
        self,
        negatives_per_event: float = 5,
        *,
        criterion: Literal["optLs", "optA", "optL", "LCC", "uniform"] = "optLs",
        likelihood: Literal["conditional", "weighted"] = "conditional",
        pilot_size: int | None = None,
        mixture: float = 0.1,
        prevalence: float | None = None,
        firth: bool = False,
        target: Literal["population", "full_data"] = "population",
    ) -> None:
        self.negatives_per_event = negatives_per_event
        self.criterion = criterion
        self.likelihood = likelihood
        self.pilot_size = pilot_size
        self.mixture = mixture
        self.prevalence = prevalence
        self.firth = firth
        self.target = target

    def estimate(self, problem: Any) -> Any:
        """Fit ``problem`` (:class:`statkit.rounds.Problem`), a logistic regression of two classes."""
        self._check_rare(problem)
        y, weight = problem.response()
        n = problem.session.n_rows
        events = int(problem.session.round(_count_events)["events"])
        if problem.in_memory:
            problem.session.rows_visited -= 2 * n  # responses alone
        if events < 2:
            raise ValueError(f"{events} of {n:,} rows are events: a model needs more")
        size = events + round(self.negatives_per_event * events)
        if size >= n or events > n / 2:
            estimate = all_rows(self, problem)
        else:
            if size < problem.size + 2:
                raise ValueError(
                    f"{size} rows for {problem.size} coefficients: raise negatives_per_event or drop columns"
                )
            pilot = self._pilot(problem, n, events)
            drawn = self._drawn_negatives(problem, pilot, size, events)
            solution = self._fit(problem, pilot, drawn)
            estimate = report_sample(
                self, problem, pilot, drawn, drawn["block"], drawn["pi"], solution, solution.covariances(),
                pilot.notes,
            )  # fmt: skip
        if self.prevalence is not None:
            share = float(y[0]) / weight
            shift = np.log(self.prevalence / (1 - self.prevalence)) - np.log(share / (1 - share))
            estimate.values[0] += shift
            estimate.notes.append(
                f"The intercept was moved by {shift:.4g} to a prevalence of {self.prevalence:g}."
            )
        return estimate

    def _check_rare(self, problem):
        if problem.family.name != "binomial" or problem.family.link_name != "logit":
            raise ValueError("RareEvents is for logistic regression: the binomial family with logit link")
        if not self.negatives_per_event > 0:
            raise ValueError(f"negatives_per_event must be positive, not {self.negatives_per_event!r}")
        if self.criterion not in _CRITERIA:
            raise ValueError(f"RareEvents(criterion=…) must be one of {_CRITERIA}, not {self.criterion!r}")
        if self.prevalence is not None and not 0 < self.prevalence < 1:
            raise ValueError(f"prevalence must lie strictly between 0 and 1, not {self.prevalence!r}")
        if (self.prevalence is not None or self.likelihood == "conditional") and not problem.design.intercept:
            raise ValueError("RareEvents corrects the intercept: the model must have one")
        if self.firth and self.likelihood != "conditional":
            raise ValueError("firth=True needs likelihood='conditional'")
        for name, allowed in (("likelihood", ("conditional", "weighted")), ("target", tuple(TARGETS))):
            if getattr(self, name) not in allowed:
                raise ValueError(
                    f"RareEvents({name}=…) must be one of {allowed}, not {getattr(self, name)!r}"
                )
        if self.likelihood == "conditional" and self.target == "full_data":
            raise ValueError(
                "likelihood='conditional' estimates the model, not the fit of all rows: set target='population', "
                "or likelihood='weighted'"
            )
        if not 0 <= self.mixture <= 1:
            raise ValueError(f"RareEvents(mixture=…) must lie between 0 and 1, not {self.mixture!r}")
        size = self.pilot_size
        if size is not None and (
            isinstance(size, bool) or not isinstance(size, (int, np.integer)) or size < 1
        ):
            raise ValueError(f"RareEvents(pilot_size=…) must be a positive integer, not {size!r}")
        if problem.cov_type == "cluster":
            raise ValueError("RareEvents has no clustered covariance: its errors are those of drawing rows")

    def _pilot(self, problem, n, events):
        size = self.pilot_size or max(40 * problem.size, 1_000)
        pilot = fit_pilot(problem, draw_pilot(problem, min(size, n), "case_control"))
        if problem.family.n_shape == 0 and not pilot.notes and pilot.rates.one > pilot.rates.zero:
            # Unweighted with a corrected intercept: the same model, estimated with less variance.
            fit, _ = solve_weighted(problem, pilot.block, pilot.theta)
            if np.isfinite(fit.theta).all():
                pilot.theta = fit.theta.copy()
                pilot.theta[0] -= np.log(pilot.rates.one / pilot.rates.zero)
        return pilot

    def _drawn_negatives(self, problem, pilot, size, events):
        model = Model(problem.family, pilot.theta, problem.shape, problem.center, problem.scale)
        scoring = NegativeScoring(scoring_of(problem, pilot, self.criterion, None))
        m = pilot_scores(pilot.block, model, scoring)
        none = pilot.block.y == 0.0
        w = (1.0 / pilot.pi)[none]
        draw = NegativesDraw(problem.seed, size, self.mixture, float(np.average(m[none], weights=w)))
        level = pilot_level(draw.mixed(m, pilot.block.weight)[none], w, size - events)
        out = priority_pass(problem, model, scoring, draw, level, int(none.sum()))
        block, scores, tau = out.pop("kept")[0].priority()
        as_negative = np.minimum(1.0, scores / tau) if tau > 0 else np.ones(len(scores))
        return {
            **out,
            "block": block,
            "negative": as_negative,
            "model": model,
            "scoring": scoring,
            "threshold": tau,
            "pi": np.where(block.y == 1.0, 1.0, as_negative),
            "expected": float(size),
        }

    def _fit(self, problem, pilot, drawn):
        block, penalty = drawn["block"], problem.penalty(drawn["weight"])
        if self.likelihood == "weighted":
            return fit_rows(problem, block, drawn["pi"], pilot.theta, penalty=penalty)
        # A non-event with these columns is drawn with this probability, an event always.
        correction = -np.log(drawn["negative"])
        offset = correction if block.offset is None else block.offset + correction
        rows = replace(block, offset=offset)
        if penalty is not None:
            penalty = penalty * (block.n_rows / drawn["n"])
        if self.firth:
            result = _firth(problem, rows, pilot.theta, penalty)
        else:
            result, _ = solve_weighted(problem, rows, pilot.theta, penalty=penalty)
        theta = np.where(np.isnan(result.theta), 0.0, result.theta)
        _, r, _, _ = link_rows(rows, replace(drawn["model"], theta=theta))
        meat = score_covariance(problem, block, r)
        return Conditional(
            result.theta, result.factor, result.at.information, np.zeros_like(meat), meat, result
        )


def _count_events(block) -> dict:
    event = block.y == 1.0
    return {"events": float(np.count_nonzero(event if block.weight is None else event & (block.weight > 0)))}


def _firth(problem, rows, theta, penalty):
    """Logistic fit with Jeffreys' prior: the score of a row gains h (1/2 − p), h its leverage."""
    X = rows.scaled(problem.center, problem.scale).to_dense()
    a = np.ones(len(X)) if rows.weight is None else rows.weight
    local = problem.local(rows)
    local.alpha = 0.0

    def evaluate(theta, _):
        e = local.evaluate(theta)
        H = e.information if penalty is None else e.information + np.diag(penalty)
        p = 1.0 / (1.0 + np.exp(-np.clip(X @ theta + rows.offset, -700, 700)))
        h = a * p * (1 - p) * np.einsum("ij,ij->i", X @ np.linalg.pinv(H, hermitian=True), X)
        gradient = e.gradient + X.T @ (h * (0.5 - p))
        loss = e.loss - 0.5 * np.linalg.slogdet(H)[1]
        if penalty is not None:
            loss += 0.5 * float(penalty @ theta**2)
            gradient = gradient - penalty * theta
        return Evaluation(theta, loss, gradient, H, e.n, e.n, 0, e.weight)

    return newton(evaluate, theta, tol=1e-10, max_rounds=100)
