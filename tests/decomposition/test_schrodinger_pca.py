"""The estimator: scikit-learn's contract, structures, missing values, frames, and bad input."""

import warnings

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from sklearn.decomposition import PCA
from sklearn.linear_model import LinearRegression
from sklearn.pipeline import make_pipeline
from sklearn.utils.estimator_checks import parametrize_with_checks

from statkit.datasets import make_random_field
from statkit.decomposition import SchrodingerPCA, bootstrap_modes, icosphere, subspace_angle

pytestmark = pytest.mark.filterwarnings("ignore:correlation length is not identifiable:UserWarning")


@pytest.mark.filterwarnings("ignore::UserWarning")
@parametrize_with_checks(
    [
        SchrodingerPCA(),
        SchrodingerPCA(2, shrinkage=1.0, scores="blup"),
        SchrodingerPCA(2, nugget="fit", shrinkage=1.0, scores="blup"),
    ]
)
def test_scikit_learn_contract(estimator, check):
    check(estimator)


@pytest.fixture(scope="module")
def field():
    return make_random_field(
        25,
        shape=(14, 18),
        correlation_length=3.0,
        nugget=0.05,
        random_state=0,
        variance=(1 + 0.4 * np.sin(np.arange(252) / 40)) ** 2,
    )


@pytest.fixture(scope="module")
def model(field):
    return SchrodingerPCA(6, shape=(14, 18), random_state=0).fit(field.data)


def test_attributes(field, model):
    assert model.components_.shape == (6, 252)
    np.testing.assert_allclose(model.components_ @ model.components_.T, np.eye(6), atol=1e-8)
    assert np.all(np.diff(model.explained_variance_) <= 0)
    np.testing.assert_allclose(model.variance_, field.data.var(axis=0, ddof=1))
    np.testing.assert_allclose(model.mean_, field.data.mean(axis=0))
    assert 0 < model.shrinkage_ <= 1 and 0 < model.explained_variance_ratio_.sum() < 1
    np.testing.assert_allclose(model.north_error_, model.explained_variance_ * np.sqrt(2 / 25))
    np.testing.assert_allclose(model.score_variance_, model.transform(field.data).var(axis=0, ddof=1))
    assert model.mesh_.modes.shape[1] == len(model.mesh_.mass) == len(model.mesh_.nodes)
    assert np.all(model.components_[np.arange(6), np.abs(model.components_).argmax(axis=1)] > 0)


@pytest.mark.parametrize("n", [15, 400])
def test_without_shrinkage_target_it_is_pca(field, n):
    X = make_random_field(n, shape=(60,), correlation_length=4.0, random_state=1).data + 5
    ours = SchrodingerPCA(5, shrinkage=0.0).fit(X)
    pca = PCA(5).fit(X)
    np.testing.assert_allclose(ours.explained_variance_, pca.explained_variance_, rtol=1e-8)
    np.testing.assert_allclose(ours.explained_variance_ratio_, pca.explained_variance_ratio_, rtol=1e-8)
    np.testing.assert_allclose(np.abs(ours.components_), np.abs(pca.components_), atol=1e-6)
    np.testing.assert_allclose(np.abs(ours.transform(X)), np.abs(pca.transform(X)), atol=1e-5)


def test_weighted_pca():
    X = make_random_field(40, shape=(30,), correlation_length=4.0, random_state=1).data
    weights = np.random.default_rng(0).uniform(0.5, 2, 30)
    ours = SchrodingerPCA(4, shrinkage=0.0, weights=weights).fit(X)
    pca = PCA(4).fit((X - X.mean(axis=0)) * np.sqrt(weights))
    np.testing.assert_allclose(
        np.abs(ours.components_), np.abs(pca.components_) / np.sqrt(weights), atol=1e-6
    )
    np.testing.assert_allclose(
        np.abs(ours.transform(X)), np.abs(pca.transform((X - X.mean(axis=0)) * np.sqrt(weights))), atol=1e-6
    )


