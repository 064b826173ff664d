"""Naive Bayes when every document has labels from several annotators, each with errors of their own."""

from __future__ import annotations

from dataclasses import dataclass, field
from numbers import Real
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np
import pandas as pd
from sklearn.base import _fit_context
from sklearn.utils._param_validation import Interval, StrOptions
from sklearn.utils.validation import check_consistent_length, check_is_fitted

from statkit._unchanged import unchanged_on_error
from statkit.naive_bayes._annotations import encode_annotations
from statkit.naive_bayes._base import TransitionNB
from statkit.naive_bayes._issues import error_probability, issue_frame
from statkit.naive_bayes._labels import encode_labels, index_of

if TYPE_CHECKING:
    from numpy.typing import ArrayLike


__all__ = ["AnnotatorNB"]


@dataclass(kw_only=True, eq=False, repr=False)
class AnnotatorNB(TransitionNB):
    """Naive Bayes on words with several labels a document: who is right, and who errs how.

    Every annotator has a transition from true classes to labels, shrunk to the transition of all together.
    The words break ties, and tell good annotators from bad where few documents have two labels; annotators
    who agree tell the words. Without words this is `DawidSkene`.

    Parameters
    ----------
    distribution : {"multinomial", "bernoulli"}, default="multinomial"
        Counts of words, or their presence.
    transition : {"full", "symmetric", "class", "uniform"} or array-like of shape (K, K), default="full"
        Errors of an annotator; "symmetric" is the one-coin model. See `MislabeledMultinomialNB`.
    alpha : float, default=1.0
        Smoothing of word probabilities.
    power : "auto" or float in (0, 1], default="auto"
        How much of the likelihood of the words is used; see `MislabeledMultinomialNB`.
    init : {"labels", "complement", "best"} or array-like of shape (n_documents, K), default="labels"
        Where EM begins: shares of the labels, or out-of-fold complement naive Bayes on the majority.
    transition_prior : float or array-like of shape (K, K), default=10.0
        Pseudo-labels a row that shrink every annotator to the common transition.
    transition_init : float, default=0.2
        Error rate to begin with.
    fit_prior : bool, default=True
        Estimate the class prior; False fixes equal shares.
    class_prior : array-like of shape (K,), default=None
        Fixed class prior.
    predict_rule : {"posterior", "complement"}, default="posterior"
        Score new documents by their posterior, or by the words of all other classes.
    binarize : float, default=0.0
        With "bernoulli", a word is present if its value is above.
    max_iter : int, default=100
    tol : float, default=1e-4
    compute_se : bool, default=False
    n_jobs : int, default=None
    random_state : int, RandomState or None, default=None
    verbose : bool or int, default=0

    Attributes
    ----------
    classes_ : ndarray of shape (K,)
    annotators_ : ndarray of shape (M,)
        Columns of the labels, by name if they have names.
    annotator_transition_ : ndarray of shape (M, K, K)
        P(label of the annotator | true class).
    annotator_noise_rate_ : ndarray of shape (M,)
        Share of wrong labels.
    labels_ : ndarray of shape (n_documents,)
        Most probable class of each training document.
    label_posterior_ : ndarray of shape (n_documents, K), float32
        Probability of each class given words and labels.
    label_error_proba_ : ndarray of shape (n_documents, M)
        Probability that a label is wrong; NaN where there is none.
    transition_ : ndarray of shape (K, K)
        Common transition, weighted by the number of labels; the other attributes are those of
        `MislabeledMultinomialNB`.

    References
    ----------
    V. C. Raykar, S. Yu, L. H. Zhao, G. H. Valadez, C. Florin, L. Bogoni, L. Moy (2010), Learning from crowds,
    Journal of Machine Learning Research 11.

    Examples
    --------
    >>> import numpy as np
    >>> from statkit.naive_bayes import AnnotatorNB
    >>> rng = np.random.default_rng(0)
    >>> truth = rng.integers(2, size=500)
    >>> X = rng.poisson(np.where(truth[:, None] == 0, [3.0, 1.0, 1.0], [1.0, 3.0, 1.0]))
    >>> wrong = rng.random((500, 3)) < [0.1, 0.2, 0.4]
    >>> nb = AnnotatorNB().fit(X, np.where(wrong, 1 - truth[:, None], truth[:, None]))
    >>> nb.annotator_noise_rate_.argsort().tolist()
    [0, 1, 2]
    """

    _parameter_constraints: ClassVar[dict] = {
        **TransitionNB._parameter_constraints,
        "distribution": [StrOptions({"multinomial", "bernoulli"})],
        "predict_rule": [StrOptions({"posterior", "complement"})],
        "binarize": [Interval(Real, None, None, closed="neither")],
    }

    distribution: str = field(default="multinomial", kw_only=False)
    predict_rule: str = "posterior"
    binarize: float = 0.0

    @property
    def _distribution(self):
        return self.distribution

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(self, X: Any, y: Any, sample_weight: Any = None, *, y_trusted: ArrayLike | None = None) -> Self:
        """Fit words, class prior and the transition of every annotator.

        Parameters
        ----------
        X : array-like or sparse matrix of shape (n_documents, n_words)
        y : array-like or DataFrame of shape (n_documents, n_annotators)
            Labels; None and NaN, and -1 among integers, where an annotator gave none.
        sample_weight : array-like of shape (n_documents,), default=None
        y_trusted : array-like of shape (n_documents,), default=None
            True classes where they are known, missing elsewhere.

        Returns
        -------
        self : object
        """
        with unchanged_on_error(self):
            X = self._validated(X, reset=True)
            seen = encode_annotations(y, y_trusted)
            n = seen.votes.n_documents
            trusted = np.full(n, -1) if y_trusted is None else y_trusted
            gold = encode_labels(trusted, classes=seen.classes).given
            check_consistent_length(X, gold, np.empty(n))
            self._fit_votes(X, seen.votes, seen.classes, gold, sample_weight, index_of(y))
        posterior = self._labels.log_posterior
        votes = seen.votes
        self.annotators_ = seen.annotators
        self.annotator_transition_ = self._transitions
        self.annotator_noise_rate_ = 1.0 - np.einsum("mkk,k->m", self._transitions, self.class_prior_)
        self.labels_ = self.classes_[posterior.argmax(axis=1)]
        error = np.full((X.shape[0], votes.n_sources), np.nan)
        error[votes.document, votes.source] = error_probability(posterior[votes.document], votes.label)
        self.label_error_proba_ = error
        self._votes = votes
        return self

    def label_issues(self) -> pd.DataFrame:
        """Table of all labels given in training, how likely each is wrong and what is likely right.

        Returns
        -------
        DataFrame
            One line a label, indexed by document and annotator; columns as
            `MislabeledMultinomialNB.label_issues`.
        """
        check_is_fitted(self)
        votes, known = self._votes, self._labels
        index = pd.MultiIndex.from_arrays(
            [known.index[votes.document], self.annotators_[votes.source]], names=["document", "annotator"]
        )
        return issue_frame(
            self.classes_,
            votes.label,
            known.log_posterior[votes.document],
            known.log_chance[votes.document],
            index,
        )
