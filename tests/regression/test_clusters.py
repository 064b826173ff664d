"""Clusters of several kinds: sums and differences of one-way covariances, whatever names them and wherever rows are."""

import numpy as np
import pandas as pd
import pytest
import statsmodels.formula.api as smf

from statkit import coxph, glm, quantreg
from statkit.regression import GLMClassifier, GLMRegressor, marginal_effects

N = 600


@pytest.fixture(scope="module")
def rows():
    rng = np.random.default_rng(3)
    frame = pd.DataFrame({
        "x": rng.normal(size=N), "z": rng.normal(size=N), "firm": rng.integers(0, 30, N),
        "my year": rng.choice([f"y{i}" for i in range(25)], N), "town": rng.integers(0, 20, N),
    })  # fmt: skip
    firm, year = rng.normal(size=30)[frame.firm], rng.normal(size=25)[pd.factorize(frame["my year"])[0]]
    frame["x"] += firm + year
    frame["y"] = 0.5 * frame.x + firm + year + rng.normal(size=N)
    frame["t"], frame["e"] = np.exp(-frame.y / 3), rng.random(N) < 0.8
    frame["k"] = np.digitize(frame.y + rng.logistic(size=N), [-1, 1])
    return frame


def by_hand(frame, ways):
    """Cameron, Gelbach and Miller's covariance of least squares, by dense algebra."""
    X = np.column_stack([np.ones(len(frame)), frame.x, frame.z])
    bread = np.linalg.inv(X.T @ X)
    score = X * (frame.y - X @ (bread @ X.T @ frame.y)).to_numpy()[:, None]
    total = 0.0
    for subset in range(1, 2 ** len(ways)):
        some = [way for i, way in enumerate(ways) if subset >> i & 1]
        sums = pd.DataFrame(score).groupby([frame[way].to_numpy() for way in some]).sum().to_numpy()
        factor = len(sums) / (len(sums) - 1) * (len(X) - 1) / (len(X) - 3)
        total = total - (-1) ** len(some) * factor * bread @ sums.T @ sums @ bread
    return total


@pytest.mark.parametrize("ways", [["firm"], ["firm", "my year"], ["firm", "my year", "town"]])
def test_least_squares_by_hand(rows, ways):
    estimate = glm("y ~ x + z", rows).estimate_
    expected = by_hand(rows, ways)
    for given in (ways, [rows[way].to_numpy() for way in ways], rows[ways]):
        found = estimate.with_cov({"cluster": given})
        np.testing.assert_allclose(found.cov_params(), expected, rtol=1e-8)
        assert found.df_resid_inference == min(rows[way].nunique() for way in ways) - 1
        assert found.cov_type == "cluster"
        assert not found.notes


def test_statsmodels(rows):
    groups = np.column_stack([rows.firm, pd.factorize(rows["my year"])[0]])
    theirs = smf.ols("y ~ x + z", rows).fit(cov_type="cluster", cov_kwds={"groups": groups})
    ours = glm("y ~ x + z", rows).estimate_.with_cov({"cluster": groups})
    np.testing.assert_allclose(ours.bse, theirs.bse, rtol=1e-8)