def test_more_components_than_samples(field):
    model = SchrodingerPCA(40, shape=(14, 18), shrinkage=1.0).fit(field.data[:6])
    assert model.components_.shape == (40, 252) and np.all(model.explained_variance_ > 0)
    shrunk = SchrodingerPCA(40, shape=(14, 18)).fit(field.data[:6])
    np.testing.assert_allclose(shrunk.components_ @ shrunk.components_.T, np.eye(40), atol=1e-7)


def test_a_share_of_the_variance(field):
    for share in (0.3, 0.85):
        model = SchrodingerPCA(share, shape=(14, 18)).fit(field.data)
        ratio = np.cumsum(model.explained_variance_ratio_)
        assert ratio[-1] >= share and (len(ratio) == 1 or ratio[-2] < share)
        assert model.transform(field.data).shape == (25, model.n_components_)


def test_determinism_and_float32(field, model):
    again = clone(model).fit(field.data)
    assert np.array_equal(again.components_, model.components_)
    single = clone(model).fit((field.data + 280).astype(np.float32))
    double = clone(model).fit(field.data + 280)
    assert subspace_angle(single.components_[:3], double.components_[:3]) < 0.05
    np.testing.assert_allclose(single.explained_variance_, double.explained_variance_, rtol=1e-4)
    assert single.transform((field.data + 280).astype(np.float32)).dtype == np.float32


def test_reconstruction_and_score(field, model):
    Z = model.transform(field.data)
    back = model.inverse_transform(Z)
    assert back.shape == field.data.shape
    centred = field.data - model.mean_
    expected = 1 - np.sum((field.data - back) ** 2) / np.sum(centred**2)
    assert model.score(field.data) == pytest.approx(expected)
    full = SchrodingerPCA(252, shape=(14, 18), shrinkage=1.0).fit(field.data)
    assert full.score(field.data) == pytest.approx(1, abs=1e-6)
    with pytest.raises(ValueError, match="must have shape"):
        model.inverse_transform(Z[:, :2])


def test_missing_values(field):
    rng = np.random.default_rng(0)
    X = field.data.copy()
    X[rng.random(X.shape) < 0.3] = np.nan
    X[3] = np.nan
    X[:, 20:24] = np.nan
    model = SchrodingerPCA(12, shape=(14, 18), nugget=0.05, random_state=0).fit(X)
    Z = model.transform(X)
    assert np.all(np.isfinite(Z)) and np.all(Z[3] == 0)
    assert np.isnan(model.mean_[20:24]).all() and np.all(model.components_[:, 20:24] == 0)
    back = model.inverse_transform(Z)
    hidden = np.isnan(X) & np.isfinite(model.mean_)
    hidden[3] = False
    error = np.mean((back - field.data)[hidden] ** 2)
    mean_error = np.mean((model.mean_ - field.data)[hidden] ** 2)
    assert error < 0.35 * mean_error
    few, many = model.transform_std(X[[3, 0]])
    assert np.all(few >= many - 1e-12) and few[0] == pytest.approx(np.sqrt(model.explained_variance_[0]))
    np.testing.assert_allclose(model.transform(X[5:8]), Z[5:8], atol=1e-10)
    assert 0 < model.score(X) < 1


def test_scores_by_every_method(field):
    made = {}
    for scores in ("auto", "projection", "lstsq", "blup"):
        made[scores] = SchrodingerPCA(5, shape=(14, 18), scores=scores).fit(field.data).transform(field.data)
    np.testing.assert_allclose(made["auto"], made["projection"])
    np.testing.assert_allclose(made["lstsq"], made["projection"], atol=1e-8)
    assert np.corrcoef(made["blup"][:, 0], made["projection"][:, 0])[0, 1] > 0.8


