"""Stepwise EM: sufficient statistics per document, moved a little by every batch.

Source: O. Cappé and E. Moulines (2009), On-line expectation-maximization algorithm for latent data models.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.special import softmax

from statkit.naive_bayes._corpus import Corpus, Strength
from statkit.naive_bayes._fit import Fit, choose_strength
from statkit.naive_bayes._solve import Options, transition_model
from statkit.naive_bayes._start import start_from_labels

#: The weight of batch t is (t + 2) ** -0.6.
_DELAY, _DECAY = 2.0, 0.6


@dataclass(frozen=True)
class OnlineState:
    """Averages a unit of weight of ``totals`` (K,), ``counts`` (p, K) and ``labels`` (source, class, label).

    ``weight`` is the sum of weights seen; ``predictability`` the running mean of log P(labels | words) under
    each strength of the grid, always judged before the batch is learned from.
    """

    totals: np.ndarray
    counts: np.ndarray
    labels: np.ndarray
    transition: np.ndarray
    predictability: np.ndarray
    weight: float
    n_batches: int

    @classmethod
    def of_model(cls, model, corpus: Corpus) -> OnlineState:
        """Go on from a fitted model, whose documents count as so many batches of the size of this one."""
        weight = float(model.class_count_.sum())
        return cls(
            model.class_count_ / weight,
            np.ascontiguousarray(model.feature_count_.T) / weight,
            model.class_count_[:, None] * model._transitions / weight,
            model._transitions,
            np.where(np.equal(corpus.words.grid, model._strength.value), 0.0, -1.0),
            weight,
            max(int(weight / corpus.weight.sum()), 1),
        )


def online_step(state: OnlineState | None, corpus: Corpus, options: Options) -> tuple[OnlineState, Fit]:
    """Learn from a batch; the state that is given stays as it is."""
    transition = transition_model(corpus, options, options.transition)
    batch = float(corpus.weight.sum())
    grid = [Strength(value, corpus.words.by_length) for value in corpus.words.grid]
    if state is None:
        R = start_from_labels(corpus)
        words = corpus.fit_words(R)
        T = transition.start(options.transition_init)
        # Labels that are wrong at the assumed rate, and those of trusted documents, make the table to begin with.
        trusted = (corpus.gold >= 0)[:, None]
        assumed = corpus.label_counts(np.where(trusted, 0.0, R)).sum(axis=2, keepdims=True) * T
        state = OnlineState(
            words.totals / batch,
            words.counts / batch,
            (assumed + corpus.label_counts(np.where(trusted, R, 0.0))) / batch,
            T,
            np.zeros(len(grid)),
            batch,
            1,
        )
        log_prior = corpus.log_class_prior(words.totals)
        strength = _fixed(options, corpus)
        if strength is None:
            honest = corpus.leave_one_out(words, R, corpus.scores(words))
            strength, _ = choose_strength(corpus, honest, log_prior, T, transition)
        return state, Fit(R, words, log_prior, T, strength, 1)
    words = corpus.words_of(state.totals * state.weight, state.counts * state.weight)
    log_prior = corpus.log_class_prior(words.totals)
    scores = corpus.scores(words)
    step = (state.n_batches + _DELAY) ** -_DECAY
    predictability = state.predictability
    strength = _fixed(options, corpus)
    if strength is None:
        chances = [softmax(s.temper(scores, corpus.length, log_prior), axis=1) for s in grid]
        labels = [corpus.label_step(chance, state.transition)[1] for chance in chances]
        mean = np.array([float(corpus.label_weight @ x) for x in labels]) / max(
            corpus.label_weight.sum(), 1e-300
        )
        predictability = (1.0 - step) * predictability + step * mean
        strength = grid[int(predictability.argmax())]
    R, _, _ = corpus.posterior(strength.temper(scores, corpus.length, log_prior), state.transition)
    new = corpus.fit_words(R)

    def blend(old, now):
        return (1.0 - step) * old + step * now / batch

    weight = state.weight + batch
    C = blend(state.labels, corpus.label_counts(R))
    T = transition.update(C * weight, state.transition)
    totals, counts = blend(state.totals, new.totals), blend(state.counts, new.counts)
    words = corpus.words_of(totals * weight, counts * weight)
    state = OnlineState(totals, counts, C, T, predictability, weight, state.n_batches + 1)
    return state, Fit(R, words, corpus.log_class_prior(words.totals), T, strength, state.n_batches)


def _fixed(options: Options, corpus: Corpus) -> Strength | None:
    if options.power == "auto":
        return None
    return (
        Strength(np.inf, True)
        if options.power == 1.0 and corpus.words.by_length
        else Strength(float(options.power))
    )
