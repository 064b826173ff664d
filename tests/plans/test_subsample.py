"""Subsampling plans: worked numbers, what must not change the draw, agreement with exact fits, wrong
input."""

import warnings

import numpy as np
import pandas as pd
import pytest
from scipy.special import expit
from sklearn.base import clone
from sklearn.utils.estimator_checks import parametrize_with_checks

from statkit.datasets import make_glm
from statkit.design.block import make_block
from statkit.design.matrix import MatrixDesign
from statkit.engines import SerialEngine
from statkit.exceptions import BiasWarning, SeparationWarning
from statkit.families import resolve_family
from statkit.plans import Exact, Subsample
from statkit.plans._subsample_fit import fit_rows
from statkit.regression import GLMClassifier, GLMRegressor, glm
from statkit.rounds.problem import Problem, _Held
from statkit.sampling import inclusion_probabilities, subsampling_scores
from statkit.sources.partition import Partition


def make_problem(X, y, family):
    design = MatrixDesign([f"x{j}" for j in range(X.shape[1])])
    block = make_block(X, n_rows=len(X), y=y, owned=False)
    session = SerialEngine(0).open(_Held(block), [Partition(0, None, None, 0, len(X), None)])
    return Problem(resolve_family(family, None), design, session), block


@pytest.fixture(scope="module")
def worked():
    rng = np.random.default_rng(2024)
    Z = rng.standard_normal((2000, 2))
    X = np.column_stack([np.ones(2000), Z])
    y = (rng.random(2000) < expit(X @ [-0.5, 1, -1])).astype(float)
    problem, block = make_problem(Z, y, "binomial")
    rows = np.arange(0, 2000, 10)
    one = np.full(200, 0.1)
    b0 = fit_rows(problem, block.take(rows), one, np.zeros(3), correct=False).theta
    m = subsampling_scores(
        X, y, b0, family="binomial", criterion="optA",
        information=[[0.1782952, 0.0224904, -0.0177343], [0.0224904, 0.1420943, 0.0463811],
                     [-0.0177343, 0.0463811, 0.161022]],
    )  # fmt: skip
    pi, _ = inclusion_probabilities(m, 300, mixture=0.1)
    S = np.flatnonzero(np.random.default_rng(99).random(2000) < pi)
    gradient = X.T @ (y - expit(X @ b0))
    return problem, block, b0, pi, S, rows, gradient


def test_weighted_fit(worked):
    problem, block, b0, pi, S, _, _ = worked
    np.testing.assert_allclose(b0, [-0.5515926, 1.1101381, -0.8237682], atol=1e-7)
    fit = fit_rows(problem, block.take(S), pi[S], b0, correct=False)
    np.testing.assert_allclose(fit.theta, [-0.3699752, 1.1545237, -0.7011746], atol=2e-6)
    full, population = (np.sqrt(np.diag(V)) for V in fit.covariances())
    np.testing.assert_allclose(full, [0.118338, 0.1163982, 0.1133581], rtol=1e-5)
    np.testing.assert_allclose(population, [0.131009, 0.1350593, 0.1298636], rtol=1e-5)


def test_union_and_calibration(worked):
    problem, block, b0, pi, S, rows, gradient = worked
    np.testing.assert_allclose(gradient / 2000, [0.0127401, -0.007105, -0.0102315], atol=1e-7)
    both = np.union1d(S, rows)
    assert len(both) == 449
    either = 0.1 + pi[both] - 0.1 * pi[both]
    plain = fit_rows(problem, block.take(both), either, b0, correct=False)
    np.testing.assert_allclose(plain.theta, [-0.4201983, 1.1428023, -0.7353938], atol=2e-6)
    calibrated = fit_rows(problem, block.take(both), either, b0, gradient=gradient, correct=False)
    np.testing.assert_allclose(calibrated.theta, [-0.4694895, 1.0506904, -0.87912], atol=2e-6)
    full = np.sqrt(np.diag(calibrated.covariances()[0]))
    np.testing.assert_allclose(full, [0.0050778, 0.0055249, 0.0056557], rtol=2e-4)
    e = problem.evaluate(plain.theta)
    step = plain.factor.solve(e.gradient)
    np.testing.assert_allclose(plain.theta + step, [-0.4671826, 1.0501068, -0.870979], atol=2e-6)


