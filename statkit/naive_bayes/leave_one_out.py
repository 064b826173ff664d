"""Naive Bayes scores of every document with its own contribution removed, for the price of one fit."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from sklearn.utils import check_array
from sklearn.utils.validation import check_consistent_length

from statkit.naive_bayes._corpus import Corpus, as_counts
from statkit.naive_bayes._votes import Votes
from statkit.naive_bayes._words import word_model

if TYPE_CHECKING:
    from numpy.typing import ArrayLike


__all__ = ["leave_one_out_log_prob"]


def leave_one_out_log_prob(
    X: Any,
    R: ArrayLike,
    *,
    alpha: float = 1.0,
    distribution: Literal["multinomial", "bernoulli"] = "multinomial",
) -> Any:
    """Log probability of each document in each class under naive Bayes fitted without that document.

    This is exact n-fold cross-validation in closed form: no model is fitted again. It replaces the K-fold
    step of methods that need out-of-sample probabilities.

    Parameters
    ----------
    X : array-like or sparse matrix of shape (n, p)
        Counts (multinomial), or values whose sign above zero is presence (Bernoulli).
    R : array-like of shape (n, K)
        Weight of each document in each class: one-hot labels, posteriors, or either times sample weights.
    alpha : float, default=1.0
        Smoothing; must be positive, for a word that only one document has is new without it.
    distribution : {"multinomial", "bernoulli"}, default="multinomial"

    Returns
    -------
    ndarray of shape (n, K)
        Without the class prior and, for the multinomial, without the multinomial coefficient.

    Raises
    ------
    ValueError
        If ``alpha`` is not positive, or shapes, signs or values of the input are wrong.

    Examples
    --------
    >>> import numpy as np
    >>> from statkit.naive_bayes import leave_one_out_log_prob
    >>> X = np.array([[2, 0], [1, 1], [0, 2]])
    >>> leave_one_out_log_prob(X, np.eye(3)[[0, 0, 1]]).round(3)
    array([[-1.386, -2.773, -1.386],
           [-1.674, -1.674, -1.386],
           [-2.197, -1.386, -1.386]])
    """
    X = check_array(X, accept_sparse="csr", dtype="numeric")
    R = np.ascontiguousarray(check_array(R, dtype=np.float64, ensure_2d=True))
    check_consistent_length(X, R)
    if not alpha > 0:
        raise ValueError(
            f"alpha must be positive, got {alpha}: a word that only one document has would have no "
            f"probability "
            "once that document is left out"
        )
    if distribution not in ("multinomial", "bernoulli"):
        raise ValueError(f'distribution must be "multinomial" or "bernoulli", got {distribution!r}')
    if (R < 0).any():
        row, column = np.argwhere(R < 0)[0]
        raise ValueError(f"R[{row}, {column}] is {R[row, column]:g}: weights must not be negative")
    X = as_counts(X)
    if distribution == "bernoulli":
        X = as_counts(X > 0)
    elif X.nnz and X.data.min() < 0:
        raise ValueError("X has negative values, but counts of words are not negative")
    n, K = R.shape
    unlabelled = np.full(n, -1)
    corpus = Corpus(
        X, Votes.of_labels(unlabelled, K), unlabelled, np.ones(n), word_model(distribution, alpha)
    )
    words = corpus.fit_words(R)
    return corpus.leave_one_out(words, R, corpus.scores(words), tolerance=0.0)
