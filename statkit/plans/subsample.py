"""Optimal subsampling with a calibrated estimate: one pass, few rows, and errors that say how far."""

from __future__ import annotations

import warnings
from dataclasses import replace

import numpy as np

from statkit.exceptions import BiasWarning
from statkit.plans._report import covariance_of, report
from statkit.plans._subsample_estimate import SubsampleEstimate
from statkit.plans._subsample_fit import Solution, fit_rows
from statkit.plans._subsample_pass import (
    Model,
    PoissonDraw,
    PriorityDraw,
    ReplacementDraw,
    TotalsDraw,
    link_rows,
    pilot_probability,
    score_rows,
)
from statkit.plans._subsample_pilot import draw_pilot, fit_pilot, pilot_level, rare_features, scoring_of
from statkit.plans.plan import Plan
from statkit.rounds.problem import Evaluation
from statkit.rounds.tasks import Want
from statkit.sampling.criteria import CRITERIA, Scoring
from statkit.sampling.probabilities import pilot_threshold, water_level
from statkit.solvers.newton import NewtonResult

__all__ = ["Subsample"]

_CHOICES = {
    "criterion": CRITERIA,
    "sampling": ("priority", "poisson", "replacement"),
    "likelihood": ("weighted", "conditional"),
    "combine": ("union", "inverse_variance", "information", "pooled", "none"),
    "refine": (None, "calibrated", "one_step", "newton"),
    "target": ("population", "full_data"),
    "threshold": ("exact", "pilot"),
    "pilot": ("auto", "uniform", "case_control", "windows"),
}
# A key below this share of the threshold that the pilot predicts is left in the worker.
_FLOOR = 0.5
# Squared length of a step, in standard errors of the sample, above which a second one follows.
_LONG_STEP = 9.0
_MOST_STEPS = 5
_FEW_ROWS = 10
_TARGETS = {"population": "population parameter", "full_data": "fit of all rows"}


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
        needed), "cv" (best for calibrated estimates).
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
    pilot : {"auto", "uniform", "case_control", "windows"}, default="auto"
        Rows from everywhere, half from each class, or from eight windows of rows (reads little of a file;
        these rows do not enter the final fit). "auto" takes case-control for a class below 20 %, and windows
        where the data are too large to be kept encoded.
    rare_features : "auto", list of str or None, default=None
        Columns of zeros and ones that few rows have: rows with such a feature are preferred, so that no
        coefficient gets lost. "auto" takes those that fewer than 5 % of the pilot have.
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
    (2022), Maximum Sampled Conditional Likelihood for Informative Subsampling.
    """

    serves_context = True

    def __init__(
        self,
        size=10_000,
        *,
        pilot_size=None,
        criterion="optLs",
        sampling="priority",
        likelihood="weighted",
        combine="union",
        refine="calibrated",
        mixture=0.1,
        target="population",
        contrast=None,
        threshold="exact",
        pilot="auto",
        rare_features=None,
        cov_correction=True,
    ):
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
        self.cov_correction = cov_correction

    def estimate(self, problem):
        """Fit ``problem`` (:class:`statkit.rounds.Problem`).

        Returns
        -------
        estimate : Estimate
            With ``sample_indices``, ``inclusion_prob``, ``sample_weights``, ``pilot_params``,
            ``covariance_full_data``, ``covariance_population``, ``design_effect()`` and ``subsample(X)``.
        """
        if problem.family.name == "cox":
            from statkit.plans._cox_subsample import subsample_cox

            return subsample_cox(self, problem)
        self._check(problem)
        n, p = problem.session.n_rows, problem.size
        pilot_size = self.pilot_size
        if pilot_size is None:
            pilot_size = self.size if self.refine else max(20 * p, self.size // 5)
        plain = self.criterion == "uniform" and self.refine is None
        if n <= self.size + (0 if plain else pilot_size):
            return self._everything(problem)
        if self.size < p + 2:
            raise ValueError(
                f"size={self.size} rows cannot determine {p} coefficients: raise size to {20 * p}"
            )
        pilot = fit_pilot(problem, draw_pilot(problem, pilot_size, self.pilot), int(self.size))
        return self._finish(problem, pilot, self._drawn(problem, pilot))

    # -- checks

    def _check(self, problem):
        for name in ("size", "pilot_size"):
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
        if self.likelihood == "conditional":
            self._check_conditional(family)

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

    # -- the draw

    def _drawn(self, problem, pilot) -> dict:
        """Gradient and sums of all rows at the pilot, the drawn rows and how they were drawn."""
        model = Model(problem.family, pilot.theta, problem.shape, problem.center, problem.scale)
        scoring = scoring_of(problem, pilot, self.criterion, self.contrast)
        if self.rare_features is not None:
            scoring = replace(scoring, balance=rare_features(problem, pilot, self.rare_features)[0])
        m = self._pilot_scores(pilot, model, scoring)
        if not m.any():
            scoring = Scoring("uniform")
            m = self._pilot_scores(pilot, model, scoring)
        round_of, n = problem.session.round, int(self.size)
        if self.sampling == "priority":
            w = 1.0 / pilot.pi
            draw = PriorityDraw(problem.seed, n, self.mixture, float(np.average(m, weights=w)))
            mixed = draw.mixed(m, pilot.block.weight)
            draw = replace(draw, floor=_FLOOR * pilot_level(mixed, w, n) if pilot.representative else 0.0)
            out = round_of(score_rows, model, scoring, draw, True)
            if draw.floor > 0 and len(out["kept"].keys) <= n < out["n"]:
                draw = replace(draw, floor=0.0)
                out = round_of(score_rows, model, scoring, draw, True)
            block, scores, tau = out["kept"].priority()
            pi = np.minimum(1.0, scores / tau) if tau > 0 else np.ones(len(scores))

            def probability(m, weight):
                return np.minimum(1.0, draw.mixed(m, weight) / tau) if tau > 0 else np.ones(len(m))

            return {
                **out,
                "block": block,
                "pi": pi,
                "threshold": tau,
                "probability": probability,
                "model": model,
                "scoring": scoring,
                "expected": float(n),
            }
        if self.sampling == "poisson" and self.threshold == "pilot":
            rows = problem.session.n_rows
            level, total = pilot_threshold(m, pilot.pi, n, rows)
            draw = PoissonDraw(problem.seed, n, self.mixture, level, total, rows)
            out = round_of(score_rows, model, scoring, draw, True)
        else:
            out = round_of(score_rows, model, scoring, TotalsDraw(n), True)
            draw = self._draw_after(out, problem.seed, n)
            out["kept"] = round_of(score_rows, model, scoring, draw, False)["kept"]
        block, pi = out["kept"].block(), out["kept"].scores
        if block.n_rows < problem.size + 2:
            raise ValueError(
                f"only {block.n_rows} rows were drawn for {problem.size} coefficients: raise size"
            )
        if self.sampling == "replacement":
            return {
                **out,
                "block": block,
                "pi": n * pi,
                "threshold": np.nan,
                "model": model,
                "scoring": scoring,
                "expected": float(n),
            }
        return {**out, "block": block, "pi": pi, "threshold": draw.level, "probability": draw.probability,
                "model": model, "scoring": scoring, "expected": float(n)}  # fmt: skip

    def _draw_after(self, out, seed, n):
        top, totals = out["top"], out["totals"]
        total = top.rest + float(top.top.sum())
        rows = sum(count for _, _, count in totals)
        if self.sampling == "poisson":
            level = water_level(top.rest, top.top, n)
            return PoissonDraw(seed, n, self.mixture, level, n * level, rows)
        share = [(1 - self.mixture) * t / total + self.mixture * k / rows for _, t, k in totals]
        ends = np.concatenate([[0.0], np.cumsum(share)])
        ends[-1] = np.inf
        between = {first: (ends[i], ends[i + 1]) for i, (first, _, _) in enumerate(totals) if first >= 0}
        return ReplacementDraw(seed, n, self.mixture, total, rows, between)

    @staticmethod
    def _pilot_scores(pilot, model, scoring):
        eta, r, w, _ = link_rows(pilot.block, model)
        return scoring.scores(pilot.block, model.family, eta, r, w, pilot.block.y)

    # -- the fit

    def _union(self, pilot, drawn):
        """Pilot and drawn rows, each once, with the probability of being in either."""
        first, second = pilot.block.row_numbers(), drawn["block"].row_numbers()
        new = np.flatnonzero(~np.isin(first, second))
        extra = pilot.block.take(new)
        m = self._pilot_scores(replace(pilot, block=extra), drawn["model"], drawn["scoring"])
        pi1 = np.concatenate([drawn["pi"], drawn["probability"](m, extra.weight)])
        block = drawn["block"].merge(extra)
        order = np.argsort(block.row_numbers(), kind="stable")
        block, pi1 = block.take(order), pi1[order]
        pi0 = pilot_probability(pilot.rates, block.y, block.weight)
        return block, pi0 + pi1 - pi0 * pi1

    def _finish(self, problem, pilot, drawn):
        penalty = problem.penalty(drawn["weight"])
        gradient = drawn["gradient"]
        notes = list(pilot.notes)
        block, pi = drawn["block"], drawn["pi"]
        options = {"penalty": penalty, "correct": self.cov_correction}
        if self.combine == "union" and pilot.representative:
            block, pi = self._union(pilot, drawn)
        elif self.combine == "union":
            notes.append("The pilot came from windows of rows and does not enter the fit.")
        combined = self.combine in ("inverse_variance", "information", "pooled")
        if self.likelihood == "conditional":
            from statkit.plans._subsample_conditional import fit_conditional

            solution = fit_conditional(self, problem, pilot, drawn, block, options)
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
        return self._report(problem, pilot, drawn, block, pi, solution, covariances, notes, step)

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
            problem, self, result, covariance=chosen, kind=SubsampleEstimate, target=_TARGETS[self.target],
            extra=self._extra(problem, pilot, drawn, block, pi, solution, covariances),
            **self._known_shape(problem),
        )  # fmt: skip

    def _report(self, problem, pilot, drawn, block, pi, solution, covariances, notes, step):
        e = self._evaluation(problem, pilot, drawn, block, pi, solution)
        theta = solution.theta
        result = NewtonResult(
            theta, e, solution.factor, solution.result.decrement, solution.result.converged,
            solution.result.separated, solution.result.history,
        )  # fmt: skip
        notes.append("Log-likelihood, deviance and dispersion are estimates from the drawn rows.")
        diagnostics, rare = self._diagnostics(problem, drawn, block, pi)
        if step is not None:
            diagnostics.append(_line("step in standard errors of the full fit", step, "ok", ""))
        for text in rare:
            warnings.warn(text, BiasWarning, stacklevel=6)
        extra = self._extra(problem, pilot, drawn, block, pi, solution, covariances)
        if step is not None:
            extra["step_norm"] = step
        return report(
            problem,
            self,
            result,
            covariance=covariances[self.target == "population"],
            kind=SubsampleEstimate,
            notes=notes,
            rows_used=len(np.unique(block.row_numbers())),
            cov_type="sandwich",
            target=_TARGETS[self.target],
            diagnostics=diagnostics,
            extra=extra,
            **self._known_shape(problem),
        )

    @staticmethod
    def _known_shape(problem):
        if not problem.family.n_shape:
            return {}
        name = problem.family.shape_name
        errors = {name: np.nan} if problem.family.likelihood else {}
        return {"shape": {name: float(problem.shape[0])}, "shape_bse": errors}

    def _evaluation(self, problem, pilot, drawn, block, pi, solution):
        """Sums over all rows at the estimate: those at the pilot plus the difference on the drawn rows."""
        from statkit.plans._subsample_pass import weighted

        rows = weighted(block, 1.0 / pi)
        theta = np.where(np.isnan(solution.theta), 0.0, solution.theta)

        def sums(at):
            model = replace(drawn["model"], theta=at)
            eta, r, w, loss = link_rows(rows, model)
            return problem.family.sums(eta, rows.y, rows.weight, problem.shape, (loss, r, w))

        here, there = sums(theta), sums(drawn.get("at", pilot.theta))
        total = dict(drawn["sums"])
        for name in ("loss", "pearson", "deviance"):  # the others do not depend on the coefficients
            total[name] += here[name] - there[name]
        for name in ("pearson", "deviance"):
            if not total[name] > 0:
                total[name] = here[name]
        null = None
        if block.offset is not None or not block.intercept or problem.family.name == "gaussian":
            local = problem.local(rows)
            start = problem.null_theta(*local.response())
            null = local.evaluate(start, Want(False, False, True), start[:: problem.width]).null
        return Evaluation(
            theta, total["loss"], None, solution.information, drawn["n"], drawn["n_read"], drawn["n_missing"],
            drawn["weight"], total["pearson"], total, null, None, None, drawn["y"],
        )  # fmt: skip

    def _extra(self, problem, pilot, drawn, block, pi, solution, covariances):
        import pandas as pd

        names = _labels(problem)
        full, population = (pd.DataFrame(problem.public_matrix(V), names, names) for V in covariances)
        with np.errstate(invalid="ignore", divide="ignore"):
            effect = np.diag(full) / np.diag(problem.public_matrix(_uniform(solution, drawn["n"], len(pi))))
        return {
            "sample_indices": block.row_numbers(),
            "inclusion_prob": pi,
            "sample_weights": 1.0 / pi,
            "pilot_params": pd.Series(problem.public_values(pilot.theta), names),
            "pilot_indices": pilot.block.row_numbers(),
            "threshold": float(drawn["threshold"]),
            "expected_size": drawn["expected"],
            "covariance_full_data": full,
            "covariance_population": population,
            "design_effects": effect,
        }

    def _diagnostics(self, problem, drawn, block, pi):
        w = 1.0 / pi
        effective = float(w.sum() ** 2 / (w * w).sum())
        lines = [
            _line("effective sample size", effective, "ok" if effective > 10 * problem.size else "small",
                  "" if effective > 10 * problem.size else "raise size or mixture"),
            _line("largest weight over mean weight", float(w.max() / w.mean()), "ok", ""),
        ]  # fmt: skip
        rare = []
        if block.codes is not None:
            c = block.codes.columns
            seen = np.bincount(c[c >= 0].ravel(), minlength=block.n_columns)
            expected = drawn["coded"] * len(pi) / max(drawn["n"], 1)
            first = int(block.intercept) + block.dense.shape[1]
            few = [j for j in range(first, block.n_columns) if seen[j] == 0]
            thin = [j for j in range(first, block.n_columns) if 0 < seen[j] < _FEW_ROWS]

            def told(columns):
                names = [problem.design.names[problem.design.position[j]] for j in columns[:6]]
                shown = ", ".join(
                    f"{name} ({expected[j]:.1f} expected)" for name, j in zip(names, columns, strict=False)
                )
                return shown + (f" and {len(columns) - 6} more" if len(columns) > 6 else "")

            if few:
                rare.append(
                    f"no drawn row has these levels, so they have no coefficient: {told(few)}; raise size"
                )
            if thin:
                lines.append(
                    _line(
                        f"levels with fewer than {_FEW_ROWS} drawn rows",
                        float(len(thin)),
                        "few rows",
                        told(thin),
                    )
                )
        return lines, rare

    def _everything(self, problem):
        """The exact fit: there are no more rows than would be drawn."""
        from statkit.plans.exact import Exact

        estimate = Exact().estimate(problem)
        estimate.plan = repr(self)
        estimate.__class__ = SubsampleEstimate
        k = len(estimate.values)
        rows = problem.session.round(_row_numbers)["rows"].rows
        estimate.extra.update(
            sample_indices=rows,
            inclusion_prob=np.ones(len(rows)),
            sample_weights=np.ones(len(rows)),
            pilot_params=estimate.params,
            pilot_indices=rows[:0],
            threshold=0.0,
            expected_size=float(len(rows)),
            covariance_population=estimate.cov_params(),
            covariance_full_data=0.0 * estimate.cov_params(),
            design_effects=np.zeros(k),
        )
        estimate.target = _TARGETS[self.target]
        estimate.notes.append(
            "There are no more rows than the sample and its pilot would have: all were fitted."
        )
        if self.target == "full_data":
            estimate.covariance = 0.0 * estimate.covariance
        return estimate


class _Rows:
    def __init__(self, rows):
        self.rows = rows

    def merge(self, other):
        return _Rows(np.concatenate([self.rows, other.rows]))


def _row_numbers(block) -> dict:
    return {"rows": _Rows(block.row_numbers())}


def _labels(problem):
    import pandas as pd

    names, K = list(problem.design.names), problem.family.predictors
    if K == 1:
        return pd.Index(names)
    classes = problem.design.classes
    return pd.MultiIndex.from_arrays(
        [[c for c in classes[1:] for _ in names], names * K], names=["class", "name"]
    )


def _uniform(solution: Solution, n: int, drawn: int):
    """Covariance about the full fit that as many uniform rows without refinement would have."""
    inverse = solution.factor.inverse()
    clean = np.where(np.isnan(inverse), 0.0, inverse)
    V = clean @ solution.meat_population @ clean * max(n - drawn, 0) / drawn
    V[np.isnan(np.diag(inverse))] = np.nan
    V[:, np.isnan(np.diag(inverse))] = np.nan
    return V


def _line(name, value, verdict, advice):
    return {"name": name, "value": float(value), "verdict": verdict, "advice": advice}
