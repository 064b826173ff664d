"""What the classifiers share: parameters, the fit of a corpus, prediction and intervals."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from numbers import Integral, Real
from typing import TYPE_CHECKING, Any, ClassVar, Literal, NamedTuple

import numpy as np
import scipy.sparse as sp
from scipy.special import log_softmax, softmax
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils import check_random_state
from sklearn.utils._param_validation import Interval, StrOptions
from sklearn.utils.validation import _check_sample_weight, check_is_fitted, validate_data

from statkit._magnitude import check_magnitude
from statkit.exceptions import BiasWarning
from statkit.naive_bayes._bootstrap import bootstrap_errors
from statkit.naive_bayes._corpus import Corpus, Strength, as_counts
from statkit.naive_bayes._intervals import interval_frame
from statkit.naive_bayes._issues import LabelReport
from statkit.naive_bayes._louis import RateErrors, louis_errors, pooled_transition
from statkit.naive_bayes._profile import upper_limits
from statkit.naive_bayes._report import noise_summary
from statkit.naive_bayes._settings import (
    check_memory,
    checked_init,
    checked_prior,
    checked_transition,
    n_threads,
)
from statkit.naive_bayes._solve import Options, Solution, solve, warn_about
from statkit.naive_bayes._start import complement_scores
from statkit.naive_bayes._transition import STRUCTURES
from statkit.naive_bayes._votes import Votes
from statkit.naive_bayes._words import word_model

if TYPE_CHECKING:
    import pandas as pd

    from statkit.results import Summary


def batch_classes(estimator, classes) -> np.ndarray:
    """Classes of a stream: given at the first call of partial_fit, the same ever after."""
    known = getattr(estimator, "classes_", None)
    if known is None and classes is None:
        raise ValueError("classes must be given at the first call of partial_fit")
    if known is None:
        return np.unique(np.asarray(classes))
    if classes is not None and not np.array_equal(np.unique(np.asarray(classes)), known):
        raise ValueError(f"classes differ from those of earlier calls, {known.tolist()}")
    return known


class JointPrediction(ClassifierMixin):
    """Predictions from `predict_joint_log_proba`."""

    def __sklearn_is_fitted__(self):
        return hasattr(self, "classes_")

    def predict_log_proba(self, X: Any) -> Any:
        """Log probability of the true class; see `predict_proba`."""
        return log_softmax(self.predict_joint_log_proba(X), axis=1)

    def predict_proba(self, X: Any) -> Any:
        """Probability of the true class given the words, no label being known.

        Parameters
        ----------
        X : array-like or sparse matrix of shape (n_documents, n_words)

        Returns
        -------
        ndarray of shape (n_documents, n_classes)
            Columns in the order of ``classes_``.
        """
        return softmax(self.predict_joint_log_proba(X), axis=1)

    def predict(self, X: Any) -> Any:
        """Most probable true class of new documents. The transition plays no part: they have no label.

        Parameters
        ----------
        X : array-like or sparse matrix of shape (n_documents, n_words)

        Returns
        -------
        ndarray of shape (n_documents,)
        """
        best = self.predict_joint_log_proba(X).argmax(axis=1)
        return self.classes_[best]


class Training(NamedTuple):
    """What standard errors need of the fit."""

    corpus: Corpus
    solution: Solution


@dataclass(kw_only=True, eq=False, repr=False)
class TransitionNB(JointPrediction, BaseEstimator):
    """Naive Bayes with a transition from true classes to given labels.

    A dataclass, so that parameters which several estimators have, and their defaults, are written once.
    """

    transition: Any = "full"
    alpha: float = 1.0
    power: Any = "auto"
    init: Any = "labels"
    transition_prior: Any = 10.0
    transition_init: float = 0.2
    fit_prior: bool = True
    class_prior: Any = None
    max_iter: int = 100
    tol: float = 1e-4
    compute_se: bool = False
    n_jobs: int | None = None
    random_state: Any = None
    verbose: int = 0

    _distribution = "multinomial"

    _parameter_constraints: ClassVar[dict] = {
        "transition": [StrOptions(set(STRUCTURES)), "array-like"],
        "alpha": [Interval(Real, 0, None, closed="left")],
        "power": [StrOptions({"auto"}), Interval(Real, 0, 1, closed="right")],
        "init": [StrOptions({"labels", "complement", "best"}), "array-like"],
        "transition_prior": [Interval(Real, 0, None, closed="left"), "array-like"],
        "transition_init": [Interval(Real, 0, 1, closed="neither")],
        "fit_prior": ["boolean"],
        "class_prior": ["array-like", None],
        "max_iter": [Interval(Integral, 1, None, closed="left")],
        "tol": [Interval(Real, 0, None, closed="left")],
        "compute_se": ["boolean"],
        "n_jobs": [Integral, None],
        "random_state": ["random_state"],
        "verbose": ["verbose"],
    }

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        tags.input_tags.positive_only = self._distribution == "multinomial"
        # As in scikit-learn: a model of counts is not for clouds of real numbers.
        tags.classifier_tags.poor_score = True
        return tags

    def __getstate__(self):
        # The training documents serve `transition_conf_int` in this process; a saved model does without.
        state = dict(super().__getstate__())
        state.pop("_training", None)
        return state

    def predict_joint_log_proba(self, X: Any) -> Any:
        """Log joint probability of words and class, tempered as in the fit, up to a constant a document.

        Parameters
        ----------
        X : array-like or sparse matrix of shape (n_documents, n_words)

        Returns
        -------
        ndarray of shape (n_documents, n_classes)
        """
        check_is_fitted(self)
        return self._joint(X, self._strength, self._rule == "complement")

    def transition_conf_int(
        self, level: float = 0.95, method: Literal["louis", "bootstrap"] | None = None
    ) -> pd.DataFrame:
        """Confidence intervals of the transition, on the logit scale.

        Parameters
        ----------
        level : float, default=0.95
        method : {"louis", "bootstrap"}, default=None
            Observed information of the maximum likelihood fit, or the weighted bootstrap with 100 replicates.
            None: "louis" where it is valid (the fit is maximum likelihood), otherwise "bootstrap".

        Returns
        -------
        DataFrame
            Indexed by true class and given label: ``estimate``, ``std_err``, ``lower``, ``upper``. A cell that
            is estimated at zero by maximum likelihood has an upper limit from the profile likelihood
            (``transition="full"`` without groups) or, with a warning, none.
        """
        check_is_fitted(self)
        if not 0 < level < 1:
            raise ValueError(f"level must be between 0 and 1, got {level}")
        training = getattr(self, "_training", None)
        if training is None:
            raise ValueError(
                "intervals need the training documents, which a loaded model or one fitted by partial_fit "
                "does "
                "not have: fit with compute_se=True, and read transition_se_ and noise_rate_se_"
            )
        errors = self._estimate_errors(training, method)
        self._set_errors(errors)
        limits = {}
        if training.solution.fit.plain and method != "bootstrap":
            limits = upper_limits(training.corpus, training.solution.fit, training.solution.transition, level)
        frame = interval_frame(self.classes_, self.transition_, errors.pooled, level, limits)
        bare = np.flatnonzero(frame["upper"].isna() & self._uncertain(training.solution.transition))
        if len(bare):
            true, given = (self.classes_[at].item() for at in divmod(int(bare[0]), len(self.classes_)))
            warnings.warn(
                f"P(given {given!r} | true {true!r}) is estimated at zero"
                + (f", as are {len(bare) - 1} other cells" if len(bare) > 1 else "")
                + ": there is no interval; a prior (transition_prior > 0) keeps cells away from it",
                BiasWarning,
                stacklevel=2,
            )
        return frame

    def summary(self) -> Summary:
        """What was found about the labels: rates a class, likely errors, confused classes.

        Returns
        -------
        Summary
            Printable, also as HTML (in a notebook) and LaTeX (``as_latex()``).
        """
        check_is_fitted(self)
        return noise_summary(self)

    def _uncertain(self, transition) -> np.ndarray:
        """Wrong labels (K * K,) whose probability is estimated: neither known nor zero by the mask."""
        off = ~np.eye(len(self.classes_), dtype=bool)
        if transition.known is not None:
            off[:] = False
        return (off if transition.mask is None else off & transition.mask).ravel()

    @property
    def _rule(self) -> str:
        return getattr(self, "predict_rule", "posterior")

    def _validated(self, X, reset: bool):
        threshold = self.binarize if self._distribution == "bernoulli" else None
        return validated_counts(self, X, reset, threshold)

    def _options(self, corpus: Corpus) -> Options:
        K = corpus.n_classes
        return Options(
            checked_transition(self.transition, K, corpus.votes),
            checked_prior(self.transition_prior, K),
            self.transition_init,
            self.power,
            checked_init(self.init, corpus),
            self.max_iter,
            self.tol,
            self.verbose,
        )

    def _corpus(self, X, votes: Votes, gold: np.ndarray, sample_weight) -> Corpus:
        weight = validated_weight(sample_weight, X)
        bare = (np.diff(votes.pointer) == 0) & (gold < 0)
        weight = np.where(bare, getattr(self, "unlabeled_weight", 1.0) * weight, weight)
        K = votes.n_classes
        check_memory(*X.shape, K, votes.n_sources)
        if self.alpha == 0 and self.power != 1.0:
            raise ValueError(
                "alpha=0 gives a word that only one document has no probability once the document is left "
                "out: use alpha > 0, or power=1.0, which does not leave documents out"
            )
        prior = None
        if self.class_prior is not None:
            prior = np.asarray(self.class_prior, dtype=float)
            if prior.shape != (K,) or (prior < 0).any() or abs(prior.sum() - 1.0) > 1e-6:
                raise ValueError(f"class_prior must be {K} probabilities that sum to 1, got {prior}")
        elif not self.fit_prior:
            prior = np.full(K, 1.0 / K)
        words = word_model(self._distribution, float(self.alpha))
        return Corpus(X, votes, gold, weight, words, prior, n_threads(self.n_jobs))

    def _fit_votes(self, X, votes: Votes, classes, gold, sample_weight, index):
        corpus = self._corpus(X, votes, gold, sample_weight)
        solution = solve(corpus, self._options(corpus), check_random_state(self.random_state))
        training = Training(corpus, solution)
        errors = self._estimate_errors(training, None) if self.compute_se else None
        fit = solution.fit
        log_posterior = corpus.label_log_posterior(solution.joint, fit.T)
        self._forget()
        self.classes_ = classes
        self._set_parameters(
            corpus, fit.words, fit.log_prior, fit.T, fit.R, fit.strength, solution.score_strength
        )
        self._training = training
        log_chance = log_softmax(solution.joint, axis=1)
        self._labels = LabelReport(index, log_posterior.astype(np.float32), log_chance.astype(np.float32))
        self.label_posterior_ = np.exp(log_posterior, dtype=np.float32)
        self.n_iter_ = fit.n_iter
        self.converged_ = fit.converged
        self.objective_path_ = np.array(fit.objective)
        self.drift_, self.drift_z_, _ = self._drift = solution.drift
        self.label_switched_ = solution.switched
        if errors is not None:
            self._set_errors(errors)
        warn_about(solution, classes, self._distribution, self.power, self.alpha)

    def _forget(self):
        """Drop what an earlier fit of another kind has set."""
        trained = ("_training", "_labels", "label_posterior_", "label_error_proba_", "objective_path_")
        judged = ("_drift", "drift_", "drift_z_", "transition_se_", "noise_rate_se_")
        for name in ("_online", "groups_", "group_transition_", *trained, *judged):
            vars(self).pop(name, None)

    def _set_parameters(self, corpus, words, log_prior, T, R, strength, score_strength):
        pooled = pooled_transition(corpus, R, T)
        self.class_log_prior_ = log_prior
        self.class_prior_ = prior = np.exp(log_prior)
        self.class_count_ = words.totals
        self.feature_count_ = np.ascontiguousarray(words.counts.T)
        self.feature_log_prob_ = np.ascontiguousarray(words.log_theta.T)
        self.transition_ = pooled
        joint = prior[:, None] * pooled
        given = joint.sum(axis=0)
        self.inverse_transition_ = np.where(
            given > 0, joint / np.where(given > 0, given, 1.0), prior[:, None]
        )
        self.class_noise_rate_ = 1.0 - np.diag(pooled)
        self.noise_rate_ = float(prior @ self.class_noise_rate_)
        self.power_ = strength.mean(corpus.length)
        self._transitions = T
        self._strength, self._score_strength = strength, score_strength

    def _set_errors(self, errors: RateErrors):
        self.transition_se_ = errors.pooled
        self.noise_rate_se_ = errors.noise_rate

    def _estimate_errors(self, training: Training, method):
        """Standard errors by the method that is valid, or by the one that is asked for."""
        corpus, solution = training
        valid = solution.fit.plain
        if method is None:
            method = "louis" if valid else "bootstrap"
        if method == "louis":
            if not valid:
                raise ValueError(
                    'method="louis" needs the maximum likelihood fit (power_ is '
                    f'{solution.fit.strength.mean(corpus.length):.3g} here): use method="bootstrap"'
                )
            return louis_errors(corpus, solution.fit, solution.transition)
        if method == "bootstrap":
            return bootstrap_errors(corpus, solution, check_random_state(self.random_state))
        raise ValueError(f'method must be "louis", "bootstrap" or None, got {method!r}')

    def _joint(self, X, strength: Strength, complement: bool = False):
        X = self._validated(X, reset=False)
        if complement:
            scores = complement_scores(X, self.feature_count_.T, max(self.alpha, 1e-10))
            log_prior = np.zeros(len(self.classes_)) if scores.shape[1] > 1 else self.class_log_prior_
        else:
            words = word_model(self._distribution, float(self.alpha))
            scores = words.scores(X, self.feature_log_prob_.T)
            log_prior = self.class_log_prior_
        length = np.asarray(X.sum(axis=1), dtype=float).ravel()
        return strength.temper(scores, length, log_prior)


def validated_counts(estimator, X, reset: bool, threshold: float | None) -> sp.csr_matrix:
    """CSR counts, not negative; or with a threshold zeros and ones."""
    X = as_counts(validate_data(estimator, X, accept_sparse="csr", dtype="numeric", reset=reset))
    if threshold is not None:
        return _binarized(X, threshold)
    if X.nnz and X.data.min() < 0:
        at = int(X.data.argmin())
        row = int(np.searchsorted(X.indptr, at, side="right")) - 1
        raise ValueError(
            f"Negative values in data passed to {type(estimator).__name__}: X[{row}, {X.indices[at]}] = "
            f"{X.data[at]:g}, but counts of words are not negative"
        )
    return X


def validated_weight(sample_weight, X) -> np.ndarray:
    """Weights, not negative and not all zero; ones for None."""
    weight = _check_sample_weight(sample_weight, X, dtype=np.float64, ensure_non_negative=True)
    check_magnitude(weight, "sample_weight")
    return weight


def _binarized(X: sp.csr_matrix, threshold: float) -> sp.csr_matrix:
    if threshold < 0:  # zeros, which a sparse matrix does not store, are above it
        return as_counts(X.toarray() > threshold)
    on = X.data > threshold
    if on.all() and (X.data == 1.0).all():
        return X
    X = X.copy()
    X.data = on.astype(float)
    X.eliminate_zeros()
    return X
