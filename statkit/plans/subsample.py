"""Optimal subsampling with a calibrated estimate: one pass, few rows, and errors that say how far."""

from __future__ import annotations

import warnings
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from statkit.exceptions import BiasWarning
from statkit.plans._report import covariance_of, report
from statkit.plans._subsample_draw import draw_rows, pilot_scores
from statkit.plans._subsample_estimate import SubsampleEstimate
from statkit.plans._subsample_fit import fit_rows
from statkit.plans._subsample_pass import link_rows, require_finite
from statkit.plans._subsample_pilot import draw_pilot, fit_pilot
from statkit.plans._subsample_report import (
    TARGETS,
    all_rows,
    known_shape,
    report_sample,
    require_classes,
    sample_extra,
)
from statkit.plans.plan import Plan
from statkit.rounds.tasks import Want
from statkit.sampling.criteria import CRITERIA

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

    from statkit.results import Estimate


__all__ = ["Subsample"]

_CHOICES = {
    "criterion": CRITERIA,
    "sampling": ("priority", "poisson", "replacement"),
    "likelihood": ("weighted", "conditional"),
    "combine": ("union", "inverse_variance", "information", "pooled", "none"),
    "refine": (None, "calibrated", "one_step", "newton"),
    "target": ("population", "full_data"),
    "threshold": ("exact", "pilot"),
    "pilot": ("auto", "uniform", "case_control", "balanced", "windows"),
}
# Squared length of a step, in standard errors of the sample, above which a second one follows.
_LONG_STEP = 9.0
_MOST_STEPS = 5


