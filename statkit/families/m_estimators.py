"""Estimators defined by a loss alone: Huber's, expectiles, and any that a user writes down."""

from __future__ import annotations

import math

import numpy as np

from .loss import LossFamily

__all__ = ["Expectile", "Huber", "MEstimator"]

#: Share of rows with curvature below which a loss has no useful information.
_FEW_INSIDE = 0.1


class MEstimator(LossFamily):
    """A loss of each row's predictor and response, with its derivatives; nothing is assumed of a likelihood.

    Parameters
    ----------
    loss, score, weight : callable
        Functions of ``(eta, y)``, arrays of shape (n,), that give arrays of shape (n,): the loss to minimise, minus
        its derivative in ``eta``, and its second derivative or a nonnegative stand-in. They must be functions of a
        module (not lambdas) for engines of other processes, and may be compiled by numba.
    inverse_link : callable or None, default=None
        Prediction from ``eta``; None is ``eta`` itself.
    name : str, default="m_estimator"
        For tables.
    link : {"identity"} or None, default=None
        The loss is a function of ``eta`` itself; see ``inverse_link``.

    Notes
    -----
    Errors are sandwiches whatever ``cov_type``: "nonrobust" means "HC1" here. The bread is the sum of ``weight``: a
    stand-in that is not the mean of the second derivative gives the right estimate and wrong errors (``OneShot``
    compares machines instead, "between"). Every plan serves that needs no formula of the
    bias; ``OneShot(bias_correction="jackknife")`` corrects it without one.

    Examples
    --------
    The log of the hyperbolic cosine of the residual:

    >>> import numpy as np
    >>> from statkit.families import MEstimator
    >>> from statkit.regression import GLMRegressor
    >>> def loss(eta, y):
    ...     return np.logaddexp(y - eta, eta - y)
    >>> def score(eta, y):
    ...     return np.tanh(y - eta)
    >>> def weight(eta, y):
    ...     return 1 - np.tanh(y - eta) ** 2
    >>> rng = np.random.default_rng(0)
    >>> X = rng.normal(size=(200, 1))
    >>> y = 2 * X[:, 0] + rng.standard_t(3, size=200)
    >>> fit = GLMRegressor(MEstimator(loss, score, weight)).fit(X, y)
    >>> fit.coef_.round(2), fit.estimate_.bse.round(2).tolist()
    (array([2.09]), [0.09, 0.1])

    References
    ----------
    P. J. Huber (1967), The behavior of maximum likelihood estimates under nonstandard conditions.
    """

    name = "m_estimator"
    dispersion = "pearson"
    likelihood = False
    analytic_bias = False

    def __init__(self, loss, score, weight, inverse_link=None, name="m_estimator", link=None):
        self._set(loss=loss, score=score, weight=weight, inverse_link=inverse_link, name=name, link=link)

    def _set(self, **parameters):
        for role in ("loss", "score", "weight"):
            if not callable(parameters[role]):
                raise TypeError(
                    f"MEstimator({role}=…) must be a function of (eta, y), not {parameters[role]!r}"
                )
        inverse = parameters["inverse_link"]
        if inverse is not None and not callable(inverse):
            raise TypeError(f"MEstimator(inverse_link=…) must be a function of eta, not {inverse!r}")
        super()._set(**parameters)
        self.name = str(parameters["name"])

    def link(self, eta, y, weight, shape, context, r, w):
        given = self._given
        loss = np.asarray(given["loss"](eta, y), dtype=float)
        for role, out in (("score", r), ("weight", w)):
            values = np.asarray(given[role](eta, y), dtype=float)
            if values.shape != eta.shape:
                raise ValueError(f"{role} of {self.name} gave the shape {values.shape} for {eta.shape} rows")
            out[:] = values
        if len(w) and w.min() < 0:
            raise ValueError(
                f"weight of {self.name} is negative: give a nonnegative stand-in for the curvature"
            )
        if np.count_nonzero(w) < _FEW_INSIDE * len(w):
            np.maximum(w, np.abs(r), out=w)  # far from the optimum: any positive curvature leads downhill
        if weight is not None:
            loss = loss * weight
            r *= weight
            w *= weight
        return float(loss.sum())

    def pearson(self, r, w):
        """Mean squared score over mean curvature, times the rows: the unit of the stopping rule."""
        total = w.sum()
        return float(len(r) * (r @ r) / total) if total > 0 else math.nan

    def inverse_link(self, eta):
        inverse = self._given.get("inverse_link")
        return eta if inverse is None else inverse(eta)

    def _sums_of(self, eta, y, weight, shape, loss, r, w):
        return {"loss": loss, "pearson": math.nan, "deviance": 2.0 * loss}

    def null_eta(self, sum_y, sum_w):
        """A start: zero where the predictor is not a mean."""
        return sum_y / sum_w if self._given.get("inverse_link") is None else 0.0

    def start(self, y, weight=None):
        return np.array(y, dtype=float)


