"""Simulators: an independent fit covers the truth, moments are those asked for, rows repeat."""

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm
from hypothesis import given, settings
from hypothesis import strategies as st

from statkit.datasets import make_glm
from statkit.datasets.glm_simulator import BLOCK_ROWS, FAMILIES, TAILS, glm_simulation

ORACLES = {
    "gaussian": sm.families.Gaussian(),
    "binomial": sm.families.Binomial(),
    "poisson": sm.families.Poisson(),
    "negative_binomial": sm.families.NegativeBinomial(alpha=1.0),
    "gamma": sm.families.Gamma(sm.families.links.Log()),
    "inverse_gaussian": sm.families.InverseGaussian(sm.families.links.Log()),
    "tweedie": sm.families.Tweedie(var_power=1.5),
    "quasi_binomial": sm.families.Binomial(),
    "quasi_poisson": sm.families.Poisson(),
}
LINKS = {
    ("binomial", "probit"): sm.families.Binomial(sm.families.links.Probit()),
    ("binomial", "cloglog"): sm.families.Binomial(sm.families.links.CLogLog()),
    ("gamma", "inverse"): sm.families.Gamma(),
    ("inverse_gaussian", "inverse_squared"): sm.families.InverseGaussian(),
    ("poisson", "sqrt"): sm.families.Poisson(sm.families.links.Sqrt()),
    ("poisson", "identity"): sm.families.Poisson(sm.families.links.Identity()),
    ("gaussian", "log"): sm.families.Gaussian(sm.families.links.Log()),
}


SEEDS = range(4)


def distance(fit, truth):
    """Squared distance to the truth in the fit's own metric: chi2 with len(truth) degrees of freedom."""
    d = np.asarray(fit.params).ravel(order="F") - truth
    return d @ np.linalg.solve(np.asarray(fit.cov_params()), d)


def plausible(distances, n_parameters):
    """Whether a sum of independent chi2 is within five standard deviations of its mean."""
    df = len(distances) * n_parameters
    return abs(sum(distances) - df) < 5 * np.sqrt(2 * df)


@pytest.mark.parametrize("family", ORACLES)
def test_truth_is_covered(family):
    scales = {"quasi_binomial": 0.4, "quasi_poisson": 3.0, "gamma": 0.5, "inverse_gaussian": 0.3}
    scale = scales.get(family, 1.0)
    known = family in ("binomial", "poisson", "negative_binomial")
    distances = []
    for seed in SEEDS:
        X, y, coef = make_glm(10_000, 4, family=family, scale=scale, intercept=0.3, random_state=seed)
        fit = sm.GLM(y, sm.add_constant(X), ORACLES[family]).fit(scale=1.0 if known else "X2")
        assert fit.pearson_chi2 / fit.df_resid == pytest.approx(scale, rel=0.15)
        distances.append(distance(fit, np.r_[0.3, coef]))
    assert plausible(distances, 5)


@pytest.mark.filterwarnings("ignore:.*link function does not respect the domain")
@pytest.mark.parametrize(("family", "link"), LINKS)
def test_links(family, link):
    domain = link in ("inverse", "inverse_squared", "sqrt") or (family, link) == ("poisson", "identity")
    distances = []
    for seed in SEEDS:
        tails = "uniform" if domain else "normal"
        X, y, coef = make_glm(10_000, 3, family=family, link=link, tails=tails, random_state=seed)
        truth = np.r_[2.0 if domain else 0.0, coef]
        # The truth is the start: statsmodels' own leaves the domain of some links.
        fit = sm.GLM(y, sm.add_constant(X), LINKS[family, link]).fit(start_params=truth)
        distances.append(distance(fit, truth))
    assert plausible(distances, 4)


def test_multinomial():
    X, y, coef = make_glm(20_000, 3, family="multinomial", n_classes=4, random_state=1)
    assert coef.shape == (3, 3) and set(np.unique(y)) == {0, 1, 2, 3}
    fit = sm.MNLogit(y, sm.add_constant(X)).fit(disp=0)
    truth = np.column_stack([np.zeros(3), coef])  # (class, name)
    assert plausible([distance(fit, truth.ravel())], 12)


@pytest.mark.parametrize("tails", TAILS)
def test_columns_are_standardised(tails):
    X, _, _ = make_glm(200_000, 4, tails=tails, correlation=0.6, random_state=0)
    assert np.abs(X.mean(axis=0)).max() < 0.02
    assert np.abs(X.std(axis=0) - 1).max() < 0.03
    correlation = np.corrcoef(X, rowvar=False)
    expected = 0.6 ** np.abs(np.subtract.outer(range(4), range(4)))
    assert np.abs(correlation - expected).max() < (0.02 if tails in ("normal", "t") else 0.06)
    kurtosis = ((X - X.mean(axis=0)) ** 4).mean(axis=0)
    assert (kurtosis > 4).all() if tails in ("t", "lognormal") else (kurtosis < 3.2).all()


@pytest.mark.parametrize("tails", TAILS)
@pytest.mark.parametrize("family", FAMILIES)
def test_responses_are_well_scaled(family, tails):
    _, y, _ = make_glm(50_000, 20, family=family, tails=tails, random_state=2)
    assert np.isfinite(y).all()
    assert 0.2 < y.std() < 60
    if family in ("gamma", "inverse_gaussian"):
        assert (y > 0).all()
    if family == "tweedie":
        assert (y >= 0).all() and 0.05 < (y == 0).mean() < 0.5


