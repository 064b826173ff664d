"""A corpus: documents, weights, votes and trusted classes, with the sums that every fit is made of."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import scipy.sparse as sp

from statkit.naive_bayes import _kernels
from statkit.naive_bayes._issues import label_posterior_of
from statkit.naive_bayes._votes import Votes, by_label
from statkit.naive_bayes._words import Bernoulli, Multinomial

#: Documents that choose the strength of the tempered fit: more would not change the choice.
_CHOICE = 20_000


@dataclass(frozen=True)
class Words:
    """Parameters of the words: expected counts and what follows from them.

    ``totals`` (K,): documents of each class; ``counts`` (p, K): words; ``log_theta`` (p, K).
    """

    totals: np.ndarray
    counts: np.ndarray
    log_theta: np.ndarray


@dataclass(frozen=True)
class Strength:
    """How much of the likelihood of a document is used: an exponent, or an effective length in words."""

    value: float
    by_length: bool = False

    @property
    def plain(self) -> bool:
        return self.value == (np.inf if self.by_length else 1.0)

    def temper(self, scores: np.ndarray, length: np.ndarray, log_prior: np.ndarray) -> np.ndarray:
        """Scores (n, K) times the strength of each document, plus the log prior of the classes."""
        out = np.empty_like(scores)
        _kernels.tempered(scores, length, self.value, self.by_length, log_prior, out)
        return out

    def mean(self, length: np.ndarray) -> float:
        """Average exponent over documents."""
        if not self.by_length or np.isinf(self.value):
            return 1.0 if self.by_length else float(self.value)
        return float(np.minimum(1.0, self.value / np.maximum(length, self.value)).mean())


class Corpus:
    """Documents with their labels.

    Parameters
    ----------
    X : CSR matrix of float64, shape (n, p)
    votes : Votes
    gold : int64 ndarray of shape (n,)
        Trusted class, -1 where unknown.
    weight : ndarray of shape (n,)
    words : Multinomial or Bernoulli
    class_prior : ndarray of shape (K,) or None
        Fixed prior; None estimates it.
    n_threads : int
    """

    def __init__(self, X, votes, gold, weight, words, class_prior=None, n_threads=1):
        self.X = X
        self.votes: Votes = votes
        self.gold = gold
        self.weight = weight
        self.words: Multinomial | Bernoulli = words
        self.class_prior = class_prior
        self.n_threads = n_threads
        self.length = np.asarray(X.sum(axis=1), dtype=float).ravel()
        self.n, self.p = X.shape
        self.n_classes = votes.n_classes
        # A document tells how predictable labels are if it has one.
        self.label_weight = weight * (np.diff(votes.pointer) > 0)

    def reweighted(self, weight: np.ndarray) -> Corpus:
        """The same documents with other weights."""
        return Corpus(self.X, self.votes, self.gold, weight, self.words, self.class_prior, self.n_threads)

    def fit_words(self, R: np.ndarray) -> Words:
        """M-step of the words for posteriors ``R`` (n, K)."""
        mass = R * self.weight[:, None]
        return self.words_of(mass.sum(axis=0), self._counts(mass))

    def words_of(self, totals: np.ndarray, counts: np.ndarray) -> Words:
        return Words(totals, counts, self.words.log_theta(counts, totals))

    def log_class_prior(self, totals: np.ndarray) -> np.ndarray:
        """M-step of the class prior, or the fixed one."""
        if self.class_prior is not None:
            prior = self.class_prior
        else:
            prior = totals / totals.sum() if totals.sum() > 0 else np.full(self.n_classes, 1 / self.n_classes)
        return np.log(np.maximum(prior, 1e-300))

    def scores(self, words: Words) -> np.ndarray:
        """Log probability of every document in every class (n, K)."""
        out = np.empty((self.n, self.n_classes))

        def fill(start, stop):
            X = self.X if stop - start == self.n else self.X[start:stop]
            out[start:stop] = self.words.scores(X, words.log_theta)

        self._in_blocks(fill)
        return out

    def leave_one_out(
        self, words: Words, R: np.ndarray, scores: np.ndarray, tolerance: float = 1e-2
    ) -> np.ndarray:
        """Scores with each document's own contribution to the parameters removed (n, K).

        Classes where that moves the score by less than ``tolerance`` are left: most of them, mostly.

        Without smoothing a word of one document has no probability elsewhere: the scores stay as they are.
        """
        if self.words.alpha == 0:
            return scores
        out = scores.copy()
        mass = R * self.weight[:, None]

        def fill(start, stop):
            self.words.leave_one_out(
                self.X, self.length, mass, words.counts, words.totals, tolerance, start, stop, out
            )

        self._in_blocks(fill)
        return out

    def posterior(self, scores: np.ndarray, T: np.ndarray):
        """Posterior of the true class (n, K), and log sums of the joint with and without the labels (n,)."""
        R = np.empty_like(scores)
        labelled, unlabelled = np.empty(self.n), np.empty(self.n)
        with np.errstate(divide="ignore"):
            log_T = np.log(by_label(T))
        v = self.votes

        def fill(start, stop):
            _kernels.posterior(
                scores, v.pointer, v.source, v.label, log_T, self.gold, start, stop, R, labelled, unlabelled
            )

        self._in_blocks(fill)
        return R, labelled, unlabelled

    def label_log_posterior(self, joint: np.ndarray, T: np.ndarray) -> np.ndarray:
        """Log posterior of the true class (n, K) from log joints of words and class."""
        with np.errstate(divide="ignore"):
            log_T = np.log(by_label(T))
        likelihood = np.zeros_like(joint)
        v = self.votes
        np.add.at(likelihood, v.document, log_T[v.source, v.label])
        trusted = np.flatnonzero(self.gold >= 0)
        likelihood[trusted] = -np.inf
        likelihood[trusted, self.gold[trusted]] = 0.0
        return label_posterior_of(joint, likelihood)

    def label_counts(self, R: np.ndarray) -> np.ndarray:
        """Expected (source, class, label) counts."""
        return self.votes.counts(R * self.weight[:, None])

    def label_step(self, chance: np.ndarray, T: np.ndarray):
        """Expected counts of labels for class probabilities ``chance``, and log P(labels | words)."""
        v = self.votes
        counts = np.zeros((v.n_sources, v.n_classes, v.n_classes))
        log_probability = np.empty(self.n)
        _kernels.label_step(
            chance,
            v.pointer,
            v.source,
            v.label,
            by_label(T),
            self.gold,
            self.weight,
            counts,
            log_probability,
        )
        return counts.transpose(0, 2, 1), log_probability

    def sample_rows(self) -> np.ndarray:
        """At most 20,000 labelled rows, evenly scattered over the order of the documents."""
        rows = np.flatnonzero(self.label_weight > 0)
        if len(rows) <= _CHOICE:
            return rows
        golden = (np.sqrt(5.0) - 1.0) / 2.0
        scattered = (np.arange(_CHOICE) * golden % 1.0 * len(rows)).astype(np.int64)
        return rows[np.unique(scattered)]

    def take(self, rows: np.ndarray) -> Corpus:
        """Some of the documents, without their words: for what needs only scores and labels."""
        part = object.__new__(Corpus)
        part.X, part.words, part.class_prior, part.n_threads = None, self.words, self.class_prior, 1
        part.votes, part.gold, part.weight = self.votes.take(rows), self.gold[rows], self.weight[rows]
        part.length, part.label_weight = self.length[rows], self.label_weight[rows]
        part.n, part.p, part.n_classes = len(rows), self.p, self.n_classes
        return part

    def _counts(self, mass: np.ndarray) -> np.ndarray:
        X = self.X

        def count(start, stop):
            counts = np.zeros((self.p, self.n_classes))
            _kernels.count_words(X.indptr, X.indices, X.data, mass, start, stop, counts)
            return counts

        first, *others = self._in_blocks(count)
        for more in others:
            first += more
        return first

    def _in_blocks(self, work):
        """Call ``work(start, stop)`` on blocks of documents, in threads if there are several."""
        if self.n_threads == 1:
            return [work(0, self.n)]
        edges = np.linspace(0, self.n, self.n_threads + 1).astype(int)
        with ThreadPoolExecutor(self.n_threads) as pool:
            return list(pool.map(work, edges[:-1], edges[1:]))


def as_counts(X) -> sp.csr_matrix:
    """CSR of float64 with sorted, summed entries and 32-bit indices; shares memory where it can."""
    X = sp.csr_matrix(X, dtype=np.float64)
    if not X.has_canonical_format:
        X = X.copy()
        X.sum_duplicates()
    return X
