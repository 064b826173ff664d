"""The fits: plain EM, and the tempered EM that stops when the labels become less predictable."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
from scipy.special import softmax

from statkit.naive_bayes import _kernels
from statkit.naive_bayes._corpus import Corpus, Strength, Words
from statkit.naive_bayes._transition import Transition

#: Iterations after which pseudo-counts of the transition stay, so that plain EM ascends.
_ADAPT = 10
#: Steps of the small EM for the transition, for every strength that is tried.
_STEPS = 8


@dataclass(frozen=True)
class Fit:
    """State of a fit: what it believes, and how it got there.

    ``R`` (n, K) posteriors of the true class; ``words`` and ``log_prior`` follow from them; ``T`` (source,
    class, label); ``objective`` per iteration, log posterior (plain) or log P(labels | words) (tempered);
    ``plain`` says whether this is the maximum of the posterior.
    """

    R: np.ndarray
    words: Words
    log_prior: np.ndarray
    T: np.ndarray
    strength: Strength
    n_iter: int = 0
    converged: bool = False
    objective: tuple[float, ...] = ()
    plain: bool = False


def start_fit(corpus: Corpus, R: np.ndarray, T: np.ndarray, strength: Strength) -> Fit:
    """Parameters from posteriors to begin with; documents without one have a row of zeros."""
    words = corpus.fit_words(R)
    return Fit(R, words, corpus.log_class_prior(words.totals), T, strength)


def plain_em(
    corpus: Corpus, fit: Fit, transition: Transition, max_iter: int, tol: float, verbose: int = 0
) -> Fit:
    """Maximum a posteriori EM: the objective never decreases once the pseudo-counts stay."""
    R, words, log_prior, T = fit.R, fit.words, fit.log_prior, fit.T
    strength = Strength(np.inf, True) if corpus.words.by_length else Strength(1.0)
    objective: list[float] = []
    converged = False
    weight = corpus.weight
    for iteration in range(max_iter):
        scores = corpus.scores(words)
        scores += log_prior
        new, labelled, _ = corpus.posterior(scores, T)
        value = float(weight @ labelled) + corpus.words.log_prior(words.log_theta) + transition.log_prior(T)
        change = _mean_change(new, R, weight)
        converged = change < tol
        objective.append(value)
        if verbose:
            print(f"plain EM {iteration}: objective {value:.6f}, change {change:.2e}")
        R = new
        words = corpus.fit_words(R)
        log_prior = corpus.log_class_prior(words.totals)
        T = transition.update(corpus.label_counts(R), T, adapt=iteration < _ADAPT)
        if converged:
            break
    return Fit(R, words, log_prior, T, strength, len(objective), converged, tuple(objective), True)


def tempered_em(
    corpus: Corpus,
    fit: Fit,
    transition: Transition,
    max_iter: int,
    tol: float,
    choose: bool = True,
    guard: bool = True,
    verbose: int = 0,
) -> Fit:
    """EM with a tempered E-step; strength and transition come from leave-one-out scores.

    It stops before an iteration that makes the given labels significantly less predictable from the words.
    """
    R, words, log_prior, T, strength = fit.R, fit.words, fit.log_prior, fit.T, fit.strength
    best = -np.inf
    best_labels = previous = None
    objective: list[float] = []
    for iteration in range(max_iter):
        scores = corpus.scores(words)
        honest = corpus.leave_one_out(words, R, scores)
        if choose and (iteration <= 2 or (iteration % 3 == 0 and iteration < 12)):
            strength, T = choose_strength(corpus, honest, log_prior, T, transition)
        chance = softmax(strength.temper(honest, corpus.length, log_prior), axis=1)
        C, labels = corpus.label_step(chance, T)
        T = transition.update(C, T)
        value = float(corpus.label_weight @ labels)
        objective.append(value)
        if verbose:
            print(f"tempered EM {iteration}: log P(labels | words) {value:.6f}, strength {strength.value:g}")
        if value > best:
            best, best_labels = value, labels
        elif guard and paired_gain(best_labels - labels, corpus.label_weight).z > 2.0:
            return replace(previous, n_iter=iteration, converged=True, objective=tuple(objective[:-1]))
        previous = Fit(R, words, log_prior, T, strength)
        new, _, _ = corpus.posterior(strength.temper(scores, corpus.length, log_prior), T)
        change = _mean_change(new, R, corpus.weight)
        R = new
        words = corpus.fit_words(R)
        log_prior = corpus.log_class_prior(words.totals)
        if change < tol:
            return Fit(R, words, log_prior, T, strength, iteration + 1, True, tuple(objective))
    return Fit(R, words, log_prior, T, strength, max_iter, False, tuple(objective))


def choose_strength(
    corpus: Corpus,
    honest: np.ndarray,
    log_prior: np.ndarray,
    T: np.ndarray,
    transition: Transition,
    refit_transition: bool = True,
) -> tuple[Strength, np.ndarray]:
    """Strength of the grid, and its transition, that make the labels most predictable from the words."""
    rows = corpus.sample_rows()
    part = corpus.take(rows)
    # The sample stands for all documents, also beside the pseudo-counts of the transition.
    scale = corpus.label_weight.sum() / max(part.label_weight.sum(), 1e-300)
    best, answer = -np.inf, None
    for value in corpus.words.grid:
        strength = Strength(value, corpus.words.by_length)
        chance = softmax(strength.temper(honest[rows], part.length, log_prior), axis=1)
        trial = T
        for _ in range(_STEPS if refit_transition else 0):
            C, _ = part.label_step(chance, trial)
            trial = transition.update(C * scale, trial)
        _, labels = part.label_step(chance, trial)
        total = float(part.label_weight @ labels)
        if answer is None or total > best:
            best, answer = total, (strength, trial)
    assert answer is not None
    return answer


def honest_scores(corpus: Corpus, fit: Fit) -> np.ndarray:
    """Leave-one-out scores (n, K) of a fit."""
    return corpus.leave_one_out(fit.words, fit.R, corpus.scores(fit.words))


def log_label_probability(corpus, honest, strength: Strength, log_prior, T) -> np.ndarray:
    """Log P(labels | words) of each document (n,) from leave-one-out scores."""
    joint = strength.temper(honest, corpus.length, log_prior)
    _, labelled, unlabelled = corpus.posterior(joint, T)
    return labelled - unlabelled


class Gain(NamedTuple):
    """By how much one fit predicts the given labels better: mean of log P(label), and over its error."""

    mean: float
    z: float


def paired_gain(difference: np.ndarray, weight: np.ndarray) -> Gain:
    """Mean of a paired difference, and that over its standard error; rows of weight zero do not count."""
    on = weight > 0
    d, w = difference[on], weight[on]
    if len(d) < 2:
        return Gain(0.0, 0.0)
    mean = float(np.average(d, weights=w))
    error = np.sqrt(np.sum(w * (d - mean) ** 2)) / w.sum()  # a weight of 2 is two documents
    if error == 0:
        return Gain(mean, 0.0 if mean == 0 else float(np.sign(mean) * np.inf))
    return Gain(mean, float(mean / error))


def _mean_change(new: np.ndarray, old: np.ndarray, weight: np.ndarray) -> float:
    total = weight.sum()
    return _kernels.weighted_change(new, old, weight) / total if total > 0 else 0.0
