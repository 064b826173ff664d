"""Cox's model: R's survival and statsmodels' PHReg, invariance, errors by simulation, wrong input."""

import pickle
import warnings

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import approx_fprime
from sklearn.utils.estimator_checks import parametrize_with_checks

from statkit import coxph
from statkit.exceptions import AliasedColumnsWarning, SeparationWarning
from statkit.plans import Exact, LeastSquaresApproximation, OneShot, OneStep, Renewable
from statkit.regression import CoxPHRegressor


def copies_of_events_are_ties(estimator):
    """A weight of two is two copies for Breslow's ties; for Efron's the copies are tied, as in R."""
    if estimator.ties == "breslow":
        return {}
    names = ("dense_data", "sparse_data")
    return {f"check_sample_weight_equivalence_on_{n}": "Efron: copies of an event are ties" for n in names}


@parametrize_with_checks(
    [CoxPHRegressor(), CoxPHRegressor("breslow")], expected_failed_checks=copies_of_events_are_ties
)
def test_sklearn_contract(estimator, check):
    check(estimator)


@pytest.fixture(scope="module")
def data():
    rng = np.random.default_rng(0)
    n = 400
    X = rng.standard_normal((n, 3)) * [1, 3, 0.2] + [0, 50, 1000]
    t = np.ceil(rng.exponential(np.exp(-X[:, 0] + 0.1 * (X[:, 1] - 50))) * 10)
    c = np.ceil(rng.exponential(2, n) * 10)
    frame = pd.DataFrame(X, columns=["x0", "x1", "x2"])
    frame["t"], frame["e"] = np.minimum(t, c), (t <= c) * 1
    frame["g"] = [f"g{i}" for i in rng.integers(0, 3, n)]
    frame["entry"] = np.where(rng.random(n) < 0.5, 0, np.floor(frame.t * rng.random(n) * 0.9))
    frame["w"], frame["o"] = rng.uniform(0.5, 2, n), rng.normal(size=n) * 0.3
    frame["id"] = np.arange(n) // 4
    return frame


FULL = "Surv(entry, t, e) ~ x0 + x1 + x2 + strata(g) + offset(o)"
# R 4.2, survival 3.5: coefficients, errors, log-likelihoods, score test; with entry, strata, weights and offset,
# the same with robust errors, by clusters without offset, and plain.
R = {
    "efron": {
        "coef": [0.889511842729, -0.0937011809871, 0.232629211462],
        "se": [0.0781271176625, 0.0202910527715, 0.307218808708],
        "robust": [0.0943460368589, 0.0231674719099, 0.344797199104],
        "cluster": [0.0896705410862, 0.0225557535917, 0.341864114835],
        "llf": [-1235.73892089, -1160.89714229],
        "score": 140.535750505,
        "plain": [1.01765149931, -0.0932984586401, -0.0363267538363],
        "bic": [2342.40972168, 2332.00554126],
        "concordance": 0.736744999029,
        "hazard": [7.36325442269e16, 6.69050681689e17, 1.80697725802e18],
        "survival": [0.378913773319, 0.0730564984425, 0.365614889688, 0.0821155684485, 0.248937073146, 0.0129920419227],
        "error": [0.0538360179247, 0.0294476254361, 0.047988050676, 0.0347991159155, 0.0578856095489, 0.0102012114863],
    },
    "breslow": {
        "coef": [0.776855537772, -0.0857059694908, 0.239052479518],
        "se": [0.0747683613468, 0.0202304961098, 0.305650534884],
        "robust": [0.0824161826037, 0.0214562479249, 0.308365009048],
        "cluster": [0.0792214146154, 0.0206525056416, 0.303182301185],
        "llf": [-1254.59300198, -1192.71444498],
        "score": 117.955796166,
        "plain": [0.917792186791, -0.087881842227, -0.0125565457566],
        "bic": [2385.44488962, 2375.04070919],
        "concordance": 0.736667314042,
        "hazard": [2405411.2357, 22597625.2816, 60462796.6892],
        "survival": [0.426569351572, 0.0948146298145, 0.416675162324, 0.105422038043, 0.313518461499, 0.0271399084804],
        "error": [0.053302919743, 0.034834700903, 0.0480196191906, 0.0408698313205, 0.0604378033553, 0.0175504865218],
    },
}  # fmt: skip


