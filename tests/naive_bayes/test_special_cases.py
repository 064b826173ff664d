"""Closed forms, invariants and special cases of the maximum likelihood fit."""

import numpy as np
import pytest
import scipy.sparse as sp
from scipy.special import softmax
from sklearn.naive_bayes import BernoulliNB, ComplementNB, MultinomialNB

from statkit.naive_bayes import (
    MislabeledBernoulliNB,
    MislabeledComplementNB,
    MislabeledMultinomialNB,
)

pytestmark = pytest.mark.filterwarnings(
    "ignore:documents of class", "ignore:the estimated transition", "ignore:EM d"
)

EXACT = {"power": 1.0, "max_iter": 2000, "tol": 1e-12}


def test_worked_example():
    X = np.array([[int(c) for c in row] for row in "1100 1000 1110 1100 0011 0011 0111 0001".split()])
    z = np.array([0, 0, 0, 1, 1, 1, 1, 0])
    nb = MislabeledBernoulliNB(transition_prior=np.ones((2, 2)), tol=1e-12, max_iter=1000).fit(X, z)
    np.testing.assert_allclose(nb.class_prior_, [0.508716, 0.491284], atol=1e-6)
    np.testing.assert_allclose(nb.transition_, [[0.668098, 0.331902], [0.327949, 0.672051]], atol=1e-6)
    theta = [[0.811092, 0.654044, 0.331902, 0.188908], [0.181592, 0.342334, 0.672051, 0.818408]]
    np.testing.assert_allclose(np.exp(nb.feature_log_prob_), theta, atol=1e-6)
    posterior = softmax(nb.predict_joint_log_proba(X) + np.log(nb.transition_[:, z].T), axis=1)
    first = [0.993932, 0.978308, 0.975435, 0.975435, 0.007029, 0.007029, 0.025064, 0.107497]
    np.testing.assert_allclose(posterior[:, 0], first, atol=1e-6)
    np.testing.assert_allclose(nb.objective_path_[:3], [-40.452046, -39.536792, -39.200265], atol=1e-6)
    assert nb.objective_path_[-1] == pytest.approx(-39.076635, abs=1e-6)


@pytest.mark.parametrize(
    ("ours", "theirs"), [(MislabeledMultinomialNB, MultinomialNB), (MislabeledBernoulliNB, BernoulliNB)]
)
@pytest.mark.parametrize(
    "options", [{}, {"alpha": 0.3}, {"fit_prior": False}, {"class_prior": [0.2, 0.3, 0.5]}]
)
def test_right_labels_are_scikit_learn(counts, ours, theirs, options):
    X, y, _ = counts
    weight = np.random.default_rng(0).random(len(y))
    nb = ours(transition=np.eye(3), power=1.0, **options).fit(X, y, sample_weight=weight)
    peer = theirs(**options).fit(X, y, sample_weight=weight)
    np.testing.assert_allclose(nb.feature_log_prob_, peer.feature_log_prob_, atol=1e-10)
    np.testing.assert_allclose(nb.predict_joint_log_proba(X), peer.predict_joint_log_proba(X), atol=1e-10)


def test_complement_rule_is_scikit_learn(counts):
    X, y, _ = counts
    nb = MislabeledComplementNB(transition=np.eye(3), power=1.0).fit(X, y)
    peer = ComplementNB().fit(X, y)
    np.testing.assert_allclose(nb.predict_proba(X), peer.predict_proba(X), atol=1e-10)
    same = MislabeledMultinomialNB(transition=np.eye(3), power=1.0, predict_rule="complement").fit(X, y)
    np.testing.assert_array_equal(same.predict_proba(X), nb.predict_proba(X))


def test_alpha_zero_is_the_limit(counts):
    X, _, z = counts
    nb = MislabeledBernoulliNB(alpha=0.0).fit(X, z)
    assert np.isfinite(nb.feature_log_prob_).all() and np.isfinite(nb.predict_proba(X)).all()
    with pytest.raises(ValueError, match="alpha=0"):
        MislabeledMultinomialNB(alpha=0.0).fit(X, z)


def reference_mixture(X, R, labelled, y, n_iter, alpha=1.0):
    """Semi-supervised multinomial EM (Nigam et al., 2000), in numpy."""
    for _ in range(n_iter):
        N = R.T @ X + alpha
        log_theta = np.log(N / N.sum(axis=1, keepdims=True))
        prior = R.sum(axis=0) / R.sum()
        R = softmax(X @ log_theta.T + np.log(prior), axis=1)
        R[labelled] = np.eye(R.shape[1])[y[labelled]]
    return R, log_theta