def test_population_covariance_of_poisson_draws_is_one_sandwich(worked):
    problem, block, b0, pi, S, _, _ = worked
    fit = fit_rows(problem, block.take(S), pi[S], b0, correct=False)
    X = block.take(S).to_dense()
    r = (block.y[S] - expit(X @ fit.theta)) / pi[S]
    bread = np.linalg.inv(fit.information)
    np.testing.assert_allclose(fit.covariances()[1], bread @ (X.T * r**2) @ X @ bread, rtol=1e-12)


def test_all_rows_calibrated_are_the_full_fit(worked):
    problem, block, b0, _, _, _, gradient = worked
    everything = fit_rows(problem, block, np.ones(2000), b0, gradient=gradient)
    np.testing.assert_allclose(everything.theta, [-0.4788133, 1.055601, -0.8710488], atol=1e-7)
    assert np.abs(everything.covariances()[0]).max() < 1e-20
    some = np.arange(0, 2000, 7)
    at_full = fit_rows(
        problem, block.take(some), np.full(len(some), 1 / 7), everything.theta, gradient=np.zeros(3)
    )
    np.testing.assert_allclose(at_full.theta, everything.theta, atol=1e-9)


@pytest.fixture(scope="module")
def data():
    return make_glm(30_000, 4, family="binomial", random_state=0)[:2]


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"sampling": "poisson"},
        {"refine": None},
        {"refine": "one_step"},
        {"criterion": "cv"},
        {"criterion": "optA"},
        {"criterion": "optV"},
        {"criterion": "optL"},
        {"criterion": "LCC"},
        {"criterion": "uniform"},
        {"criterion": "response_free"},
        {"criterion": "optC", "contrast": "x1"},
        {"sampling": "replacement", "combine": "none"},
        {"sampling": "replacement", "refine": None, "combine": "pooled"},
        {"sampling": "poisson", "threshold": "pilot"},
        {"pilot": "windows"},
        {"pilot": "case_control"},
        {"combine": "none", "refine": None},
        {"combine": "inverse_variance", "refine": None},
        {"combine": "information", "refine": None},
        {"combine": "pooled", "refine": None},
        {"likelihood": "conditional", "refine": None},
        {"likelihood": "conditional", "refine": None, "combine": "none"},
    ],
    ids=str,
)
def test_every_variant_lies_within_its_errors(data, options):
    X, y = data
    exact = GLMClassifier().fit(X, y).estimate_
    plan = Subsample(2_000, **options)
    estimate = GLMClassifier(plan=plan, random_state=3).fit(X, y).estimate_
    error = (
        estimate.covariance_population.to_numpy()
        if options.get("likelihood")
        else (estimate.covariance_full_data.to_numpy())
    )
    d = estimate.values - exact.values
    assert d @ np.linalg.solve(error, d) < 25  # chi-squared of 5: one in ten thousand
    assert estimate.rows_used < 5_000 and estimate.rows_read == 30_000
    assert estimate.plan == repr(plan) and estimate.converged
    assert len(estimate.sample_indices) == len(estimate.inclusion_prob) == len(estimate.sample_weights)
    if "likelihood" not in options:
        assert (np.diag(estimate.covariance_population) > np.diag(estimate.covariance_full_data)).all()


def test_newton_refinement_is_exact(data):
    X, y = data
    exact = GLMClassifier(plan=Exact(tol=1e-8)).fit(X, y).estimate_
    newton = GLMClassifier(plan=Subsample(2_000, refine="newton"), random_state=0).fit(X, y).estimate_
    np.testing.assert_allclose(newton.values, exact.values, rtol=1e-7)
    np.testing.assert_allclose(newton.bse, exact.bse, rtol=1e-4)


