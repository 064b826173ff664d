"""What goes wrong says what, where and what to do; nothing is half fitted."""

import pickle

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline

from statkit.naive_bayes import (
    MislabeledBernoulliNB,
    MislabeledComplementNB,
    MislabeledMultinomialNB,
)

X = np.array([[3.0, 0], [2, 1], [0, 3], [1, 2], [4, 0], [0, 1]])
Z = np.array([0, 0, 1, 1, 1, 1])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"X": -X}, r"Negative values .* X\[4, 0\] = -4"),
        ({"X": np.where(X == 4, np.nan, X)}, "NaN"),
        ({"X": np.where(X == 4, np.inf, X)}, "infinity"),
        ({"X": X[:5]}, "inconsistent"),
        ({"y": None}, "target y is None"),
        ({"y": [-1] * 6}, "all labels are missing"),
        ({"y": [None] * 6}, "all labels are missing"),
        ({"y": [np.nan] * 6}, "all labels are missing"),
        ({"y": np.linspace(0, 1, 6)}, "[Uu]nknown label type"),
        ({"y": ["a", 1, "b", 2, "a", 1]}, "mixes labels"),
        ({"y_trusted": [0]}, "y_trusted has 1 entries"),
        ({"y_trusted": list("abcdef")}, "mix strings and numbers"),
        ({"sample_weight": -np.ones(6)}, "[Nn]egative"),
        ({"sample_weight": np.zeros(6)}, "non-zero"),
        ({"groups": [1, 2]}, "one group a document"),
        ({"groups": ["a"] * 5 + [None]}, "missing at position 5"),
        ({"transition": np.ones((2, 2))}, "row 0 .* not|not row-stochastic"),
        ({"transition": np.eye(3)}, "shape"),
        ({"transition": [[1.0, 0.0], [1.0, 0.0]]}, "no document can have label number 1"),
        ({"transition": np.zeros((2, 2), bool)}, "allow the diagonal"),
        ({"transition": "odd"}, "transition"),
        ({"transition_prior": np.ones((3, 3))}, "transition_prior"),
        ({"transition_prior": -np.ones((2, 2))}, "negative"),
        ({"alpha": -1.0}, "alpha"),
        ({"power": 1.5}, "power"),
        ({"init": np.ones((6, 2))}, "sum 1"),
        ({"init": np.ones((5, 2)) / 2}, "init has shape"),
        ({"class_prior": [0.5, 0.6]}, "class_prior"),
        ({"n_jobs": 0}, "n_jobs"),
        ({"max_iter": 0}, "max_iter"),
    ],
)
def test_bad_fits(change, message):
    names = MislabeledMultinomialNB().get_params()
    given = {"X": X, "y": Z, **{k: v for k, v in change.items() if k not in names}}
    nb = MislabeledMultinomialNB(**{k: v for k, v in change.items() if k in names})
    with pytest.raises(ValueError, match=message):
        nb.fit(**given)
    with pytest.raises(NotFittedError):
        nb.predict(X)


def test_too_many_classes_are_refused_with_the_size():
    n = 100_000
    with pytest.raises(MemoryError, match=r"100,000 classes.* GB.*identifier"):
        MislabeledMultinomialNB().fit(sp.eye(n, 10, format="csr"), np.arange(n))


def test_a_failed_fit_leaves_the_old_one():
    nb = MislabeledMultinomialNB().fit(X, Z)
    before = nb.predict_proba(X)
    with pytest.raises(ValueError):
        nb.set_params(transition=np.eye(3)).fit(X, Z)
    np.testing.assert_array_equal(nb.predict_proba(X), before)
    with pytest.raises(ValueError, match="not one of the classes"):
        nb.set_params(transition="full").partial_fit(X, Z + 5)
    np.testing.assert_array_equal(nb.predict_proba(X), before)
    assert nb.label_issues().shape == (6, 7)


def test_a_failed_first_batch_leaves_nothing():
    nb = MislabeledMultinomialNB()
    with pytest.raises(ValueError, match="classes must be given"):
        nb.partial_fit(X, Z)
    with pytest.raises(ValueError):
        nb.partial_fit(-X, Z, classes=[0, 1])
    assert not hasattr(nb, "n_features_in_") and not hasattr(nb, "classes_")
    nb.partial_fit(X, Z, classes=[0, 1])
    with pytest.raises(ValueError, match="classes differ"):
        nb.partial_fit(X, Z, classes=[0, 1, 2])
    with pytest.raises(ValueError, match="2 features"):
        nb.partial_fit(X[:, :1], Z)
    with pytest.raises(ValueError, match="partial_fit"):
        nb.label_issues()
    with pytest.raises(ValueError, match="compute_se"):
        nb.transition_conf_int()
    assert nb.predict(X).shape == (6,) and "Labels" in nb.summary().as_text()


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("kind", [MislabeledMultinomialNB, MislabeledBernoulliNB, MislabeledComplementNB])
@pytest.mark.parametrize("power", [1.0, "auto"])
def test_odd_but_allowed(kind, power):
    nb = kind(power=power)
    one = nb.fit(X, ["only"] * 6)
    assert one.transition_.tolist() == [[1.0]] and one.predict(X).tolist() == ["only"] * 6
    assert one.noise_rate_ == 0 and (one.label_error_proba_ == 0).all() and one.summary().as_text()
    assert clone(nb).fit(X[:, :1], Z).predict(X[:, :1]).shape == (6,)  # a vocabulary of one word
    empty = np.vstack([X, np.zeros((3, 2))])
    assert np.isfinite(clone(nb).fit(empty, np.r_[Z, 0, 1, -1]).predict_proba(empty)).all()
    assert np.isfinite(clone(nb).fit(np.zeros((6, 2)), Z).predict_proba(X)).all()
    assert clone(nb).fit(X[:1], Z[:1]).predict(X).shape == (6,)
    same = np.repeat(X, 2, axis=1)
    assert np.isfinite(clone(nb).fit(same, Z).predict_proba(same)).all()
    long = X * 1e5
    assert np.isfinite(clone(nb).fit(long, Z).predict_proba(long)).all()
    assert clone(nb).fit(X, Z, groups=list("aabbab")).group_transition_.shape == (2, 2, 2)


