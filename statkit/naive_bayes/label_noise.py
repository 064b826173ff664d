"""Wrong labels for any classifier: make them, estimate how they arise, and rank the suspects."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import pandas as pd
from sklearn.utils import check_random_state

from statkit.naive_bayes import _kernels
from statkit.naive_bayes._issues import issue_frame, label_posterior_of
from statkit.naive_bayes._labels import MISSING, drop_minus_one, index_of, split_missing, unique_labels
from statkit.naive_bayes._transition import Transition
from statkit.naive_bayes._votes import Votes, by_label

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

    from statkit._typing import Seed


__all__ = ["estimate_transition", "inject_label_noise", "rank_label_issues"]


def inject_label_noise(
    y: ArrayLike,
    rate: float | ArrayLike | None = None,
    *,
    transition: ArrayLike | None = None,
    kind: Literal["symmetric", "pair", "class"] = "symmetric",
    random_state: Seed = None,
) -> Any:
    """Replace some labels by wrong ones, to try a method on data whose truth is known.

    Parameters
    ----------
    y : array-like of shape (n,)
        True labels: strings or numbers.
    rate : float, or array-like of shape (K,) with ``kind="class"``
        Probability that a label is replaced.
    transition : array-like of shape (K, K), default=None
        P(given | true) instead of a rate; row true, column given, classes sorted.
    kind : {"symmetric", "pair", "class"}, default="symmetric"
        Any other class, equally likely; the next class in sorted order; any other class, at the rate of the
        true class.
    random_state : int, RandomState or None, default=None

    Returns
    -------
    given : ndarray or Series of shape (n,)
        Labels of the type and with the index of ``y``.
    wrong : bool ndarray or Series of shape (n,)
        Whether a label was replaced.

    Raises
    ------
    ValueError
        If a rate is not in [0, 1], rows of the transition do not sum to 1, or there is one class only.

    Examples
    --------
    >>> from statkit.naive_bayes import inject_label_noise
    >>> given, wrong = inject_label_noise(["ham", "spam"] * 50, 0.3, random_state=0)
    >>> int(wrong.sum())
    34
    """
    values, known = drop_minus_one([split_missing(y, "y")])[0]
    if not known.all():
        raise ValueError(
            f"y is missing at position {int(np.flatnonzero(~known)[0])}: noise needs a label to replace"
        )
    classes = unique_labels(values)
    codes = np.searchsorted(classes, values)
    K, n = len(classes), len(codes)
    random_state = check_random_state(random_state)
    if (rate is None) == (transition is None):
        raise ValueError("give either a rate or a transition")
    if kind not in ("symmetric", "pair", "class"):
        raise ValueError(f'kind must be "symmetric", "pair" or "class", got {kind!r}')
    if transition is not None:
        T = _stochastic(transition, K)
        new = (random_state.random_sample(n)[:, None] > np.cumsum(T, axis=1)[codes]).sum(axis=1)
        new = np.minimum(new, K - 1)
    else:
        rates = np.asarray(rate, dtype=float)
        if not ((rates >= 0) & (rates <= 1)).all():
            raise ValueError(f"rate must be in [0, 1], got {rate}")
        if rates.shape not in (((K,), ()) if kind == "class" else ((),)):
            raise ValueError(
                f"rate has shape {rates.shape}: " + ("one a class" if kind == "class" else "one number")
            )
        if K == 1 and rates.max() > 0:
            raise ValueError(f"y has one class, {classes[0].item()!r}: there is no wrong label to give")
        flip = random_state.random_sample(n) < (rates[codes] if rates.ndim else rates)
        shift = 1 if kind == "pair" else random_state.randint(1, max(K, 2), n)
        new = np.where(flip, (codes + shift) % K, codes)
    wrong = new != codes
    if isinstance(y, pd.Series):
        given = pd.Series(classes[new], index=y.index, name=y.name).astype(y.dtype)
        return given, pd.Series(wrong, index=y.index, name="wrong")
    return classes[new], wrong


def estimate_transition(
    pred_probs: ArrayLike,
    y: ArrayLike,
    *,
    classes: ArrayLike | None = None,
    kappa: float = 10.0,
    max_iter: int = 500,
    tol: float = 1e-8,
) -> Any:
    """Estimate P(given label | true class) from out-of-sample class probabilities of any classifier.

    EM for the likelihood of the labels, with the probabilities taken as true. They must come from a model
    that did not see the label of the document, by cross-validation for instance.

    Parameters
    ----------
    pred_probs : array-like of shape (n, K)
        Probabilities of the true classes; columns in the order of ``classes``.
    y : array-like of shape (n,)
        Given labels.
    classes : array-like of shape (K,), default=None
        Classes of the columns; None: the sorted labels in ``y``.
    kappa : float, default=10.0
        Pseudo-labels a row towards one error rate for all classes.
    max_iter : int, default=500
    tol : float, default=1e-8
        Largest change of a cell at which EM stops.

    Returns
    -------
    ndarray of shape (K, K)
        Row true, column given.

    Examples
    --------
    >>> import numpy as np
    >>> from statkit.naive_bayes import estimate_transition
    >>> P = np.repeat([[0.95, 0.05], [0.05, 0.95]], 500, axis=0)
    >>> y = np.r_[np.zeros(400), np.ones(100), np.ones(500)]
    >>> estimate_transition(P, y).round(2).tolist()
    [[0.83, 0.17], [0.0, 1.0]]
    """
    P, codes, classes = _probabilities(pred_probs, y, classes)
    K = len(classes)
    votes = Votes.of_labels(codes, K)
    model = Transition("full", K, 1, float(kappa))
    T = model.start(0.2)
    gold, weight, labels = np.full(len(P), MISSING), np.ones(len(P)), np.empty(len(P))
    for _ in range(max_iter):
        C = np.zeros((1, K, K))
        _kernels.label_step(P, votes.pointer, votes.source, votes.label, by_label(T), gold, weight, C, labels)
        new = model.update(C.transpose(0, 2, 1), T)
        change = np.abs(new - T).max()
        T = new
        if change < tol:
            break
    return T[0]


def rank_label_issues(
    pred_probs: ArrayLike,
    y: ArrayLike,
    transition: ArrayLike | None = None,
    *,
    classes: ArrayLike | None = None,
) -> pd.DataFrame:
    """Rank labels by how likely they are wrong, from out-of-sample class probabilities of any classifier.

    Parameters
    ----------
    pred_probs : array-like of shape (n, K)
        Probabilities of the true classes from a model that did not see the label.
    y : array-like of shape (n,)
        Given labels; a Series lends its index to the table.
    transition : array-like of shape (K, K), default=None
        P(given | true); None: `estimate_transition`.
    classes : array-like of shape (K,), default=None
        Classes of the columns; None: the sorted labels in ``y``.

    Returns
    -------
    DataFrame
        As `MislabeledMultinomialNB.label_issues`.

    Examples
    --------
    >>> from statkit.naive_bayes import rank_label_issues
    >>> table = rank_label_issues([[0.9, 0.1], [0.2, 0.8], [0.1, 0.9]], ["a", "a", "b"])
    >>> table["rank"].tolist()
    [2, 1, 3]
    """
    P, codes, classes = _probabilities(pred_probs, y, classes)
    T = (
        estimate_transition(P, y, classes=classes)
        if transition is None
        else _stochastic(transition, len(classes))
    )
    # A classifier's 0 is a rounded number: it ranks last, but it is comparable.
    log_chance = np.log(np.maximum(P, 1e-300))
    with np.errstate(divide="ignore"):
        log_T = np.log(T)
    votes = np.where((codes >= 0)[:, None], log_T[:, codes].T, 0.0)
    return issue_frame(classes, codes, label_posterior_of(log_chance, votes), log_chance, index_of(y))


def _probabilities(pred_probs, y, classes):
    P = np.asarray(pred_probs, dtype=float)
    values, known = drop_minus_one([split_missing(y, "y")], classes)[0]
    classes = unique_labels(values) if classes is None else np.asarray(classes)
    if P.ndim != 2 or P.shape != (len(known), len(classes)):
        raise ValueError(
            f"pred_probs has shape {P.shape}: with {len(known)} labels of {len(classes)} classes it must be "
            f"({len(known)}, {len(classes)}); name the classes of the columns if y does not have them all"
        )
    wrong = ~np.isfinite(P).all(axis=1) | (P < 0).any(axis=1) | (np.abs(P.sum(axis=1) - 1.0) > 1e-4)
    if wrong.any():
        row = int(np.flatnonzero(wrong)[0])
        raise ValueError(f"row {row} of pred_probs is {P[row]}: it must hold probabilities with sum 1")
    order = np.argsort(classes)
    at = np.searchsorted(classes, values, sorter=order)
    found = order[np.minimum(at, len(classes) - 1)]
    if (classes[found] != values).any():
        first = int(np.flatnonzero(classes[found] != values)[0])
        raise ValueError(
            f"y has the label {values[first].item()!r}, which is not one of the classes "
            f"{classes.tolist()[:20]}"
        )
    codes = np.full(len(known), MISSING, dtype=np.int64)
    codes[known] = found
    return P, codes, classes


def _stochastic(transition, K: int) -> np.ndarray:
    T = np.asarray(transition, dtype=float)
    if T.shape != (K, K) or not (T >= 0).all() or np.abs(T.sum(axis=1) - 1.0).max() > 1e-6:
        raise ValueError(
            f"transition must be a ({K}, {K}) matrix of probabilities whose rows sum to 1, got {T}"
        )
    return T