@pytest.mark.parametrize("ties", ["efron", "breslow"])
def test_r_survival(data, ties):
    r = R[ties]
    fit = coxph(FULL, data, ties=ties, weights="w")
    e = fit.estimate_
    np.testing.assert_allclose(e.values, r["coef"], rtol=1e-10)
    np.testing.assert_allclose(e.bse, r["se"], rtol=1e-10)
    np.testing.assert_allclose([e.llnull, e.llf], r["llf"], rtol=1e-11)
    np.testing.assert_allclose(e.score_test[0], r["score"], rtol=1e-10)
    new = data.iloc[:3].assign(o=0.0)
    table = fit.predict_survival(new, [5, 20])
    np.testing.assert_allclose(table.survival, r["survival"], rtol=1e-10)
    np.testing.assert_allclose(table.survival * table.std_err, r["error"], rtol=1e-10)
    np.testing.assert_allclose(fit.predict_survival_function(new, [5, 20]).ravel(), r["survival"], rtol=1e-10)
    robust = coxph(FULL, data, ties=ties, weights="w", cov_type="HC0").estimate_
    np.testing.assert_allclose(robust.bse, r["robust"], rtol=1e-10)
    clustered = coxph(FULL.replace(" + offset(o)", ""), data, ties=ties, weights="w", groups="id").estimate_
    few = 100 / 99 * 399 / 397  # R's has no factor for few clusters
    np.testing.assert_allclose(clustered.bse, np.sqrt(few) * np.array(r["cluster"]), rtol=1e-10)


@pytest.mark.parametrize("ties", ["efron", "breslow"])
def test_r_survival_plain(data, ties):
    r = R[ties]
    fit = coxph("Surv(t, e) ~ x0 + x1 + x2", data, ties=ties)
    np.testing.assert_allclose(fit.coef_, r["plain"], rtol=1e-10)
    np.testing.assert_allclose([fit.estimate_.bic, fit.estimate_.aic], r["bic"], rtol=1e-10)
    assert fit.estimate_.concordance == pytest.approx(r["concordance"], abs=1e-11)
    X, y = data[["x0", "x1", "x2"]], data[["t", "e"]]
    assert fit.score(data, y) == pytest.approx(r["concordance"], abs=1e-11)
    base = fit.baseline_hazard_.set_index("time").cumulative_hazard
    np.testing.assert_allclose(base.loc[[1, 10, 34]], r["hazard"], rtol=1e-9)
    alone = CoxPHRegressor(ties).fit(X, y)
    np.testing.assert_allclose(alone.coef_, fit.coef_, rtol=1e-10)
    text = str(fit.summary())
    for part in ("exp(coef)", "Likelihood ratio test", "score test", "Concordance", "Events"):
        assert part in text


@pytest.mark.parametrize("ties", ["efron", "breslow"])
@pytest.mark.parametrize("strata", [False, True])
@pytest.mark.parametrize("entry", [False, True])
def test_statsmodels(data, ties, strata, entry):
    from statsmodels.duration.hazard_regression import PHReg

    # PHReg lets a row enter at an event of the same time; late entries fall between.
    start = data.entry.to_numpy() + 0.5 if entry else None
    codes = data.g.str[1].astype(int).to_numpy() if strata else None
    X = data[["x0", "x1", "x2"]].to_numpy()
    stop = data.t.to_numpy() + 1
    y = np.column_stack(([] if start is None else [start]) + [stop, data.e])
    ours = CoxPHRegressor(ties).fit(X, y, strata=codes)
    theirs = PHReg(stop, X - [0, 50, 1000], status=data.e, entry=start, strata=codes, ties=ties).fit()
    np.testing.assert_allclose(ours.coef_, theirs.params, atol=2e-8)
    np.testing.assert_allclose(ours.estimate_.bse, theirs.bse, rtol=1e-7)
    assert ours.estimate_.llf == pytest.approx(theirs.llf, abs=1e-8)


