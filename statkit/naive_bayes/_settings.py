"""Parameters that need the data to be checked: matrices of transitions, starts, memory, threads."""

from __future__ import annotations

import os

import numpy as np

from statkit.naive_bayes._corpus import Corpus
from statkit.naive_bayes._start import start_from_labels
from statkit.naive_bayes._votes import Votes


def checked_transition(transition, n_classes: int, votes: Votes):
    """A name, a known row-stochastic matrix, or a mask of bool."""
    if isinstance(transition, str):
        return transition
    T = np.asarray(transition)
    if T.shape != (n_classes, n_classes):
        raise ValueError(
            f"transition has shape {T.shape}: with {n_classes} classes it is ({n_classes}, {n_classes})"
        )
    if T.dtype == bool:
        if not np.diag(T).all():
            raise ValueError("the mask in transition must allow the diagonal: a label can be right")
        return T
    T = T.astype(float)
    sums = T.sum(axis=1)
    if not np.isfinite(T).all() or (T < 0).any() or np.abs(sums - 1.0).max() > 1e-6:
        row = int(np.abs(np.nan_to_num(sums, nan=np.inf) - 1.0).argmax())
        raise ValueError(
            f"transition is not row-stochastic: row {row} is {T[row]} (sum {sums[row]:g}), but row k holds "
            f"the "
            "probabilities of every given label for documents of true class k"
        )
    impossible = np.setdiff1d(np.unique(votes.label), np.flatnonzero(T.sum(axis=0) > 0))
    if len(impossible):
        raise ValueError(
            f"by the given transition no document can have label number {impossible[0]} (column "
            f"{impossible[0]} "
            "is zero), but some documents have it"
        )
    return T


def checked_prior(prior, n_classes: int):
    """A number of pseudo-labels a row, or a matrix of them."""
    if np.ndim(prior) == 0:
        return float(prior)
    A = np.asarray(prior, dtype=float)
    if A.shape != (n_classes, n_classes) or not (A >= 0).all():
        raise ValueError(
            f"transition_prior must be a number or a ({n_classes}, {n_classes}) array of pseudo-counts, got "
            f"shape "
            f"{A.shape}" + ("" if A.shape != (n_classes, n_classes) else " with negative or missing values")
        )
    return A


def checked_init(init, corpus: Corpus):
    """A name, or posteriors (n, K) with the trusted classes put in."""
    if isinstance(init, str):
        return init
    R = np.array(init, dtype=float)
    if R.shape != (corpus.n, corpus.n_classes):
        raise ValueError(
            f"init has shape {R.shape}: it must be ({corpus.n}, {corpus.n_classes}), one row a document"
        )
    if not (R >= 0).all() or np.abs(R.sum(axis=1) - 1.0).max(initial=0.0) > 1e-6:
        raise ValueError("the rows of init must be probabilities of the classes: not negative, with sum 1")
    trusted = corpus.gold >= 0
    R[trusted] = start_from_labels(corpus)[trusted]
    return R


def check_memory(n: int, p: int, n_classes: int, n_sources: int) -> None:
    """Refuse a problem whose tables do not fit into this machine."""
    need = 8.0 * n_classes * (6 * n + 5 * p + 4.0 * n_sources * n_classes)
    have = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") if hasattr(os, "sysconf") else np.inf
    if need > have:
        raise MemoryError(
            f"{n_classes:,} classes, {n:,} documents and {p:,} words need about {need / 1e9:,.0f} GB, this "
            f"machine "
            f"has {have / 1e9:,.0f} GB: are the labels classes, or an identifier?"
        )


def n_threads(n_jobs) -> int:
    """Threads for scikit-learn's ``n_jobs``: None is one, -1 all processors."""
    if n_jobs is None:
        return 1
    if n_jobs == 0:
        raise ValueError("n_jobs must not be 0: use None for one thread, -1 for all processors")
    return n_jobs if n_jobs > 0 else max((os.cpu_count() or 1) + 1 + n_jobs, 1)
