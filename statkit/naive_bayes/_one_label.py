"""Fitting and reporting when every document has one given label, or none."""

from __future__ import annotations

from dataclasses import dataclass
from numbers import Real
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np
import pandas as pd
from scipy.special import log_softmax
from sklearn.base import _fit_context
from sklearn.utils._param_validation import Interval
from sklearn.utils.validation import check_consistent_length, check_is_fitted

from statkit._unchanged import unchanged_on_error
from statkit.naive_bayes._base import TransitionNB, batch_classes
from statkit.naive_bayes._issues import error_probability, issue_frame, label_posterior_of
from statkit.naive_bayes._labels import encode_labels, index_of
from statkit.naive_bayes._online import OnlineState, online_step
from statkit.naive_bayes._votes import Votes

if TYPE_CHECKING:
    from numpy.typing import ArrayLike


@dataclass(kw_only=True, eq=False, repr=False)
class LabelNoiseNB(TransitionNB):
    """One given label a document, or none."""

    unlabeled_weight: float = 1.0

    _parameter_constraints: ClassVar[dict] = {
        **TransitionNB._parameter_constraints,
        "unlabeled_weight": [Interval(Real, 0, None, closed="left")],
    }

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(
        self,
        X: Any,
        y: Any,
        sample_weight: Any = None,
        *,
        y_trusted: ArrayLike | None = None,
        groups: Any = None,
    ) -> Self:
        """Fit the classifier and the transition from true classes to given labels.

        Parameters
        ----------
        X : array-like or sparse matrix of shape (n_documents, n_words)
            Counts of words, or what `binarize` makes zeros and ones of.
        y : array-like of shape (n_documents,)
            Given labels, some of them wrong: strings or numbers. None and NaN, and -1 among integers, stand
            for a missing label.
        sample_weight : array-like of shape (n_documents,), default=None
            Non-negative weights: 2 counts a document twice.
        y_trusted : array-like of shape (n_documents,), default=None
            True classes where they are known, missing elsewhere.
        groups : array-like of shape (n_documents,), default=None
            Who gave the label: every group has a transition of its own, shrunk to the common one.

        Returns
        -------
        self : object
        """
        with unchanged_on_error(self):
            X = self._validated(X, reset=True)
            labels = encode_labels(y, y_trusted)
            check_consistent_length(X, labels.given)
            names, group = _encode_groups(groups, X.shape[0])
            votes = Votes.of_labels(labels.given, len(labels.classes), group)
            index = index_of(y)
            self._fit_votes(X, votes, labels.classes, labels.trusted, sample_weight, index)
            self._given = labels.given
            self.label_error_proba_ = error_probability(self._labels.log_posterior, labels.given)
            if names is not None:
                self.groups_ = names
                self.group_transition_ = self._transitions
        return self

    def partial_fit(
        self,
        X: Any,
        y: Any,
        classes: ArrayLike | None = None,
        sample_weight: Any = None,
        *,
        y_trusted: ArrayLike | None = None,
    ) -> Self:
        """Update by a batch of documents: one step of stepwise EM (Cappé and Moulines, 2009).

        The first call begins with the labels as they are given, so after one pass over a short stream the
        transition is still drawn to where it began; a second pass repairs that.

        Parameters
        ----------
        X : array-like or sparse matrix of shape (n_documents, n_words)
        y : array-like of shape (n_documents,)
            Given labels, missing ones as in `fit`.
        classes : array-like of shape (n_classes,), default=None
            All classes; must be given at the first call.
        sample_weight : array-like of shape (n_documents,), default=None
        y_trusted : array-like of shape (n_documents,), default=None
            True classes where they are known, missing elsewhere.

        Returns
        -------
        self : object
        """
        self._validate_params()
        first = not hasattr(self, "classes_")
        names = batch_classes(self, classes)
        with unchanged_on_error(self):
            X = self._validated(X, reset=first)
            labels = encode_labels(y, y_trusted, classes=names)
            check_consistent_length(X, labels.given)
            votes = Votes.of_labels(labels.given, len(names))
            corpus = self._corpus(X, votes, labels.trusted, sample_weight)
            state = getattr(self, "_online", None)
            if state is None and not first:
                state = OnlineState.of_model(self, corpus)
            state, fit = online_step(state, corpus, self._options(corpus))
        self._forget()
        self.classes_ = names
        self._online = state
        self._set_parameters(corpus, fit.words, fit.log_prior, fit.T, fit.R, fit.strength, fit.strength)
        self.n_iter_ = state.n_batches
        return self

    def label_posterior(self, X: Any = None, y: Any = None) -> Any:
        """Probability of each true class given the words and the given label.

        Parameters
        ----------
        X : array-like or sparse matrix of shape (n_documents, n_words), default=None
            None stands for the training documents, each judged by parameters that it did not contribute to.
        y : array-like of shape (n_documents,), default=None
            Given labels; missing ones as in `fit`.

        Returns
        -------
        ndarray of shape (n_documents, n_classes)
        """
        if X is None:
            self._need_training("label_posterior")
            return self.label_posterior_.astype(float)
        return np.exp(self._label_log_posterior(X, y)[0])

    def label_issues(self, X: Any = None, y: Any = None) -> pd.DataFrame:
        """Table of the labels, how likely each is wrong and what is likely right.

        Parameters
        ----------
        X : array-like or sparse matrix of shape (n_documents, n_words), default=None
            None stands for the training documents, each judged by parameters that it did not contribute to.
        y : array-like of shape (n_documents,), default=None
            Given labels; a pandas Series lends its index to the table.

        Returns
        -------
        DataFrame
            One line a labelled document, in the order of the documents: ``given_label``, ``predicted_label``,
            ``error_proba`` (probability that the label is wrong), ``self_confidence`` (probability of the
            given label from the words alone), ``label_score`` (log odds of the best other label; the key of
            the ranking), ``is_issue`` (``error_proba`` > 0.5) and ``rank`` (1: most likely wrong).
        """
        if X is None:
            self._need_training("label_issues")
            known = self._labels
            return issue_frame(self.classes_, self._given, known.log_posterior, known.log_chance, known.index)
        posterior, chance, given = self._label_log_posterior(X, y)
        return issue_frame(self.classes_, given, posterior, chance, index_of(y))

    def _label_log_posterior(self, X, y):
        """Log posteriors with and without the label (n, K), and codes of the labels."""
        check_is_fitted(self)
        if y is None:
            raise ValueError("give the labels of the documents in X as y")
        joint = self._joint(X, self._score_strength)
        given = encode_labels(y, classes=self.classes_).given
        check_consistent_length(joint, given)
        with np.errstate(divide="ignore"):
            log_T = np.log(self.transition_)
        votes = np.where((given >= 0)[:, None], log_T[:, given].T, 0.0)
        return label_posterior_of(joint, votes), log_softmax(joint, axis=1), given

    def _need_training(self, what: str):
        check_is_fitted(self)
        if not hasattr(self, "_labels"):
            raise ValueError(
                f"{what}() without documents needs a model that was fitted by fit, not partial_fit"
            )


def _encode_groups(groups, n: int):
    if groups is None:
        return None, None
    groups = np.asarray(groups)
    if groups.shape != (n,):
        raise ValueError(f"groups has shape {groups.shape}: give one group a document, ({n},)")
    if pd.isna(groups).any():
        raise ValueError(f"groups is missing at position {int(np.flatnonzero(pd.isna(groups))[0])}")
    names, codes = np.unique(groups, return_inverse=True)
    return names, codes