def naive(theta, X, start, stop, event, weight, ties):
    """The log partial likelihood event by event."""
    eta, total = X @ theta, 0.0
    v = weight * np.exp(eta)
    for t in np.unique(stop[event == 1]):
        dead = (stop == t) & (event == 1)
        S0, D0, m = v[(start < t) & (stop >= t)].sum(), v[dead].sum(), dead.sum()
        total += weight[dead] @ eta[dead]
        for k in range(m):
            c = k / m if ties == "efron" else 0.0
            total -= weight[dead].mean() * np.log(S0 - c * D0)
    return total


@given(st.integers(0, 10_000), st.sampled_from(["efron", "breslow"]), st.integers(5, 40))
@settings(max_examples=25, deadline=None)
def test_the_definition(seed, ties, n):
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((n, 2))
    stop = rng.integers(1, 8, n).astype(float)
    start = stop - rng.integers(1, 8, n)
    event = rng.integers(0, 2, n)
    event[0] = 1
    weight = rng.uniform(0.2, 3, n)
    y = np.column_stack([start, stop, event])
    e = CoxPHRegressor(ties, alpha=0.1).fit(X, y, sample_weight=weight).estimate_
    assert e.llf == pytest.approx(naive(e.values, X, start, stop, event, weight, ties), rel=1e-10, abs=1e-10)
    slope = approx_fprime(e.values, lambda b: naive(b, X, start, stop, event, weight, ties), 1e-6)
    np.testing.assert_allclose(slope, 0.1 * weight.sum() * e.values, atol=2e-4)


def test_engines_partitions_and_order(data, tmp_path):
    data.to_parquet(tmp_path / "d.parquet", row_group_size=64)
    kinds = {"weights": "w", "cov_type": "HC0"}
    whole = coxph(FULL, data, **kinds).estimate_
    fits = [
        coxph(FULL, tmp_path / "d.parquet", engine=e, **kinds) for e in ("serial", "threads", "processes")
    ]
    for fit in fits:
        assert fit.estimate_.values.tobytes() == fits[0].estimate_.values.tobytes()
        np.testing.assert_array_equal(fit.estimate_.bse, fits[0].estimate_.bse)
    np.testing.assert_allclose(fits[0].estimate_.values, whole.values, rtol=1e-12)
    np.testing.assert_allclose(fits[0].estimate_.bse, whole.bse, rtol=1e-11)
    shuffled = coxph(FULL, data.sample(frac=1, random_state=0), **kinds).estimate_
    np.testing.assert_allclose(shuffled.values, whole.values, rtol=1e-11)
    new = data.iloc[:4]
    np.testing.assert_allclose(
        fits[0].predict_survival_function(new, [3, 9]),
        coxph(FULL, data, **kinds).predict_survival_function(new, [3, 9]),
    )


def test_responses_of_every_form(data):
    X = data[["x0", "x1"]].to_numpy()
    two = data[["t", "e"]].to_numpy()
    expected = CoxPHRegressor().fit(X, two).coef_
    flag = np.array(list(zip(data.e == 1, data.t, strict=True)), dtype=[("event", bool), ("time", float)])
    named = data[["x0", "x1", "t", "e"]]
    for fit in (
        CoxPHRegressor().fit(X, flag),
        CoxPHRegressor().fit(X, data[["t", "e"]]),
        CoxPHRegressor().fit(named, ("t", "e")),
        CoxPHRegressor().fit(named.assign(e=data.e == 1), ["t", "e"]),
        coxph("Surv(t, e) ~ .", named),
        coxph("Surv(t, e == 1) ~ x0 + x1 - 1", data),
        CoxPHRegressor().fit(X, np.column_stack([data.t * 0 - 1, two])),
    ):
        np.testing.assert_allclose(fit.coef_, expected, rtol=1e-10)
    events = CoxPHRegressor().fit(X, data.t)
    np.testing.assert_allclose(
        events.coef_, CoxPHRegressor().fit(X, np.column_stack([data.t, data.t * 0 + 1])).coef_
    )


