"""Injected noise, and estimation and ranking for the probabilities of any classifier."""

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import roc_auc_score

from statkit.naive_bayes import (
    NoiseCorrectedNB,
    estimate_transition,
    inject_label_noise,
    rank_label_issues,
)


def test_protocol_of_the_injection():
    y = np.random.default_rng(0).integers(4, size=1000)
    rng = np.random.RandomState(1)
    flip, shift = rng.rand(1000) < 0.3, rng.randint(1, 4, 1000)
    z, wrong = inject_label_noise(y, 0.3, random_state=1)
    np.testing.assert_array_equal(z, np.where(flip, (y + shift) % 4, y))
    np.testing.assert_array_equal(wrong, flip)
    pair, _ = inject_label_noise(y, 0.3, kind="pair", random_state=1)
    np.testing.assert_array_equal(pair, np.where(flip, (y + 1) % 4, y))


def test_rates_of_the_injection():
    y = np.repeat(["a", "b", "c"], 20_000)
    T = np.array([[0.8, 0.2, 0.0], [0.1, 0.6, 0.3], [0.0, 0.0, 1.0]])
    for options in ({"transition": T}, {"rate": [0.2, 0.4, 0.0], "kind": "class"}):
        z, wrong = inject_label_noise(y, random_state=0, **options)
        assert (wrong == (z != y)).all()
        shares = np.stack([[(z[y == k] == m).mean() for m in "abc"] for k in "abc"])
        # four binomial standard errors
        np.testing.assert_allclose(np.diag(shares), [0.8, 0.6, 1.0], atol=4 * np.sqrt(0.25 / 20_000))


def test_injection_keeps_the_kind_of_labels():
    y = pd.Series(["x", "y"] * 20, index=range(100, 140), name="label")
    z, wrong = inject_label_noise(y, 0.5, random_state=0)
    assert isinstance(z, pd.Series) and z.index.equals(y.index) and z.dtype == y.dtype
    assert wrong.index.equals(y.index) and (wrong == (z != y)).all()
    assert inject_label_noise([True, False] * 5, 0.0)[0].tolist() == [True, False] * 5


@pytest.mark.parametrize(
    ("args", "options", "message"),
    [
        ((["a", "b"], 1.2), {}, r"\[0, 1\]"),
        ((["a", "a"], 0.2), {}, "one class"),
        ((["a", "b"],), {}, "either a rate or a transition"),
        ((["a", "b"], 0.2), {"kind": "odd"}, "kind must be"),
        ((["a", None], 0.2), {}, "missing at position 1"),
        ((["a", "b"], [0.1, 0.2]), {}, "one number"),
        ((["a", "b"],), {"transition": [[1, 1], [0, 1]]}, "sum to 1"),
    ],
)
def test_bad_noise(args, options, message):
    with pytest.raises(ValueError, match=message):
        inject_label_noise(*args, **options)


def classifier(n=4000, seed=0):
    """Calibrated probabilities, and labels drawn through a transition."""
    rng = np.random.default_rng(seed)
    P = rng.dirichlet([0.3, 0.3, 0.3], n)
    y = (rng.random(n)[:, None] > np.cumsum(P, axis=1)).sum(axis=1)
    T = np.array([[0.7, 0.3, 0.0], [0.05, 0.9, 0.05], [0.1, 0.1, 0.8]])
    z = (rng.random(n)[:, None] > np.cumsum(T, axis=1)[y]).sum(axis=1)
    return P, y, z, T


def test_transition_of_any_classifier():
    P, _, z, T = classifier()
    np.testing.assert_allclose(estimate_transition(P, z), T, atol=0.05)
    far = estimate_transition(P, z, kappa=1e7)
    np.testing.assert_allclose(far[~np.eye(3, dtype=bool)], far[0, 1], atol=1e-3)


def test_ranking_of_any_classifier():
    P, y, z, T = classifier()
    table = rank_label_issues(P, z)
    assert roc_auc_score(y != z, table["label_score"]) > 0.85
    exact = rank_label_issues(P, z, T)
    by_hand = P * T[:, z].T
    by_hand /= by_hand.sum(axis=1, keepdims=True)
    np.testing.assert_allclose(exact["error_proba"], 1 - by_hand[np.arange(len(z)), z], atol=1e-9)
    np.testing.assert_array_equal(exact["predicted_label"], by_hand.argmax(axis=1))
    np.testing.assert_allclose(exact["self_confidence"], P[np.arange(len(z)), z], atol=1e-9)
    assert sorted(exact["rank"]) == list(range(1, len(z) + 1))
    # rounded probabilities still rank
    assert np.isfinite(rank_label_issues(np.eye(3)[y], z)["label_score"]).all()
    # columns by name, in any order, and labels with gaps
    names = np.array(["c", "a", "b"])
    some = rank_label_issues(P[:, [2, 0, 1]], pd.Series(np.array(["a", "b", "c"])[z]), classes=names)
    np.testing.assert_allclose(some["error_proba"], table["error_proba"], atol=1e-6)
    gaps = rank_label_issues(P, np.where(np.arange(len(z)) < 10, -1, z), T)
    assert len(gaps) == len(z) - 10 and gaps.index[0] == 10


@pytest.mark.parametrize(
    ("P", "y", "message"),
    [
        ([[0.5, 0.5]], [0, 1], "shape"),
        ([[0.5, 0.4], [0.5, 0.5]], [0, 1], "row 0"),
        ([[np.nan, 1.0], [0.5, 0.5]], [0, 1], "row 0"),
    ],
)
def test_bad_probabilities(P, y, message):
    for function in (estimate_transition, rank_label_issues):
        with pytest.raises(ValueError, match=message):
            function(P, y)


def test_moments_are_exact_in_batches(counts):
    X, y, z = counts
    T = 0.8 * np.eye(3) + 0.2 * np.roll(np.eye(3), 1, axis=1)
    for distribution in ("multinomial", "bernoulli", "complement"):
        whole = NoiseCorrectedNB(distribution, transition=T).fit(X, z)
        parts = NoiseCorrectedNB(distribution, transition=T)
        for start in range(0, 150, 50):
            parts.partial_fit(X[start : start + 50], z[start : start + 50], classes=[0, 1, 2])
        np.testing.assert_allclose(parts.feature_log_prob_, whole.feature_log_prob_, atol=1e-12)
        assert whole.score(X, y) > 0.8
    M = np.eye(3)[z].T @ X
    np.testing.assert_allclose(
        NoiseCorrectedNB(transition=T).fit(X, z).feature_count_, np.maximum(np.linalg.inv(T.T) @ M, 0)
    )


def test_moments_with_trusted_labels(counts):
    X, y, z = counts
    trusted = np.where(np.arange(150) < 60, y, -1)
    nb = NoiseCorrectedNB().fit(X, z, y_trusted=trusted)
    assert nb.transition_[0, 1] > nb.transition_[0, 2]
    with pytest.warns(match="estimated from the given labels"):
        NoiseCorrectedNB().fit(X, z)
    with pytest.raises(ValueError, match="almost singular"):
        NoiseCorrectedNB(transition=np.full((3, 3), 1 / 3)).fit(X, z)
