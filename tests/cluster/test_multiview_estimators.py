"""What every multi-view method keeps: scikit-learn's conventions, forms of input, report, errors."""

import pickle
import warnings

import numpy as np
import pandas as pd
import polars as pl
import pytest
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.metrics import adjusted_rand_score
from sklearn.utils.estimator_checks import parametrize_with_checks

from statkit import cluster
from statkit.datasets import make_multiview_blobs

METHODS = [
    "AnchorMultiViewClustering",
    "CoRegularizedSpectralClustering",
    "ConsensusClustering",
    "GraphFusionClustering",
    "KernelKMeans",
    "LateFusionClustering",
    "LocalSampleWeightedMKC",
    "MultiViewKMeans",
    "MultipleKernelKMeans",
    "OneStepMultiViewClustering",
    "SimilarityNetworkFusion",
]
PREDICTING = [name for name in METHODS if hasattr(getattr(cluster, name), "predict")]
KERNEL_METHODS = ["KernelKMeans", "LateFusionClustering", "LocalSampleWeightedMKC", "MultipleKernelKMeans"]
_WEIGHTS = (
    "starts are drawn by k-means++ from the rows as they are given: a row twice and a row of weight two draw "
    "other random numbers, as in sklearn.cluster.KMeans; the updates themselves are "
    "equivalent, which is tested"
)


def make(name, n_clusters=3, **options):
    few = {"OneStepMultiViewClustering": {"n_init": 2}, "ConsensusClustering": {"n_runs": 3}}
    return getattr(cluster, name)(n_clusters, **{"random_state": 0, **few.get(name, {}), **options})


def _expected(estimator):
    if type(estimator).__name__ in ("OneStepMultiViewClustering", "MultiViewKMeans", "KernelKMeans"):
        return {
            "check_sample_weight_equivalence_on_dense_data": _WEIGHTS,
            "check_sample_weight_equivalence_on_sparse_data": _WEIGHTS,
        }
    return {}


@parametrize_with_checks(
    [make(name) for name in METHODS],
    expected_failed_checks=_expected,
    xfail_strict=False,  # with luck the draws lead to the same clusters
)
@pytest.mark.filterwarnings("ignore")
def test_scikit_learn(estimator, check):
    check(estimator)


@pytest.fixture(scope="module")
def blobs():
    return make_multiview_blobs(90, 3, n_features=(5, 8), separations=(3.0, 3.0), random_state=1)


@pytest.mark.parametrize("name", METHODS)
def test_finds_separated_clusters(name, blobs):
    fit = make(name).fit(blobs.views)
    assert adjusted_rand_score(blobs.target, fit.labels_) > 0.95
    assert sorted(set(fit.labels_)) == [0, 1, 2]
    assert fit.view_names_ == ["view0", "view1"]


@pytest.mark.parametrize("name", METHODS)
def test_one_input_in_all_its_forms(name, blobs):
    first, second = blobs.views.values()
    wanted = make(name).fit([first, second]).labels_
    table = np.hstack([first, second])
    frame = pd.DataFrame(table, columns=[f"c{j}" for j in range(13)])
    levels = pd.concat({"a": pd.DataFrame(first), "b": pd.DataFrame(second)}, axis=1)
    left, right = list(frame.columns[:5]), list(frame.columns[5:])
    for X, views in [
        ({"a": first, "b": pd.DataFrame(second)}, None),
        (table, {"a": range(5), "b": slice(5, None)}),
        (table, [0] * 5 + [1] * 8),
        (table, [np.arange(13) < 5, np.arange(13) >= 5]),
        (frame, {"a": left, "b": right}),
        (frame, {"a": left, "b": lambda f: [c for c in f if c not in left]}),
        (frame, {"a": slice("c0", "c4"), "b": right}),
        (pl.from_pandas(frame), {"a": left, "b": right}),
        (levels, None),
    ]:
        fit = make(name, views=views).fit(X)
        assert adjusted_rand_score(fit.labels_, wanted) == 1  # numbers of clusters may differ by rounding
        assert fit.n_features_in_ == 13
        assert [len(c) for c in fit.view_columns_] == [5, 8]


