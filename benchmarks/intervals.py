"""How often 95 % intervals hold the truth: seeded simulations of every kind of standard error.

    python benchmarks/intervals.py [--size small|full] [--only LINE …]

A line passes when its coverage lies within four Monte Carlo errors and one point of 95 %. Lines that show a method
fail (errors that ignore clusters, averages of small machines) pass when they do, below 90 %. The page "How the numbers were
checked" is made from the results file.
"""

from __future__ import annotations

import warnings

import _harness as h
import numpy as np

REPLICATES = {"small": 50, "full": 500}


def inside(estimate, truth, first=1):
    """Whether each interval of the table holds its number; ``first=1`` leaves the intercept out."""
    limits = np.asarray(estimate.conf_int(0.05), dtype=float)[first:]
    return (limits[:, 0] <= truth) & (truth <= limits[:, 1])


def glm(family, n=500, **options):
    """Slopes of a generalized linear model on data that follow it."""

    def once(seed):
        from statkit.datasets import make_glm
        from statkit.regression import GLMRegressor

        X, y, coef = make_glm(n, 4, family=family, random_state=seed)
        return inside(GLMRegressor(family, engine="serial", **options).fit(X, y).estimate_, coef)

    return once


def unequal_variances(cov_type):
    def once(seed):
        from statkit.regression import GLMRegressor

        rng = np.random.default_rng([1, seed])
        X = rng.standard_normal((400, 2))
        y = X @ [1.0, -1.0] + rng.standard_normal(400) * (0.2 + np.abs(X[:, 0]))
        return inside(GLMRegressor(cov_type=cov_type, engine="serial").fit(X, y).estimate_, [1.0, -1.0])[:1]

    return once


def clusters(cov_type):
    def once(seed):
        from statkit.regression import GLMRegressor

        rng = np.random.default_rng([2, seed])
        group = np.repeat(np.arange(60), 10)
        X = rng.standard_normal((60, 2))[group]  # one value a cluster
        y = X @ [1.0, -1.0] + rng.standard_normal(60)[group] + rng.standard_normal(600)
        groups = {"groups": group} if cov_type == "cluster" else {}
        return inside(
            GLMRegressor(cov_type=cov_type, engine="serial").fit(X, y, **groups).estimate_, [1.0, -1.0]
        )

    return once


def plan(name, n=6_000, family="binomial", **options):
    """Slopes of a logistic regression by another plan."""

    def once(seed):
        import statkit.plans
        from statkit.datasets import make_glm
        from statkit.regression import GLMRegressor

        X, y, coef = make_glm(n, 4, family=family, random_state=seed)
        chosen = getattr(statkit.plans, name)(**options)
        fit = GLMRegressor(family, plan=chosen, engine="serial", random_state=seed).fit(X, y)
        if options.get("target") == "full_data":
            exact = GLMRegressor(family, engine="serial").fit(X, y)
            return inside(fit.estimate_, exact.coef_.ravel())
        return inside(fit.estimate_, coef)

    return once


def stream(seed):
    from statkit.datasets import make_glm
    from statkit.plans import Renewable
    from statkit.regression import GLMClassifier

    X, y, coef = make_glm(4_000, 4, family="binomial", random_state=seed)
    model = GLMClassifier(plan=Renewable(on_drift="ignore"), engine="serial")
    for start in range(0, 4_000, 200):
        part = slice(start, start + 200)
        model.partial_fit(X[part], y[part], classes=[0, 1])
    return inside(model.estimate_, coef)


def cox(cov_type):
    def once(seed):
        from statkit.regression import CoxPHRegressor

        truth = np.array([0.5, -0.25])
        rng = np.random.default_rng([3, seed])
        X = rng.standard_normal((300, 2))
        time, censored = rng.exponential(np.exp(-X @ truth)), rng.exponential(2, 300)
        y = np.column_stack([np.minimum(time, censored), time <= censored])
        return inside(CoxPHRegressor(cov_type=cov_type, engine="serial").fit(X, y).estimate_, truth, first=0)

    return once


def quantile(tau):
    def once(seed):
        from scipy.stats import norm

        from statkit.regression import QuantileRegressor

        rng = np.random.default_rng([4, seed])
        X = rng.uniform(-1, 1, (1_000, 2))
        spread = 1 + 0.5 * X[:, 0]
        y = X @ [1.0, -1.0] + spread * rng.standard_normal(1_000)
        truth = np.array([1.0 + 0.5 * norm.ppf(tau), -1.0])
        return inside(QuantileRegressor(tau, engine="serial").fit(X, y).estimate_, truth)

    return once


