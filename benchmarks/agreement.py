"""Agreement with other software: the largest difference on small fits, line by line, beside the tolerance of the tests.

    python benchmarks/agreement.py [--only LINE …]

Coefficients, errors and statistics are compared relatively. Values of R and of NIST are those stored in the tests.
The page "How the numbers were checked" is made from the results file. The size makes no difference.
"""

from __future__ import annotations

import runpy
import warnings
from functools import cache
from pathlib import Path

import _harness as h
import numpy as np

TESTS = Path(__file__).resolve().parents[1] / "tests"


@cache
def stored(name: str) -> dict:
    """What a test file defines: data, and the numbers of other software."""
    return runpy.run_path(str(TESTS / name))


def off(ours, theirs) -> float:
    """Largest difference relative to the larger of value and one thousandth of the largest value."""
    ours, theirs = np.asarray(ours, dtype=float).ravel(), np.asarray(theirs, dtype=float).ravel()
    return float(np.max(np.abs(ours - theirs) / np.maximum(np.abs(theirs), 1e-3 * np.abs(theirs).max())))


def line(what, against, differences: dict, tolerance: float, test: str) -> h.Line:
    worst = max(differences.values())
    figures = {
        "largest": worst,
        "tolerance": tolerance,
        "against": against,
        "test": test,
        "parts": differences,
    }
    return h.Line(what, f"{against}, {tolerance:.0e}", f"{worst:.0e}", worst <= tolerance, figures)


def families():
    known = stored("regression/test_against_statsmodels.py")
    found = {}
    for name in known["CASES"]:
        offset = np.abs(known["OFFSET"]) if name == "gamma inverse" else known["OFFSET"]
        for weighted in (False, True):
            mine = {"sample_weight": known["WEIGHT"], "offset": offset} if weighted else {}
            theirs = {"weight": known["WEIGHT"], "offset": offset} if weighted else {}
            a, b = known["fit"](name, **mine), known["reference"](name, **theirs)
            key = f"{name}, weights and offset" if weighted else name
            found[key] = max(off(a.params, b.params), off(a.bse, b.bse), off(a.deviance, b.deviance))
    what = f"coefficients, errors, deviance: {len(known['CASES'])} families and links, with weights and offsets too"
    return line(what, "statsmodels GLM", found, 1e-8, "tests/regression/test_against_statsmodels.py")


def sandwich():
    known = stored("regression/test_against_statsmodels.py")
    found = {}
    for name in ("gaussian", "logit", "poisson"):
        for kind in ("HC0", "HC1"):
            n, p = known["N"], 4
            factor = np.sqrt(n / (n - p)) if kind == "HC1" else 1.0
            found[f"{name} {kind}"] = off(
                known["fit"](name, kind).bse, factor * known["reference"](name, "HC0").bse
            )
        clustered = known["reference"](name, "cluster", cov_kwds={"groups": known["GROUP"]})
        found[f"{name} cluster"] = off(
            known["fit"](name, "cluster", groups=known["GROUP"]).bse, clustered.bse
        )
    what = "HC0, HC1 and clustered errors: linear, logistic, Poisson"
    return line(what, "statsmodels GLM", found, 1e-7, "tests/regression/test_against_statsmodels.py")


def nist():
    from statkit.regression import GLMRegressor

    known = stored("regression/test_nist.py")
    X, y = known["LONGLEY"][:, 1:], known["LONGLEY"][:, 0]
    fit = GLMRegressor().fit(X, y).estimate_
    found = {"Longley": off(fit.params, known["LONGLEY_CERTIFIED"]),
             "Longley, errors": off(fit.bse, known["LONGLEY_ERRORS"])}  # fmt: skip
    powers = known["polynomial"](known["FILIP"][:, 1], 10)
    found["Filip"] = off(
        GLMRegressor().fit(powers, known["FILIP"][:, 0]).estimate_.params, known["FILIP_CERTIFIED"]
    )
    return line("linear regression on nearly collinear columns: Longley, Filip", "NIST StRD, certified values", found,
                1e-7, "tests/regression/test_nist.py")  # fmt: skip


def penalised():
    from glum import GeneralizedLinearRegressor
    from sklearn.linear_model import ElasticNet

    from statkit.regression import GLMRegressor

    known = stored("plans/test_penalised.py")
    X, y = known["X"], known["RESPONSE"]
    peer = ElasticNet(alpha=0.1, l1_ratio=0.6, tol=1e-12, max_iter=100_000).fit(X, y["gaussian"])
    found = {
        "scikit-learn, linear": off(
            GLMRegressor(alpha=0.1, l1_ratio=0.6).fit(X, y["gaussian"]).coef_, peer.coef_
        )
    }
    for family in ("binomial", "poisson"):
        peer = GeneralizedLinearRegressor(
            family=family, alpha=0.04, l1_ratio=0.7, gradient_tol=1e-10, max_iter=1000
        )
        mine = GLMRegressor(family, alpha=0.04, l1_ratio=0.7).fit(X, y[family])
        found[f"glum, {family}"] = off(mine.coef_, peer.fit(X, y[family]).coef_)
    return line("elastic net: linear, logistic, Poisson", "scikit-learn, glum", found, 1e-6,
                "tests/plans/test_penalised.py")  # fmt: skip


