"""Structures, holes and sizes that nobody would choose."""

import warnings

import numpy as np
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from statkit.decomposition import SchrodingerPCA, schrodinger_modes, subspace_angle

SETTINGS = settings(max_examples=30, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
VALUES = st.one_of(st.just(np.nan), st.floats(-5, 5), st.sampled_from([0.0, 1e-8, 1e6, 280.0]))


@st.composite
def problems(draw):
    n, p = draw(st.integers(2, 7)), draw(st.integers(1, 14))
    X = draw(arrays(float, (n, p), elements=VALUES))
    kind = draw(st.sampled_from(["line", "points", "coinciding", "column", "graph"]))
    rng = np.random.default_rng(draw(st.integers(0, 9)))
    options = {
        "line": {},
        "points": {"coordinates": rng.random((p, 2))},
        "coinciding": {"coordinates": np.repeat(rng.random((1, 2)), p, axis=0)},
        "column": {"coordinates": np.column_stack([np.zeros(p), np.arange(p)])},
        "graph": {
            "graph": (lambda a: np.triu(a, 1) + np.triu(a, 1).T)(rng.integers(0, 2, (p, p)).astype(float))
        },
    }[kind]
    options["shrinkage"] = draw(st.sampled_from(["auto", 1.0, 0.3]))
    options["scores"] = draw(st.sampled_from(["auto", "blup"]))
    return X, options


@SETTINGS
@given(problems())
def test_fit_gives_finite_modes_or_a_clear_error(problem):
    X, options = problem
    model = SchrodingerPCA(min(3, X.shape[1]), random_state=0, **options)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        try:
            model.fit(X)
        except ValueError as error:
            assert any(
                word in str(error)
                for word in ("NaN", "locations with data", "every column", "powers of such")
            ), error
            return
    Z = model.transform(X)
    assert np.all(np.isfinite(model.components_)) and np.all(np.isfinite(Z))
    assert np.all(model.explained_variance_ >= 0) and np.all(
        np.diff(model.explained_variance_) <= 1e-9 * X.size * 1e12
    )
    back = model.inverse_transform(Z)
    seen = np.isfinite(X).any(axis=0)
    assert np.all(np.isfinite(back[:, seen])) and np.all(np.isnan(back[:, ~seen]))


@SETTINGS
@given(
    st.integers(2, 12),
    st.integers(2, 12),
    st.floats(0.7, 8),
    st.sampled_from(["robin", "neumann", "dirichlet"]),
    st.integers(0, 99),
)
def test_grid_invariants(ny, nx, ell, boundary, seed):
    rng = np.random.default_rng(seed)
    variance = rng.uniform(0.5, 1.5, (ny, nx))
    variance[rng.random((ny, nx)) < 0.2] = np.nan
    if not np.isfinite(variance).any():
        return
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        args = {"boundary": boundary, "n_components": 4}
        modes = schrodinger_modes(variance.ravel(), ell, shape=(ny, nx), **args)
        turned = schrodinger_modes(variance.T.ravel(), ell, shape=(nx, ny), **args)
    inner = modes.components @ modes.components.T
    np.testing.assert_allclose(inner, np.eye(len(inner)), atol=1e-8)
    np.testing.assert_allclose(turned.eigenvalues, modes.eigenvalues, rtol=1e-8)
    assert np.all(modes.components[:, ~np.isfinite(variance.ravel())] == 0)
    back = turned.components.reshape(-1, nx, ny).transpose(0, 2, 1).reshape(len(inner), -1)
    gap = modes.eigenvalues[0] - modes.eigenvalues[1] if len(inner) > 1 else 1.0
    if gap > 1e-3 * modes.eigenvalues[0]:
        assert subspace_angle(back[:1], modes.components[:1]) < 0.1
