"""Reading of views: column maps, scaling, sparse views, hostile input."""

import warnings

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst
from scipy import sparse
from sklearn.compose import make_column_selector
from sklearn.metrics import adjusted_rand_score

from statkit import cluster
from statkit.cluster._scaling import fit_scaler
from statkit.cluster.views import read_new_views, read_views
from statkit.datasets import make_multiview_blobs


@pytest.fixture
def frame():
    rng = np.random.default_rng(0)
    return pd.DataFrame(rng.normal(size=(12, 4)), columns=["g1", "g2", "l1", "l2"])


def test_column_maps(frame):
    for views in (
        {"g": ["g1", "g2"], "l": ["l1", "l2"]},
        {"g": slice("g1", "g2"), "l": make_column_selector(pattern="^l")},
        {"g": [0, 1], "l": [-2, -1]},
        ["g1 g2".split(), [False, False, True, True]],
        np.array(["g", "g", "l", "l"]),
    ):
        read = read_views(frame, views)
        np.testing.assert_array_equal(read.arrays[0], frame[["g1", "g2"]])
        np.testing.assert_array_equal(read.arrays[1], frame[["l1", "l2"]])
        assert read.columns == [["g1", "g2"], ["l1", "l2"]]
    shared = read_views(frame, {"a": ["g1", "l1"], "b": ["l1", "g2", "l2"]})
    assert shared.columns[1] == ["l1", "g2", "l2"]


@pytest.mark.parametrize(
    "views, message",
    [
        ({"g": ["g1", "g22"]}, r"view 'g': X has no column 'g22'; did you mean 'g2'"),
        ({"g": [0, 7]}, r"view 'g': there is no column 7; X has 4"),
        ({"g": []}, r"view 'g' is empty"),
        ({"g": [True, False]}, r"the mask has 2 entries; X has 4"),
        ([0, 1], r"needs one a column, shape \(4,\)"),
        ({}, r"views is empty"),
    ],
)
def test_bad_column_maps(frame, views, message):
    with pytest.raises(ValueError, match=message):
        read_views(frame, views)


def test_ignored_columns_are_told(frame):
    with pytest.warns(UserWarning, match=r"columns in no view are ignored: \['l2'\]"):
        read_views(frame, {"g": ["g1", "g2"], "l": ["l1"]})
    with pytest.raises(ValueError, match="X has no names"):
        read_views(frame.to_numpy(), {"g": ["g1"]})
    with pytest.raises(ValueError, match="X is already a list or dict"):
        read_views([frame, frame], {"g": ["g1"]})
    with pytest.raises(ValueError, match="three dimensions"):
        read_views(np.zeros((2, 3, 4)))


def test_new_views_must_be_the_fitted_ones(frame):
    fitted = read_views({"a": frame[["g1", "g2"]], "b": frame[["l1"]]})
    renamed = {"a": frame[["g2", "g1"]], "b": frame[["l1"]]}
    with pytest.raises(ValueError, match="view 'a': column 0 is 'g2'; the fit had 'g1'"):
        read_new_views(renamed, None, fitted, estimator=None)
    with pytest.raises(ValueError, match="X has 1 views; the fit had 2: a, b"):
        read_new_views([frame[["g1", "g2"]]], None, fitted, estimator=None)


def test_scaling():
    X = np.random.default_rng(0).normal(3, 5, size=(50, 4))
    X[:, 2] = 7.1  # constant: rounding of its mean must not be blown up
    block = fit_scaler(X, "a", "block")(X)
    np.testing.assert_allclose(block.var(axis=0), [0.25, 0.25, 0, 0.25])
    np.testing.assert_allclose(fit_scaler(X, "a", "standard")(X).var(axis=0), [1, 1, 0, 1])
    unit = fit_scaler(X, "a", "minmax")(X)
    assert unit.min() == 0 and unit.max() == 1 and not unit[:, 2].any()
    assert fit_scaler(X, "a", None)(X) is X
    weight = np.random.default_rng(1).integers(0, 3, size=50)
    repeated = fit_scaler(np.repeat(X, weight, axis=0), "a", "block")
    weighted = fit_scaler(X, "a", "block", weight=weight)
    np.testing.assert_allclose(weighted.divisor[[0, 1, 3]], repeated.divisor[[0, 1, 3]])
    S = sparse.csr_array(np.where(X > 4, X, 0))
    dense = S.toarray()
    scaled = fit_scaler(S, "a", "block")(S).toarray()
    wanted = fit_scaler(dense, "a", "block")(dense)
    np.testing.assert_allclose(scaled - scaled.mean(axis=0), wanted, atol=1e-12)


@pytest.mark.parametrize("name", ["KernelKMeans", "LocalSampleWeightedMKC", "OneStepMultiViewClustering"])
def test_sparse_views(name):
    blobs = make_multiview_blobs(80, 3, n_features=(8, 9), separations=(4.0, 4.0), random_state=0)
    dense = {view: np.where(np.abs(X) > 1.5, X, 0) for view, X in blobs.views.items()}
    method = getattr(cluster, name)
    one = method(3, random_state=0).fit(dense)
    two = method(3, random_state=0).fit({view: sparse.csr_array(X) for view, X in dense.items()})
    assert adjusted_rand_score(one.labels_, two.labels_) == 1


