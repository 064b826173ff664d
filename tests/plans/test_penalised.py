"""Lasso and elastic net, one penalty and paths: scikit-learn's and glum's answers, optimality, rounds, folds."""

import numpy as np
import pytest
from glum import GeneralizedLinearRegressor
from sklearn.linear_model import ElasticNet, LogisticRegression
from sklearn.model_selection import KFold

from statkit.plans import Exact, OneShot, RegularizationPath
from statkit.regression import GLMClassifier, GLMRegressor, regularization_path
from statkit.results import Estimate

RNG = np.random.default_rng(0)
N, P = 800, 12
X = RNG.standard_normal((N, P)) * np.linspace(0.5, 3, P) + RNG.standard_normal(P)
ETA = X[:, :4] @ [0.6, -0.5, 0.3, -0.2]
RESPONSE = {
    "gaussian": 3 + ETA + RNG.standard_normal(N),
    "binomial": (RNG.random(N) < 1 / (1 + np.exp(-ETA))) * 1.0,
    "poisson": RNG.poisson(np.exp(ETA / 3)) * 1.0,
    "gamma": RNG.gamma(2, np.exp(ETA / 3) / 2),
}


def violation(family, model, alpha, l1_ratio):
    """Largest violation of the optimality conditions, in units of the mean loss."""
    y, mu = RESPONSE[family], model.predict(X)
    working = (y - mu) / mu if family == "gamma" else y - mu
    b = model.coef_
    score = X.T @ working / N - alpha * (1 - l1_ratio) * b
    bound = alpha * l1_ratio
    off = np.where(b != 0, np.abs(score - bound * np.sign(b)), np.maximum(np.abs(score) - bound, 0))
    return max(off.max(), abs(working.mean()))


@pytest.mark.parametrize("family", list(RESPONSE))
@pytest.mark.parametrize("l1_ratio", [1.0, 0.5])
def test_optimality(family, l1_ratio):
    model = GLMRegressor(family, alpha=0.1, l1_ratio=l1_ratio).fit(X, RESPONSE[family])
    assert violation(family, model, 0.1, l1_ratio) < 1e-8
    e = model.estimate_
    assert (model.coef_ == 0).any() and e.converged and e.rank == (e.values != 0).sum()
    assert np.isnan(e.bse).all() and "shrunk" in e.why_nan["x0"] and "NaN" in str(e.summary())
    if family == "gaussian":
        assert e.n_rounds == 1


def test_agreement_with_scikit_learn():
    ours = GLMRegressor(alpha=0.1, l1_ratio=0.6).fit(X, RESPONSE["gaussian"])
    theirs = ElasticNet(alpha=0.1, l1_ratio=0.6, tol=1e-12, max_iter=100_000).fit(X, RESPONSE["gaussian"])
    np.testing.assert_allclose(ours.coef_, theirs.coef_, atol=1e-10)
    ours = GLMClassifier(alpha=0.03, l1_ratio=1.0).fit(X, RESPONSE["binomial"])
    theirs = LogisticRegression(l1_ratio=1, solver="saga", C=1 / (N * 0.03), tol=1e-9, max_iter=100_000)
    np.testing.assert_allclose(ours.coef_, theirs.fit(X, RESPONSE["binomial"]).coef_, atol=1e-7)


@pytest.mark.parametrize("family", ["binomial", "poisson"])
def test_agreement_with_glum_with_weights_and_offset(family):
    weight, offset = RNG.uniform(0.2, 2, N), RNG.standard_normal(N) / 3
    ours = GLMRegressor(family, alpha=0.04, l1_ratio=0.7).fit(X, RESPONSE[family], weight, offset)
    link = "logit" if family == "binomial" else "log"
    theirs = GeneralizedLinearRegressor(
        family=family, link=link, alpha=0.04, l1_ratio=0.7, gradient_tol=1e-10, max_iter=500
    ).fit(X, RESPONSE[family], sample_weight=weight, offset=offset)
    np.testing.assert_allclose(ours.coef_, theirs.coef_, atol=1e-7)


def test_no_partition_or_scaling_changes_the_answer():
    y = RESPONSE["poisson"]
    whole = GLMRegressor("poisson", alpha=0.05, l1_ratio=1.0).fit(X, y)
    big = np.vstack([X] * 60)
    many = GLMRegressor("poisson", alpha=0.05, l1_ratio=1.0, plan=Exact(pilot_size=400)).fit(
        big, np.tile(y, 60)
    )
    np.testing.assert_allclose(many.coef_, whole.coef_, atol=1e-9)
    # Badly scaled columns are fitted in other units; the penalty is on the user's.
    small = GLMRegressor("poisson", alpha=0.05, l1_ratio=0.0).fit(X, y)
    scaled = GLMRegressor("poisson", alpha=0.05e-6, l1_ratio=0.0).fit(X / 1e3 + 50, y)
    np.testing.assert_allclose(scaled.coef_ / 1e3, small.coef_, rtol=1e-6)
    lasso = GLMRegressor("poisson", alpha=0.05e-3, l1_ratio=1.0).fit(X / 1e3 + 50, y)
    np.testing.assert_allclose(lasso.coef_ / 1e3, whole.coef_, atol=1e-8)


def test_more_columns_than_rows():
    rng = np.random.default_rng(1)
    A = rng.standard_normal((40, 90))
    y = A[:, 0] * 2 + rng.standard_normal(40)
    ours = GLMRegressor(alpha=0.3, l1_ratio=1.0).fit(A, y)
    theirs = ElasticNet(alpha=0.3, l1_ratio=1.0, tol=1e-12, max_iter=100_000).fit(A, y)
    np.testing.assert_allclose(ours.coef_, theirs.coef_, atol=1e-9)


