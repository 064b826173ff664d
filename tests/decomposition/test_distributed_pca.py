"""Principal components from pieces: scikit-learn's on all rows, engines, files, distance and bias of averages."""

import numpy as np
import pandas as pd
import pytest
from sklearn.decomposition import PCA
from sklearn.utils.estimator_checks import parametrize_with_checks

from statkit.decomposition import DistributedPCA


@parametrize_with_checks([DistributedPCA(), DistributedPCA(1, method="one_shot", n_steps=1)])
def test_sklearn_contract(estimator, check):
    check(estimator)


def make(seed, n=6_400, d=50, spikes=(6, 4, 2.5)):
    rng = np.random.default_rng(seed)
    variances = np.concatenate([spikes, np.ones(d - len(spikes))])
    turn = np.linalg.qr(rng.standard_normal((d, d)))[0]
    return (rng.standard_normal((n, d)) * np.sqrt(variances)) @ turn + rng.normal(size=d) * 100


def distance(a, b):
    return np.linalg.norm(a.components_.T @ a.components_ - b.components_.T @ b.components_, 2)


@pytest.fixture(scope="module")
def X():
    return make(0)


@pytest.mark.parametrize("k", [None, 3, 0.7])
def test_exact_is_scikit_learn(X, k):
    ours, theirs = DistributedPCA(k, n_partitions=7).fit(X), PCA(k, svd_solver="full").fit(X)
    for name in (
        "explained_variance_",
        "explained_variance_ratio_",
        "singular_values_",
        "mean_",
        "noise_variance_",
    ):
        np.testing.assert_allclose(getattr(ours, name), getattr(theirs, name), rtol=1e-9)
    np.testing.assert_allclose(ours.components_, theirs.components_, atol=1e-7)
    np.testing.assert_allclose(ours.get_covariance(), theirs.get_covariance(), atol=1e-9)
    Z = ours.transform(X[:5])
    np.testing.assert_allclose(Z, theirs.transform(X[:5]), atol=1e-5)
    np.testing.assert_allclose(
        ours.inverse_transform(Z), theirs.inverse_transform(theirs.transform(X[:5])), rtol=1e-7
    )
    assert ours.n_rounds_ == 1 and ours.n_samples_ == len(X) and ours.predicted_bias_ == 0


def test_whitened_sparse_and_wide():
    rng = np.random.default_rng(1)
    from scipy.sparse import random_array

    S = random_array((300, 20), density=0.2, rng=rng, format="csr")
    dense = DistributedPCA(3, whiten=True).fit(S.toarray())
    sparse = DistributedPCA(3, whiten=True).fit(S)
    np.testing.assert_allclose(sparse.components_, dense.components_, atol=1e-10)
    np.testing.assert_allclose(sparse.transform(S).std(axis=0, ddof=1), 1, rtol=1e-9)
    wide = rng.standard_normal((6, 40))
    np.testing.assert_allclose(
        DistributedPCA().fit(wide).explained_variance_[:5], PCA().fit(wide).explained_variance_[:5], rtol=1e-9
    )
    few = DistributedPCA(2, method="one_shot", n_partitions=2, n_steps=30).fit(rng.standard_normal((40, 60)))
    assert few.components_.shape == (2, 60)


def test_files_engines_and_partitions(tmp_path):
    frame = pd.DataFrame(make(2, 2_000, 6, (9, 4)), columns=list("abcdef"))
    frame["site"] = np.repeat(list("uvwx"), 500)
    frame.to_parquet(tmp_path / "d.parquet", row_group_size=250)
    numbers = frame.drop(columns="site")
    whole = DistributedPCA(2).fit(numbers)
    assert whole.feature_names_in_.tolist() == list("abcdef")
    for options in ({}, {"method": "one_shot"}, {"method": "one_shot", "n_steps": 2}):
        fits = [
            DistributedPCA(2, partition_by="site", engine=engine, **options).fit(tmp_path / "d.parquet")
            for engine in ("serial", "threads", "processes")
        ]
        for fit in fits[1:]:
            np.testing.assert_array_equal(fit.components_, fits[0].components_)
            np.testing.assert_array_equal(fit.explained_variance_, fits[0].explained_variance_)
        assert distance(fits[0], whole) < (1e-10 if not options else 0.1)
    np.testing.assert_allclose(fits[0].transform(numbers).shape, (2_000, 2))
    direct = DistributedPCA(2, partition_by="site").fit(frame)
    np.testing.assert_allclose(direct.components_, whole.components_, atol=1e-10)
    from_file = whole.transform(numbers)
    numbers.to_parquet(tmp_path / "n.parquet")
    np.testing.assert_allclose(whole.transform(tmp_path / "n.parquet"), from_file)


