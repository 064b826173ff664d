"""From linear predictors to what is reported of a row: means with their first and second derivatives.

Effects and predictions are averages of a row's means μ_c, or of their derivatives in a variable; their standard errors
need the derivatives of both in the parameters. Every kind of model states here: its means, ∂μ_c/∂η_k, and the
derivative of Σ_k ∂μ_c/∂η_k v_k in η; where thresholds are parameters too, the same in these.
"""

from __future__ import annotations

import copy

import numpy as np

__all__ = ["means_of"]


def means_of(model, scale: str):
    """The means that a fitted model reports on a scale.

    Parameters
    ----------
    model : RegressionBase
        Fitted.
    scale : {"response", "link"}
    """
    family = model._fitted_family
    if scale not in ("response", "link"):
        raise ValueError(f"scale must be 'response' or 'link', not {scale!r}")
    if family.context is not None:
        raise ValueError(
            f"{type(model).__name__} has no mean: its effects are hazard ratios, the exponentials of the "
            "coefficients; survival functions with intervals are given by predict_survival"
        )
    classes = vars(model).get("classes_")
    if family.n_thresholds:
        return Latent([""]) if scale == "link" else Ordered(family, list(classes))
    if family.solver == "linear_program":
        taus = np.atleast_1d(np.asarray(family.tau, dtype=float))
        return Latent([""] if len(taus) == 1 else [float(tau) for tau in taus], "quantile")
    if family.predictors > 1:
        return Latent(list(classes[1:])) if scale == "link" else Softmax(list(classes))
    if scale == "link":
        return Latent([""])
    if hasattr(family, "_given") and callable(family._given.get("inverse_link")):
        raise ValueError(
            "the derivative of the family's inverse link is not known: scale='link' does not need it"
        )
    return Mean(family)


class _Means:
    """Means of models without thresholds; ``at`` gives those of some rows.

    Attributes
    ----------
    labels : list
        Of the means; ``[""]`` for a single one.
    column : str
        What the labels are.
    probability : bool
        Whether the means lie between 0 and 1.
    """

    labels: list = [""]
    column = "class"
    probability = False

    def at(self, eta, thresholds):
        """These means at linear predictors (n, K)."""
        there = copy.copy(self)
        there._prepare(eta, thresholds)
        return there

    def _prepare(self, eta, thresholds):
        self.eta = eta

    def first_cuts(self, c):
        return None

    def second_cuts(self, c, v):
        return None


class Latent(_Means):
    """The linear predictors themselves."""

    def __init__(self, labels: list, column: str = "class"):
        self.labels, self.column = labels, column

    def value(self, c):
        return self.eta[:, c]

    def first(self, c):
        return np.broadcast_to(np.eye(self.eta.shape[1])[c], self.eta.shape)

    def second(self, c, v):
        return np.zeros(self.eta.shape)


class Mean(_Means):
    """One mean, a function of one predictor."""

    def __init__(self, family):
        self.family = family
        self.probability = family.name.removeprefix("quasi_") == "binomial"

    def _prepare(self, eta, thresholds):
        self.eta = eta[:, 0]

    def value(self, c):
        return self.family.inverse_link(self.eta)

    def first(self, c):
        with np.errstate(all="ignore"):
            return np.asarray(self.family.dmu(self.eta), dtype=np.float64)[:, None]

    def second(self, c, v):
        first = self.first(c)[:, 0]
        with np.errstate(all="ignore"):
            curvature = np.where(first == 0.0, 0.0, first * self.family.dmu_ratio(self.eta))
        return (curvature * v[:, 0])[:, None]


class Softmax(_Means):
    """Probabilities of classes from log-odds against the first."""

    probability = True

    def __init__(self, labels):
        self.labels = labels

    def _prepare(self, eta, thresholds):
        from scipy.special import softmax

        self.p = softmax(np.column_stack([np.zeros(len(eta)), eta]), axis=1)

    def value(self, c):
        return self.p[:, c]

    def first(self, c):
        p = self.p
        out = -p[:, [c]] * p[:, 1:]
        if c:
            out[:, c - 1] += p[:, c]
        return out

    def second(self, c, v):
        p = self.p
        mean = np.einsum("nk,nk->n", p[:, 1:], v)
        own = (v[:, c - 1] if c else 0.0) - mean
        # ∂/∂η_k of p_c (v_c − Σ p_j v_j)
        return self.first(c) * own[:, None] - p[:, [c]] * p[:, 1:] * (v - mean[:, None])


class Ordered(_Means):
    """Probabilities of classes in order: F(t_c − η) − F(t_{c−1} − η)."""

    probability = True

    def __init__(self, family, labels):
        self.family, self.labels = family, labels

    def _prepare(self, eta, thresholds):
        self.cut = np.asarray(thresholds)[None, :] - eta

    def _cdf(self, j):
        """F, f and f' at the j-th threshold; constants below the first and above the last."""
        n, m = self.cut.shape
        if j < 0 or j >= m:
            return np.full(n, float(j >= m)), np.zeros(n), np.zeros(n)
        from scipy.special import expit, ndtr

        u = self.cut[:, j]
        if self.family.link_name == "logit":
            F, e = expit(u), np.exp(-np.abs(u))
            f = e / np.square(1.0 + e)
            return F, f, -f * np.tanh(0.5 * u)
        f = np.exp(-0.5 * u * u) / np.sqrt(2 * np.pi)
        return ndtr(u), f, -u * f

    def value(self, c):
        return self._cdf(c)[0] - self._cdf(c - 1)[0]

    def first(self, c):
        return (self._cdf(c - 1)[1] - self._cdf(c)[1])[:, None]

    def second(self, c, v):
        return ((self._cdf(c)[2] - self._cdf(c - 1)[2]) * v[:, 0])[:, None]

    def first_cuts(self, c):
        return self._cuts(c, self._cdf(c)[1], -self._cdf(c - 1)[1])

    def second_cuts(self, c, v):
        return self._cuts(c, -self._cdf(c)[2] * v[:, 0], self._cdf(c - 1)[2] * v[:, 0])

    def _cuts(self, c, upper, lower):
        out = np.zeros(self.cut.shape)
        if c < out.shape[1]:
            out[:, c] = upper
        if c:
            out[:, c - 1] = lower
        return out
