"""Where EM begins: the given labels, or labels corrected by out-of-fold complement naive Bayes."""

from __future__ import annotations

import numpy as np
from scipy.special import softmax

from statkit.naive_bayes._corpus import Corpus
from statkit.naive_bayes._transition import Transition, error_share, symmetric_matrix

_FOLDS = 5


def start_from_labels(corpus: Corpus) -> np.ndarray:
    """Shares of the votes; trusted documents have their class, documents without a vote a row of zeros."""
    return _with_gold(corpus, corpus.votes.majority())


def start_from_complement(corpus: Corpus, random_state: np.random.RandomState) -> np.ndarray:
    """Confident out-of-fold predictions of complement naive Bayes, and the label where none is confident."""
    R = corpus.votes.majority()
    label = np.where(R.sum(axis=1) > 0, R.argmax(axis=1), -1)
    P = _out_of_fold(corpus, label, R, random_state)
    K = corpus.n_classes
    threshold = np.array([P[label == k, k].mean() if (label == k).any() else np.inf for k in range(K)])
    confident = np.where(threshold <= P, P, -1.0)
    chosen = np.where(confident.max(axis=1) >= 0, confident.argmax(axis=1), label)
    start = np.zeros_like(R)
    known = chosen >= 0
    start[np.flatnonzero(known), chosen[known]] = 1.0
    return _with_gold(corpus, start)


def start_transition(corpus: Corpus, transition: Transition, rate: float) -> np.ndarray:
    """Transition to begin with; where there are trusted documents, their table of given labels."""
    T = transition.start(rate)
    trusted = corpus.gold >= 0
    if transition.known is not None or not trusted.any():
        return T
    onehot = np.zeros((corpus.n, corpus.n_classes))
    onehot[np.flatnonzero(trusted), corpus.gold[trusted]] = 1.0
    C = corpus.label_counts(onehot)
    if C.sum() == 0:
        return T
    S = symmetric_matrix(min(max(error_share(C.sum(axis=0)), 1e-3), 0.5), corpus.n_classes)
    table = C + 2.0 * S
    if transition.mask is not None:
        table = table * transition.mask
    return table / table.sum(axis=-1, keepdims=True)


def _with_gold(corpus: Corpus, R: np.ndarray) -> np.ndarray:
    trusted = np.flatnonzero(corpus.gold >= 0)
    R[trusted] = 0.0
    R[trusted, corpus.gold[trusted]] = 1.0
    return R


def _out_of_fold(corpus, label, R, random_state) -> np.ndarray:
    """Complement naive Bayes probabilities of every document from the folds that it is not in."""
    fold = _stratified_folds(label, random_state)
    mass = R * corpus.weight[:, None]
    X = corpus.X
    rows = [np.flatnonzero(fold == f) for f in range(_FOLDS)]
    counts = [np.asarray(X[i].T @ mass[i]) for i in rows]
    total = sum(counts)
    P = np.empty_like(R)
    for i, own in zip(rows, counts, strict=True):
        P[i] = softmax(complement_scores(X[i], total - own, max(corpus.words.alpha, 1e-10)), axis=1)
    return P


def complement_scores(X, counts: np.ndarray, alpha: float) -> np.ndarray:
    """Scores of complement naive Bayes (n, K) from counts of words (p, K)."""
    return np.asarray(X @ complement_weights(counts, alpha))


def complement_weights(counts: np.ndarray, alpha: float) -> np.ndarray:
    """Minus log probabilities of the words outside each class (p, K)."""
    others = np.maximum(counts.sum(axis=1, keepdims=True) - counts, 0.0) + alpha
    return np.log(others.sum(axis=0)) - np.log(others)


def _stratified_folds(label: np.ndarray, random_state) -> np.ndarray:
    """A fold for every document, balanced within labels, in random order."""
    shuffled = random_state.permutation(len(label))
    order = shuffled[np.argsort(label[shuffled], kind="stable")]
    fold = np.empty(len(label), int)
    fold[order] = np.arange(len(label)) % _FOLDS
    return fold