def test_labelled_summary_in_three_lines(blobs):
    frame = pd.concat({name: pd.DataFrame(view) for name, view in blobs.views.items()}, axis=1)
    fit = cluster.OneStepMultiViewClustering(3, random_state=0).fit(frame)
    summary = fit.summary()
    assert list(summary.index) == ["view0", "view1"]
    assert list(summary) == ["columns", "weight", "agreement", "residual"]
    assert summary["columns"].tolist() == [5, 8]
    assert summary["weight"].sum() == pytest.approx(1)
    assert summary["agreement"].min() > 0.7
    assert ((summary["residual"] > 0) & (summary["residual"] < 1)).all()


@pytest.mark.parametrize("name", METHODS)
def test_samples_in_another_order(name, blobs):
    order = np.random.default_rng(0).permutation(90)
    straight = make(name).fit(blobs.views)
    shuffled = make(name).fit({view: X[order] for view, X in blobs.views.items()})
    assert adjusted_rand_score(straight.labels_[order], shuffled.labels_) > 0.95


@pytest.mark.parametrize("name", METHODS)
def test_views_in_another_order(name, blobs):
    straight = make(name).fit(blobs.views)
    turned = make(name).fit(dict(reversed(blobs.views.items())))
    assert adjusted_rand_score(straight.labels_, turned.labels_) > 0.95
    if name != "ConsensusClustering":
        np.testing.assert_allclose(
            straight.summary()["weight"], turned.summary()["weight"][["view0", "view1"]], rtol=1e-6
        )


@pytest.mark.parametrize("name", METHODS)
def test_repeats_with_its_seed_and_leaves_numpys_alone(name, blobs):
    np.random.seed(7)  # noqa: NPY002
    before = np.random.get_state()[1].copy()  # noqa: NPY002
    one, two = make(name).fit(blobs.views), make(name).fit(blobs.views)
    np.testing.assert_array_equal(one.labels_, two.labels_)
    np.testing.assert_array_equal(before, np.random.get_state()[1])  # noqa: NPY002


@pytest.mark.parametrize("name", PREDICTING)
def test_new_samples(name, blobs):
    train = {view: X[:60] for view, X in blobs.views.items()}
    new = {view: X[60:] for view, X in blobs.views.items()}
    fit = make(name).fit(train)
    assert adjusted_rand_score(blobs.target[60:], fit.predict(new)) > 0.9
    again = pickle.loads(pickle.dumps(fit))
    np.testing.assert_array_equal(again.predict(dict(reversed(new.items()))), fit.predict(new))
    with pytest.raises(ValueError, match=r"lacks the views \['view1'\]"):
        fit.predict({"view0": new["view0"]})
    with pytest.raises(ValueError, match="view 'view1' has 7 columns; the fit had 8"):
        fit.predict({"view0": new["view0"], "view1": new["view1"][:, 1:]})
    with pytest.raises(ValueError, match=r"X is one table, but .* was fitted to a list or dict"):
        fit.predict(new["view0"])
    with pytest.raises(NotFittedError):
        make(name).predict(new)


@pytest.mark.parametrize("name", METHODS)
@pytest.mark.parametrize(
    "change, message",
    [
        (lambda v: v.update(a=v["a"][:-1]), r"'a': 19, 'b': 20"),
        (lambda v: v["b"].__setitem__((3, 1), np.nan), r"NaN: view 'b', row 3, column 1"),
        (lambda v: v["a"].__setitem__((0, 2), np.inf), r"infinity: view 'a', row 0, column 2"),
        (lambda v: v.update(a=np.ones((20, 2))), r"view 'a' is constant"),
        (lambda v: v.update(b=np.empty((20, 0))), r"view 'b' is empty"),
        (lambda v: v.update(b=np.full((20, 2), "x")), r"view 'b'.*could not convert"),
        (lambda v: v.update(b=np.ones((20, 2), dtype=complex)), r"view 'b'.*Complex"),
        (lambda v: v.clear(), r"empty dict"),
    ],
)
def test_bad_views_are_named(name, change, message):
    rng = np.random.default_rng(0)
    views = {"a": rng.normal(size=(20, 3)), "b": rng.normal(size=(20, 4))}
    change(views)
    estimator = make(name)
    with pytest.raises(ValueError, match=message):
        estimator.fit(views)
    assert not [attribute for attribute in vars(estimator) if attribute.endswith("_")]


@pytest.mark.parametrize("name", METHODS)
def test_a_failed_fit_keeps_the_earlier_one(name, blobs):
    fit = make(name).fit(blobs.views)
    labels = fit.labels_.copy()
    with pytest.raises(ValueError, match="NaN"):
        fit.fit(np.array([[1.0, np.nan]] * 5))
    np.testing.assert_array_equal(fit.labels_, labels)
    assert list(fit.summary().index) == ["view0", "view1"]