def test_strata_by_name_formula_and_array(data):
    X = data[["x0", "x1"]]
    by_formula = coxph("Surv(t, e) ~ x0 + x1 + strata(g)", data)
    by_name = CoxPHRegressor(strata="g").fit(data[["x0", "x1", "g", "t", "e"]], ("t", "e"))
    by_array = CoxPHRegressor().fit(X.to_numpy(), data[["t", "e"]].to_numpy(), strata=data.g)
    new = data.iloc[:5]
    S = by_formula.predict_survival_function(new, [4.0])
    for fit in (by_name, by_array):
        np.testing.assert_allclose(fit.coef_, by_formula.coef_, rtol=1e-11)
        np.testing.assert_allclose(
            fit.baseline_hazard_.cumulative_hazard, by_formula.baseline_hazard_.cumulative_hazard
        )
        assert fit.baseline_hazard_.stratum.tolist() == by_formula.baseline_hazard_.stratum.tolist()
    np.testing.assert_allclose(by_name.predict_survival_function(new, [4.0]), S)
    np.testing.assert_allclose(
        by_array.predict_survival_function(new[["x0", "x1"]].to_numpy(), [4.0], strata=new.g), S
    )
    assert np.isnan(by_formula.predict_survival_function(new.assign(g="other"), [4.0])).all()
    two = coxph("Surv(t, e) ~ x0 + strata(g, id > 50)", data).baseline_hazard_
    assert two.stratum.nunique() == 6
    dropped = coxph("Surv(t, e) ~ x0 + strata(g)", data.assign(g=data.g.where(data.index > 9))).estimate_
    assert dropped.rows_missing == 10 and dropped.nobs == 390
    with pytest.raises(ValueError, match="stands alone"):
        coxph("Surv(t, e) ~ x0:strata(g)", data)


def test_factors_are_coded_as_with_an_intercept(data):
    fit = coxph("Surv(t, e) ~ C(g) + x0", data)
    assert fit.estimate_.names == ["C(g)[T.g1]", "C(g)[T.g2]", "x0"]
    again = pickle.loads(pickle.dumps(fit))
    np.testing.assert_array_equal(again.predict(data), fit.predict(data))
    np.testing.assert_allclose(fit.predict(data, kind="hazard"), np.exp(fit.predict(data)))
    assert set(fit.estimate_.wald_test_terms().index) == {"C(g)", "x0"}
    record = type(fit.estimate_).from_dict(fit.estimate_.to_dict())
    assert record.n_events == data.e.sum() and str(record.summary()) == str(fit.summary())


def test_constants_scale_and_extreme_offsets(data):
    plain = coxph("Surv(t, e) ~ x0 + x1", data)
    far = coxph("Surv(t, e) ~ x0 + x1", data.assign(x1=data.x1 * 1e-3 + 1e4))
    np.testing.assert_allclose(far.coef_ * [1, 1e-3], plain.coef_, rtol=1e-6)
    moved = coxph("Surv(t, e) ~ x0 + x1 + offset(z)", data.assign(z=1_000.0))
    np.testing.assert_allclose(moved.coef_, plain.coef_, rtol=1e-9)
    new = data.iloc[:3]
    np.testing.assert_allclose(
        moved.predict_survival_function(new.assign(z=1_000.0), [5.0]),
        plain.predict_survival_function(new, [5.0]),
        rtol=1e-9,
    )
    out = (data.index < 5) * 1.0
    kinds = {"weights": "v", "cov_type": "HC0"}
    silent = coxph(
        "Surv(t, e) ~ x0 + x1 + offset(z)", data.assign(z=2_000 * out, v=1 - out), **kinds
    ).estimate_
    without = coxph("Surv(t, e) ~ x0 + x1", data[5:].assign(v=1.0), **kinds).estimate_
    np.testing.assert_allclose(silent.values, without.values, rtol=1e-10)
    np.testing.assert_allclose(silent.bse, without.bse, rtol=1e-10)
    with pytest.warns(AliasedColumnsWarning, match="z"):
        alias = coxph("Surv(t, e) ~ x0 + x1 + z", data.assign(z=2 * data.x0 - data.x1))
    np.testing.assert_allclose(alias.coef_, [*plain.coef_, 0], rtol=1e-6)


def test_monotone_likelihood_is_named(data):
    with pytest.warns(SeparationWarning, match="'z'"):
        coxph("Surv(t, e) ~ x0 + z", data.assign(z=1.0 * ((data.e == 0) & (data.t < 200))))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        coxph("Surv(t, e) ~ x0 + z", data.assign(z=1.0 * (data.e == 0)), alpha=0.01)