def test_new_locations(field):
    model = SchrodingerPCA(20, shape=(14, 18), random_state=0).fit(field.data)
    cells = np.array([[3.0, 4.0], [10.0, 7.0]])
    columns = [3 * 18 + 4, 10 * 18 + 7]
    np.testing.assert_allclose(model.evaluate_modes(cells), model.components_[:, columns], atol=1e-8)
    Z = model.transform(field.data)
    np.testing.assert_allclose(
        model.inverse_transform(Z, coordinates=cells), model.inverse_transform(Z)[:, columns], atol=1e-8
    )
    between, std = model.predict_at(field.data, np.array([[3.5, 4.5]]), return_std=True)
    assert between.shape == std.shape == (25, 1) and np.all(std > 0)
    corners = field.data[:, [3 * 18 + 4, 3 * 18 + 5, 4 * 18 + 4, 4 * 18 + 5]].mean(axis=1)
    assert np.corrcoef(between[:, 0], corners)[0, 1] > 0.9
    with pytest.raises(ValueError, match="must have shape"):
        model.predict_at(field.data, np.zeros((3, 5)))


def test_prediction_between_stations_covers_its_errors():
    rng = np.random.default_rng(0)
    points = rng.random((180, 2))
    X = make_random_field(60, coordinates=points, correlation_length=0.25, random_state=1).data
    model = SchrodingerPCA(
        40, coordinates=points[:150], shrinkage=1.0, correlation_length=0.25, variance=1.0, random_state=0
    ).fit(X[:, :150])
    predicted, std = model.predict_at(X[:, :150], points[150:], return_std=True)
    error = predicted - X[:, 150:]
    assert np.sqrt(np.mean(error**2)) < 0.3
    assert 0.8 < np.mean(np.abs(error) < 1.96 * std) <= 1


def test_simulation(model, field):
    draws = model.sample(4000, random_state=0)
    np.testing.assert_allclose(
        (draws - model.mean_).var(axis=0),
        (model.explained_variance_[:, None] * model.components_**2).sum(axis=0),
        rtol=0.2,
        atol=0.01,
    )
    noisy = model.sample(4000, noise=True, random_state=0)
    np.testing.assert_allclose(noisy.var(axis=0), model.variance_, rtol=0.25)
    row = field.data[0].copy()
    row[100:] = np.nan
    given = model.sample(4000, given=row, random_state=1)
    blup = model.inverse_transform(model.transform(row[None]))[0]
    np.testing.assert_allclose(given.mean(axis=0), blup, atol=0.15)
    assert given.var(axis=0).sum() < draws.var(axis=0).sum()
    free = model.sample(4000, given=np.full(252, np.nan), random_state=1)
    np.testing.assert_allclose(free.var(axis=0), draws.var(axis=0), rtol=0.2, atol=0.01)


def test_rotation_and_bootstrap(model, field):
    rotated = model.rotated(4)
    assert rotated.components.shape == (4, 252)
    assert rotated.explained_variance.sum() == pytest.approx(model.explained_variance_[:4].sum())
    assert subspace_angle(rotated.components, model.components_[:4]) < 1e-4
    assert model.rotated(3, method="promax").components.shape == (3, 252)
    for bad in ({"n_components": 9}, {"method": "quartimax"}):
        with pytest.raises(ValueError):
            model.rotated(**bad)
    boot = bootstrap_modes(model, field.data, n_resamples=10, random_state=0)
    assert boot.components_std.shape == (6, 252) and np.all(boot.components_std >= 0)
    assert boot.explained_variance.shape == (10, 6) and np.all((boot.angles > 0) & (boot.angles <= 90))
    with pytest.raises(ValueError, match="n_resamples"):
        bootstrap_modes(model, field.data, n_resamples=1)