@pytest.mark.parametrize(
    "family", ["poisson", "gamma", "gaussian", "negative_binomial", "inverse_gaussian", "tweedie"]
)
def test_families(family):
    X, y, _ = make_glm(30_000, 3, family=family, random_state=1)
    exact = GLMRegressor(family).fit(X, y).estimate_
    estimate = GLMRegressor(family, plan=Subsample(1_500), random_state=1).fit(X, y).estimate_
    d = estimate.values - exact.values
    assert d @ np.linalg.solve(estimate.covariance_full_data.to_numpy(), d) < 23
    assert estimate.bse.to_numpy() == pytest.approx(exact.bse.to_numpy(), rel=0.35)
    assert estimate.scale == pytest.approx(exact.scale, rel=0.2)
    assert estimate.null_deviance == pytest.approx(exact.null_deviance, rel=0.2)


def test_softmax():
    rng = np.random.default_rng(2)
    X = rng.standard_normal((30_000, 2))
    eta = np.column_stack([np.zeros(30_000), X @ [1, -1], 0.5 + X @ [0.2, 0.7]])
    y = np.array(["a", "b", "c"])[(eta + rng.gumbel(size=eta.shape)).argmax(axis=1)]
    exact = GLMClassifier().fit(X, y).estimate_
    for options in ({}, {"criterion": "optA"}, {"criterion": "LCC", "refine": None}, {"refine": "one_step"},
                    {"criterion": "optV"}, {"likelihood": "conditional", "refine": None}):  # fmt: skip
        estimate = GLMClassifier(plan=Subsample(1_500, **options), random_state=0).fit(X, y).estimate_
        V = estimate.covariance_full_data if "likelihood" not in options else estimate.covariance_population
        d = estimate.values - exact.values
        assert d @ np.linalg.solve(V.to_numpy(), d) < 28
        assert list(estimate.params.index.names) == ["class", "name"]


def test_rows_do_not_depend_on_who_computes_or_on_pieces(data):
    X, y = data
    plan = Subsample(1_000)
    fits = [
        GLMClassifier(plan=plan, random_state=5, engine=e).fit(X, y).estimate_ for e in ("serial", "threads")
    ]
    assert (fits[0].values == fits[1].values).all() and (fits[0].covariance == fits[1].covariance).all()
    from statkit.sources import as_source

    def with_partitions(rows):
        source = as_source(X, y=y.astype(float), rows_per_partition=rows)
        design = MatrixDesign([f"x{j}" for j in range(4)])
        from statkit.regression._fit import open_problem

        problem = open_problem(
            source,
            design,
            resolve_family("binomial", None),
            SerialEngine(),
            alpha=0.0,
            cov_type="nonrobust",
            seed=5,
        )
        return plan.estimate(problem)

    for rows in (10_007, 25_000, 777):
        other = with_partitions(rows)
        assert (other.sample_indices == fits[0].sample_indices).all()
        np.testing.assert_allclose(other.values, fits[0].values, rtol=1e-11, atol=1e-12)
    for sampling, options in (("poisson", {}), ("replacement", {"combine": "none"})):
        variant = clone(plan).set_params(sampling=sampling, **options)
        plan = variant
        rows = [with_partitions(k).sample_indices for k in (10_007, 30_000)]
        assert (rows[0] == rows[1]).all()


def test_badly_scaled_columns_give_the_same_rows(data):
    X, y = data
    moved = X * [1.0, 1e4, 1e-3, 1.0]
    one = GLMClassifier(plan=Subsample(1_000), random_state=0).fit(X, y)
    two = GLMClassifier(plan=Subsample(1_000), random_state=0).fit(moved, y)
    assert (one.estimate_.sample_indices == two.estimate_.sample_indices).all()
    np.testing.assert_allclose(two.coef_ * [1.0, 1e4, 1e-3, 1.0], one.coef_, rtol=1e-6)