def test_quantiles_of_event_times(data):
    exact = coxph("Surv(t, e) ~ x0 + x1", data)
    rng = np.random.default_rng(0)
    fine = data.assign(t=data.t - rng.random(len(data)))
    many, few = (coxph("Surv(t, e) ~ x0 + x1", fine, max_times=m) for m in (1_000, 40))
    np.testing.assert_allclose(many.coef_, coxph("Surv(t, e) ~ x0 + x1", fine).coef_, rtol=1e-12)
    assert len(few.baseline_hazard_) <= 40 and "quantiles" in str(few.summary())
    assert (np.abs(few.coef_ - many.coef_) < 0.3 * many.estimate_.bse).all()
    assert exact.estimate_.n_events == few.estimate_.n_events


def test_plans_of_local_fits_are_stratified_by_machine(data):
    exact = coxph("Surv(t, e) ~ x0 + x1 + strata(g)", data)
    for plan in (
        LeastSquaresApproximation(partition_by="g"),
        OneStep(partition_by="g"),
        OneStep(start="least_squares", n_steps=2, partition_by="g"),
        OneShot(partition_by="g", bias_correction=None),
    ):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            fit = coxph("Surv(t, e) ~ x0 + x1", data, plan=plan)
        bound = 0.05 if isinstance(plan, OneStep) else 0.5
        assert (np.abs(fit.coef_ - exact.coef_) < bound * exact.estimate_.bse).all()
        np.testing.assert_allclose(fit.estimate_.bse, exact.estimate_.bse, rtol=0.06)
        assert fit.estimate_.n_events == data.e.sum()
        if "pilot" not in fit.estimate_.plan:
            assert fit.estimate_.llnull == pytest.approx(exact.estimate_.llnull, abs=1e-8)
        assert "stratified by machine" in str(fit.summary())
        with pytest.raises(AttributeError, match="no common baseline"):
            fit.predict_survival(data)
    one = coxph("Surv(t, e) ~ x0 + x1", data, plan=LeastSquaresApproximation(n_partitions=1))
    np.testing.assert_allclose(one.coef_, coxph("Surv(t, e) ~ x0 + x1", data).coef_, rtol=1e-6)
    with pytest.raises(ValueError, match="risk sets tie"):
        coxph("Surv(t, e) ~ x0 + x1", data, plan=Renewable())


def brute_concordance(risk, start, stop, event):
    pairs = right = 0.0
    for i in np.flatnonzero(event):
        for j in range(len(risk)):
            later = stop[j] > stop[i] or (stop[j] == stop[i] and not event[j])
            if later and start[j] < stop[i] and j != i:
                pairs += 1
                right += (risk[i] > risk[j]) + 0.5 * (risk[i] == risk[j])
    return right / pairs if pairs else np.nan


@given(st.integers(0, 10_000), st.integers(2, 40), st.booleans())
@settings(max_examples=30, deadline=None)
def test_concordance_by_counting(seed, n, late):
    rng = np.random.default_rng(seed)
    fit = CoxPHRegressor().fit(np.arange(4.0)[:, None] % 3, np.column_stack([[3.0, 1, 2, 4], [1, 1, 1, 0]]))
    fit.coef_[:] = 1.0
    X = rng.integers(0, 6, n).astype(float)[:, None]
    stop = rng.integers(1, 9, n).astype(float)
    start = stop - rng.integers(1, 9, n) if late else stop * 0 - 1
    event = rng.integers(0, 2, n)
    value = fit.score(X, np.column_stack([start, stop, event]))
    sign = np.sign(fit.estimate_.values[0])
    np.testing.assert_allclose(value, brute_concordance(sign * X[:, 0], start, stop, event), rtol=1e-12)