def test_structures_of_every_kind():
    import networkx

    rng = np.random.default_rng(0)
    vertices, cells = icosphere(2)
    stations = np.column_stack([np.rad2deg(np.arcsin(rng.uniform(-1, 1, 120))), rng.uniform(0, 360, 120)])
    graph = networkx.grid_2d_graph(10, 10)
    square = rng.random((90, 2))
    axes = (np.linspace(30, 60, 8), np.linspace(0, 40, 9))
    for kwargs, ell in (
        ({"shape": (80,)}, 5.0),
        ({"coordinates": rng.random((70, 1)) * 10}, 1.0),
        ({"shape": (6, 7, 5)}, 2.5),
        ({"coordinates": square}, 0.3),
        ({"coordinates": rng.random((100, 3))}, 0.5),
        ({"coordinates": stations, "metric": "sphere"}, 0.5),
        ({"shape": (8, 9), "coordinates": axes, "metric": "latlon"}, 0.2),
        ({"mesh": (vertices, cells), "metric": "sphere"}, 0.5),
        ({"graph": graph}, 1.5),
    ):
        made = {k: v for k, v in kwargs.items() if k != "mesh"} | (
            {"mesh": kwargs["mesh"]} if "mesh" in kwargs else {}
        )
        X = make_random_field(30, correlation_length=ell, random_state=0, **made).data
        model = SchrodingerPCA(4, random_state=0, **kwargs).fit(X)
        assert model.components_.shape == (4, X.shape[1]), kwargs.keys()
        assert model.correlation_length_ == pytest.approx(ell, rel=0.3), kwargs.keys()
        assert model.score(X) > 0.1
        if "graph" not in kwargs:
            placed = model._structure.coordinates[:3]
            assert model.evaluate_modes(placed).shape == (4, 3)
        else:
            with pytest.raises(ValueError, match="graph has no coordinates"):
                model.evaluate_modes(np.zeros((2, 2)))


def test_stations_without_data_are_predicted():
    points = np.random.default_rng(0).random((80, 2))
    X = make_random_field(30, coordinates=points, correlation_length=0.3, random_state=0).data
    truth = X[:, 7].copy()
    X[:, 7] = np.nan
    model = SchrodingerPCA(20, coordinates=points, random_state=0).fit(X)
    assert np.isnan(model.mean_[7])
    assert np.corrcoef(model.predict_at(X, points[[7]])[:, 0], truth)[0, 1] > 0.7


def test_estimated_anisotropic_varying_and_auto_kernels(field):
    model = SchrodingerPCA(
        3, shape=(14, 18), correlation_length="anisotropic", nugget="fit", random_state=0
    ).fit(field.data)
    assert model.correlation_length_.shape == (2, 2) and model.correlation_length_se_.shape == (2,)
    model = SchrodingerPCA(3, shape=(14, 18), correlation_length="varying", random_state=0).fit(field.data)
    assert model.correlation_length_.shape == (252,)
    model = SchrodingerPCA(3, shape=(14, 18), kernel="auto", nugget="fit", n_refine=1, random_state=0).fit(
        field.data
    )
    assert model.kernel_ in ("gaussian", "matern52") and 0 <= model.nugget_ < 0.3
    again = (
        clone(model)
        .set_params(correlation_length=model.correlation_length_, kernel=model.kernel_)
        .fit(field.data)
    )
    assert np.isnan(again.correlation_length_se_)


