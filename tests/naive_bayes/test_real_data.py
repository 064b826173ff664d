"""Floors on the shipped corpora with injected noise, and with the noise of real raters."""

import numpy as np
import pytest
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.metrics import roc_auc_score
from sklearn.naive_bayes import MultinomialNB

from statkit.datasets import load_debian_sections, load_spamassassin, load_vader_ratings
from statkit.naive_bayes import MislabeledBernoulliNB, MislabeledMultinomialNB, inject_label_noise


def split(X, y):
    train = np.random.RandomState(0).rand(X.shape[0]) < 0.7
    return X[train], y[train], X[~train], y[~train], train


@pytest.fixture(scope="module")
def spam():
    mail = load_spamassassin()
    return split(mail.data, mail.target)


@pytest.fixture(scope="module")
def debian():
    sections = load_debian_sections()
    train = np.random.RandomState(0).rand(len(sections.data)) < 0.7
    words = CountVectorizer(min_df=5, stop_words="english", token_pattern=r"(?u)\b[a-zA-Z][a-zA-Z]+\b")
    X = words.fit(sections.data[train]).transform(sections.data)
    return split(X, sections.target.astype(str))


def figures(nb, X, y, z, X_test, y_test):
    nb.fit(X, z)
    accuracy = nb.score(X_test, y_test)
    noisy = MultinomialNB().fit(X, z).score(X_test, y_test)
    assert accuracy > noisy - 0.015
    return accuracy, roc_auc_score(y != z, nb.label_issues()["label_score"])


@pytest.mark.parametrize(("rate", "floor", "auc_floor"), [(0.2, 0.96, 0.985), (0.4, 0.93, 0.965)])
def test_spam(spam, rate, floor, auc_floor):
    X, y, X_test, y_test, _ = spam
    z, wrong = inject_label_noise(y, rate, random_state=1)
    nb = MislabeledMultinomialNB()
    accuracy, auc = figures(nb, X, y, z, X_test, y_test)
    assert accuracy >= floor and auc >= auc_floor
    # the number of wrong labels is nearly unbiased
    assert nb.label_error_proba_.sum() == pytest.approx(wrong.sum(), rel=0.12)


@pytest.mark.parametrize(
    ("rate", "init", "floor", "auc_floor"),
    [(0.2, "labels", 0.835, 0.985), (0.4, "complement", 0.80, 0.96), (0.4, "best", 0.80, 0.96)],
)
def test_debian_pairs(debian, rate, init, floor, auc_floor):
    X, y, X_test, y_test, _ = debian
    z, _ = inject_label_noise(y, rate, kind="pair", random_state=1)
    nb = MislabeledMultinomialNB(init=init, random_state=0)
    accuracy, auc = figures(nb, X, y, z, X_test, y_test)
    assert accuracy >= floor and auc >= auc_floor
    assert nb.drift_z_ > 5 and nb.power_ < 1


def test_real_raters():
    rated = load_vader_ratings()
    X, y, X_test, y_test, train = split(rated.data, rated.target)
    _, auc = figures(MislabeledMultinomialNB(), X, y, rated.labels[train], X_test, y_test)
    assert auc >= 0.73


def test_drift_is_reported_and_tempered(spam):
    X, y, X_test, y_test, _ = spam
    z, _ = inject_label_noise(y, 0.2, random_state=1)
    with pytest.warns(match="EM drifted"):
        plain = MislabeledBernoulliNB().fit(X, z)
    assert plain.drift_z_ > 5
    assert plain.score(X_test, y_test) < 0.75  # it is true: clusters, not classes
    with pytest.warns(match="MislabeledMultinomialNB"):
        auto = MislabeledBernoulliNB(power="auto").fit(X, z)
    assert auto.score(X_test, y_test) >= 0.90 and auto.drift_z_ > 5


def test_trusted_labels_help(spam):
    X, y, X_test, y_test, _ = spam
    z, _ = inject_label_noise(y, 0.4, random_state=1)
    trusted = np.where(np.random.RandomState(2).rand(len(y)) < 0.1, y, -1)
    without = MislabeledMultinomialNB().fit(X, z).score(X_test, y_test)
    assert MislabeledMultinomialNB().fit(X, z, y_trusted=trusted).score(X_test, y_test) > without + 0.005