def test_wrong_input(data):
    X, y = data[["x0"]].to_numpy(), data[["t", "e"]].to_numpy()
    with pytest.raises(ValueError, match="no row has an event"):
        CoxPHRegressor().fit(X, y * [1, 0])
    with pytest.raises(ValueError, match=r"0 or 1.*row 3"):
        CoxPHRegressor().fit(X[:9], np.column_stack([np.arange(9.0), [1, 0, 1, 2, 0, 0, 0, 0, 0]]))
    with pytest.raises(ValueError, match=r"start must come before stop.*row 1"):
        CoxPHRegressor().fit(X[:2], [[0, 1, 1], [2, 2, 1]])
    with pytest.raises(ValueError, match="columns"):
        CoxPHRegressor().fit(X, np.column_stack([y, y]))
    with pytest.raises(ValueError, match="Surv"):
        coxph("t ~ x0", data)
    with pytest.raises(ValueError, match="ties"):
        CoxPHRegressor("exact").fit(X, y)
    with pytest.raises(ValueError, match="max_times"):
        CoxPHRegressor(max_times=0).fit(X, y)
    with pytest.raises(ValueError, match=r"infin|NaN"):
        CoxPHRegressor().fit(X, np.where(y == y[5, 0], np.inf, y))
    with pytest.raises(ValueError, match="missing"):
        CoxPHRegressor(formula="Surv(t, e) ~ x0").fit(data.assign(t=data.t.where(data.index != 7)))
    with pytest.raises(ValueError, match="columns of a table"):
        CoxPHRegressor(strata="g").fit(X, y)
    with pytest.raises(ValueError, match="labels for"):
        CoxPHRegressor().fit(X, y, strata=[1, 2])
    fit = CoxPHRegressor().fit(X, y)
    with pytest.raises(ValueError, match="kind"):
        fit.predict(X, kind="median")
    before = fit.coef_
    with pytest.raises(ValueError):
        fit.fit(X, y * [1, 0])
    assert fit.coef_ is before


@pytest.mark.parametrize("n", [1, 2])
def test_a_row_or_two(n):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        fit = CoxPHRegressor().fit(np.ones((n, 1)), np.column_stack([np.arange(1.0, n + 1), np.ones(n)]))
    assert np.isfinite(fit.predict(np.ones((1, 1)))).all()


def test_a_model_without_columns_is_the_nelson_aalen_estimate(data):
    fit = coxph("Surv(t, e) ~ 1", data, ties="breslow")
    times = np.unique(data.t[data.e == 1])
    steps = [((data.t == t) & (data.e == 1)).sum() / (data.t >= t).sum() for t in times]
    np.testing.assert_allclose(fit.baseline_hazard_.cumulative_hazard, np.cumsum(steps), rtol=1e-12)
    assert str(fit.summary())


@pytest.mark.slow
def test_coverage():
    truth = np.array([0.5, -0.25])
    model, robust = [], []
    for seed in range(300):
        rng = np.random.default_rng([seed, 11])
        X = rng.standard_normal((300, 2))
        time, censored = rng.exponential(np.exp(-X @ truth)), rng.exponential(2, 300)
        y = np.column_stack([np.minimum(time, censored), time <= censored])
        for kind, inside in (("nonrobust", model), ("HC0", robust)):
            e = CoxPHRegressor(cov_type=kind, plan=Exact(), engine="serial").fit(X, y).estimate_
            inside.append(np.abs(e.values - truth) < 1.96 * e.bse.to_numpy())
    assert 0.925 < np.mean(model) < 0.975
    assert 0.915 < np.mean(robust) < 0.975


def test_scores_are_within_the_strata_of_the_model():
    rng = np.random.default_rng(4)
    frame = pd.DataFrame({"x": rng.normal(size=300), "s": rng.choice(list("uv"), 300)})
    frame["t"] = np.exp(-frame.x - 2 * (frame.s == "u") + rng.normal(size=300))
    frame["e"] = rng.random(300) < 0.7
    named = coxph("Surv(t, e) ~ x + strata(s)", frame)
    given = CoxPHRegressor().fit(frame[["x"]].to_numpy(), frame[["t", "e"]].to_numpy(float), strata=frame.s)
    expected = given.score(frame[["x"]].to_numpy(), frame[["t", "e"]].to_numpy(float), strata=frame.s)
    assert named.score(frame) == named.score(frame, frame[["t", "e"]].to_numpy(float)) == expected
    assert expected != coxph("Surv(t, e) ~ x", frame).score(frame)
    with pytest.raises(ValueError, match=r"times\[1\] is NaN"):
        named.predict_survival(frame[:2], times=[1.0, np.nan])
