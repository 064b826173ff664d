"""Naive Bayes with counts corrected by the inverse of a known transition: one pass, no EM."""

from __future__ import annotations

import warnings
from numbers import Real
from typing import TYPE_CHECKING, Any, ClassVar, Literal, NamedTuple, Self

import numpy as np
from sklearn.base import BaseEstimator, _fit_context
from sklearn.utils._param_validation import Interval, StrOptions
from sklearn.utils.validation import check_is_fitted

from statkit._unchanged import unchanged_on_error
from statkit.exceptions import BiasWarning
from statkit.naive_bayes._base import (
    JointPrediction,
    batch_classes,
    validated_counts,
    validated_weight,
)
from statkit.naive_bayes._corpus import Corpus
from statkit.naive_bayes._fit import choose_strength
from statkit.naive_bayes._labels import encode_labels
from statkit.naive_bayes._settings import check_memory, checked_transition
from statkit.naive_bayes._start import complement_weights
from statkit.naive_bayes._transition import Transition, error_share, symmetric_matrix
from statkit.naive_bayes._votes import Votes
from statkit.naive_bayes._words import word_model

if TYPE_CHECKING:
    from numpy.typing import ArrayLike


__all__ = ["NoiseCorrectedNB"]

#: Condition number of the transition above which its inverse amplifies noise beyond use.
_CONDITION = 50.0


