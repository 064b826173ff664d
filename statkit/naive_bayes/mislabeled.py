"""Naive Bayes classifiers for labels that are partly wrong."""

from __future__ import annotations

from dataclasses import dataclass
from numbers import Real
from typing import Any, ClassVar

from sklearn.utils._param_validation import Interval, StrOptions

from statkit.naive_bayes._one_label import LabelNoiseNB

__all__ = ["MislabeledBernoulliNB", "MislabeledComplementNB", "MislabeledMultinomialNB"]


@dataclass(kw_only=True, eq=False, repr=False)
class MislabeledMultinomialNB(LabelNoiseNB):
    """Naive Bayes on counts of words, robust to wrong labels, which it finds.

    The true class is latent, and the given label is drawn from it by a transition matrix. Plain EM for this
    model is excellent while words are independent given the class; on real vocabularies the words of a
    document outvote its label and EM turns into clustering. By default the likelihood is therefore tempered,
    and EM is stopped, by how well the words predict the given labels of documents that had no part in the
    parameters.

    Parameters
    ----------
    transition : {"full", "symmetric", "class", "uniform", "pair"} or array-like, default="full"
        How true classes become given labels: any probabilities; one error rate; one rate a class; labels
        replaced at one rate by draws from a common distribution; each class mistaken for one other, which is
        estimated. An array of probabilities, row true and column given, is taken as known; an array of bool
        says which cells of "full" may be non-zero.
    alpha : float, default=1.0
        Smoothing of word probabilities, as in scikit-learn.
    power : "auto" or float in (0, 1], default="auto"
        How much of the likelihood of the words is used. "auto" lets the given labels decide, judged without
        the document in question, and stops EM when it begins to cluster; where that predicts the labels
        hardly better than maximum likelihood does, it is maximum likelihood. 1.0 always is.
    init : {"labels", "complement", "best"} or array-like of shape (n_documents, K), default="labels"
        Where EM begins: the given labels; confident out-of-fold predictions of complement naive Bayes, better
        when one class is mistaken for one other nearly as often as not; the better of the two; or
        probabilities of the classes.
    transition_prior : float or array-like of shape (K, K), default=10.0
        Pseudo-labels a row of the transition, spread as by one error rate for all classes, or a table of
        them. 0 is maximum likelihood.
    transition_init : float, default=0.2
        Error rate to begin with.
    fit_prior : bool, default=True
        Estimate the class prior; False fixes equal shares.
    class_prior : array-like of shape (K,), default=None
        Fixed class prior.
    predict_rule : {"posterior", "complement"}, default="posterior"
        Score new documents by their posterior, or by the words of all other classes (Rennie et al., 2003),
        which is often better with many classes of unequal size.
    unlabeled_weight : float, default=1.0
        Weight of a document without a label.
    max_iter : int, default=100
        Iterations of EM at most.
    tol : float, default=1e-4
        EM stops when the posteriors change by less, on average.
    compute_se : bool, default=False
        Compute standard errors of the transition in `fit`; `transition_conf_int` computes them when asked.
    n_jobs : int, default=None
        Threads; None is one, -1 all processors. Each sums a part of the documents: the last digits may depend
        on their number.
    random_state : int, RandomState or None, default=None
        Folds of ``init="complement"`` and weights of the bootstrap; the fit itself is deterministic.
    verbose : bool or int, default=0
        Print the progress of EM.

    Attributes
    ----------
    classes_ : ndarray of shape (K,)
        Classes, also those that only occur among trusted labels.
    class_prior_, class_log_prior_ : ndarray of shape (K,)
        Shares of the true classes, and their logarithms.
    transition_ : ndarray of shape (K, K)
        P(given label | true class); row true, column given.
    inverse_transition_ : ndarray of shape (K, K)
        P(true class | given label); columns sum to 1.
    noise_rate_ : float
        Share of wrong labels.
    class_noise_rate_ : ndarray of shape (K,)
        The same for each true class.
    feature_log_prob_ : ndarray of shape (K, n_words)
        Log probability of each word in each class.
    feature_count_, class_count_ : ndarray of shape (K, n_words) and (K,)
        Expected counts of words and documents by true class.
    label_posterior_ : ndarray of shape (n_documents, K), float32
        P(true class | words, given label) of the training documents, each judged without itself.
    label_error_proba_ : ndarray of shape (n_documents,)
        Probability that the label is wrong; NaN without a label.
    power_ : float
        Share of the likelihood used, on average over documents; 1 is maximum likelihood.
    drift_, drift_z_ : float
        By how much another fit predicts the given labels better than maximum likelihood: the tempered one
        (``power="auto"``), or naive Bayes on the given labels. In log probability a label, and in standard
        errors, which grow with the number of documents. Where both are large, words are far from independent
        given the class, or too many for the documents, and EM without tempering drifts into clustering.
        ``drift_z_`` is infinite where all documents differ by the same amount.
    n_iter_, converged_, objective_path_ : int, bool, ndarray
        Iterations; whether they converged; log posterior (maximum likelihood) or log P(labels | words) of
        each.
    label_switched_ : bool
        Whether classes had to be permuted to agree with their labels.
    groups_, group_transition_ : ndarray of shape (G,) and (G, K, K)
        Groups and their transitions, when `fit` was given groups.
    transition_se_, noise_rate_se_ : ndarray of shape (K, K), float
        Standard errors, with ``compute_se=True`` or after `transition_conf_int`.
    n_features_in_, feature_names_in_
        As everywhere in scikit-learn.

    See Also
    --------
    MislabeledComplementNB : The same fit, scored by the words of the other classes.
    MislabeledBernoulliNB : Maximum likelihood for presence of some keywords.
    AnnotatorNB : Several labels a document.

    References
    ----------
    Q. Zeng, Y. Zhu, X. Zhu, F. Wang, W. Zhao, S. Sun, M. Su, H. Wang (2024), Improved naive Bayes with
    mislabeled data, Statistics and Its Interface 17.

    Examples
    --------
    >>> import numpy as np
    >>> from statkit.naive_bayes import MislabeledMultinomialNB, inject_label_noise
    >>> rng = np.random.default_rng(0)
    >>> truth = rng.integers(2, size=400)
    >>> X = rng.poisson(np.where(truth[:, None] == 0, [3.0, 1.0, 1.0, 0.5], [1.0, 3.0, 0.5, 1.0]))
    >>> given, wrong = inject_label_noise(truth, 0.2, random_state=0)
    >>> nb = MislabeledMultinomialNB().fit(X, given)
    >>> bool(abs(nb.noise_rate_ - wrong.mean()) < 0.05)
    True
    >>> nb.label_issues().sort_values("rank").columns[:3].tolist()
    ['given_label', 'predicted_label', 'error_proba']
    """

    _parameter_constraints: ClassVar[dict] = {
        **LabelNoiseNB._parameter_constraints,
        "predict_rule": [StrOptions({"posterior", "complement"})],
    }

    predict_rule: str = "posterior"


