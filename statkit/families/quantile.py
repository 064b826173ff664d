"""The check loss: the quantile of a response given its columns. It has a score but no curvature of its
own."""

import numpy as np

from .loss import LossFamily

# A residual this small relative to the response is one of a row that the fit interpolates: its sign is
# rounding.
_INTERPOLATED = 1e-9


class Quantile(LossFamily):
    """The τ-quantile, linear in the columns.

    Parameters
    ----------
    tau : float or tuple of float, default=0.5
        In (0, 1); several have a linear predictor each.
    link : {"identity"} or None, default=None

    Notes
    -----
    `link` fills the score τ − 1[y < η] and, given a bandwidth h as ``shape``, the kernel density 1[|y − η|
    < h]/(2h) in place of a Fisher weight: its weighted cross products estimate the sparsity matrix of the
    sandwich.

    References
    ----------
    R. Koenker and G. Bassett (1978), Regression quantiles.

    Examples
    --------
    >>> from statkit.families import Quantile
    >>> Quantile(0.9)
    Quantile(tau=0.9)
    """

    name = "quantile"
    curved = False
    solver = "linear_program"

    def __init__(self, tau=0.5, link=None):
        self._set(tau=tau, link=link)

    def _set(self, **parameters):
        tau = parameters["tau"]
        several = isinstance(tau, (tuple, list, np.ndarray))
        taus = tuple(tau) if several else (tau,)
        for value in taus:
            if not (isinstance(value, (int, float, np.floating)) and 0 < value < 1):
                raise ValueError(f"a quantile lies strictly between 0 and 1, got {value!r}")
        if several and (not taus or len(set(taus)) < len(taus)):
            raise ValueError(f"several quantiles must be different numbers, got {tau!r}")
        taus = tuple(map(float, taus))
        if several:  # a value can be compared and hashed
            parameters = {**parameters, "tau": taus}
        super()._set(**parameters)
        self.tau = taus if len(taus) > 1 else taus[0]

    @property
    def predictors(self):
        return len(self.tau) if isinstance(self.tau, tuple) else 1

    @property
    def members(self) -> list:
        """A family for each quantile."""
        return [Quantile(tau) for tau in self.tau] if isinstance(self.tau, tuple) else [self]

    def link(self, eta, y, weight, shape, context, r, w):
        if self.predictors > 1:
            raise ValueError("several quantiles are for the exact plan: fit them one at a time")
        e = y - eta
        e[np.abs(e) < _INTERPOLATED * (1 + np.abs(y))] = 0.0
        np.subtract(self.tau, e < 0, out=r)
        loss = r * e
        if shape is not None and len(shape):
            h = float(shape[0])
            w[:] = (np.abs(e) < h) / (2 * h)
        else:
            w[:] = 1.0
        if weight is not None:
            loss *= weight
            r *= weight
            w *= weight
        return float(loss.sum())