class NoiseCorrectedNB(JointPrediction, BaseEstimator):
    """Naive Bayes whose counts by given label are turned into counts by true class.

    The expected counts by given label are the transposed transition times those by true class, so its inverse
    gives them back: linear, one pass, and exact under `partial_fit`. Use it when the transition is known,
    from an audit for instance, or when some documents have trusted labels; `MislabeledMultinomialNB`
    estimates it.

    Parameters
    ----------
    distribution : {"multinomial", "bernoulli", "complement"}, default="multinomial"
    method : {"moment"}, default="moment"
    transition : array-like of shape (K, K), float or None, default=None
        P(given | true), row true; a number is one error rate for all classes. None estimates it: from the
        documents with trusted labels, or else, with a warning, from how well words predict the given labels.
    alpha : float, default=1.0
        Smoothing of word probabilities.
    fit_prior : bool, default=True
        Estimate the class prior; False fixes equal shares.
    class_prior : array-like of shape (K,), default=None
    binarize : float, default=0.0
        With "bernoulli", a word is present if its value is above.

    Attributes
    ----------
    classes_ : ndarray of shape (K,)
    class_prior_, class_log_prior_ : ndarray of shape (K,)
    transition_ : ndarray of shape (K, K)
    noise_rate_ : float
    feature_count_, class_count_ : ndarray of shape (K, n_words) and (K,)
        Corrected counts, not negative.
    feature_log_prob_ : ndarray of shape (K, n_words)
        Log probabilities of words; for "complement", minus those of the other classes.

    Examples
    --------
    >>> import numpy as np
    >>> from statkit.naive_bayes import NoiseCorrectedNB
    >>> X = np.array([[5, 0], [4, 1], [0, 5], [1, 4], [5, 1], [0, 4]])
    >>> nb = NoiseCorrectedNB(transition=[[0.8, 0.2], [0.1, 0.9]]).fit(X, [0, 0, 1, 1, 1, 1])
    >>> nb.predict([[3, 0], [0, 3]]).tolist()
    [0, 1]
    """

    _parameter_constraints: ClassVar[dict] = {
        "distribution": [StrOptions({"multinomial", "bernoulli", "complement"})],
        "method": [StrOptions({"moment"})],
        "transition": [Interval(Real, 0, 1, closed="left"), "array-like", None],
        "alpha": [Interval(Real, 0, None, closed="left")],
        "fit_prior": ["boolean"],
        "class_prior": ["array-like", None],
        "binarize": [Interval(Real, None, None, closed="neither")],
    }

    def __init__(
        self,
        distribution: Literal["multinomial", "bernoulli", "complement"] = "multinomial",
        *,
        method: Literal["moment"] = "moment",
        transition: ArrayLike | float | None = None,
        alpha: float = 1.0,
        fit_prior: bool = True,
        class_prior: ArrayLike | None = None,
        binarize: float = 0.0,
    ) -> None:
        self.distribution = distribution
        self.method = method
        self.transition = transition
        self.alpha = alpha
        self.fit_prior = fit_prior
        self.class_prior = class_prior
        self.binarize = binarize

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        tags.input_tags.positive_only = self.distribution != "bernoulli"
        tags.classifier_tags.poor_score = True
        return tags

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(self, X: Any, y: Any, sample_weight: Any = None, *, y_trusted: ArrayLike | None = None) -> Self:
        """Fit in one pass.

        Parameters
        ----------
        X : array-like or sparse matrix of shape (n_documents, n_words)
        y : array-like of shape (n_documents,)
            Given labels; documents without one (None, NaN, or -1 among integers) do not count.
        sample_weight : array-like of shape (n_documents,), default=None
        y_trusted : array-like of shape (n_documents,), default=None
            True classes where they are known, missing elsewhere.

        Returns
        -------
        self : object
        """
        with unchanged_on_error(self):
            X = self._validated(X, reset=True)
            return self._learn(None, X, encode_labels(y, y_trusted), sample_weight)

    def partial_fit(
        self,
        X: Any,
        y: Any,
        classes: ArrayLike | None = None,
        sample_weight: Any = None,
        *,
        y_trusted: Any = None,
    ) -> Self:
        """Add a batch. With a known transition, batches give what one `fit` on all of them gives.

        Parameters
        ----------
        X, y, sample_weight, y_trusted
            As in `fit`.
        classes : array-like of shape (n_classes,), default=None
            All classes; must be given at the first call.

        Returns
        -------
        self : object
        """
        self._validate_params()
        first = not hasattr(self, "classes_")
        names = batch_classes(self, classes)
        with unchanged_on_error(self):
            X = self._validated(X, reset=first)
            labels = encode_labels(y, y_trusted, names)
            return self._learn(None if first else self._sums, X, labels, sample_weight)

    def predict_joint_log_proba(self, X: Any) -> Any:
        """Log joint probability of words and class; for "complement", its scores."""
        check_is_fitted(self)
        X = self._validated(X, reset=False)
        if self.distribution == "complement":
            scores = np.asarray(X @ self.feature_log_prob_.T)
            return scores if len(self.classes_) > 1 else scores + self.class_log_prior_
        return (
            word_model(self.distribution, self.alpha).scores(X, self.feature_log_prob_.T)
            + self.class_log_prior_
        )

    def _validated(self, X, reset: bool):
        return validated_counts(self, X, reset, self.binarize if self.distribution == "bernoulli" else None)

    def _learn(self, sums: Sums | None, X, labels, sample_weight):
        if len(labels.given) != X.shape[0]:
            raise ValueError(
                f"X has {X.shape[0]} documents and y has {len(labels.given)} labels: give one label a "
                f"document"
            )
        K = len(labels.classes)
        check_memory(*X.shape, K, 1)
        weight = validated_weight(sample_weight, X)
        votes = Votes.of_labels(labels.given, K)
        corpus = Corpus(
            X, votes, labels.trusted, weight, word_model(self.distribution, max(self.alpha, 1e-10))
        )
        batch = Sums.of_batch(corpus, labels, self.transition is None)
        sums = batch if sums is None else Sums(*(a + b for a, b in zip(sums, batch, strict=True)))
        T = self._transition_of(sums, votes, K)
        counts = np.maximum(sums.trusted_words + np.linalg.solve(T.T, sums.words.T).T, 0.0)
        totals = np.maximum(sums.trusted_totals + np.linalg.solve(T.T, sums.totals), 1e-10)
        if self.distribution == "bernoulli":
            counts = np.minimum(counts, totals)
        prior = self._prior(totals, K)
        self.classes_ = labels.classes
        self._sums = sums
        self.transition_ = T
        self.class_count_, self.feature_count_ = totals, np.ascontiguousarray(counts.T)
        self.class_prior_, self.class_log_prior_ = prior, np.log(np.maximum(prior, 1e-300))
        self.noise_rate_ = float(prior @ (1.0 - np.diag(T)))
        if self.distribution == "complement":
            log_theta = complement_weights(counts, max(self.alpha, 1e-10))
        else:
            log_theta = word_model(self.distribution, self.alpha).log_theta(counts, totals)
        self.feature_log_prob_ = np.ascontiguousarray(log_theta.T)
        return self

    def _prior(self, totals: np.ndarray, K: int) -> np.ndarray:
        if self.class_prior is None:
            return totals / totals.sum() if self.fit_prior else np.full(K, 1.0 / K)
        prior = np.asarray(self.class_prior, dtype=float)
        if prior.shape != (K,) or (prior < 0).any() or abs(prior.sum() - 1.0) > 1e-6:
            raise ValueError(f"class_prior must be {K} probabilities that sum to 1, got {prior}")
        return prior

    def _transition_of(self, sums: Sums, votes: Votes, K: int) -> np.ndarray:
        if self.transition is not None:
            known = symmetric_matrix(self.transition, K) if np.ndim(self.transition) == 0 else self.transition
            T = checked_transition(known, K, votes).astype(float)
        elif sums.trusted_table.sum() > 0:
            C = sums.trusted_table
            T = C + 2.0 * symmetric_matrix(min(max(error_share(C), 1e-3), 0.5), K)
            T /= T.sum(axis=1, keepdims=True)
        else:
            return self._estimated(sums.table)
        condition = np.linalg.cond(T)
        if condition > _CONDITION:
            raise ValueError(
                f"the transition is almost singular (condition number {condition:.3g}, at most "
                f"{_CONDITION:g}): "
                "its inverse would amplify the noise of the counts. Use "
                "MislabeledMultinomialNB(transition=...)"
            )
        return T

    def _estimated(self, table: np.ndarray) -> np.ndarray:
        total = table.sum(axis=1, keepdims=True)
        T = np.where(total > 0, table / np.where(total > 0, total, 1.0), np.eye(len(table)))
        warnings.warn(
            "the transition was estimated from the given labels themselves; its inverse is less reliable "
            "than "
            "the fit of MislabeledMultinomialNB. Give transition, or y_trusted for some documents",
            BiasWarning,
            stacklevel=5,
        )
        mixed, share = T, 0.0
        while np.linalg.cond(mixed) > _CONDITION:
            share += 0.05
            mixed = (1.0 - share) * T + share * np.eye(len(T))
        return mixed