@dataclass(kw_only=True, eq=False, repr=False)
class MislabeledComplementNB(LabelNoiseNB):
    """The fit of `MislabeledMultinomialNB`; documents are scored by the words of all other classes.

    Complement naive Bayes has no likelihood of its own: it is a rule to score new documents, applied here to
    the expected counts of words in the true classes. With many classes of unequal size it is often the
    better rule.

    Parameters
    ----------
    power : "auto" or float in (0, 1], default="auto"
        How much of the likelihood of the words is used.
    transition, alpha, init, transition_prior, transition_init, fit_prior, class_prior, unlabeled_weight
        As in `MislabeledMultinomialNB`.
    max_iter, tol, compute_se, n_jobs, random_state, verbose
        As in `MislabeledMultinomialNB`.

    Attributes
    ----------
    classes_, transition_, noise_rate_, label_error_proba_, …
        As in `MislabeledMultinomialNB`.

    References
    ----------
    J. D. Rennie, L. Shih, J. Teevan, D. R. Karger (2003), Tackling the poor assumptions of naive Bayes text
    classifiers, ICML. For the fit, see `MislabeledMultinomialNB`.

    Examples
    --------
    >>> import numpy as np
    >>> from statkit.naive_bayes import MislabeledComplementNB
    >>> X = np.array([[3, 0, 1], [4, 1, 0], [0, 3, 1], [0, 4, 0], [3, 1, 1], [1, 3, 0]])
    >>> nb = MislabeledComplementNB(power=1.0).fit(X, ["a", "a", "b", "b", "a", "b"])
    >>> nb.predict([[5, 0, 0], [0, 5, 0]]).tolist()
    ['a', 'b']
    """

    _rule = "complement"


@dataclass(kw_only=True, eq=False, repr=False)
class MislabeledBernoulliNB(LabelNoiseNB):
    """Naive Bayes on presence of words with wrong labels: maximum likelihood by EM.

    The method of Zeng et al. (2024): with some dozen or hundred keywords it recovers most of what wrong
    labels cost, with standard errors from the observed information. With a whole vocabulary absent words
    dominate and EM drifts; ``drift_z_`` says so, and `MislabeledMultinomialNB` is the remedy.

    Parameters
    ----------
    power : "auto" or float in (0, 1], default=1.0
        How much of the likelihood of the words is used; 1.0 is maximum likelihood, "auto" as in
        `MislabeledMultinomialNB`.
    binarize : float, default=0.0
        A word is present if its value is above.
    transition, alpha, init, transition_prior, transition_init, fit_prior, class_prior, unlabeled_weight
        As in `MislabeledMultinomialNB`.
    max_iter, tol, compute_se, n_jobs, random_state, verbose
        As in `MislabeledMultinomialNB`.

    Attributes
    ----------
    classes_, transition_, noise_rate_, label_error_proba_, …
        As in `MislabeledMultinomialNB`.

    References
    ----------
    Q. Zeng, Y. Zhu, X. Zhu, F. Wang, W. Zhao, S. Sun, M. Su, H. Wang (2024), Improved naive Bayes with
    mislabeled data, Statistics and Its Interface 17.

    Examples
    --------
    >>> import numpy as np
    >>> from statkit.naive_bayes import MislabeledBernoulliNB, inject_label_noise
    >>> rng = np.random.default_rng(0)
    >>> truth = rng.integers(2, size=1000)
    >>> X = rng.random((1000, 20)) < np.where(truth[:, None] == 0, 0.2, 0.4)
    >>> given, wrong = inject_label_noise(truth, 0.2, random_state=0)
    >>> nb = MislabeledBernoulliNB().fit(X, given)
    >>> nb.transition_conf_int().shape
    (4, 4)
    """

    _distribution = "bernoulli"
    _parameter_constraints: ClassVar[dict] = {
        **LabelNoiseNB._parameter_constraints,
        "binarize": [Interval(Real, None, None, closed="neither")],
    }

    power: Any = 1.0
    binarize: float = 0.0