def test_frames_arrays_and_names(field):
    names = [f"site{j}" for j in range(60)]
    frame = pd.DataFrame(field.data[:, :60], columns=names)
    points = np.random.default_rng(0).random((60, 2))
    where = pd.DataFrame(points, index=names, columns=["x", "y"])
    plain = SchrodingerPCA(3, coordinates=points, correlation_length=0.3).fit(frame.to_numpy())
    shuffled = SchrodingerPCA(
        3, coordinates=where.sample(frac=1, random_state=0), correlation_length=0.3
    ).fit(frame)
    np.testing.assert_allclose(shuffled.components_, plain.components_, atol=1e-10)
    assert list(shuffled.feature_names_in_) == names
    out = shuffled.set_output(transform="pandas").transform(frame)
    assert list(out.columns) == ["schrodingerpca0", "schrodingerpca1", "schrodingerpca2"]
    labelled = frame.copy()
    labelled.columns = pd.MultiIndex.from_arrays(points.T)
    indexed = SchrodingerPCA(3, coordinates="columns", correlation_length=0.3).fit(labelled)
    np.testing.assert_allclose(indexed.components_, plain.components_, atol=1e-10)
    polars = pytest.importorskip("polars")
    other = SchrodingerPCA(3, coordinates=points, correlation_length=0.3).fit(polars.from_pandas(frame))
    np.testing.assert_allclose(other.components_, plain.components_, atol=1e-12)
    with pytest.raises(ValueError, match="no row for the column 'site5'"):
        SchrodingerPCA(3, coordinates=where.drop("site5")).fit(frame)
    with pytest.raises(ValueError, match="several rows called 'site0'"):
        SchrodingerPCA(3, coordinates=pd.concat([where, where[:1]])).fit(frame)
    with pytest.raises(ValueError, match="X has none"):
        SchrodingerPCA(3, coordinates=where).fit(frame.to_numpy())
    with pytest.raises(ValueError, match="MultiIndex"):
        SchrodingerPCA(3, coordinates="columns").fit(frame)


def test_data_arrays():
    xarray = pytest.importorskip("xarray")
    latitude, longitude = np.linspace(60, 30, 8), np.linspace(0, 40, 9)
    X = make_random_field(
        20,
        shape=(8, 9),
        coordinates=(latitude, longitude),
        metric="latlon",
        correlation_length=0.2,
        random_state=0,
    ).data
    array = xarray.DataArray(
        X.reshape(20, 8, 9),
        dims=("time", "lat", "lon"),
        coords={"lat": latitude, "lon": longitude, "time": np.arange(20)},
    )
    model = SchrodingerPCA(3, random_state=0).fit(array)
    plain = SchrodingerPCA(
        3, shape=(8, 9), coordinates=(latitude, longitude), metric="latlon", random_state=0
    ).fit(X)
    np.testing.assert_allclose(model.components_, plain.components_, atol=1e-12)
    maps = model.components_to_xarray()
    assert maps.dims == ("mode", "lat", "lon") and np.array_equal(maps.lat, latitude)
    turned = array.transpose("lon", "time", "lat")
    np.testing.assert_allclose(model.transform(turned), plain.transform(X), atol=1e-12)
    assert model.to_xarray(model.inverse_transform(model.transform(array)), dim="time").shape == (20, 8, 9)
    stations = xarray.DataArray(
        X[:, :30],
        dims=("time", "station"),
        coords={
            "lat": ("station", np.linspace(30, 50, 30)),
            "lon": ("station", np.linspace(0, 20, 30) ** 1.2),
        },
    )
    assert SchrodingerPCA(2, correlation_length=0.2).fit(stations)._structure.metric == "sphere"
    with pytest.raises(ValueError, match="differs"):
        model.transform(array.assign_coords(lat=latitude + 1))
    with pytest.raises(ValueError, match="has dimensions"):
        model.transform(array.rename(lat="y"))
    with pytest.raises(ValueError, match="not fitted to an xarray"):
        plain.components_to_xarray()


def test_in_a_pipeline(field):
    y = field.data[:, :9].mean(axis=1)
    pipeline = make_pipeline(SchrodingerPCA(5, shape=(14, 18), random_state=0), LinearRegression())
    assert pipeline.fit(field.data, y).score(field.data, y) > 0.3


def test_data_that_do_not_vary():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model = SchrodingerPCA(2, correlation_length=2.0).fit(np.full((5, 12), 3.0))
    assert np.all(model.explained_variance_ == 0) and np.all(model.explained_variance_ratio_ == 0)
    assert np.abs(model.transform(np.full((2, 12), 3.0))).max() < 1e-13
    X = np.random.default_rng(0).normal(size=(20, 12))
    X[:, 4] = 1.0
    model = SchrodingerPCA(2, correlation_length=2.0).fit(X)
    assert np.allclose(model.components_[:, 4], 0)