class Expectile(MEstimator):
    """The τ-expectile, linear in the columns: asymmetric least squares, least squares at τ = ½.

    Parameters
    ----------
    tau : float, default=0.5
        In (0, 1): weight of the squares above the fit, against 1 − τ below.
    link : {"identity"} or None, default=None

    Examples
    --------
    >>> import numpy as np
    >>> from statkit.families import Expectile
    >>> from statkit.regression import GLMRegressor
    >>> fit = GLMRegressor(Expectile(0.9)).fit([[0], [1], [0], [1]], [0.0, 0.0, 1.0, 3.0])
    >>> round(fit.intercept_, 4), fit.coef_.round(4)
    (0.9, array([1.8]))

    References
    ----------
    W. K. Newey and J. L. Powell (1987), Asymmetric least squares estimation and testing.
    """

    name = "expectile"

    def __init__(self, tau=0.5, link=None):
        self._set(tau=tau, link=link)

    def _set(self, **parameters):
        tau = parameters["tau"]
        if not (isinstance(tau, (int, float, np.floating)) and 0 < tau < 1):
            raise ValueError(f"tau of Expectile lies strictly between 0 and 1, got {tau!r}")
        LossFamily._set(self, **parameters)
        self.tau = float(tau)

    def link(self, eta, y, weight, shape, context, r, w):
        np.subtract(y, eta, out=r)
        w[:] = np.where(r < 0, 2 * (1 - self.tau), 2 * self.tau)
        if weight is not None:
            w *= weight
        loss = 0.5 * float(w @ (r * r))
        r *= w
        return loss

    def pearson(self, r, w):
        """Weighted squares of the residuals."""
        return float(np.divide(r * r, w, out=np.zeros_like(r), where=w > 0).sum())

    def _sums_of(self, eta, y, weight, shape, loss, r, w):
        return {"loss": loss, "pearson": self.pearson(r, w), "deviance": 2.0 * loss}


class Huber(MEstimator):
    """Huber's regression: squares for residuals up to k standard deviations, absolute values beyond.

    Parameters
    ----------
    k : float, default=1.345
        Where the loss turns linear, in units of the scale; the default is 95 % efficient for normal errors.
    scale : float or None, default=None
        Standard deviation of the normal part; None is estimated with the coefficients by Huber's second proposal,
        and is then found in ``estimate_.shape["sigma"]``.
    link : {"identity"} or None, default=None

    Examples
    --------
    >>> import numpy as np
    >>> from statkit.families import Huber
    >>> from statkit.regression import GLMRegressor
    >>> X = np.arange(20.0)[:, None]
    >>> y = 3 * X[:, 0] + np.tile([-1.0, 1.0], 10)
    >>> y[-1] = 1_000
    >>> GLMRegressor(Huber()).fit(X, y).coef_.round(2)
    array([3.03])

    References
    ----------
    P. J. Huber (1981), Robust Statistics, chapters 6 and 7.
    """

    name = "huber"
    dispersion = "known"
    shape_name = "sigma"
    shape_guess = math.inf

    def __init__(self, k=1.345, scale=None, link=None):
        self._set(k=k, scale=scale, link=link)

    def _set(self, **parameters):
        for name in ("k", "scale"):
            value = parameters[name]
            if not (value is None and name == "scale") and not (
                isinstance(value, (int, float, np.number)) and value > 0
            ):
                raise ValueError(f"{name} of Huber has to be a positive number, got {value!r}")
        LossFamily._set(self, **parameters)
        self.k = float(parameters["k"])
        self.scale = None if parameters["scale"] is None else float(parameters["scale"])

    @property
    def n_shape(self):
        return int(self.scale is None)

    def _sigma(self, shape):
        if self.scale is not None:
            return self.scale
        if shape is None or not len(np.atleast_1d(shape)):
            raise ValueError("the scale of Huber(scale=None) is to be estimated: give its value as shape")
        return float(np.reshape(shape, -1)[0])

    def link(self, eta, y, weight, shape, context, r, w):
        sigma = self._sigma(shape)
        if math.isinf(sigma):  # least squares, before there is a scale
            np.subtract(y, eta, out=r)
            w[:] = 1.0
            loss = 0.5 * r * r
        else:
            z = (y - eta) / sigma
            inside = np.abs(z) <= self.k
            np.clip(z, -self.k, self.k, out=r)
            loss = r * (z - 0.5 * r)
            r /= sigma
            if np.count_nonzero(inside) < _FEW_INSIDE * len(z):
                # Far from the optimum hardly a row has curvature: its secant's leads downhill from anywhere.
                inside = self.k / np.maximum(np.abs(z), self.k)
            np.divide(inside, sigma**2, out=w)
        if weight is not None:
            loss *= weight
            r *= weight
            w *= weight
        return float(loss.sum())

    # -- the scale: Huber's second proposal --------------------------------------------------------------

    @property
    def _consistency(self):
        """E min(Z², k²) of a standard normal Z."""
        k = self.k
        inside = math.erf(k / math.sqrt(2))
        return inside + k * k * (1 - inside) - 2 * k * math.exp(-0.5 * k * k) / math.sqrt(2 * math.pi)

    def shape_sums(self, eta, y, weight, sigma):
        """Sums over the rows that a Newton step for log σ needs."""
        e = y - eta
        a = np.ones_like(e) if weight is None else weight
        if math.isinf(sigma):
            return {"weight": float(a.sum()), "square": float(a @ (e * e)), "mass": 0.0, "inside": 0.0}
        z2 = np.square(e / sigma)
        within = z2 <= self.k**2
        return {
            "weight": float(a.sum()), "square": float(a @ (e * e)),
            "mass": float(a @ np.minimum(z2, self.k**2)), "inside": float(a @ np.where(within, z2, 0.0)),
        }  # fmt: skip

    def shape_start(self, sums):
        """Root mean square of the residuals."""
        return math.sqrt(sums["square"] / sums["weight"]) or 1e-300

    def shape_step(self, sigma, sums):
        """Next σ: a bounded Newton step on log σ; the equation has ``weight − rank`` degrees of freedom."""
        excess = sums["mass"] - max(sums["weight"] - sums["rank"], 1e-300) * self._consistency
        step = excess / (2 * sums["inside"]) if sums["inside"] > 0 else math.copysign(0.7, excess)
        sums["information"] = 2 * sums["inside"]
        return sigma * math.exp(min(max(step, -0.7), 0.7))
