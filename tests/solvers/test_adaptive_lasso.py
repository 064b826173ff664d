"""The adaptive lasso path on a quadratic: a worked example, optimality, the intercept."""

import numpy as np
import pytest

from statkit.solvers.adaptive_lasso import adaptive_lasso_path

OMEGA = 10 * np.array([[40.0, 10, 0], [10, 30, 5], [0, 5, 20]])
B = np.array([1, 0.05, -0.4])


def test_worked_example():
    path = adaptive_lasso_path(OMEGA, B)
    knots = [(0, 0, 0), (0.935, 0, 0), (1.01089, 0, -0.379448), (1, 0.05, -0.4)]
    np.testing.assert_allclose(path.coefs, knots, atol=5e-6)
    np.testing.assert_allclose(path.loss, [440.75, 33.09, 0.670255, 0], atol=1e-6)
    dbic = path.criterion(np.log(1000))
    np.testing.assert_allclose(dbic, [440.75, 39.9978, 14.4858, 20.7233], atol=5e-5)
    assert np.argmin(dbic) == 2


def test_intercept_is_profiled_out_and_zero_coefficients_stay_out():
    rng = np.random.default_rng(0)
    A = rng.standard_normal((40, 5))
    omega, b = A.T @ A, np.array([2.0, 1.0, 0.0, -0.5, 0.2])
    path = adaptive_lasso_path(omega, b, intercept=True)
    assert (path.coefs[:, 2] == 0).all()
    # The intercept minimises the quadratic given the slopes: its derivative is zero at every knot.
    np.testing.assert_allclose((path.coefs - b) @ omega[:, 0], 0, atol=1e-10)
    assert path.df[0] == 0 and path.df[-1] == 3


@pytest.mark.parametrize("factor", [1e-6, 1e6])
def test_scale_of_the_quadratic_does_not_matter(factor):
    np.testing.assert_allclose(
        adaptive_lasso_path(OMEGA * factor, B).coefs, adaptive_lasso_path(OMEGA, B).coefs, atol=1e-12
    )
