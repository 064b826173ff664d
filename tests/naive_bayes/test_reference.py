"""Agreement with latent class analysis and with a plain Dawid and Skene, written out in numpy."""

import numpy as np
import pytest
from scipy.special import logsumexp, softmax

from statkit.naive_bayes import AnnotatorNB, DawidSkene, MislabeledBernoulliNB


@pytest.mark.parametrize(("K", "p", "n"), [(2, 15, 800), (3, 20, 1000)])
def test_latent_class_analysis(K, p, n):
    # Words are binary items and the label is one more item with K levels.
    rng = np.random.default_rng(K)
    theta = rng.uniform(0.1, 0.9, (K, p))
    T = 0.75 * np.eye(K) + 0.25 / K
    y = rng.integers(K, size=n)
    X = (rng.random((n, p)) < theta[y]).astype(float)
    z = np.array([rng.choice(K, p=T[k] / T[k].sum()) for k in y])
    nb = MislabeledBernoulliNB(alpha=0.0, transition_prior=0.0, max_iter=5000, tol=1e-12).fit(X, z)
    best = -np.inf
    for _start in range(3):  # random starts: the optimum does not come from the labels
        R = rng.dirichlet(np.ones(K), n)
        for _ in range(800):
            prior = R.mean(axis=0)
            items = np.clip(R.T @ X / R.sum(axis=0)[:, None], 1e-10, 1 - 1e-10)
            level = R.T @ np.eye(K)[z] / R.sum(axis=0)[:, None]
            joint = X @ np.log(items.T) + (1 - X) @ np.log1p(-items.T) + np.log(prior)
            joint += np.log(np.maximum(level[:, z].T, 1e-300))
            value = logsumexp(joint, axis=1).sum()
            R = softmax(joint, axis=1)
        if value > best:
            best, answer = value, (prior, items, level)
    assert nb.objective_path_[-1] == pytest.approx(best, abs=1e-5)
    order = answer[2].argmax(axis=1).argsort()  # the label names the class
    np.testing.assert_allclose(nb.class_prior_, answer[0][order], atol=1e-5)
    np.testing.assert_allclose(np.exp(nb.feature_log_prob_), answer[1][order], atol=1e-5)
    np.testing.assert_allclose(nb.transition_, answer[2][order], atol=1e-5)


def crowd(n=600, M=12, K=3, seed=0):
    rng = np.random.default_rng(seed)
    y = rng.choice(K, n, p=[0.5, 0.3, 0.2][:K])
    T = np.stack([softmax(rng.normal(size=(K, K)) + rng.uniform(1, 3) * np.eye(K), axis=1) for _ in range(M)])
    Y = np.full((n, M), -1)
    for i in range(n):
        for m in rng.choice(M, 5, replace=False):
            Y[i, m] = rng.choice(K, p=T[m, y[i]])
    return Y, y, T


def dawid_skene(Y, K, n_iter=1500):
    given = np.stack([(Y == k) for k in range(K)], axis=2).astype(float)  # task, annotator, label
    R = given.sum(axis=1)
    R /= R.sum(axis=1, keepdims=True)
    for _ in range(n_iter):
        prior = R.mean(axis=0)
        T = np.einsum("ik,iml->mkl", R, given)
        T /= T.sum(axis=2, keepdims=True)
        R = softmax(np.log(prior) + np.einsum("iml,mkl->ik", given, np.log(np.maximum(T, 1e-300))), axis=1)
    return R, prior, T


def test_dawid_skene():
    Y, y, _ = crowd()
    model = DawidSkene(tol=1e-13, max_iter=10_000).fit(Y)
    R, prior, T = dawid_skene(Y, 3)
    np.testing.assert_allclose(model.label_posterior_, R, atol=1e-5)
    np.testing.assert_allclose(model.class_prior_, prior, atol=1e-5)
    np.testing.assert_allclose(model.annotator_transition_, T, atol=1e-5)
    assert (np.diff(model.objective_path_) >= -1e-9).all()
    assert (model.labels_ == y).mean() > 0.9
    np.testing.assert_allclose(model.predict_proba(Y), model.label_posterior_, atol=1e-6)
    assert (model.predict(Y) == model.labels_).all()