def test_sandwich_of_r():
    """sqrt(diag(vcovCL(lm(y ~ x, d), ~ g + h))): R 4.2, sandwich 3.0."""
    i = np.arange(60)
    frame = pd.DataFrame({"x": np.sin(i * 1.7), "g": i % 8, "h": i // 7})
    frame["y"] = frame.x + np.cos(frame.g) + 0.3 * np.sin(frame.h) + 0.2 * np.cos(3.1 * i)
    estimate = glm("y ~ x", frame).estimate_.with_cov({"cluster": ["g", "h"]})
    np.testing.assert_allclose(estimate.bse, [0.2594070675707, 0.0479930707334], rtol=1e-8)


def test_nested_clusters_are_the_coarser_ones(rows):
    frame = rows.assign(region=rows.firm // 3)
    estimate = glm("y ~ x + z", frame).estimate_
    one, two = estimate.with_cov({"cluster": "region"}), estimate.with_cov({"cluster": ["firm", "region"]})
    np.testing.assert_allclose(two.cov_params(), one.cov_params(), rtol=1e-9)
    crossed = estimate.with_cov({"cluster": "firm:region"})
    np.testing.assert_allclose(crossed.bse, estimate.with_cov({"cluster": "firm"}).bse, rtol=1e-9)


def test_other_models_and_files(rows, tmp_path):
    path = tmp_path / "rows.parquet"
    rows.to_parquet(path, row_group_size=170)
    ways = ["firm", "my year"]
    arrays = [rows[way].to_numpy() for way in ways]
    for fit in (
        lambda data: glm("y ~ x * z", data, engine="serial"),
        lambda data: glm("e ~ x + C(town > 9)", data, "binomial"),
        lambda data: GLMClassifier(formula="k ~ x").fit(data),
        lambda data: coxph("Surv(t, e) ~ x + z", data),
        lambda data: quantreg("y ~ x", data, 0.4),
    ):
        model = fit(rows)
        found = model.estimate_.with_cov({"cluster": ways})
        parts = [model.estimate_.with_cov({"cluster": way}).cov_params() for way in (*ways, "firm:`my year`")]
        np.testing.assert_allclose(found.cov_params(), parts[0] + parts[1] - parts[2], rtol=1e-9)
        np.testing.assert_allclose(
            fit(str(path)).estimate_.with_cov({"cluster": ways}).bse, found.bse, rtol=1e-6
        )
        np.testing.assert_allclose(model.estimate_.with_cov({"cluster": arrays}).bse, found.bse, rtol=1e-9)
        assert np.isfinite(found.bse).all()


def test_plain_matrices_and_what_follows(rows):
    X, y = rows[["x", "z"]].to_numpy(), rows.y.to_numpy()
    model = GLMRegressor().fit(X, y)
    groups = rows[["firm", "my year"]]
    model.estimate_ = model.estimate_.with_cov({"cluster": groups})
    np.testing.assert_allclose(model.estimate_.cov_params(), by_hand(rows, list(groups)), rtol=1e-8)
    np.testing.assert_allclose(marginal_effects(model, X).bse, model.estimate_.bse[1:], rtol=1e-6)
    assert model.estimate_.wald_test("x0 = x1 = 0").df_denom == 24


def test_what_is_no_covariance_is_mended_in_any_units():
    """With few clusters the difference has negative eigenvalues; the nearest covariance does not see units."""
    rng = np.random.default_rng(8)
    frame = pd.DataFrame(rng.normal(size=(60, 4)), columns=list("abcd"))
    frame["g"], frame["h"], frame["y"] = np.arange(60) % 4, np.arange(60) // 20, rng.normal(size=60)
    errors = {}
    for unit in (1.0, 1e6):
        scaled = frame.assign(a=frame.a * unit)
        estimate = glm("y ~ a + b + c + d", scaled).estimate_
        found = estimate.with_cov({"cluster": ["g", "h"]})
        root = np.sqrt(np.diagonal(estimate.cov_params()))
        assert np.linalg.eigvalsh(found.cov_params() / np.outer(root, root)).min() > -1e-10
        assert "negative eigenvalues" in found.notes[-1] and "negative eigenvalues" in str(found.summary())
        assert not estimate.notes
        errors[unit] = found.bse * [1, unit, 1, 1, 1]
    np.testing.assert_allclose(errors[1e6], errors[1.0], rtol=1e-6)


@pytest.mark.parametrize(
    ("groups", "message"),
    [
        (["firm", "frim"], "no column 'frim'"),
        (["firm", np.zeros(N)], "all names of columns, or all arrays"),
        ([np.zeros(N), np.zeros(N - 1)], "different lengths"),
        (np.zeros((N, 6)), "1 to 5 kinds"),
        ([np.arange(N) % 7, np.zeros(N)], "at least 2 groups"),
        ([np.arange(N) % 7, np.where(np.arange(N) < 9, np.nan, np.arange(N) % 5)], "591 complete rows"),
    ],
)
def test_refused(rows, groups, message):
    with pytest.raises(ValueError, match=message):
        glm("y ~ x", rows).estimate_.with_cov({"cluster": groups})