@pytest.mark.parametrize("name", METHODS)
def test_too_few_samples(name):
    with pytest.raises(ValueError, match="n_samples=2 should be >= n_clusters=3"):
        make(name).fit([np.eye(2), np.eye(2)])


@pytest.mark.parametrize("name", METHODS)
def test_a_handful_of_samples(name):
    """As few as there can be, with columns that are equal and constant."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(5, 1))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        fit = make(name, 2).fit([np.hstack([x, x, np.ones((5, 1))]), rng.normal(size=(5, 2)) * 1e6])
        assert set(fit.labels_) == {0, 1}
        fit = make(name, 1).fit([x, rng.normal(size=(5, 2))])
        assert set(fit.labels_) == {0}


@pytest.mark.parametrize("name", METHODS)
def test_unequal_indices(name):
    rng = np.random.default_rng(0)
    a = pd.DataFrame(rng.normal(size=(20, 2)), index=[f"s{i}" for i in range(20)])
    b = a.copy()
    b.index = [f"s{i}" if i != 4 else "other" for i in range(20)]
    with pytest.raises(ValueError, match="row 4 is 's4' in the first and 'other' in the second"):
        make(name).fit({"a": a, "b": b})


@pytest.mark.parametrize("name", KERNEL_METHODS)
def test_precomputed_kernels(name, blobs):
    stack = cluster.kernel_stack(blobs.views)
    wanted = make(name).fit(blobs.views)
    fit = make(name, kernel="precomputed", center=False, normalize=False).fit(stack)
    assert adjusted_rand_score(wanted.labels_, fit.labels_) == 1
    fit = make(name, kernel="precomputed").fit({"x": stack[0], "y": stack[1]})
    assert fit.view_names_ == ["x", "y"]
    assert adjusted_rand_score(wanted.labels_, fit.labels_) == 1
    broken = stack.copy()
    broken[1, 3, 4] += 1
    with pytest.raises(ValueError, match=r"kernel 'view1' is not symmetric: entry \(3, 4\)"):
        make(name, kernel="precomputed").fit(broken)
    with pytest.raises(ValueError, match=r"kernel 'view1' has shape \(5, 5\)"):
        make(name, kernel="precomputed").fit([stack[0], np.eye(5)])
    with pytest.warns(UserWarning, match=r"kernel 'view1' is indefinite.*kernel_shift="):
        make(name, kernel="precomputed").fit([stack[0], stack[1] - 0.5 * np.eye(90)])


@pytest.mark.parametrize("name", ["CoRegularizedSpectralClustering", "SimilarityNetworkFusion"])
def test_precomputed_affinities(name, blobs):
    W = [np.exp(-((X[:, None] - X) ** 2).sum(axis=2) / 10) for X in blobs.views.values()]
    fit = make(name, affinity="precomputed").fit(W)
    assert adjusted_rand_score(blobs.target, fit.labels_) > 0.9
    assert list(fit.summary()["agreement"] > 0.8) == [True, True]
    W[0][1, 2] = W[0][2, 1] = -1
    with pytest.raises(ValueError, match=r"affinity 'view0' is negative at \(1, 2\)"):
        make(name, affinity="precomputed").fit(W)


@pytest.mark.parametrize("name", METHODS)
def test_memory_is_asked_for_before_it_is_taken(name, monkeypatch):
    from statkit.cluster import _memory

    monkeypatch.setattr(_memory, "available_bytes", lambda: 10_000)
    X = np.random.default_rng(0).normal(size=(200, 3))
    if name in ("OneStepMultiViewClustering", "MultiViewKMeans", "AnchorMultiViewClustering"):
        make(name).fit([X, X**2])
    else:
        with pytest.raises(MemoryError, match=r"GiB are available. OneStepMultiViewClustering"):
            make(name).fit([X, X**2])


@pytest.mark.parametrize("name", METHODS)
def test_parameters_survive(name):
    estimator = make(name)
    assert clone(estimator).get_params() == estimator.get_params()
    with pytest.raises(ValueError, match="n_clusters"):
        make(name, 0).fit(np.eye(5))
    with pytest.raises(ValueError, match=r"The '.*' parameter"):
        bad = "kernel" if name in KERNEL_METHODS else "scale"
        make(name, 2, **{bad: "nonsense"}).fit(np.eye(5))
