"""Standard errors by the weighted bootstrap: every replicate gives the documents exponential weights."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from statkit.naive_bayes._corpus import Corpus
from statkit.naive_bayes._fit import plain_em, tempered_em
from statkit.naive_bayes._louis import RateErrors, pooled_transition
from statkit.naive_bayes._solve import Solution, replace_transition

_REPLICATES = 100
#: Iterations of a replicate of the plain fit, which starts at its solution.
_WARM = 20


def bootstrap_errors(
    corpus: Corpus, solution: Solution, random_state: np.random.RandomState, n_replicates: int = _REPLICATES
) -> RateErrors:
    """Standard deviations of transitions and noise rate over replicates.

    The plain fit goes on from its solution. The tempered fit is not a fixed point: where its guard stopped it
    is part of the estimate, so a replicate makes the same number of iterations from the same start, with the
    same strength.
    """
    transitions, together, rates = [], [], []
    fit = solution.fit
    for _ in range(n_replicates):
        again = corpus.reweighted(corpus.weight * random_state.standard_exponential(corpus.n))
        model = replace_transition(solution.transition)
        if fit.plain:
            new = plain_em(again, replace(fit, words=again.fit_words(fit.R)), model, _WARM, 1e-4)
        else:
            start = replace(solution.start, strength=fit.strength, words=again.fit_words(solution.start.R))
            new = tempered_em(again, start, model, max(fit.n_iter, 1), 1e-4, choose=False, guard=False)
        prior = np.exp(new.log_prior)
        pooled = pooled_transition(again, new.R, new.T)
        transitions.append(new.T)
        together.append(pooled)
        rates.append(prior @ (1.0 - np.diag(pooled)))
    return RateErrors(
        np.std(transitions, axis=0, ddof=1), np.std(together, axis=0, ddof=1), float(np.std(rates, ddof=1))
    )