def test_few_rows_are_fitted_exactly(data):
    X, y = data[0][:500], data[1][:500]
    exact = GLMClassifier().fit(X, y).estimate_
    estimate = GLMClassifier(plan=Subsample(400)).fit(X, y).estimate_
    assert (estimate.values == exact.values).all() and (estimate.inclusion_prob == 1).all()
    full = GLMClassifier(plan=Subsample(400, target="full_data")).fit(X, y).estimate_
    assert (full.bse == 0).all() and full.rows_used == 500
    assert "There are no more" in str(full.summary())


def test_weights_offset_sparse_and_penalty(data):
    from scipy.sparse import csr_array

    X, y = data
    rng = np.random.default_rng(0)
    weight = rng.integers(0, 3, len(y)).astype(float)
    offset = rng.normal(size=len(y))
    for design in (X, csr_array(X)):
        model = GLMClassifier(alpha=0.05, random_state=0)
        exact = clone(model).fit(design, y, sample_weight=weight, offset=offset).estimate_
        estimate = (
            model.set_params(plan=Subsample(2_000))
            .fit(design, y, sample_weight=weight, offset=offset)
            .estimate_
        )
        d = estimate.values - exact.values
        assert d @ np.linalg.solve(estimate.covariance_full_data.to_numpy(), d) < 25
        assert (weight[estimate.sample_indices] > 0).all()


def test_files_and_levels(tmp_path):
    import pandas as pd

    rng = np.random.default_rng(0)
    n = 40_000
    frame = pd.DataFrame(
        {"g": rng.choice(list("abcd"), n, p=[0.6, 0.3, 0.0995, 0.0005]), "x": rng.normal(size=n)}
    )
    frame["y"] = rng.poisson(np.exp(0.3 * frame.x + (frame.g == "b")))
    frame.loc[3, "x"] = np.nan
    frame.to_parquet(tmp_path / "t.parquet", row_group_size=7_000)
    exact = glm("y ~ x + C(g)", tmp_path / "t.parquet", family="poisson").estimate_
    estimate = glm(
        "y ~ x + C(g)", tmp_path / "t.parquet", family="poisson", plan=Subsample(4_000), random_state=0
    ).estimate_
    d = estimate.values - exact.values
    assert d @ np.linalg.solve(estimate.covariance_full_data.to_numpy(), d) < 25
    assert estimate.rows_missing == 1 and 3 not in estimate.sample_indices
    text = str(estimate.summary())
    assert "Rows used" in text and "population parameter" in text
    with pytest.warns(BiasWarning, match=r"C\(g\)\[T.d\] \(.* expected\)"):
        thin = glm(
            "y ~ x + C(g)", tmp_path / "t.parquet", family="poisson", random_state=1,
            plan=Subsample(60, criterion="LCC", pilot="uniform"),
        ).estimate_  # fmt: skip
    assert np.isnan(thin.params.iloc[-1])


def test_subsample_gives_rows_and_weights(data):
    X, y = data
    estimate = GLMClassifier(plan=Subsample(1_000), random_state=0).fit(X, y).estimate_
    rows, weights = estimate.subsample(X)
    assert rows.shape == (len(weights), 4) and weights.sum() == pytest.approx(30_000, rel=0.1)
    assert (estimate.design_effect() < 1).all()
    with pytest.raises(ValueError, match="drawn from 30,000"):
        estimate.subsample(X[:10])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"size": 0}, "size"),
        ({"size": 2.5}, "size"),
        ({"pilot_size": -1}, "pilot_size"),
        ({"criterion": "best"}, "criterion"),
        ({"mixture": 2}, "mixture"),
        ({"size": 3}, "raise size"),
        ({"criterion": "optC"}, "contrast"),
        ({"criterion": "optC", "contrast": "q"}, "not a coefficient"),
        ({"sampling": "replacement"}, "union"),
        ({"combine": "information"}, "combine"),
        ({"likelihood": "conditional"}, "refine"),
        ({"likelihood": "conditional", "refine": None, "target": "full_data"}, "target"),
        (
            {"likelihood": "conditional", "refine": None, "sampling": "replacement", "combine": "none"},
            "sampling",
        ),
    ],
    ids=str,
)
def test_wrong_parameters(data, options, message):
    X, y = data
    model = GLMClassifier(plan=Subsample(**{"size": 1_000, **options}))
    with pytest.raises(ValueError, match=message):
        model.fit(X, y)
    assert not hasattr(model, "estimate_")