def test_right_and_missing_labels_are_semi_supervised(counts):
    X, y, _ = counts
    z = np.where(np.arange(len(y)) % 3 == 0, y, -1)
    nb = MislabeledMultinomialNB(transition=np.eye(3), **EXACT).fit(X, z)
    start = np.where((z >= 0)[:, None], np.eye(3)[z], 0.0)
    _, log_theta = reference_mixture(X, start, z >= 0, y, 500)
    np.testing.assert_allclose(nb.feature_log_prob_, log_theta, atol=1e-8)


def test_no_label_of_a_class_is_a_mixture(counts):
    # Labels that do not depend on the class leave a mixture of multinomials.
    X, y, z = counts
    start = softmax(np.random.default_rng(0).normal(size=(len(X), 3)) + 2 * np.eye(3)[y], axis=1)
    nb = MislabeledMultinomialNB(transition=np.full((3, 3), 1 / 3), init=start, **EXACT).fit(X, z)
    _, log_theta = reference_mixture(X, start, np.zeros(len(y), bool), y, 500)
    np.testing.assert_allclose(nb.feature_log_prob_, log_theta, atol=1e-6)
    # and the posterior does not depend on the label
    np.testing.assert_allclose(nb.label_posterior(X, z), nb.label_posterior(X, (z + 1) % 3), atol=1e-12)


@pytest.mark.parametrize("transition", ["full", "symmetric", "class", "uniform", "pair"])
@pytest.mark.parametrize("kind", [MislabeledMultinomialNB, MislabeledBernoulliNB])
def test_objective_ascends(counts, transition, kind):
    X, y, z = counts
    rng = np.random.default_rng(1)
    z = np.where(rng.random(len(z)) < 0.2, -1, z)
    trusted = np.where(rng.random(len(z)) < 0.1, y, -1)
    for prior in (0.0, np.full((3, 3), 0.5), 10.0):
        nb = kind(transition=transition, power=1.0, transition_prior=prior, max_iter=60, tol=0)
        with pytest.warns(match="did not converge"):
            nb.fit(X, z, rng.random(len(z)), y_trusted=trusted)
        path = nb.objective_path_
        # a number re-estimates its pseudo-counts in the first ten iterations
        since = 11 if np.ndim(prior) == 0 and prior > 0 else 0
        assert (np.diff(path[since:]) >= -1e-9 * np.abs(path[-1])).all()


def test_groups_ascend_and_are_shrunk(counts):
    X, _, z = counts
    groups = np.where(np.arange(len(z)) % 2, "a", "b")
    nb = MislabeledMultinomialNB(power=1.0, max_iter=200, tol=1e-10).fit(X, z, groups=groups)
    assert (np.diff(nb.objective_path_[11:]) >= -1e-9 * abs(nb.objective_path_[-1])).all()
    assert nb.groups_.tolist() == ["a", "b"] and nb.group_transition_.shape == (2, 3, 3)
    far = MislabeledMultinomialNB(power=1.0, transition_prior=1e6).fit(X, z, groups=groups).group_transition_
    assert (
        np.abs(far[0] - far[1]).max() < 1e-3 < np.abs(nb.group_transition_[0] - nb.group_transition_[1]).max()
    )


@pytest.mark.parametrize("power", [1.0, "auto", 0.3])
def test_permuted_classes_permute_the_answer(counts, power):
    X, _, z = counts
    order = np.array([2, 0, 1])
    a = MislabeledMultinomialNB(power=power).fit(X, z)
    b = MislabeledMultinomialNB(power=power).fit(X, order[z])
    np.testing.assert_allclose(b.predict_proba(X)[:, order], a.predict_proba(X), atol=1e-10)
    np.testing.assert_allclose(b.transition_[np.ix_(order, order)], a.transition_, atol=1e-10)
    np.testing.assert_allclose(b.label_error_proba_, a.label_error_proba_, atol=1e-6)


@pytest.mark.parametrize("kind", [MislabeledMultinomialNB, MislabeledBernoulliNB])
def test_twice_the_rows_are_weights_of_two(counts, kind):
    X, _, z = counts
    twice = kind(power=1.0).fit(np.vstack([X, X]), np.r_[z, z])
    weights = kind(power=1.0).fit(X, z, sample_weight=np.full(len(z), 2.0))
    np.testing.assert_allclose(twice.feature_log_prob_, weights.feature_log_prob_, atol=1e-10)
    np.testing.assert_allclose(twice.transition_, weights.transition_, atol=1e-10)


