"""From a corpus to a solution: which fit, how strong the likelihood counts, and whether it drifted."""

from __future__ import annotations

import warnings
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
from scipy.optimize import linear_sum_assignment

from statkit.naive_bayes._corpus import Corpus, Strength
from statkit.naive_bayes._fit import (
    Fit,
    choose_strength,
    honest_scores,
    log_label_probability,
    paired_gain,
    plain_em,
    start_fit,
    tempered_em,
)
from statkit.naive_bayes._start import start_from_complement, start_from_labels, start_transition
from statkit.naive_bayes._transition import Transition, pair_mask

#: Standard errors by which the tempered fit must predict the labels better than the plain one to be kept.
_DRIFTED = 1.0
#: With enough documents any difference is significant, also the small one that estimated word probabilities
#: leave where the model holds. It matters if the labels ask for less than this share of the likelihood (on real
#: vocabularies 0.15 to 0.6), or if the gain in log probability a label is larger than this: then there are too
#: few documents for so many words.
_FULL, _LARGE = 0.9, 0.02
#: The same for the start "complement" to be kept by init="best".
_BETTER = 2.0


@dataclass(frozen=True)
class Options:
    """What the estimator was asked for; see its parameters of the same names."""

    transition: object
    transition_prior: object
    transition_init: float
    power: object
    init: object
    max_iter: int
    tol: float
    verbose: int


class Drift(NamedTuple):
    """By how much another fit predicts the given labels better than the plain one, and with which strength.

    Log probability a label, the same in standard errors, and the share of the likelihood that the other uses.
    """

    mean: float
    z: float
    power: float

    @classmethod
    def of(cls, corpus: Corpus, gain: np.ndarray, strength: Strength) -> Drift:
        return cls(*paired_gain(gain, corpus.label_weight), strength.mean(corpus.length))

    def beyond(self, z: float) -> bool:
        """Whether the difference is real and matters."""
        return self.z > z and (self.power < _FULL or self.mean > _LARGE)


@dataclass(frozen=True)
class Solution:
    """The fit that is returned and the scores of its labels.

    ``joint`` (n, K): leave-one-out log joint of words and class at ``score_strength``; ``drift``: by how much
    another fit predicts the given labels better than the plain one.
    """

    fit: Fit
    transition: Transition
    start: Fit
    score_strength: Strength
    joint: np.ndarray
    drift: Drift
    switched: bool = False


def solve(corpus: Corpus, options: Options, random_state: np.random.RandomState) -> Solution:
    """Fit by every start that ``init`` asks for, and keep the one that predicts the given labels better."""
    if not isinstance(options.init, str):
        return _solve_structure(corpus, options, options.init)
    if options.init == "complement":
        return _solve_structure(corpus, options, start_from_complement(corpus, random_state))
    solution = _solve_structure(corpus, options, start_from_labels(corpus))
    if options.init == "labels":
        return solution
    other = _solve_structure(corpus, options, start_from_complement(corpus, random_state))
    gain = _labels(corpus, other) - _labels(corpus, solution)
    return other if paired_gain(gain, corpus.label_weight).z > _BETTER else solution


def transition_model(corpus: Corpus, options: Options, structure, mask=None) -> Transition:
    K, M = corpus.n_classes, corpus.votes.n_sources
    return Transition(structure, K, M, options.transition_prior, mask)


def _solve_structure(corpus: Corpus, options: Options, R: np.ndarray) -> Solution:
    """Resolve the structure; "pair" is a full fit, then one with the cells that it chose."""
    structure = options.transition
    mask = None
    if not isinstance(structure, str) and np.asarray(structure).dtype == bool:
        structure, mask = "full", np.asarray(structure)
    if isinstance(structure, str) and structure == "pair":
        free = _solve_start(corpus, options, transition_model(corpus, options, "full"), R)
        C = corpus.label_counts(free.fit.R).sum(axis=0)
        structure, mask = "full", pair_mask(C)
    return _solve_start(corpus, options, transition_model(corpus, options, structure, mask), R)


def _solve_start(corpus: Corpus, options: Options, transition: Transition, R: np.ndarray) -> Solution:
    T = start_transition(corpus, transition, options.transition_init)
    by_length = corpus.words.by_length
    start = start_fit(corpus, R, T, Strength(np.inf, True) if by_length else Strength(1.0))
    control = {"max_iter": options.max_iter, "tol": options.tol, "verbose": options.verbose}
    if options.power == "auto":
        fit = tempered_em(corpus, start, transition, **control)
        plain_transition = replace_transition(transition)
        plain = plain_em(corpus, start, plain_transition, **control)
        honest, plain_honest = honest_scores(corpus, fit), honest_scores(corpus, plain)
        gain = _predictability(corpus, fit, honest) - _predictability(corpus, plain, plain_honest)
        drift = Drift.of(corpus, gain, fit.strength)
        if not drift.beyond(_DRIFTED):
            fit, transition, honest = plain, plain_transition, plain_honest
    else:
        if options.power == 1.0:
            fit = plain_em(corpus, start, transition, **control)
        else:
            fixed = replace(start, strength=Strength(float(options.power)))
            fit = tempered_em(corpus, fixed, transition, choose=False, **control)
        honest = honest_scores(corpus, fit)
        drift = _drift_from_start(corpus, start, transition, fit, honest)
    fit, switched = _aligned(corpus, fit, transition)
    if switched:
        honest = honest_scores(corpus, fit)
    return _scored(corpus, fit, transition, start, honest, drift, switched)