def test_what_a_family_lacks_is_named():
    X, y, _ = make_glm(5_000, 2, family="gamma", random_state=0)
    with pytest.raises(ValueError, match="gamma"):
        GLMRegressor("gamma", plan=Subsample(100, likelihood="conditional", refine=None)).fit(X, y)
    with pytest.raises(ValueError, match="case_control"):
        GLMRegressor("gamma", plan=Subsample(100, pilot="case_control")).fit(X, y)
    with pytest.raises(ValueError, match="clustered"):
        GLMRegressor("gamma", plan=Subsample(100), cov_type="cluster").fit(X, y, groups=np.arange(5_000) % 9)


def test_separated_data_end_with_a_warning_and_numbers():
    rng = np.random.default_rng(0)
    X = rng.standard_normal((5_000, 2))
    y = X[:, 0] > 0
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        estimate = GLMClassifier(plan=Subsample(200), random_state=0).fit(X, y).estimate_
    assert np.isfinite(estimate.values).all()
    assert any(issubclass(w.category, SeparationWarning) for w in caught)


def test_perfect_fit_has_no_scores_to_follow():
    X = np.random.default_rng(0).standard_normal((5_000, 2))
    y = 1 + X @ [2.0, 3.0]
    fit = GLMRegressor(plan=Subsample(100), random_state=0).fit(X, y)
    np.testing.assert_allclose(fit.coef_, [2, 3], rtol=1e-9)


@pytest.fixture(scope="module")
def flights_like(tmp_path_factory):
    """A Parquet file with a category, a missing value and row groups of odd sizes."""
    import pandas as pd

    rng = np.random.default_rng(8)
    n = 60_000
    frame = pd.DataFrame({"g": rng.choice(list("abcde"), n), "x": 500 * rng.gamma(2.0, size=n)})
    frame["y"] = rng.random(n) < expit(0.002 * frame.x - 2 + 0.5 * (frame.g == "c"))
    frame.loc[11, "x"] = np.nan
    path = tmp_path_factory.mktemp("subsample") / "rows.parquet"
    frame.to_parquet(path, row_group_size=7_321)
    return path


@pytest.mark.parametrize(
    "options", [{}, {"sampling": "poisson"}, {"pilot": "windows", "refine": None}], ids=str
)
def test_engines_and_batches_give_the_same_bits_from_a_file(flights_like, options):
    import pyarrow as pa
    import pyarrow.parquet as pq

    def stream(rows):
        """The file as a stream that can be read once, in batches of so many rows."""
        file = pq.ParquetFile(flights_like)
        return pa.RecordBatchReader.from_batches(file.schema_arrow, file.iter_batches(rows))

    plan = Subsample(1_000, pilot_size=1_000, **options)

    def fit(data, engine):
        return glm(
            "y ~ x + C(g)", data, family="binomial", plan=plan, engine=engine, n_jobs=2, random_state=4
        ).estimate_

    answers = [fit(flights_like, engine) for engine in ("serial", "threads", "processes")]
    streams = [fit(stream(10_007), "serial"), fit(stream(250_000), "serial"), fit(stream(10_007), "threads")]
    for same in (answers, streams):
        for other in same[1:]:
            assert (other.sample_indices == same[0].sample_indices).all()
            assert (other.inclusion_prob == same[0].inclusion_prob).all()
            assert (other.values == same[0].values).all() and (other.covariance == same[0].covariance).all()
    assert (answers[0].sample_indices == streams[0].sample_indices).all()
    np.testing.assert_allclose(answers[0].values, streams[0].values, rtol=1e-9, atol=1e-12)
    assert 11 not in answers[0].sample_indices


