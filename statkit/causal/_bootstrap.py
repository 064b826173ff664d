"""How sure the graph is: the share of bootstrap samples in which an edge comes back."""

from __future__ import annotations

import numpy as np
from joblib import Parallel, delayed

from statkit.causal._fit import Options, fit_table
from statkit.causal.equivalence import cpdag


def bootstrap_confidence(X, weight, options: Options, n_bootstrap, saturated, seed, n_jobs):
    """Refit to resampled rows (with their holes) and count edges.

    Returns
    -------
    edge : (d, d) share of samples with the edge i → j. An edge that a sample's class leaves open counts half
        for either direction.
    skeleton : (d, d) share of samples with an edge between the two, in whatever direction.
    """
    rows = np.arange(len(X)) if weight is None else np.flatnonzero(weight > 0)
    seeds = np.random.SeedSequence(seed).spawn(n_bootstrap)
    quick = options._replace(n_starts=1)
    # Threads: the kernels release the interpreter lock, and X is not copied.
    graphs = Parallel(n_jobs=n_jobs, prefer="threads")(
        delayed(_one_sample)(X, weight, rows, quick, saturated, child) for child in seeds
    )
    marks = np.array(graphs)
    both = marks & marks.transpose(0, 2, 1)
    edge = (marks - 0.5 * both).mean(axis=0)
    skeleton = (marks | marks.transpose(0, 2, 1)).mean(axis=0)
    return edge, skeleton


def _one_sample(X, weight, rows, options, saturated, seed) -> np.ndarray:
    """Return the graph of one resample: its CPDAG if directions are not identified."""
    random = np.random.RandomState(np.random.MT19937(seed))
    for _ in range(100):  # tiny tables: a resample may leave a column without two different values
        counts = np.bincount(rows[random.randint(len(rows), size=len(rows))], minlength=len(X)).astype(float)
        used = np.flatnonzero(counts)
        part = X[used]
        seen = ~np.isnan(part)
        low = np.min(np.where(seen, part, np.inf), axis=0)
        if (low < np.max(np.where(seen, part, -np.inf), axis=0)).all():
            break
    else:
        raise ValueError(
            "bootstrap samples leave a column constant or without observed values: there are too few rows"
        )
    w = counts[used] if weight is None else counts[used] * weight[used]
    fit = fit_table(part, w, options, random, start=saturated, with_se=False)
    return cpdag(fit.adjacency, knowledge=options.knowledge) if options.model == "gaussian" else fit.adjacency