class Sums(NamedTuple):
    """What is added up over batches: words and totals by given label and, where trusted, by true class."""

    words: np.ndarray
    totals: np.ndarray
    trusted_words: np.ndarray
    trusted_totals: np.ndarray
    trusted_table: np.ndarray
    table: np.ndarray

    @classmethod
    def of_batch(cls, corpus: Corpus, labels, estimate: bool) -> Sums:
        K, w = corpus.n_classes, corpus.weight[:, None]
        trusted = labels.trusted >= 0
        onehot = np.vstack([np.eye(K), np.zeros(K)])  # code -1 takes the last row
        true = onehot[labels.trusted] * w
        given = onehot[labels.given] * w
        doubtful = given * ~trusted[:, None]
        table = np.zeros((K, K))
        if estimate and not trusted.any() and doubtful.sum() > 0:
            R = onehot[labels.given]
            words = corpus.fit_words(R)
            honest = corpus.leave_one_out(words, R, corpus.scores(words))
            model = Transition("full", K, 1, 10.0)
            prior = corpus.log_class_prior(words.totals)
            _, T = choose_strength(corpus, honest, prior, model.start(0.2), model)
            table = words.totals[:, None] * T[0]
        return cls(
            np.asarray(corpus.X.T @ doubtful),
            doubtful.sum(axis=0),
            np.asarray(corpus.X.T @ true),
            true.sum(axis=0),
            true.T @ (given > 0),
            table,
        )