def test_kernels_of_every_kind():
    views = make_multiview_blobs(30, 3, random_state=0).views
    names = list(views)
    for kernel in (
        "rbf",
        "linear",
        "poly",
        "cosine",
        lambda X, Y: X @ Y.T,
        ["rbf", "linear"],
        {names[0]: "rbf", names[1]: "poly"},
    ):
        K = cluster.kernel_stack(views, kernel=kernel)
        np.testing.assert_allclose(np.diagonal(K, axis1=1, axis2=2), 1, atol=1e-12)
        np.testing.assert_allclose(K, K.transpose(0, 2, 1), atol=1e-15)
    for gamma in ("mean", "median", "scale", 0.5):
        assert cluster.kernel_stack(views, gamma=gamma).shape == (2, 30, 30)
    several = cluster.kernel_stack(views, gamma=[0.1, 1.0, "mean"])
    assert several.shape == (6, 30, 30)
    np.testing.assert_allclose(several[5], cluster.kernel_stack(views)[1])
    assert cluster.kernel_stack(views, dtype=np.float32).dtype == np.float32
    fit = cluster.MultipleKernelKMeans(3, gamma=[0.1, 1.0], random_state=0).fit(views)
    assert fit.kernel_names_ == ["view0[0]", "view0[1]", "view1[0]", "view1[1]"]
    assert fit.summary()["weight"].sum() == pytest.approx(1)
    with pytest.raises(ValueError, match="kernel must be one of"):
        cluster.kernel_stack(views, kernel="gauss")
    with pytest.raises(ValueError, match="lists 1 kernels for 2 views"):
        cluster.kernel_stack(views, kernel=["rbf"])
    with pytest.raises(ValueError, match="kernel is a dict without the views"):
        cluster.kernel_stack(views, kernel={"view0": "rbf"})


@pytest.mark.parametrize("kernel", ["rbf", "linear", "poly", "cosine"])
def test_kernels_of_new_samples(kernel):
    """Centred and normalised with the training statistics: at the training samples, the training kernel."""
    from statkit.cluster.kernels import KernelOptions, fit_kernels

    views = make_multiview_blobs(40, 3, random_state=0).views
    kernels = fit_kernels(views, KernelOptions(kernel=kernel))
    K, own = kernels.cross(list(views.values()))
    np.testing.assert_allclose(K, kernels.stack, atol=1e-10)
    np.testing.assert_allclose(own, 1, atol=1e-10)
    blocks = fit_kernels(views, KernelOptions(kernel=kernel), stacked=False)
    np.testing.assert_allclose(blocks.rows(1, 10, 20), kernels.stack[1, 10:20], atol=1e-10)


def test_precomputed_new_samples():
    views = make_multiview_blobs(60, 3, separations=(4.0, 4.0), random_state=0).views
    raw = cluster.kernel_stack(views, center=False, normalize=False)
    on_features = cluster.KernelKMeans(3, random_state=0).fit([v[:40] for v in views.values()])
    del on_features
    fit = cluster.KernelKMeans(3, kernel="precomputed", random_state=0).fit(raw[:, :40, :40])
    everyone = cluster.KernelKMeans(3, kernel="precomputed", random_state=0).fit(raw)
    assert adjusted_rand_score(fit.predict(raw[:, 40:, :40]), everyone.labels_[40:]) > 0.9
    with pytest.raises(ValueError, match="one column for each of the 40 samples"):
        fit.predict(raw[:, 40:, :30])
    with pytest.raises(ValueError, match="X has 1 kernels; the fit had 2"):
        fit.predict(raw[0, 40:, :40])
    uneven = raw[:, :40, :40] * np.linspace(1, 2, 40)[:, None] * np.linspace(1, 2, 40)
    with pytest.raises(ValueError, match="its diagonal is not constant"):
        cluster.KernelKMeans(3, kernel="precomputed").fit(uneven).predict(raw[:, 40:, :40])
    plain = cluster.KernelKMeans(3, kernel="precomputed", normalize=False, random_state=0).fit(uneven)
    np.testing.assert_array_equal(plain.predict(uneven), plain.labels_)


def test_constant_views_and_kernels_are_named():
    with pytest.raises(ValueError, match="view 'b' is constant"):
        cluster.kernel_stack({"a": np.eye(5), "b": np.ones((5, 2))})
    with pytest.raises(ValueError, match="view 'view0' is constant: its kernel has norm zero"):
        cluster.kernel_stack(np.ones((4, 4)), kernel="precomputed")
    with pytest.raises(ValueError, match="the kernel is constant"):
        cluster.normalize_kernel(np.zeros((3, 3)))
    with pytest.raises(ValueError, match="a kernel is square"):
        cluster.center_kernel(np.zeros((3, 4)))


numbers = st.floats(-1e6, 1e6, allow_nan=False, width=32)


@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    first=npst.arrays(np.float64, st.tuples(st.integers(6, 12), st.integers(1, 3)), elements=numbers),
    width=st.integers(1, 3),
    name=st.sampled_from(
        ["KernelKMeans", "LateFusionClustering", "LocalSampleWeightedMKC", "MultiViewKMeans",
         "MultipleKernelKMeans",
         "OneStepMultiViewClustering", "AnchorMultiViewClustering", "GraphFusionClustering",
         "SimilarityNetworkFusion", "CoRegularizedSpectralClustering", "ConsensusClustering"]
    ),
)  # fmt: skip
def test_any_numbers_give_labels_or_a_clear_error(first, width, name):
    """Ties, duplicates, huge spreads: labels and finite attributes, or an error that names the view."""
    second = np.random.default_rng(width).normal(size=(len(first), width))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            fit = getattr(cluster, name)(2, random_state=0).fit({"a": first, "b": second})
        except ValueError as error:
            assert "view 'a'" in str(error)
            return
    assert fit.labels_.shape == (len(first),)
    assert set(fit.labels_) <= {0, 1}
    for attribute in ("objective_path_", "embedding_", "view_weights_", "kernel_weights_"):
        assert np.isfinite(getattr(fit, attribute, 0.0)).all(), attribute