def cox():
    from statkit import coxph

    known = stored("regression/test_cox.py")
    data = known["data"].__wrapped__()
    found = {}
    for ties, r in known["R"].items():
        fit = coxph(known["FULL"], data, ties=ties, weights="w")
        robust = coxph(known["FULL"], data, ties=ties, weights="w", cov_type="HC0")
        table = fit.predict_survival(data.iloc[:3].assign(o=0.0), [5, 20])
        found |= {
            f"{ties}, coefficients": off(fit.estimate_.values, r["coef"]),
            f"{ties}, errors": off(fit.estimate_.bse, r["se"]),
            f"{ties}, robust errors": off(robust.estimate_.bse, r["robust"]),
            f"{ties}, log-likelihoods": off([fit.estimate_.llnull, fit.estimate_.llf], r["llf"]),
            f"{ties}, survival": off(table.survival, r["survival"]),
        }
    what = "Cox: ties, late entry, strata, weights, robust errors, survival curves"
    return line(what, "R survival 3.5", found, 1e-9, "tests/regression/test_cox.py")


def cox_statsmodels():
    from statsmodels.duration.hazard_regression import PHReg

    from statkit.regression import CoxPHRegressor

    data = stored("regression/test_cox.py")["data"].__wrapped__()
    X = data[["x0", "x1", "x2"]].to_numpy() - [0, 50, 1000]
    found = {}
    for ties in ("efron", "breslow"):
        mine = CoxPHRegressor(ties).fit(X, data[["t", "e"]].to_numpy())
        peer = PHReg(data.t, X, status=data.e, ties=ties).fit()
        found[ties] = max(off(mine.coef_, peer.params), off(mine.estimate_.bse, peer.bse))
    return line(
        "Cox: coefficients and errors", "statsmodels PHReg", found, 1e-6, "tests/regression/test_cox.py"
    )


def ordered():
    from statsmodels.miscmodels.ordinal_model import OrderedModel

    from statkit.regression import OrderedClassifier

    rng = np.random.default_rng(0)
    X = rng.standard_normal((2_000, 3))
    y = np.digitize(X @ [1, -0.5, 0.2] + rng.logistic(size=2_000), [-1, 0.5, 2])
    found = {}
    for link in ("logit", "probit"):
        mine = OrderedClassifier(link).fit(X, y)
        peer = OrderedModel(y, X, distr=link).fit(method="newton", disp=0, tol=1e-12)
        found[link] = max(off(mine.coef_, peer.params[:3]), off(mine.estimate_.llf, peer.llf))
        found[f"{link}, errors"] = off(mine.estimate_.bse[:3], peer.bse[:3])
    return line(
        "ordered logit and probit",
        "statsmodels OrderedModel",
        found,
        1e-5,
        "tests/regression/test_ordered.py",
    )


def softmax():
    import statsmodels.api as sm

    from statkit.regression import GLMClassifier

    rng = np.random.default_rng(0)
    X = rng.standard_normal((1_500, 3))
    eta = np.column_stack([np.zeros(1_500), X @ [0.5, -1, 0], 0.5 - X[:, 0]])
    y = (eta + rng.gumbel(size=eta.shape)).argmax(axis=1)
    mine = GLMClassifier().fit(X, y)
    peer = sm.MNLogit(y, sm.add_constant(X)).fit(disp=0, method="newton", tol=1e-12)
    found = {
        "coefficients": off(mine.estimate_.params, peer.params.T),
        "errors": off(mine.estimate_.bse, peer.bse.T),
        "log-likelihood": off(mine.estimate_.llf, peer.llf),
    }
    return line("softmax of three classes", "statsmodels MNLogit", found, 1e-6,
                "tests/regression/test_against_statsmodels.py")  # fmt: skip


def quantile():
    from scipy.optimize import linprog

    from statkit.regression import QuantileRegressor

    rng = np.random.default_rng(0)
    X = rng.standard_normal((400, 3))
    y = X @ [1, 2, -1] + rng.standard_t(3, 400)
    A = np.column_stack([np.ones(400), X])
    found = {}
    for tau in (0.1, 0.5, 0.9):
        cost = np.concatenate([np.zeros(4), np.full(400, tau), np.full(400, 1 - tau)])
        bounds = [(None, None)] * 4 + [(0, None)] * 800
        peer = linprog(
            cost, A_eq=np.hstack([A, np.eye(400), -np.eye(400)]), b_eq=y, bounds=bounds, method="highs"
        )
        found[f"τ = {tau}"] = off(QuantileRegressor(tau).fit(X, y).estimate_.params, peer.x[:4])
    return line("quantile regression, exact: the vertex itself", "the linear programme by HiGHS", found, 1e-8,
                "tests/regression/test_quantile.py")  # fmt: skip