@pytest.mark.parametrize("family", ["gaussian", "binomial", "gamma"])
def test_path(family):
    y = RESPONSE[family]
    path = regularization_path(X, y, family, n_alphas=12, eps=1e-2)
    alphas = path.index.to_numpy()
    assert (path["coef"].iloc[0, 1:] == 0).all() and path["fit", "df"].iloc[0] == 1
    assert (path["coef"].iloc[1, 1:] != 0).any()
    for k in (3, 11):
        single = GLMRegressor(family, alpha=alphas[k], l1_ratio=1.0).fit(X, y)
        np.testing.assert_allclose(path["coef"].iloc[k], single.estimate_.values, atol=2e-8)
        for name in ("deviance", "llf", "aic", "bic"):
            assert path["fit", name].iloc[k] == pytest.approx(getattr(single.estimate_, name), rel=1e-8), name
    assert (np.diff(path["fit", "deviance"]) < 0).all()


def test_path_shares_its_rounds():
    big, y = np.vstack([X] * 60), np.tile(RESPONSE["binomial"], 60)
    model = GLMRegressor("binomial", plan=RegularizationPath(25, eps=1e-2), l1_ratio=1.0).fit(big, y)
    e = model.estimate_
    assert e.n_rounds < 15 and e.n_passes < 12
    k = int(e.selection_path["fit", "bic"].argmin())
    assert e.alpha == e.selection_path.index[k]
    np.testing.assert_allclose(e.values, e.selection_path["coef"].iloc[k])
    assert e.bic == pytest.approx(e.selection_path["fit", "bic"].iloc[k], rel=1e-10)
    assert violation("binomial", model, e.alpha, 1.0) < 1e-8
    back = Estimate.from_dict(e.to_dict())
    assert back.selection_path.equals(e.selection_path)


@pytest.mark.parametrize("family", ["gaussian", "poisson"])
def test_cross_validation_leaves_partitions_out(family):
    y = RESPONSE[family]
    fold = np.zeros(N, int)
    for k, (_, rows) in enumerate(KFold(4).split(X)):
        fold[rows] = k
    path = regularization_path(X, y, family, n_alphas=6, eps=0.02, cv=4, partition_by=fold)
    k = 4
    alpha, deviance = path.index[k], 0.0
    for f in range(4):
        model = GLMRegressor(family, alpha=alpha, l1_ratio=1.0).fit(X[fold != f], y[fold != f])
        mu, held = model.predict(X[fold == f]), y[fold == f]
        if family == "gaussian":
            deviance += ((held - mu) ** 2).sum() / N
        else:
            deviance += (
                2 * (np.where(held > 0, held * np.log(np.maximum(held, 1) / mu), 0) - held + mu).sum() / N
            )
    assert path["fit", "cv_deviance"].iloc[k] == pytest.approx(deviance, rel=1e-7)
    assert (path["fit", "cv_std_err"] > 0).all()


def test_choices_of_penalty():
    y = RESPONSE["gaussian"]
    chosen = {}
    for select in ("aic", "bic", "cv", "cv_1se"):
        plan = RegularizationPath(30, select=select)
        chosen[select] = GLMRegressor(plan=plan, l1_ratio=1.0, random_state=0).fit(X, y).estimate_
    assert chosen["bic"].alpha >= chosen["aic"].alpha and chosen["cv_1se"].alpha >= chosen["cv"].alpha
    assert {"x0", "x1", "x2"} <= set(chosen["bic"].params.index[chosen["bic"].values != 0])
    ridge = GLMRegressor(plan=RegularizationPath(30, select="cv"), l1_ratio=0.0, random_state=0).fit(X, y)
    assert (
        np.isfinite(ridge.estimate_.bse).all()
        and (np.diff(ridge.estimate_.selection_path["fit", "df"]) > 0).all()
    )
    labels = GLMClassifier(plan=RegularizationPath(10), l1_ratio=1.0).fit(
        X, np.where(RESPONSE["binomial"] > 0, "b", "a")
    )
    assert set(labels.predict(X)) <= {"a", "b"}


def test_what_is_refused():
    y = RESPONSE["gaussian"]
    for options, message in (
        ({"alpha": 0.1, "l1_ratio": 1.5}, "l1_ratio"),
        ({"alpha": 0.1, "l1_ratio": 1.0, "plan": OneShot()}, "ridge penalties only"),
        ({"alpha": 0.1, "l1_ratio": 1.0, "cov_type": "HC0"}, "no standard errors"),
        ({"alpha": 0.1, "plan": RegularizationPath()}, "chooses alpha"),
        ({"l1_ratio": 1.0, "plan": RegularizationPath(eps=2.0)}, "eps"),
        ({"l1_ratio": 1.0, "plan": RegularizationPath(alphas=[-1.0])}, "alphas"),
        ({"l1_ratio": 1.0, "plan": RegularizationPath(select="gcv")}, "select"),
        ({"l1_ratio": 1.0, "plan": RegularizationPath(select="cv", cv=1)}, "cv"),
    ):
        with pytest.raises(ValueError, match=message):
            GLMRegressor(**options).fit(X, y)
    with pytest.raises(ValueError, match="two classes"):
        GLMClassifier(alpha=0.1, l1_ratio=1.0).fit(X, np.arange(N) % 3)