def ordered(seed):
    from statkit.regression import OrderedClassifier

    rng = np.random.default_rng([5, seed])
    X = rng.standard_normal((500, 2))
    y = np.digitize(X @ [1.0, -0.5] + rng.logistic(size=500), [-1.0, 0.5])
    truth = np.array([1.0, -0.5, -1.0, 0.5])
    return inside(OrderedClassifier(engine="serial").fit(X, y).estimate_, truth, first=0)


def mislabel_rates(seed):
    from statkit.naive_bayes import MislabeledBernoulliNB

    rng = np.random.default_rng([6, seed])
    y = rng.integers(2, size=1_500)
    X = (rng.random((1_500, 12)) < np.where(y[:, None] == 0, 0.25, 0.55)).astype(int)
    T = np.array([[0.85, 0.15], [0.25, 0.75]])
    z = (rng.random(1_500) < T[y, 1]).astype(int)
    limits = MislabeledBernoulliNB().fit(X, z).transition_conf_int()
    return ((limits["lower"] <= T.ravel()) & (T.ravel() <= limits["upper"])).to_numpy()[[1, 2]]


#: Name: what, a replicate, whether it should hold the truth, a divisor of the replicates where one is slow.
STUDIES = {
    "linear": ("linear regression", glm("gaussian"), True, 1),
    "logistic": ("logistic regression", glm("binomial"), True, 1),
    "poisson": ("Poisson regression", glm("poisson"), True, 1),
    "gamma": ("gamma regression, log link", glm("gamma"), True, 1),
    "negative_binomial": ("negative binomial regression, α estimated", glm("negative_binomial"), True, 1),
    "unequal_model": ("unequal variances, model-based errors", unequal_variances("nonrobust"), False, 1),
    "unequal_robust": ("unequal variances, HC1", unequal_variances("HC1"), True, 1),
    "cluster_model": ("60 clusters, errors that ignore them", clusters("nonrobust"), False, 1),
    "cluster_robust": ("60 clusters, clustered errors", clusters("cluster"), True, 1),
    "quantile_median": ("quantile regression, τ = .5", quantile(0.5), True, 1),
    "quantile_high": ("quantile regression, τ = .9", quantile(0.9), True, 1),
    "ordered": ("ordered logit, thresholds included", ordered, True, 1),
    "cox": ("Cox", cox("nonrobust"), True, 1),
    "cox_robust": ("Cox, HC0", cox("HC0"), True, 1),
    "subsample": ("`Subsample(600)` of 6,000 rows, about the fit of all rows",
                  plan("Subsample", size=600, target="full_data"), True, 1),
    "subsample_population": ("the same, about the population", plan("Subsample", size=600), True, 1),
    "averages": ("`OneShot`, 100 machines of 60 rows, bias not removed",
                 plan("OneShot", n_partitions=100, bias_correction=None), False, 1),
    "one_round": ("`LeastSquaresApproximation`, 40 machines of 150 rows, bias removed",
                  plan("LeastSquaresApproximation", n_partitions=40), True, 1),
    "one_step": ("`OneStep`, 40 machines", plan("OneStep", n_partitions=40), True, 1),
    "stream": ("`Renewable`, 20 batches of 200 rows", stream, True, 1),
    "gradients": ("`AveragedSGD`, plug-in errors, 20,000 rows", plan("AveragedSGD", n=20_000), True, 2),
    "mislabel_rates": ("rates of wrong labels, Bernoulli naive Bayes", mislabel_rates, True, 5),
}  # fmt: skip


def study(name, size) -> h.Line:
    what, once, holds, divisor = STUDIES[name]
    replicates = max(REPLICATES[size] // divisor, 10)
    held = np.array([once(seed) for seed in range(replicates)])
    rate = float(held.mean())
    # Intervals of one replicate depend on each other: the error is that of the replicates' means.
    error = float(max(held.mean(axis=1).std() if held.ndim > 1 else held.std(), 0.02) / np.sqrt(replicates))
    met = abs(rate - 0.95) <= 4 * error + 0.01 if holds else rate < 0.9
    figures = {"coverage": rate, "error": error, "replicates": replicates, "holds": holds}
    return h.Line(what, "0.95" if holds else "too low", f"{rate:.3f} ± {error:.3f}", met, figures)


def main():
    warnings.simplefilter("ignore")
    args = h.arguments(STUDIES)
    done = {name: study(name, args.size) for name in args.only or STUDIES}
    h.show(h.record("intervals", args.size, done), list(STUDIES))


if __name__ == "__main__":
    main()