def test_what_is_odd_is_said():
    with pytest.warns(UserWarning, match="one class, 'only'"):
        MislabeledMultinomialNB().fit(X, ["only"] * 6)
    with pytest.warns(UserWarning, match="probability 1e-10"):
        MislabeledMultinomialNB(alpha=0.0, power=1.0, transition=np.eye(2)).fit(np.eye(2), [0, 1])


def test_minus_one_is_a_class_beside_one_only():
    nb = MislabeledMultinomialNB().fit(X, np.where(Z == 0, -1, 1))
    assert nb.classes_.tolist() == [-1, 1]
    assert MislabeledMultinomialNB().fit(X, [-1, 0, 1, 1, 0, 1]).classes_.tolist() == [0, 1]


def test_reports_keep_the_index():
    y = pd.Series(["a", "a", None, "b", "b", "b"], index=list("uvwxyz"))
    nb = MislabeledMultinomialNB(power=1.0).fit(X, y)
    issues = nb.label_issues()
    assert issues.index.tolist() == list("uvxyz") and sorted(issues["rank"]) == [1, 2, 3, 4, 5]
    assert issues.columns.tolist() == [
        *("given_label", "predicted_label", "error_proba", "self_confidence"),
        *("label_score", "is_issue", "rank"),
    ]
    np.testing.assert_allclose(nb.label_posterior().sum(axis=1), 1, atol=1e-6)
    assert np.isnan(nb.label_error_proba_[2])
    new = nb.label_issues(X[:2], pd.Series(["a", "b"], index=[7, 8]))
    assert new.index.tolist() == [7, 8] and new["error_proba"].iloc[1] > new["error_proba"].iloc[0]
    np.testing.assert_allclose(nb.inverse_transition_.sum(axis=0), 1)


def test_saved_and_loaded():
    nb = MislabeledMultinomialNB().fit(X, Z)
    again = pickle.loads(pickle.dumps(nb))
    np.testing.assert_array_equal(again.predict_proba(X), nb.predict_proba(X))
    pd.testing.assert_frame_equal(again.label_issues(), nb.label_issues())
    with pytest.raises(ValueError, match="compute_se"):
        again.transition_conf_int()
    assert again.partial_fit(X, Z).predict(X).shape == (6,)


@pytest.mark.filterwarnings("ignore")
def test_raw_text_in_a_grid_search():
    texts = pd.Series(["free money now", "cheap money offer", "meeting at noon", "notes of the meeting"] * 10)
    y = pd.Series(["spam", "spam", "ham", "ham"] * 10)
    model = make_pipeline(CountVectorizer(), MislabeledMultinomialNB())
    search = GridSearchCV(model, {"mislabeledmultinomialnb__transition": ["full", "symmetric"]}, cv=2)
    assert search.fit(texts, y).score(texts, y) == 1.0
    trusted = np.where(np.arange(40) < 4, y, None)
    model.fit(texts, y, mislabeledmultinomialnb__y_trusted=trusted)
    assert model.predict(["money offer"]) == ["spam"]


@pytest.mark.filterwarnings("ignore")
@settings(max_examples=60, deadline=None)
@given(st.data())
def test_any_small_sparse_matrix(data):
    n, p = data.draw(st.integers(1, 12)), data.draw(st.integers(1, 5))
    cells = st.lists(st.integers(0, 3), min_size=n * p, max_size=n * p)
    counts = sp.csr_matrix(np.array(data.draw(cells), dtype=float).reshape(n, p))
    y = np.array(data.draw(st.lists(st.integers(-1, 2), min_size=n, max_size=n)))
    trusted = np.array(data.draw(st.lists(st.integers(-1, 2), min_size=n, max_size=n)))
    weight = np.array(data.draw(st.lists(st.sampled_from([0.0, 0.5, 1.0, 100.0]), min_size=n, max_size=n)))
    kind = data.draw(st.sampled_from([MislabeledMultinomialNB, MislabeledBernoulliNB]))
    structure = data.draw(st.sampled_from(["full", "symmetric", "class", "uniform", "pair"]))
    power = data.draw(st.sampled_from([1.0, "auto", 0.3]))
    nb = kind(transition=structure, power=power, max_iter=20)
    if ((y < 0).all() and (trusted < 0).all()) or weight.sum() == 0:
        with pytest.raises(ValueError):
            nb.fit(counts, y, weight, y_trusted=trusted)
        return
    nb.fit(counts, y, weight, y_trusted=trusted)
    assert np.isfinite(nb.predict_proba(counts)).all()
    np.testing.assert_allclose(nb.transition_.sum(axis=1), 1.0, atol=1e-9)
    np.testing.assert_allclose(nb.label_posterior_.sum(axis=1), 1.0, atol=1e-5)
    assert 0 <= nb.noise_rate_ <= 1 and len(nb.label_issues()) == np.isfinite(nb.label_error_proba_).sum()
    assert nb.summary().as_text()
