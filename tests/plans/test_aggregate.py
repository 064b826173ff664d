"""Robust means: a worked example, and estimates of machines of which some are wrong."""

import warnings

import numpy as np
import pytest

from statkit.datasets import make_glm
from statkit.plans import OneShot
from statkit.plans._aggregate import geometric_median, screened, trimmed_mean, variance_factor, vrmom
from statkit.regression import GLMRegressor

COLUMN = np.array([0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 10.0])[:, None]


def test_worked_example():
    assert np.median(COLUMN) == pytest.approx(0.55)
    assert trimmed_mean(COLUMN, 0.1)[0] == pytest.approx(0.55)
    assert geometric_median(COLUMN)[0] == pytest.approx(0.55)
    assert vrmom(COLUMN, 10)[0] == pytest.approx(0.562099, abs=1e-6)


@pytest.mark.parametrize("attack", ["flip", "noise", "huge"])
def test_screening_leaves_the_mean_of_the_clean_machines(attack):
    rng = np.random.default_rng(0)
    B = np.linspace(-1, 1, 6) + 0.1 * rng.standard_normal((50, 6))
    clean = B.copy()
    B[:15] = {"flip": -3 * B[:15], "noise": 10 * rng.standard_normal((15, 6)), "huge": 1e8 * B[:15]}[attack]
    ones = np.ones(50)
    center, kept = screened(B, 100 * np.eye(6), ones, ones)
    np.testing.assert_allclose(center, clean[15:].mean(axis=0), atol=1e-12)
    assert not kept[:15].any() and kept[15:].all()


def test_without_outliers_screening_is_the_mean():
    B = np.random.default_rng(1).standard_normal((40, 3))
    center, kept = screened(B, np.eye(3), np.ones(40), np.ones(40))
    assert kept.all()
    np.testing.assert_allclose(center, B.mean(axis=0), atol=1e-14)


@pytest.mark.parametrize("aggregate", ["median", "trimmed", "geometric", "vrmom", "screened"])
def test_one_shot_withstands_machines_with_flipped_labels(aggregate):
    X, y, _ = make_glm(20_000, 4, family="binomial", random_state=2)
    clean = GLMRegressor("binomial", plan=OneShot(n_partitions=40)).fit(X, y).estimate_
    wrong = y.copy()
    wrong[:1500] = 1 - wrong[:1500]  # three machines of forty
    plan = OneShot(aggregate=aggregate, n_partitions=40)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        ours = GLMRegressor("binomial", plan=plan).fit(X, wrong).estimate_
        naive = GLMRegressor("binomial", plan=OneShot(n_partitions=40)).fit(X, wrong).estimate_
    off = [np.abs((e.values - clean.values) / clean.bse).max() for e in (ours, naive)]
    assert off[0] < 1.5 and off[0] < off[1] / 2
    if aggregate == "screened":
        assert ours.rejected_partitions == [0, 1, 2] and ours.rows_used == 18_500
    else:
        assert (ours.bse > clean.bse).all()


def test_variance_of_the_geometric_median_by_simulation():
    rng = np.random.default_rng(3)
    centers = np.array([geometric_median(rng.standard_normal((100, 5))) for _ in range(400)])
    assert centers.var() * 100 == pytest.approx(variance_factor("geometric", 5), rel=0.1)