def _predictability(corpus: Corpus, fit: Fit, honest: np.ndarray) -> np.ndarray:
    return log_label_probability(corpus, honest, fit.strength, fit.log_prior, fit.T)


def _drift_from_start(corpus, start: Fit, transition: Transition, fit: Fit, honest: np.ndarray) -> Drift:
    """By how much naive Bayes on the given labels predicts them better than the fit."""
    if corpus.words.alpha == 0:  # there is no leaving out
        return Drift(np.nan, np.nan, 1.0)
    first = honest_scores(corpus, start)
    trial = replace_transition(transition)
    strength, T = choose_strength(corpus, first, start.log_prior, start.T, trial)
    labels = log_label_probability(corpus, first, strength, start.log_prior, T)
    return Drift.of(corpus, labels - _predictability(corpus, fit, honest), strength)


def replace_transition(transition: Transition) -> Transition:
    """The same model of the transition with pseudo-counts of its own."""
    structure = transition.structure if transition.known is None else transition.known
    return Transition(
        structure, transition.n_classes, transition.n_sources, transition.prior, transition.mask
    )


def _scored(corpus, fit, transition, start, honest, drift, switched) -> Solution:
    """Choose the strength of the label scores on the final parameters."""
    tempered = not fit.plain
    strength, T = choose_strength(corpus, honest, fit.log_prior, fit.T, transition, refit_transition=tempered)
    if tempered:
        fit = replace(fit, T=T)
        if fit.strength.by_length == strength.by_length:
            fit = replace(fit, strength=strength)
    joint = strength.temper(honest, corpus.length, fit.log_prior)
    return Solution(fit, transition, start, strength, joint, drift, switched)


def _labels(corpus: Corpus, solution: Solution) -> np.ndarray:
    _, labelled, unlabelled = corpus.posterior(solution.joint, solution.fit.T)
    return labelled - unlabelled


def _aligned(corpus: Corpus, fit: Fit, transition: Transition) -> tuple[Fit, bool]:
    """Permute the classes so that each agrees best with the label of its name."""
    if transition.known is not None or (corpus.gold >= 0).any() or corpus.n_classes == 1:
        return fit, False
    joint = corpus.label_counts(fit.R).sum(axis=0)
    true, given = linear_sum_assignment(joint, maximize=True)
    order = np.empty_like(true)
    order[given] = true
    if (order == np.arange(len(order))).all() or joint[order, given].sum() <= np.trace(joint):
        return fit, False
    words = corpus.words_of(fit.words.totals[order], np.ascontiguousarray(fit.words.counts[:, order]))
    return (
        replace(
            fit,
            R=np.ascontiguousarray(fit.R[:, order]),
            words=words,
            log_prior=corpus.log_class_prior(words.totals),
            T=np.ascontiguousarray(fit.T[:, order]),
        ),
        True,
    )


def warn_about(solution: Solution, classes: np.ndarray, distribution: str, power, alpha: float) -> None:
    """Say what the reader of the answer should know before trusting it."""
    from sklearn.exceptions import ConvergenceWarning

    from statkit.exceptions import BiasWarning

    fit = solution.fit
    if len(classes) == 1:
        warnings.warn(
            f"there is one class, {classes[0].item()!r}: no label can be wrong, and this is plain naive Bayes",
            UserWarning,
            stacklevel=4,
        )
    if alpha == 0 and (fit.words.counts <= 0).any():
        warnings.warn(
            "alpha=0: words that a class never has got the probability 1e-10 there",
            UserWarning,
            stacklevel=4,
        )
    if not fit.converged:
        warnings.warn(
            f"EM did not converge in {fit.n_iter} iterations: raise max_iter or tol",
            ConvergenceWarning,
            stacklevel=4,
        )
    if power == 1.0 and solution.drift.beyond(5.0):
        warnings.warn(
            f"EM drifted: the fit predicts the given labels worse than naive Bayes on them by "
            f"{solution.drift.z:.1f} standard errors, because the words are far from conditionally "
            'independent. Use power="auto", which tempers the likelihood',
            BiasWarning,
            stacklevel=4,
        )
    elif power == "auto" and distribution == "bernoulli" and solution.drift.beyond(3.0):
        warnings.warn(
            f"the words are far from conditionally independent (drift_z_ = {solution.drift.z:.1f}) and the "
            "Bernoulli model counts every absent word: use MislabeledMultinomialNB, or select some hundred "
            "words",
            BiasWarning,
            stacklevel=4,
        )
    _warn_about_transition(fit.T, classes, solution.transition)


def _warn_about_transition(T: np.ndarray, classes: np.ndarray, transition: Transition) -> None:
    from statkit.exceptions import BiasWarning

    if transition.known is not None or len(classes) == 1:
        return
    pooled = T.mean(axis=0)
    odd = np.flatnonzero(pooled.argmax(axis=1) != np.arange(len(classes)))
    if len(odd):
        k = odd[0]
        warnings.warn(
            f"documents of class {classes[k].item()!r} are estimated to be labelled "
            f"{classes[pooled[k].argmax()].item()!r} more often than by their own name"
            + (f" (and {len(odd) - 1} more classes are like it)" if len(odd) > 1 else "")
            + ": classes may have been exchanged or merged; trusted labels (y_trusted) would tell",
            BiasWarning,
            stacklevel=5,
        )
    if np.linalg.svd(pooled, compute_uv=False).min() < 0.05:
        warnings.warn(
            "the estimated transition is almost singular: some of the given labels carry no information "
            "about the true classes",
            BiasWarning,
            stacklevel=5,
        )
