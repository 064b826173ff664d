"""Meta-analysis against statsmodels, and what it refuses."""

import numpy as np
import pytest
from statsmodels.stats.meta_analysis import combine_effects

from statkit.inference import meta_analysis
from statkit.inference.meta import moment_tau2

RNG = np.random.default_rng(0)
V = RNG.uniform(0.01, 0.1, 9)
B = 0.3 + 0.3 * RNG.standard_normal(9) + np.sqrt(V) * RNG.standard_normal(9)


@pytest.mark.parametrize("hartung_knapp", [False, True])
def test_agrees_with_statsmodels(hartung_knapp):
    theirs = combine_effects(B, V, method_re="dl", use_t=hartung_knapp)
    for method, effect, plain, spread in (
        ("fixed", theirs.mean_effect_fe, theirs.sd_eff_w_fe, theirs.sd_eff_w_fe_hksj),
        ("random", theirs.mean_effect_re, theirs.sd_eff_w_re, theirs.sd_eff_w_re_hksj),
    ):
        ours = meta_analysis(B, V, method, hartung_knapp=hartung_knapp)
        assert ours.effect[0] == pytest.approx(effect, rel=1e-12)
        assert ours.bse[0] == pytest.approx(spread if hartung_knapp else plain, rel=1e-12)
        assert ours.Q[0] == pytest.approx(theirs.q, rel=1e-12)
    assert ours.tau2[0] == pytest.approx(theirs.tau2, rel=1e-12) and ours.tau2[0] > 0
    assert ours.prediction_lower[0] < ours.lower[0] < ours.upper[0] < ours.prediction_upper[0]


def test_columns_are_combined_one_by_one_and_equal_studies_do_not_differ():
    both = meta_analysis(np.column_stack([B, B + 1]), np.column_stack([V, V]))
    np.testing.assert_allclose(np.diff(both.effect), 1)
    same = meta_analysis(np.ones(4), V[:4])
    assert same.tau2[0] == 0 and same.Q[0] == pytest.approx(0, abs=1e-20) and same.I2[0] == 0


def test_frame_and_weights():
    result = meta_analysis(np.column_stack([B, -B]), np.column_stack([V, V]), hartung_knapp=True)
    frame = result.to_frame(["a", "b"])
    assert list(frame.index) == ["a", "b"] and frame.loc["b", "effect"] == -frame.loc["a", "effect"]
    np.testing.assert_allclose(result.weights.sum(axis=0), 1)
    np.testing.assert_allclose((result.weights * result.effects).sum(axis=0), result.effect)


def test_matrix_of_moments_is_dersimonian_and_lairds_for_one_effect():
    T = moment_tau2(B[:, None], V[:, None, None])
    assert T[0, 0] == pytest.approx(meta_analysis(B, V).tau2[0], rel=1e-12)
    assert moment_tau2(np.ones((4, 2)), np.tile(np.eye(2), (4, 1, 1))).max() == 0
    rng = np.random.default_rng(5)
    true = np.array([[0.5, 0.3], [0.3, 0.4]])
    within = np.array([np.diag(rng.uniform(0.05, 0.5, 2)) for _ in range(4_000)])
    effects = rng.multivariate_normal([0, 0], true, 4_000)
    effects += np.array([rng.multivariate_normal([0, 0], v) for v in within])
    np.testing.assert_allclose(moment_tau2(effects, within), true, atol=0.04)


@pytest.mark.parametrize(("b", "v"), [([1.0], [1.0]), ([1, 2], [1, 0]), ([1, np.nan], [1, 1]), ([1, 2], [1])])
def test_refuses(b, v):
    with pytest.raises(ValueError):
        meta_analysis(b, v)