def test_other_partitions_of_a_file_use_the_same_rows(flights_like, tmp_path):
    import pandas as pd

    pd.read_parquet(flights_like).to_parquet(tmp_path / "other.parquet", row_group_size=20_000)
    plan = Subsample(1_000, pilot_size=1_000)
    one, two = (
        glm("y ~ x + C(g)", path, family="binomial", plan=plan, random_state=4).estimate_
        for path in (flights_like, tmp_path / "other.parquet")
    )
    assert (one.sample_indices == two.sample_indices).all()
    np.testing.assert_allclose(one.values, two.values, rtol=1e-9, atol=1e-12)


def test_pilot_rows_are_independent_draws_whatever_the_pieces():
    from statkit.sampling.uniforms import bernoulli_rows

    n = 300_000
    rows, u = bernoulli_rows(3, 0, 0.02, 0, n)
    pieces = [bernoulli_rows(3, 0, 0.02, a, min(a + 12_345, n)) for a in range(0, n, 12_345)]
    assert (np.concatenate([r for r, _ in pieces]) == rows).all()
    assert (np.concatenate([v for _, v in pieces]) == u).all()
    drawn = np.zeros(n)
    drawn[rows] = 1
    assert abs(drawn.mean() - 0.02) < 4 * np.sqrt(0.02 / n)
    assert abs(np.corrcoef(drawn[1:], drawn[:-1])[0, 1]) < 4 / np.sqrt(n)
    assert abs(drawn[2**16 - 50 : 2**16 + 50].sum() - 2) < 10  # across the end of a stretch too
    assert abs(u.mean() - 0.5) < 0.02 and len(bernoulli_rows(0, 0, 1.0, 10, 20)[0]) == 10
    assert len(bernoulli_rows(0, 0, 1e-12, 0, 10**6)[0]) == 0