def test_long_form_is_the_matrix():
    Y, _, _ = crowd(n=100)
    names = np.array(["red", "green", "blue"])
    task, worker = np.nonzero(Y >= 0)
    order = np.random.default_rng(0).permutation(len(task))
    long = DawidSkene().fit_long(task[order], worker[order], names[Y[task, worker]][order])
    wide = DawidSkene().fit(np.where(Y >= 0, names[Y], None))
    assert long.classes_.tolist() == ["blue", "green", "red"]
    np.testing.assert_allclose(long.label_posterior_, wide.label_posterior_, atol=1e-12)
    np.testing.assert_array_equal(long.labels_, wide.labels_)
    np.testing.assert_array_equal(long.annotators_, np.arange(12))


def test_one_coin():
    Y, y, _ = crowd()
    model = DawidSkene("symmetric").fit(Y)
    T = model.annotator_transition_
    np.testing.assert_allclose(T[:, 0, 1], T[:, 2, 0], atol=1e-12)
    assert (model.labels_ == y).mean() > 0.85


def test_words_without_information_leave_dawid_skene():
    Y, _, _ = crowd(n=300)
    nb = AnnotatorNB(power=1.0, transition_prior=0.0, tol=1e-12, max_iter=10_000)
    nb.fit(np.ones((300, 1)), Y)
    model = DawidSkene(tol=1e-12, max_iter=10_000).fit(Y)
    np.testing.assert_allclose(nb.annotator_transition_, model.annotator_transition_, atol=1e-5)


def test_words_help_annotators():
    Y, y, _ = crowd(n=500, seed=1)
    rng = np.random.default_rng(2)
    keep = rng.random(Y.shape) < 0.3  # one or two labels a document
    Y = np.where(keep, Y, -1)
    X = rng.poisson(np.array([[2.0, 1, 1], [1, 2, 1], [1, 1, 2]])[y].repeat(6, axis=1))
    nb = AnnotatorNB().fit(X, Y)
    alone = DawidSkene(transition_prior=10.0).fit(Y)
    assert (nb.labels_ == y).mean() > (alone.labels_ == y).mean() + 0.1
    assert nb.predict(X).shape == (500,)
    issues = nb.label_issues()
    assert len(issues) == (Y >= 0).sum() and issues.index.names == ["document", "annotator"]
    wrong = (
        Y[issues.index.get_level_values(0), issues.index.get_level_values(1)]
        != y[issues.index.get_level_values(0)]
    )
    assert issues["error_proba"][wrong].mean() > issues["error_proba"][~wrong].mean() + 0.3
    assert np.isnan(nb.label_error_proba_).sum() == (Y < 0).sum()
    gold = AnnotatorNB().fit(X, Y, y_trusted=np.where(rng.random(500) < 0.2, y, -1))
    assert gold.labels_.shape == (500,)
    assert "AnnotatorNB" in nb.summary().as_text()


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: DawidSkene().fit([[-1, -1]]), "all labels are missing"),
        (lambda: DawidSkene().fit(np.zeros((2, 2, 2))), "matrix"),
        (lambda: DawidSkene().fit_long([1], [1, 2], [0]), "one length"),
        (lambda: DawidSkene().fit_long([1, None], [1, 2], [0, 1]), "task is missing at position 1"),
        (lambda: DawidSkene().fit([[0, 1], [1, 1]]).predict([[0, 1, 1]]), "3 annotators"),
        (lambda: DawidSkene().fit([[0, 1], [1, 1]]).predict([[0, 7]]), "label 7"),
        (lambda: DawidSkene(class_prior=[1.0]).fit([[0, 1], [1, 1]]), "2 probabilities"),
        (lambda: DawidSkene().fit(None), "target y is None"),
    ],
)
def test_bad_annotations(call, message):
    with pytest.raises(ValueError, match=message):
        call()