def test_known_moments_and_one_sample():
    model = SchrodingerPCA(2, variance=1.0, correlation_length=2.0).fit(np.zeros((1, 10)))
    assert model.shrinkage_ == 1 and np.isnan(model.score_variance_).all()
    with pytest.raises(ValueError, match="1 sample"):
        SchrodingerPCA(2, correlation_length=2.0).fit(np.zeros((1, 10)))
    with pytest.raises(ValueError, match="1 sample"):
        SchrodingerPCA(2, variance=1.0).fit(np.zeros((1, 10)))


@pytest.mark.parametrize(
    ("kwargs", "message"),
    [
        ({"n_components": 21}, "21 is more than the 20 locations"),
        ({"coordinates": np.zeros((19, 2))}, "19 rows, but X has 20"),
        ({"shape": (4, 4)}, "16 cells"),
        ({"shape": (4, 5), "graph": np.eye(20)}, "shape and graph"),
        ({"graph": np.triu(np.ones((20, 20)), 1)}, "symmetric"),
        ({"graph": np.eye(19)}, "19 nodes"),
        ({"correlation_length": -1.0}, "positive"),
        ({"variance": np.r_[-1.0, np.ones(19)]}, "location 0 has -1"),
        ({"variance": np.ones(3)}, "3 values"),
        ({"operator": "resolvent"}, "integer"),
        ({"operator": "cubic"}, "operator"),
        ({"kernel": "cubic"}, "kernel"),
        ({"n_components": 0}, "n_components"),
        ({"shrinkage": 1.5}, "shrinkage"),
        ({"nugget": 1.0}, "nugget"),
        ({"metric": "sphere"}, "needs coordinates"),
        ({"weights": -np.ones(20)}, "positive"),
        ({"coordinates": np.full((20, 2), np.nan)}, "row 0 is not finite"),
    ],
)
def test_bad_input(kwargs, message):
    X = np.random.default_rng(0).normal(size=(10, 20))
    model = SchrodingerPCA(**{"n_components": 3, **kwargs})
    with pytest.raises(ValueError, match=message):
        model.fit(X)
    assert not hasattr(model, "components_")


def test_a_failed_refit_keeps_the_old_model(field):
    model = SchrodingerPCA(3, shape=(14, 18), random_state=0).fit(field.data)
    before = model.components_.copy()
    model.set_params(correlation_length=-1.0)
    with pytest.raises(ValueError):
        model.fit(field.data)
    assert np.array_equal(model.components_, before)


def test_bad_data():
    X = np.random.default_rng(0).normal(size=(10, 20))
    for bad, message in (
        (np.full((5, 20), np.nan), "every column"),
        (np.where(X > 2, np.inf, X), "infinity"),
        (X[:, 0], "2D"),
        (np.array([["a", "b"], ["c", "d"]]), "convert|dtype"),
    ):
        with pytest.raises(ValueError, match=message):
            SchrodingerPCA(2).fit(bad)


def test_unidentified_length_warns():
    with pytest.warns(UserWarning, match="pass correlation_length") as caught:
        SchrodingerPCA(2).fit(np.random.default_rng(0).normal(size=(30, 40)))
    assert any(w.filename == __file__ for w in caught if "pass correlation_length" in str(w.message))


def test_rough_variance_warns_where_the_samples_do_not_correct_it():
    rng = np.random.default_rng(0)
    X = make_random_field(
        30, shape=(60,), correlation_length=6.0, variance=rng.uniform(0.01, 1, 60), random_state=0
    )
    with pytest.warns(UserWarning, match="changes faster") as caught:
        SchrodingerPCA(2, shrinkage=1.0, random_state=0).fit(X.data)
    assert any(w.filename == __file__ for w in caught)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        SchrodingerPCA(2, random_state=0).fit(X.data)