def meta():
    from statsmodels.stats.meta_analysis import combine_effects

    from statkit.inference import meta_analysis

    known = stored("inference/test_meta_analysis.py")
    found = {}
    for adjusted in (False, True):
        peer = combine_effects(known["B"], known["V"], method_re="dl", use_t=adjusted)
        mine = meta_analysis(known["B"], known["V"], "random", hartung_knapp=adjusted)
        error = peer.sd_eff_w_re_hksj if adjusted else peer.sd_eff_w_re
        found[f"random, Hartung–Knapp {adjusted}"] = off(
            [mine.effect[0], mine.bse[0], mine.Q[0], mine.tau2[0]],
            [peer.mean_effect_re, error, peer.q, peer.tau2],
        )
    return line("meta-analysis: effect, error, Q, τ²", "statsmodels combine_effects", found, 1e-10,
                "tests/inference/test_meta_analysis.py")  # fmt: skip


def newey_west():
    import statsmodels.api as sm

    from statkit.plans import Renewable
    from statkit.regression import GLMRegressor

    rng = np.random.default_rng(0)
    X = rng.standard_normal((4_000, 2))
    y = 1 + X @ [0.5, -0.5] + np.convolve(rng.normal(size=4_020), np.ones(20) / 4, "valid")[:4_000]
    plan = Renewable(newton="full", lags=12, warm_up=0, buffer_rows=0, on_drift="ignore", batch_size=500)
    mine = GLMRegressor(plan=plan, cov_type="HAC").fit(X, y).estimate_
    peer = sm.OLS(y, sm.add_constant(X)).fit(cov_type="HAC", cov_kwds={"maxlags": 12})
    found = {"coefficients": off(mine.params, peer.params), "errors": off(mine.bse, peer.bse)}
    return line(
        "Newey–West errors from batches", "statsmodels OLS", found, 1e-6, "tests/plans/test_streams.py"
    )


def fuzzy():
    from statkit.cluster import Fanny, FuzzyCMeans

    known = stored("cluster/test_fuzzy.py")
    found = {}
    for metric, m, objective in known["R_OBJECTIVE"]:
        fit = Fanny(3, m=m, metric=metric, tol=1e-11, random_state=0).fit(known["IRIS"])
        found[f"R cluster, {metric}, m = {m}"] = off(fit.objective_, objective)
    fit = FuzzyCMeans(3, m=2.0, tol=0.0, max_iter=1_000, random_state=0).fit(known["IRIS"])
    found["scikit-fuzzy, m = 2"] = off(fit.objective_, 60.50571062948857)
    return line("FANNY and fuzzy c-means: objective on iris", "R cluster 2.1.4, scikit-fuzzy", found, 1e-10,
                "tests/cluster/test_fuzzy.py")  # fmt: skip


def components():
    from sklearn.decomposition import PCA

    from statkit.decomposition import DistributedPCA

    X = stored("decomposition/test_distributed_pca.py")["make"](0)
    mine, peer = DistributedPCA(3, n_partitions=7).fit(X), PCA(3, svd_solver="full").fit(X)
    found = {
        "variances": off(mine.explained_variance_, peer.explained_variance_),
        "components": float(np.abs(mine.components_ - peer.components_).max()),
    }
    return line("principal components of seven pieces", "scikit-learn PCA", found, 1e-7,
                "tests/decomposition/test_distributed_pca.py")  # fmt: skip


def naive_bayes():
    from sklearn.naive_bayes import MultinomialNB

    from statkit.naive_bayes import MislabeledMultinomialNB

    rng = np.random.default_rng(0)
    X, y = rng.poisson(0.3, (300, 40)), rng.integers(3, size=300)
    mine = MislabeledMultinomialNB(transition=np.eye(3), power=1.0).fit(X, y)
    peer = MultinomialNB().fit(X, y)
    found = {"log probabilities of the classes": off(mine.predict_log_proba(X), peer.predict_log_proba(X))}
    return line("multinomial naive Bayes when no label is wrong", "scikit-learn MultinomialNB", found, 1e-8,
                "tests/naive_bayes")  # fmt: skip


LINES = {
    f.__name__: f
    for f in (
        families, sandwich, nist, softmax, ordered, quantile, penalised, cox, cox_statsmodels, newey_west, meta,
        components, fuzzy, naive_bayes,
    )
}  # fmt: skip


def main():
    warnings.simplefilter("ignore")
    args = h.arguments(LINES)
    done = {name: LINES[name]() for name in args.only or LINES}
    h.show(h.record("agreement", "full", done), list(LINES))


if __name__ == "__main__":
    main()
