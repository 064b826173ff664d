"""The report on labels: for each document how likely its label is wrong, and which is likely right."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pandas as pd
from scipy.special import log_softmax


class LabelReport(NamedTuple):
    """Training documents: index, and log probabilities of their classes with and without labels (n, K)."""

    index: pd.Index
    log_posterior: np.ndarray
    log_chance: np.ndarray


def label_posterior_of(joint: np.ndarray, label_log_likelihood: np.ndarray) -> np.ndarray:
    """Log posterior (n, K) from log joints of words and class, and log probabilities of the labels.

    Where no class can have the label, the words decide.
    """
    total = joint + label_log_likelihood
    impossible = ~np.isfinite(total).any(axis=1)
    total[impossible] = joint[impossible]
    return log_softmax(total, axis=1)


def error_probability(log_posterior: np.ndarray, given: np.ndarray) -> np.ndarray:
    """Probability that each given label is wrong; NaN where there is none.

    The sum over the other classes, which is exact also where nearly all the mass is on the given label.
    """
    known = given >= 0
    others = np.exp(log_posterior[known], dtype=float)
    others[np.arange(len(others)), given[known]] = 0.0
    out = np.full(len(given), np.nan)
    out[known] = np.clip(others.sum(axis=1), 0.0, 1.0)
    return out


def issue_frame(
    classes: np.ndarray, given: np.ndarray, log_posterior: np.ndarray, log_chance: np.ndarray, index: pd.Index
) -> pd.DataFrame:
    """The table of labels, in the order of the documents; documents without a label are left out.

    Parameters
    ----------
    classes : ndarray of shape (K,)
    given : int ndarray of shape (n,)
        Code of the given label, -1 where there is none.
    log_posterior : ndarray of shape (n, K)
        Log probabilities of the true class, given words and label.
    log_chance : ndarray of shape (n, K)
        The same without the label.
    index : Index of length n
    """
    rows = np.flatnonzero(given >= 0)
    given = given[rows]
    posterior = log_posterior[rows].astype(float)
    at = np.arange(len(rows))
    own = posterior[at, given]
    others = posterior.copy()
    others[at, given] = -np.inf
    score = others.max(axis=1) - own if len(classes) > 1 else np.full(len(rows), -np.inf)
    error = error_probability(posterior, given)
    rank = np.empty(len(rows), dtype=np.int64)
    rank[np.argsort(-score, kind="stable")] = np.arange(1, len(rows) + 1)
    return pd.DataFrame(
        {
            "given_label": classes[given],
            "predicted_label": classes[posterior.argmax(axis=1)],
            "error_proba": error,
            "self_confidence": np.exp(log_chance[rows, given], dtype=float),
            "label_score": score,
            "is_issue": error > 0.5,
            "rank": rank,
        },
        index=index[rows],
    )