def test_one_sweep_gives_what_separate_products_give(data):
    """The fused sweep against numpy: dense of either order, coded, sparse; centred or not; weighted."""
    from scipy.sparse import csr_array

    from statkit.design.block import CodePart, Csr

    rng = np.random.default_rng(3)
    X, codes = rng.standard_normal((900, 5)) + 3, rng.integers(-1, 4, 900)
    csr = csr_array(np.where(rng.random((900, 5)) < 0.5, X, 0))
    offset = rng.standard_normal(900)
    blocks = [
        make_block(X, n_rows=900),
        make_block(np.asfortranarray(X), n_rows=900, offset=offset),
        make_block(X.astype(np.float32), parts=[CodePart(codes, 4)], n_rows=900, intercept=False),
        make_block(X, parts=[CodePart(codes, 4, rng.random(900))], n_rows=900, offset=offset),
        make_block(csr=Csr(csr.data, csr.indices, csr.indptr, 5), n_rows=900),
    ]
    for block in blocks:
        raw = block.to_dense()
        for scaled in (block, block.scaled(np.full(5, 3.0), np.full(5, 0.5)) if block.csr is None else block):
            q = block.n_columns
            theta, square, r = rng.standard_normal(q), rng.random(q), rng.standard_normal(900)
            eta, length, gradient = np.empty(900), np.empty(900), np.zeros(q)
            for rows in (slice(0, 511), slice(511, 900)):
                scaled.predict_and_measure(theta, square, rows, eta[rows], length[rows])
                scaled.add_scores(r[rows], rows, gradient)
            Z = scaled.to_dense()
            away = 0 if block.offset is None else offset
            np.testing.assert_allclose(eta, Z @ theta + away, rtol=1e-10, atol=1e-10)
            np.testing.assert_allclose(length, raw**2 @ square, rtol=1e-6)
            np.testing.assert_allclose(gradient, Z.T @ r, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("refine", [None, "calibrated"])
def test_repeated_samples(data, refine):
    X, y = data
    exact = GLMClassifier().fit(X, y).estimate_
    plan = Subsample(500, pilot_size=1_000, repeats=20, combine="none", refine=refine, target="full_data")
    e = GLMClassifier(plan=plan, random_state=0).fit(X, y).estimate_
    d = e.values - exact.values
    assert d @ np.linalg.solve(e.covariance, d) < 60  # Hotelling with 19 degrees of freedom and 5 numbers
    assert len(e.sample_indices) == 10_000 and e.n_passes < 1.2
    assert e.sample_weights.sum() == pytest.approx(30_000, rel=0.02)
    with pytest.raises(ValueError, match="combine"):
        GLMClassifier(plan=Subsample(500, repeats=3)).fit(X, y)


@pytest.mark.parametrize("options", [{}, {"likelihood": "conditional"}], ids=str)
@pytest.mark.parametrize("classes", [2, 3])
def test_uncertain_rows(classes, options):
    rng = np.random.default_rng(11)
    X = rng.standard_normal((40_000, 2))
    y = np.digitize(2 * X[:, 0] + rng.logistic(size=40_000), [-1.0, 1.0][: classes - 1])
    exact = GLMClassifier().fit(X, y).estimate_
    plan = Subsample(2_000, criterion="LUC", refine=None, **options)
    e = GLMClassifier(plan=plan, random_state=0).fit(X, y).estimate_
    d = e.values - exact.values
    assert d @ np.linalg.solve(e.covariance_population.to_numpy(), d) < 25
    with pytest.raises(ValueError, match="classes"):
        GLMRegressor("poisson", plan=plan.set_params(likelihood="weighted")).fit(X, y)


def test_local_uncertainty_by_its_definition():
    from statkit.sampling.criteria import Scoring

    class Family:
        def inverse_link(self, eta):
            return eta

    p = np.array([0.2, 0.5, 0.9, 0.97, 0.97])
    y = np.array([0.0, 1.0, 1.0, 1.0, 0.0])
    block = make_block(np.empty((5, 0)), n_rows=5)
    for ratio in (1.2, 1.9, 50.0):
        m = Scoring("LUC", ratio=ratio).scores(block, Family(), p, None, None, y)
        for i in range(5):
            q = max(p[i], 1 - p[i], 0.5)
            expected = (p[i] > 0.5) == (y[i] == 1)
            if p[i] == 0.5:
                expected = y[i] == 0
            if ratio >= 2 * q:
                value = 2 * (1 - q) / ratio if expected else 2 * q / ratio
            else:
                value = (1 - q) / (ratio - q) if expected else 1.0
            assert m[i] == pytest.approx(min(value, 1.0))


@pytest.mark.parametrize("size", [100, 20_000], ids=["sampled", "all rows"])
@pytest.mark.parametrize("bad", [np.nan, np.inf])
@pytest.mark.parametrize("row", [3, 17_003])
def test_values_that_are_not_finite_are_found_wherever_they_are(data, size, bad, row):
    X, y = data[0].copy(), data[1]
    X[row, 2] = bad
    for options in (
        {},
        {"criterion": "optA"},
        {"criterion": "uniform", "refine": None},
        {"sampling": "poisson", "mixture": 0.2},
    ):
        model = GLMClassifier(plan=Subsample(size, **options), fit_intercept="mixture" in options)
        what = "NaN" if np.isnan(bad) else "infinity"
        with pytest.raises(ValueError, match=rf"contains {what}: column 'x2', row {row} "):
            with np.errstate(all="ignore"):
                model.fit(X, y)
        assert not hasattr(model, "estimate_")


@pytest.mark.filterwarnings("ignore")
def test_a_class_that_no_drawn_row_has_is_named():
    rng = np.random.default_rng(1)
    X = rng.standard_normal((20_000, 1))
    y = np.where(np.arange(20_000) < 12, "rare", np.where(X[:, 0] > rng.standard_normal(20_000), "a", "b"))
    with pytest.raises(ValueError, match=r"no drawn row has the class 'rare' \(0.* expected\)"):
        GLMClassifier(plan=Subsample(100, criterion="uniform", refine=None), random_state=0).fit(X, y)
    with pytest.raises(ValueError, match="no drawn row has the class"):
        GLMClassifier(
            plan=Subsample(100, criterion="uniform", refine=None, pilot="uniform"), random_state=0
        ).fit(X, y == "rare")


@parametrize_with_checks([GLMClassifier(plan=Subsample())])
def test_sklearn_contract(estimator, check):
    check(estimator)


def test_weighted_fits_are_equivariant_and_know_repetitions(worked):
    problem, block, b0, pi, S, _, gradient = worked
    rng = np.random.default_rng(9)
    Z, y = block.dense, block.y
    A = np.array([[1.0, 0.7], [-0.4, 2.0]])
    turned, other = make_problem(Z @ A, y, "binomial")
    map_ = np.eye(3)
    map_[1:, 1:] = np.linalg.inv(A)
    lift = np.eye(3)
    lift[1:, 1:] = A
    for g in (None, gradient):
        one = fit_rows(problem, block.take(S), pi[S], b0, gradient=g)
        two = fit_rows(turned, other.take(S), pi[S], map_ @ b0, gradient=None if g is None else lift.T @ g)
        np.testing.assert_allclose(two.theta, map_ @ one.theta, atol=1e-7)
        for V, W in zip(one.covariances(), two.covariances(), strict=True):
            np.testing.assert_allclose(W, map_ @ V @ map_.T, rtol=1e-5, atol=1e-12)
    # Equal probabilities: the fit without weights.
    rows = block.take(S)
    flat = fit_rows(problem, rows, np.full(len(S), 0.15), b0)
    plain = GLMClassifier(plan=Exact(tol=1e-10)).fit(Z[S], y[S]).estimate_
    np.testing.assert_allclose(flat.theta, plain.values, atol=1e-7)
    # Rows drawn twice are rows of weight two, in the estimate and in its population covariance.
    times = rng.integers(1, 4, len(S))
    repeated = fit_rows(
        problem, block.take(np.repeat(S, times)), np.repeat(pi[S], times), b0, replacement=True
    )
    from dataclasses import replace

    heavy = fit_rows(problem, replace(rows, weight=times.astype(float)), pi[S], b0, replacement=True)
    np.testing.assert_allclose(repeated.theta, heavy.theta, atol=1e-9)
    np.testing.assert_allclose(repeated.information, heavy.information, rtol=1e-9)


def test_the_order_of_classes_does_not_matter():
    rng = np.random.default_rng(13)
    X = rng.standard_normal((20_000, 2))
    eta = np.column_stack([np.zeros(20_000), X @ [1, -1], 0.5 + X @ [0.2, 0.7]])
    y = (eta + rng.gumbel(size=eta.shape)).argmax(axis=1)
    turned = np.array([2, 0, 1])[y]
    for criterion in ("optLs", "optL", "optA", "optV", "LCC"):
        plan = Subsample(800, criterion=criterion)
        one, two = (GLMClassifier(plan=plan, random_state=0).fit(X, labels) for labels in (y, turned))
        assert (one.estimate_.sample_indices == two.estimate_.sample_indices).mean() > 0.99
        np.testing.assert_allclose(two.coef_[[2, 0, 1]], one.coef_, atol=1e-3)


@pytest.mark.parametrize("seed", range(3))
def test_levels_that_the_sample_hardly_has(seed):
    """A calibrated sample of rare levels may have no finite solution: what it does not tell stays near the pilot."""
    draw = np.random.default_rng(0)
    share = 1 / np.arange(1, 121) ** 1.2
    level = draw.choice(120, 60_000, p=share / share.sum())
    x = draw.normal(size=len(level))
    eta = -1.5 + 0.5 * x + draw.normal(scale=0.5, size=120)[level]
    frame = pd.DataFrame({"a": level.astype(str), "x": x, "y": draw.random(len(x)) < 1 / (1 + np.exp(-eta))})
    exact = glm("y ~ x + C(a)", frame, "binomial").estimate_
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        found = glm("y ~ x + C(a)", frame, "binomial", plan=Subsample(1_000), random_state=seed).estimate_
    assert any("no finite solution: what they do not tell was held" in str(w.message) for w in caught)
    distance = (found.params - exact.params) / exact.bse
    assert found.converged and np.abs(distance).max() < 8
    assert abs(found.params["x"] - exact.params["x"]) < 4 * found.bse["x"] < 1
