"""Dawid and Skene: the truth and the errors of annotators, from their labels alone."""

from __future__ import annotations

import warnings
from numbers import Integral, Real
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Self

import numpy as np
import pandas as pd
import scipy.sparse as sp
from sklearn.base import BaseEstimator, _fit_context
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils._param_validation import Interval, StrOptions
from sklearn.utils.validation import check_is_fitted

from statkit._unchanged import unchanged_on_error
from statkit.naive_bayes._annotations import Annotations, codes_of, encode_annotations
from statkit.naive_bayes._corpus import Corpus, Strength
from statkit.naive_bayes._fit import plain_em, start_fit
from statkit.naive_bayes._labels import drop_minus_one, split_missing, unique_labels
from statkit.naive_bayes._settings import check_memory, checked_prior
from statkit.naive_bayes._transition import Transition
from statkit.naive_bayes._votes import Votes
from statkit.naive_bayes._words import NoWords

if TYPE_CHECKING:
    from numpy.typing import ArrayLike


__all__ = ["DawidSkene"]


class DawidSkene(BaseEstimator):
    """True classes from the labels of several annotators, each with a table of errors.

    Parameters
    ----------
    transition : {"full", "symmetric", "class", "uniform"}, default="full"
        Errors of an annotator: any table; one rate (the one-coin model); one rate a class; a rate of labels
        drawn at random.
    transition_prior : float or array-like of shape (K, K), default=0.0
        Pseudo-labels a row that shrink every annotator to all together; 0 is maximum likelihood.
    class_prior : array-like of shape (K,), default=None
        Fixed class prior; None estimates it.
    max_iter : int, default=1000
    tol : float, default=1e-6
        EM stops when the posteriors change by less, on average.
    verbose : bool or int, default=0

    Attributes
    ----------
    classes_ : ndarray of shape (K,)
    tasks_, annotators_ : ndarray of shape (n_tasks,) and (M,)
        Names, or numbers of rows and columns.
    label_posterior_ : ndarray of shape (n_tasks, K)
        Probability of each class; the class prior where a task has no label.
    labels_ : ndarray of shape (n_tasks,)
        Most probable class.
    class_prior_ : ndarray of shape (K,)
    annotator_transition_ : ndarray of shape (M, K, K)
        P(label | true class).
    annotator_noise_rate_ : ndarray of shape (M,)
        Share of wrong labels.
    n_iter_, converged_, objective_path_ : int, bool, ndarray
        Iterations, whether they converged, and the log likelihood (with the log prior) of each.

    References
    ----------
    A. P. Dawid, A. M. Skene (1979), Maximum likelihood estimation of observer error-rates using the EM
    algorithm, Applied Statistics 28.

    Examples
    --------
    >>> import numpy as np
    >>> from statkit.naive_bayes import DawidSkene
    >>> rng = np.random.default_rng(0)
    >>> truth = rng.integers(2, size=300)
    >>> wrong = rng.random((300, 4)) < [0.1, 0.1, 0.2, 0.45]
    >>> crowd = DawidSkene().fit(np.where(wrong, 1 - truth[:, None], truth[:, None]))
    >>> bool((crowd.labels_ == truth).mean() > 0.9)
    True
    """

    _parameter_constraints: ClassVar[dict] = {
        "transition": [StrOptions({"full", "symmetric", "class", "uniform"})],
        "transition_prior": [Interval(Real, 0, None, closed="left"), "array-like"],
        "class_prior": ["array-like", None],
        "max_iter": [Interval(Integral, 1, None, closed="left")],
        "tol": [Interval(Real, 0, None, closed="left")],
        "verbose": ["verbose"],
    }

    def __init__(
        self,
        transition: Literal["full", "symmetric", "class", "uniform"] = "full",
        *,
        transition_prior: float | ArrayLike = 0.0,
        class_prior: ArrayLike | None = None,
        max_iter: int = 1000,
        tol: float = 1e-6,
        verbose: bool | int = 0,
    ) -> None:
        self.transition = transition
        self.transition_prior = transition_prior
        self.class_prior = class_prior
        self.max_iter = max_iter
        self.tol = tol
        self.verbose = verbose

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        # A table of labels with gaps, not a matrix of numbers.
        tags.input_tags.two_d_array = False
        tags.input_tags.categorical = True
        tags.input_tags.string = True
        tags.input_tags.allow_nan = True
        tags.target_tags.required = False
        return tags

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(self, X: Any, y: Any = None) -> Self:
        """Fit to a matrix of labels.

        Parameters
        ----------
        X : array-like or DataFrame of shape (n_tasks, n_annotators)
            Labels; None and NaN, and -1 among integers, where an annotator gave none.
        y : ignored

        Returns
        -------
        self : object
        """
        with unchanged_on_error(self):
            seen = encode_annotations(X)
            tasks = np.asarray(X.index) if isinstance(X, pd.DataFrame) else np.arange(seen.votes.n_documents)
            return self._fit(seen, tasks)

    @_fit_context(prefer_skip_nested_validation=True)
    def fit_long(self, task: ArrayLike, annotator: ArrayLike, label: ArrayLike) -> Any:
        """Fit to labels in long form, one line a label.

        Parameters
        ----------
        task, annotator, label : array-like of shape (n_labels,)
            Which task, by whom, and the label.

        Returns
        -------
        self : object
        """
        columns = [np.asarray(part) for part in (task, annotator, label)]
        if len({part.shape for part in columns}) > 1 or columns[0].ndim != 1:
            shapes = ", ".join(str(part.shape) for part in columns)
            raise ValueError(f"task, annotator and label must be vectors of one length, got shapes {shapes}")
        for name, part in zip(("task", "annotator"), columns[:2], strict=True):
            if pd.isna(part).any():
                raise ValueError(f"{name} is missing at position {int(np.flatnonzero(pd.isna(part))[0])}")
        values, known = drop_minus_one([split_missing(label, "label")])[0]
        tasks, document = np.unique(columns[0][known], return_inverse=True)
        annotators, source = np.unique(columns[1][known], return_inverse=True)
        classes = unique_labels(values)
        votes = Votes.of_triples(
            document, source, codes_of(values, classes), len(tasks), len(annotators), len(classes)
        )
        return self._fit(Annotations(votes, classes, annotators), tasks)

    def predict_proba(self, X: Any) -> Any:
        """Probability of each class of new tasks, labelled by the same annotators.

        Parameters
        ----------
        X : array-like or DataFrame of shape (n_tasks, n_annotators)

        Returns
        -------
        ndarray of shape (n_tasks, K)
        """
        check_is_fitted(self)
        votes = encode_annotations(X, classes=self.classes_).votes
        if votes.n_sources != len(self.annotators_):
            raise ValueError(
                f"X has labels of {votes.n_sources} annotators, but the model knows {len(self.annotators_)}"
            )
        corpus = self._corpus(votes)
        scores = np.tile(np.log(np.maximum(self.class_prior_, 1e-300)), (votes.n_documents, 1))
        return corpus.posterior(scores, self.annotator_transition_)[0]

    def predict(self, X: Any) -> Any:
        """Most probable class of new tasks, labelled by the same annotators."""
        return self.classes_[self.predict_proba(X).argmax(axis=1)]

    def fit_predict(self, X: Any, y: Any = None) -> Any:
        """Fit, and return the most probable class of every task."""
        return self.fit(X).labels_

    def _corpus(self, votes: Votes, class_prior=None) -> Corpus:
        n = votes.n_documents
        return Corpus(sp.csr_matrix((n, 0)), votes, np.full(n, -1), np.ones(n), NoWords(), class_prior)

    def _fit(self, seen: Annotations, tasks: np.ndarray):
        votes, K = seen.votes, len(seen.classes)
        check_memory(votes.n_documents, 0, K, votes.n_sources)
        prior = None
        if self.class_prior is not None:
            prior = np.asarray(self.class_prior, dtype=float)
            if prior.shape != (K,) or (prior < 0).any() or abs(prior.sum() - 1.0) > 1e-6:
                raise ValueError(f"class_prior must be {K} probabilities that sum to 1, got {prior}")
        corpus = self._corpus(votes, prior)
        model = Transition(self.transition, K, votes.n_sources, checked_prior(self.transition_prior, K))
        R = votes.majority()
        T = model.update(corpus.label_counts(R), model.start(0.2))
        fit = plain_em(
            corpus, start_fit(corpus, R, T, Strength(1.0)), model, self.max_iter, self.tol, self.verbose
        )
        if not fit.converged:
            warnings.warn(
                f"EM did not converge in {fit.n_iter} iterations: raise max_iter or tol",
                ConvergenceWarning,
                stacklevel=3,
            )
        self.classes_ = seen.classes
        self.tasks_, self.annotators_ = tasks, seen.annotators
        self.label_posterior_ = fit.R
        self.labels_ = seen.classes[fit.R.argmax(axis=1)]
        self.class_prior_ = np.exp(fit.log_prior)
        self.annotator_transition_ = fit.T
        self.annotator_noise_rate_ = 1.0 - np.einsum("mkk,k->m", fit.T, self.class_prior_)
        self.n_iter_, self.converged_ = fit.n_iter, fit.converged
        self.objective_path_ = np.array(fit.objective)
        return self