@pytest.mark.parametrize("family", FAMILIES)
def test_a_row_does_not_depend_on_how_many_there_are(family):
    n = BLOCK_ROWS + 1_000
    scale = {"quasi_binomial": 0.4, "quasi_poisson": 3.0}.get(family, 1.0)
    options = {"family": family, "scale": scale, "tails": "t", "n_levels": (4,), "random_state": 7}
    X, y, coef = make_glm(n, 3, as_frame=True, **options)
    for m in (1, 777, BLOCK_ROWS, BLOCK_ROWS + 1):
        Xm, ym, coefm = make_glm(m, 3, as_frame=True, **options)
        pd.testing.assert_frame_equal(Xm, X.iloc[:m], check_exact=True)
        pd.testing.assert_series_equal(ym, y.iloc[:m], check_exact=True)
        pd.testing.assert_series_equal(coefm, coef, check_exact=True)


def test_blocks_are_different():
    X, _, _ = make_glm(2 * BLOCK_ROWS, 2, random_state=0)
    assert not np.isin(X[:BLOCK_ROWS, 0], X[BLOCK_ROWS:, 0]).any()


def test_frame_and_truth_names():
    X, y, truth = make_glm(30_000, 2, family="poisson", n_levels=(3, 12), random_state=0, as_frame=True)
    assert list(X) == ["x0", "x1", "c0", "c1"] and y.name == "y"
    assert list(X["c1"].cat.categories)[:2] == ["L00", "L01"]
    shares = X["c0"].value_counts(normalize=True, sort=False)
    np.testing.assert_allclose(shares, np.array([6, 3, 2]) / 11, atol=0.01)
    dummies = pd.get_dummies(X, drop_first=True, dtype=float, prefix_sep="[T.")
    dummies.columns = [c + "]" if "[" in c else c for c in dummies]
    fit = sm.GLM(y, sm.add_constant(dummies).rename(columns={"const": "Intercept"}), ORACLES["poisson"]).fit()
    assert list(fit.params.index) == list(truth.index)
    assert plausible([distance(fit, truth.to_numpy())], len(truth))


def test_multinomial_truth_is_indexed_by_class_and_name():
    _, _, truth = make_glm(50, 2, family="multinomial", n_levels=(2,), random_state=0, as_frame=True)
    assert truth.index.names == ["class", "name"]
    assert list(truth.loc[2].index) == ["Intercept", "x0", "x1", "c0[T.L1]"]


def test_given_truth_is_returned():
    _, _, coef = make_glm(10, 2, coef=[1.0, -2.0], random_state=0)
    np.testing.assert_array_equal(coef, [1.0, -2.0])


def test_random_state_kinds():
    X = make_glm(10, 2, random_state=4)[0]
    np.testing.assert_array_equal(X, make_glm(10, 2, random_state=np.int64(4))[0])
    assert not np.array_equal(X, make_glm(10, 2, random_state=5)[0])
    assert not np.array_equal(make_glm(10, 2)[0], make_glm(10, 2)[0])
    for make in (np.random.default_rng, np.random.RandomState):
        a, b = make_glm(10, 2, random_state=make(1)), make_glm(10, 2, random_state=make(1))
        np.testing.assert_array_equal(a[0], b[0])
    with pytest.raises(TypeError, match="random_state"):
        make_glm(10, 2, random_state="zero")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"family": "weibull"}, "family must be one of"),
        ({"tails": "cauchy"}, "tails must be one of"),
        ({"family": "binomial", "link": "log"}, "does not fit"),
        ({"family": "poisson", "link": "probit"}, "does not fit"),
        ({"correlation": 1.0}, "correlation"),
        ({"coef": [1.0]}, "coef must have shape"),
        ({"coef": [1.0, np.nan]}, "finite"),
        ({"family": "poisson", "scale": 2.0}, "no dispersion"),
        ({"family": "quasi_poisson", "scale": 0.5}, "at least 1"),
        ({"family": "quasi_binomial", "scale": 1.5}, "at most 1"),
        ({"family": "tweedie", "power": 2.0}, "power"),
        ({"family": "negative_binomial", "alpha": 0.0}, "alpha"),
        ({"n_levels": (3,)}, "as_frame=True"),
        ({"n_levels": (1,), "as_frame": True}, "at least 2"),
        ({"random_state": -1}, "negative"),
        ({"family": "gamma", "link": "inverse", "intercept": 0.0}, "row 0|row [0-9]+ has"),
    ],
)
def test_bad_options(options, message):
    with pytest.raises(ValueError, match=message):
        make_glm(100, 2, **options)


@settings(max_examples=30, deadline=None)
@given(
    family=st.sampled_from(FAMILIES),
    tails=st.sampled_from(TAILS),
    n_samples=st.integers(1, 60),
    n_features=st.integers(0, 6),
    n_levels=st.lists(st.integers(2, 5), min_size=1, max_size=2),
    correlation=st.floats(-0.99, 0.99),
    seed=st.integers(0, 2**80),
)
def test_any_options_give_finite_rows(family, tails, n_samples, n_features, n_levels, correlation, seed):
    X, y, truth = make_glm(
        n_samples,
        n_features,
        family=family,
        tails=tails,
        n_levels=n_levels,
        correlation=correlation,
        random_state=seed,
        as_frame=True,
    )
    assert X.shape == (n_samples, n_features + len(n_levels)) and y.shape == (n_samples,)
    assert np.isfinite(y).all() and np.isfinite(truth).all() and not X.isna().any().any()


def test_simulation_is_small_to_keep():
    # What a worker would be sent is the truth, not rows.
    import pickle

    assert len(pickle.dumps(glm_simulation(20, random_state=0))) < 5_000