def test_distance_and_predicted_bias_of_averages(X):
    exact = DistributedPCA(3).fit(X)
    before = 0.0
    for K in (4, 16, 64):
        once = DistributedPCA(3, method="one_shot", n_partitions=K).fit(X)
        plain = DistributedPCA(3, method="one_shot", n_partitions=K, weights="n").fit(X)
        step = DistributedPCA(3, method="one_shot", n_partitions=K, n_steps=1).fit(X)
        d = distance(once, exact)
        assert before < d < 0.08 and d < 1.05 * distance(plain, exact)
        assert 0.5 < once.predicted_bias_ / d < 2
        assert 0.4 < step.predicted_bias_ / distance(step, exact) < 2.5
        assert distance(step, exact) < 0.6 * d
        np.testing.assert_allclose(step.explained_variance_, exact.explained_variance_, rtol=2e-3)
        assert len(once.partition_distances_) == K and once.n_rounds_ == 1 and step.n_rounds_ == 2
        before = d
    many = DistributedPCA(3, method="one_shot", n_partitions=16, n_steps=40).fit(X)
    assert distance(many, exact) < 1e-9
    np.testing.assert_allclose(many.explained_variance_ratio_, exact.explained_variance_ratio_, rtol=1e-9)
    same = DistributedPCA(3, method="one_shot", n_partitions=1).fit(X)
    np.testing.assert_allclose(same.components_, exact.components_, atol=1e-8)


def test_errors_of_variances_under_normality():
    fits = [DistributedPCA(2, engine="serial").fit(make(seed, 500, 5, (6, 3))) for seed in range(200)]
    inside = [np.abs(f.explained_variance_ - [6, 3]) < 1.96 * f.explained_variance_bse_ for f in fits]
    assert 0.90 < np.mean(inside) < 0.99  # Monte Carlo error .011


def test_wrong_input(tmp_path):
    X = make(3, 100, 4, (3,))
    with pytest.raises(ValueError, match="not both"):
        DistributedPCA(n_partitions=2, partition_by="g").fit(X)
    with pytest.raises(ValueError, match="at most"):
        DistributedPCA(5).fit(X)
    with pytest.raises(ValueError, match="at most"):
        DistributedPCA(5, method="one_shot").fit(X)
    with pytest.raises(ValueError, match="share of the variance"):
        DistributedPCA(0.9, method="one_shot").fit(X)
    with pytest.raises(ValueError, match="do not determine"):
        DistributedPCA(3, method="one_shot", n_partitions=40).fit(X)
    frame = pd.DataFrame({"a": [1.0, 2, np.nan, 4], "b": list("uvwx")})
    frame.to_parquet(tmp_path / "f.parquet")
    with pytest.raises(ValueError, match="column 'b' has type"):
        DistributedPCA(1).fit(tmp_path / "f.parquet")
    frame[["a"]].to_parquet(tmp_path / "a.parquet")
    with pytest.raises(ValueError, match=r"NaN: column 'a', row 2 .*a\.parquet"):
        DistributedPCA(1).fit(tmp_path / "a.parquet")
    constant = DistributedPCA().fit(np.ones((5, 2)))
    assert (constant.explained_variance_ == 0).all() and (constant.explained_variance_ratio_ == 0).all()