class Subsample(Plan):
    """An estimate from a few well-chosen rows, in one pass after a pilot, with its distance to the full fit.

    A pilot fit gives every row a score; rows are drawn with probabilities that follow the scores, and fitted
    with weights. The pass that computes the scores also sums the full data's gradient at the pilot, and
    calibration with it (``refine="calibrated"``) removes most of the sampling error: the estimate is then
    closer to the fit of all rows than that fit is to the truth.

    Which rows are drawn depends on ``random_state`` and the rows' numbers alone, whatever the engine, the
    batches or the partitions.

    Parameters
    ----------
    size : int, default=10_000
        Rows to draw. With the pilot's they must be fewer than there are; otherwise all rows are fitted.
    pilot_size : int or None, default=None
        Rows of the pilot. None is ``size`` with a refinement (the calibrated error is of order
        1/√(pilot_size · size)), and ``max(20 p, size / 5)`` without.
    criterion : str, default="optLs"
        Which variance the scores minimise: "uniform", "LCC", "optL", "optLs" (indifferent to units), "optA"
        (trace of the variance), "optV" (prediction), "optC" (one contrast), "response_free" (responses not
        needed), "cv" (best for calibrated estimates), "LUC" (rows whose class is uncertain; classes only).
    sampling : {"priority", "poisson", "replacement"}, default="priority"
        Exactly ``size`` rows in one pass; a random number of rows, independently; with repetitions. The last
        two read the data once more to find their threshold.
    likelihood : {"weighted", "conditional"}, default="weighted"
        Rows weighted by inverse probability, or the likelihood given that they were drawn (smaller variance
        if the model holds; discrete responses, ``refine=None``, population target).
    combine : {"union", "inverse_variance", "information", "pooled", "none"}, default="union"
        How the pilot's rows serve again.
    refine : {"calibrated", "one_step", "newton"} or None, default="calibrated"
        Calibrate with the full gradient of the same pass; one Newton step with a gradient of another pass;
        Newton rounds to the exact estimate; or the textbook estimate.
    mixture : float in [0, 1], default=0.1
        Share of uniform probabilities, against exploding weights.
    target : {"population", "full_data"}, default="population"
        What the standard errors refer to.
    contrast : str or array, default=None
        For "optC": a coefficient's name, or a number for every coefficient.
    threshold : {"exact", "pilot"}, default="exact"
        For Poisson sampling: "pilot" saves the pass but misses the size by some percent.
    pilot : {"auto", "uniform", "case_control", "balanced", "windows"}, default="auto"
        Rows from everywhere, half from each class, with a preference for rare features (and half from each of
        two classes), or from eight windows of rows (reads little of a file; these rows do not enter the final
        fit). "auto" takes balanced with ``rare_features``, case-control for a class below 20 %, and windows
        where the data are too large to be kept encoded.
    rare_features : "auto", list of str or None, default=None
        Columns of zeros and ones that few rows have: rows with such a feature are preferred, so that no
        coefficient gets lost. "auto" takes those that fewer than 5 % of the rows have. Their shares are
        counted first, which reads data that cannot be kept encoded once more.
    repeats : int, default=1
        Independent samples of ``size`` rows, drawn in one pass (priority sampling, ``combine="none"``): the
        estimate is the mean of theirs, and its distance to the fit of all rows comes from their spread, with no
        formula for the variance.
    cov_correction : bool, default=True
        Multiply the sampling covariance by n/(n − p).

    Examples
    --------
    >>> from statkit.datasets import make_glm
    >>> from statkit.plans import Subsample
    >>> from statkit.regression import GLMClassifier
    >>> X, y, coef = make_glm(50_000, 3, family="binomial", random_state=0)
    >>> fit = GLMClassifier(plan=Subsample(2_000), random_state=0).fit(X, y)
    >>> fit.estimate_.rows_used < 5_000
    True

    References
    ----------
    H. Wang, R. Zhu and P. Ma (2018), Optimal Subsampling for Large Sample Logistic Regression. M. Ai, J. Yu,
    H. Zhang and H. Wang (2021), Optimal Subsampling Algorithms for Big Data Regressions. N. Duffield, C. Lund
    and M. Thorup (2007), Priority Sampling for Estimation of Arbitrary Subset Sums. H. Wang and J. K. Kim
    (2022), Maximum Sampled Conditional Likelihood for Informative Subsampling. L. Han, K. M. Tan, T. Yang and
    T. Zhang (2020), Local Uncertainty Sampling for Large-Scale Multiclass Logistic Regression.
    """

    fits_context = True

    def __init__(
        self,
        size: int = 10_000,
        *,
        pilot_size: int | None = None,
        criterion: str = "optLs",
        sampling: Literal["priority", "poisson", "replacement"] = "priority",
        likelihood: Literal["weighted", "conditional"] = "weighted",
        combine: Literal["union", "inverse_variance", "information", "pooled", "none"] = "union",
        refine: Literal["calibrated", "one_step", "newton"] | None = "calibrated",
        mixture: float = 0.1,
        target: Literal["population", "full_data"] = "population",
        contrast: str | ArrayLike | None = None,
        threshold: Literal["exact", "pilot"] = "exact",
        pilot: Literal["auto", "uniform", "case_control", "balanced", "windows"] = "auto",
        rare_features: Literal["auto"] | list[str] | None = None,
        repeats: int = 1,
        cov_correction: bool = True,
    ) -> None:
        self.size = size
        self.pilot_size = pilot_size
        self.criterion = criterion
        self.sampling = sampling
        self.likelihood = likelihood
        self.combine = combine
        self.refine = refine
        self.mixture = mixture
        self.target = target
        self.contrast = contrast
        self.threshold = threshold
        self.pilot = pilot
        self.rare_features = rare_features
        self.repeats = repeats
        self.cov_correction = cov_correction

    finds_missing = True

    def estimate(self, problem: Any) -> Estimate:
        """Fit ``problem`` (:class:`statkit.rounds.Problem`).

        Returns
        -------
        estimate : Estimate
            With ``sample_indices``, ``inclusion_prob``, ``sample_weights``, ``pilot_params``,
            ``covariance_full_data``, ``covariance_population``, ``design_effect()`` and ``subsample(X)``.
        """
        if problem.family.solver == "partial_likelihood":
            from statkit.plans._cox_subsample import subsample_cox

            return subsample_cox(self, problem)
        self._check(problem)
        n, p = problem.session.n_rows, problem.size
        pilot_size = self.pilot_size
        if pilot_size is None:
            pilot_size = self.size if self.refine else max(20 * p, self.size // 5)
        plain = self.criterion == "uniform" and self.refine is None
        few = n <= self.repeats * self.size + (0 if plain else pilot_size)
        # The first rows told the scale of the columns: an infinite one has scale zero.
        if few or not (np.isfinite(problem.center).all() and (problem.scale > 0).all()):
            require_finite(problem)
        if few:
            return all_rows(self, problem)
        if self.size < p + 2:
            raise ValueError(
                f"size={self.size} rows cannot determine {p} coefficients: raise size to {20 * p}"
            )
        pilot = draw_pilot(problem, pilot_size, self.pilot, self.rare_features)
        if not np.isfinite(pilot.block.dense).all():
            require_finite(problem)
        pilot = fit_pilot(problem, pilot, int(self.size))
        drawn = draw_rows(self, problem, pilot)
        if not np.isfinite(drawn["gradient"]).all():
            require_finite(problem)
        return self._finish(problem, pilot, drawn)

    # -- checks

    def _check(self, problem):
        for name in ("size", "pilot_size", "repeats"):
            value = getattr(self, name)
            if name == "pilot_size" and value is None:
                continue
            if isinstance(value, bool) or not isinstance(value, (int, np.integer)) or value < 1:
                raise ValueError(f"Subsample({name}=…) must be a positive integer, not {value!r}")
        for name, allowed in _CHOICES.items():
            if getattr(self, name) not in allowed:
                known = ", ".join(map(repr, allowed))
                raise ValueError(f"Subsample({name}=…) must be one of {known}, not {getattr(self, name)!r}")
        if not 0 <= self.mixture <= 1:
            raise ValueError(f"Subsample(mixture=…) must lie between 0 and 1, not {self.mixture!r}")
        family = problem.family
        if family.solver == "linear_program" and family.predictors > 1:
            raise ValueError("the rows to draw differ between quantiles: fit one at a time")
        if not family.curved and self.refine == "newton":
            raise ValueError(
                f"refine='newton' needs a curved loss, which the {family.name} family has not: "
                f"choose 'one_step'"
            )
        if not family.curved and self.refine == "one_step" and self.target == "full_data":
            raise ValueError(
                f"the distance of one step to the fit of all rows has no known error for the "
                f"{family.name} family: "
                "choose refine='calibrated', or target='population'"
            )
        if problem.cov_type == "cluster":
            raise ValueError("Subsample has no clustered covariance: its errors are those of drawing rows")
        if self.sampling == "replacement" and self.combine == "union":
            raise ValueError(
                "combine='union' is for draws without repetition; with sampling='replacement' "
                "choose 'pooled', "
                "'inverse_variance', 'information' or 'none'"
            )
        if self.refine in ("calibrated", "one_step") and self.combine not in ("union", "none"):
            raise ValueError(
                f"refine={self.refine!r} works on one set of rows: combine='union' or 'none', not "
                f"{self.combine!r}"
            )
        if self.repeats > 1:
            self._check_repeats()
        if self.likelihood == "conditional":
            self._check_conditional(family)

    def _check_repeats(self):
        for name, wrong, advice in (
            ("sampling", self.sampling != "priority", "'priority'"),
            (
                "combine",
                self.combine != "none",
                "'none': joined to each sample, the pilot would tie them together",
            ),
            ("refine", self.refine not in (None, "calibrated"), "None or 'calibrated'"),
            ("likelihood", self.likelihood != "weighted", "'weighted'"),
        ):
            if wrong:
                raise ValueError(
                    f"repeats={self.repeats} does not go with {name}={getattr(self, name)!r}: set it to {advice}"
                )

    def _check_conditional(self, family):
        from statkit.plans._subsample_conditional import COUNTABLE

        if family.name not in COUNTABLE or (not family.canonical and family.name == "binomial"):
            raise ValueError(
                "likelihood='conditional' sums over all responses of a row: it needs the logit "
                "link, softmax, "
                f"poisson or negative_binomial, not {family.name} with {family.link_name} link"
            )
        for name, wrong, advice in (
            ("sampling", self.sampling == "replacement", "'priority' or 'poisson'"),
            (
                "target",
                self.target == "full_data",
                "'population': it estimates the model, not the fit of all rows",
            ),
            ("refine", self.refine is not None, "None: there is no weighted score to calibrate"),
            ("combine", self.combine not in ("union", "none"), "'union' or 'none'"),
        ):
            if wrong:
                raise ValueError(
                    f"likelihood='conditional' does not go with {name}={getattr(self, name)!r}: set "
                    f"it to {advice}"
                )

    # -- the fit

    def _union(self, pilot, drawn):
        """Pilot and drawn rows, each once, with the probability of being in either."""
        first, second = pilot.block.row_numbers(), drawn["block"].row_numbers()
        at = np.minimum(np.searchsorted(second, first), len(second) - 1)
        new = np.flatnonzero(second[at] != first)
        m = pilot_scores(pilot.block, drawn["model"], drawn["scoring"])
        pi1 = np.append(drawn["pi"], drawn["probability"](m, pilot.block.weight)[new])
        order = np.argsort(np.append(second, first[new]), kind="stable")
        both = drawn["block"].merge(pilot.block)
        pilot.block = drawn["block"] = None  # the union takes their place in memory
        block, pi1 = both.take(np.append(np.arange(len(second)), len(second) + new)[order]), pi1[order]
        pi0 = pilot.rates.of(block)
        return block, pi0 + pi1 - pi0 * pi1

    def _finish(self, problem, pilot, drawn):
        penalty = problem.penalty(drawn["weight"])
        gradient = drawn["gradient"]
        notes = list(pilot.notes)
        options = {"penalty": penalty, "correct": self.cov_correction}
        if self.combine == "union" and pilot.representative:
            block, pi = self._union(pilot, drawn)
        else:
            block, pi = drawn["block"], drawn["pi"]
            if self.combine == "union":
                notes.append("The pilot came from windows of rows and does not enter the fit.")
        require_classes(problem, drawn, block)
        combined = self.combine in ("inverse_variance", "information", "pooled")
        if self.likelihood == "conditional":
            from statkit.plans._subsample_conditional import fit_conditional

            solution = fit_conditional(self, problem, pilot, drawn, block, options)
        elif self.repeats > 1:
            from statkit.plans._subsample_combine import mean_of_samples

            refined = gradient if self.refine == "calibrated" else None
            block, pi, solution = mean_of_samples(problem, pilot, drawn, {**options, "gradient": refined})
        elif combined:
            from statkit.plans._subsample_combine import combine

            block, pi, solution = combine(self, problem, pilot, drawn, options)
        else:
            solution = fit_rows(
                problem, block, pi, pilot.theta, gradient=gradient if self.refine == "calibrated" else None,
                replacement=self.sampling == "replacement", **options,
            )  # fmt: skip
        if self.refine == "newton":
            return self._newton(problem, pilot, drawn, block, pi, solution)
        covariances = solution.covariances()
        step = None
        if self.refine == "one_step":
            solution, covariances, step = self._one_step(problem, drawn, block, pi, solution)
        return report_sample(self, problem, pilot, drawn, block, pi, solution, covariances, notes, step)

    def _one_step(self, problem, drawn, block, pi, solution):
        """Newton steps with the gradient of all rows and the sample's information."""
        theta = np.where(np.isnan(solution.theta), 0.0, solution.theta)
        M, factor = solution.information, solution.factor
        n = len(np.unique(block.row_numbers()))
        if not problem.family.curved:  # only rows near the fit tell its density
            n = max(int((link_rows(block, replace(drawn["model"], theta=theta))[2] > 0).sum()), 1)
        effective = float((1 / pi).sum() ** 2 / (1 / pi**2).sum())
        count = 0
        while count < _MOST_STEPS:
            count += 1
            e = problem.evaluate(theta, Want(information=False, sums=True))
            step = factor.solve(e.gradient)
            theta = theta + step
            length = float(step @ M @ step)
            if length * effective <= _LONG_STEP * problem.size * drawn["n"]:
                break
        if count > 1:
            warnings.warn(
                f"the first step was longer than three standard errors of the sample: {count} steps "
                f"were made",
                BiasWarning,
                stacklevel=6,
            )
        drawn["sums"], drawn["at"] = e.sums, theta - step
        again = replace(solution, theta=np.where(np.isnan(solution.theta), np.nan, theta))
        inverse = factor.inverse()
        clean = np.where(np.isnan(inverse), 0.0, inverse)
        # The information comes from n rows: what a step leaves is about its length times 1/√n.
        full = length / n * inverse
        population = full + clean @ solution.meat_population @ clean
        if not problem.family.curved:
            full = np.full_like(inverse, np.nan)
        return again, (full, population), float(np.sqrt(length))

    def _newton(self, problem, pilot, drawn, block, pi, solution):
        from statkit.plans.exact import Exact

        exact = Exact()
        null = problem.null_theta(drawn["y"], drawn["weight"])[:: problem.width].copy()
        start = np.where(np.isnan(solution.theta), 0.0, solution.theta), null
        result, null = exact.solve(problem, start)
        e = result.at
        scale = 1.0
        if problem.family.dispersion != "known":
            scale = e.sums["pearson"] / (e.n - result.factor.rank)
        population = covariance_of(problem, result.factor, e.information, e.meat, scale, e.n)
        covariances = np.where(np.isnan(population), np.nan, 0.0), population
        chosen = covariances[self.target == "population"]
        return report(
            problem, self, result, covariance=chosen, kind=SubsampleEstimate, target=TARGETS[self.target],
            extra=sample_extra(problem, pilot, drawn, block, pi, solution, covariances),
            **known_shape(problem),
        )  # fmt: skip