@pytest.mark.parametrize("power", [1.0, "auto"])
def test_weight_zero_is_absence(counts, power):
    X, _, z = counts
    weight = np.ones(len(z))
    weight[:20] = 0.0
    changed = z.copy()
    changed[:20] = 0
    a = MislabeledMultinomialNB(power=power).fit(X, changed, sample_weight=weight)
    b = MislabeledMultinomialNB(power=power).fit(X[20:], z[20:])
    np.testing.assert_allclose(a.feature_log_prob_, b.feature_log_prob_, atol=1e-10)
    np.testing.assert_allclose(a.transition_, b.transition_, atol=1e-10)


def test_every_container_gives_the_same(counts):
    X, _, z = counts
    reference = MislabeledMultinomialNB().fit(X, z).predict_proba(X)
    for other in (sp.csr_array(X), sp.csc_matrix(X), X.astype(int), X.astype(np.float32), sp.coo_matrix(X)):
        nb = MislabeledMultinomialNB().fit(other, z)
        np.testing.assert_allclose(nb.predict_proba(other), reference, atol=1e-12)
    threads = MislabeledMultinomialNB(n_jobs=2).fit(X, z)
    np.testing.assert_allclose(threads.predict_proba(X), reference, atol=1e-10)


def test_words_without_information_do_no_harm():
    rng = np.random.default_rng(0)
    X, z = rng.poisson(1.0, (300, 20)), rng.integers(2, size=300)
    for power in (1.0, "auto"):
        nb = MislabeledMultinomialNB(power=power, max_iter=500).fit(X, z)
        assert np.isfinite(nb.predict_proba(X)).all() and np.isfinite(nb.transition_).all()


def test_masked_cells_stay_zero(counts):
    X, _, z = counts
    mask = np.eye(3, dtype=bool) | np.roll(np.eye(3, dtype=bool), 1, axis=1)
    for power in (1.0, "auto"):
        nb = MislabeledMultinomialNB(transition=mask, power=power).fit(X, z)
        assert (nb.transition_[~mask] == 0).all() and nb.noise_rate_ > 0.05
    pair = MislabeledMultinomialNB(transition="pair").fit(X, z)
    np.testing.assert_array_equal(pair.transition_ > 0, mask)


@pytest.mark.parametrize(("structure", "free"), [("symmetric", 1), ("class", 3)])
def test_structures_are_kept(counts, structure, free):
    X, _, z = counts
    T = MislabeledMultinomialNB(transition=structure).fit(X, z).transition_
    off = T[~np.eye(3, dtype=bool)].reshape(3, 2)
    np.testing.assert_allclose(off[:, 0], off[:, 1], atol=1e-12)
    assert len(np.unique(np.diag(T).round(12))) == free


def test_random_relabelling_is_recovered():
    rng = np.random.default_rng(5)
    y = rng.integers(3, size=6000)
    q = np.array([0.6, 0.3, 0.1])
    z = np.where(rng.random(6000) < 0.4, rng.choice(3, 6000, p=q), y)
    X = rng.poisson(np.array([[3.0, 1, 1], [1, 3, 1], [1, 1, 3]])[y].repeat(5, axis=1))
    T = MislabeledMultinomialNB(transition="uniform", power=1.0).fit(X, z).transition_
    np.testing.assert_allclose(T, 0.6 * np.eye(3) + 0.4 * q, atol=0.03)


def test_trusted_labels_stand():
    X = np.array([[5.0, 0], [0, 5], [5, 0], [0, 5], [4, 1], [1, 4]])
    trusted = [None, None, "b", None, None, "c"]
    nb = MislabeledMultinomialNB(power=1.0).fit(X, ["a", "b", "a", "b", "a", "b"], y_trusted=trusted)
    assert nb.classes_.tolist() == ["a", "b", "c"]  # a class that only occurs among the trusted
    assert nb.label_posterior_[2].tolist() == [0, 1, 0] and nb.label_posterior_[5].tolist() == [0, 0, 1]
    issues = nb.label_issues()
    assert issues.loc[2, "error_proba"] == 1 and issues.loc[5, "predicted_label"] == "c"
