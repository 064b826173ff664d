"""Cox's proportional hazards: the partial likelihood, whose rows are independent given a context from all of them."""

from __future__ import annotations

import math

import numpy as np

from ._risk import hazard_of, risk_sums, row_terms
from ._special import NO_WEIGHT
from .base import Family

_TIES = ("efron", "breslow")
_NO_TIES = np.empty(0, np.intp)


class Cox(Family):
    """Hazard of a row e^η times a baseline that no parameter describes, one in each stratum.

    Parameters
    ----------
    ties : {"efron", "breslow"}, default="efron"
        How events at the same time share their risk set.
    link : {"log"} or None, default=None

    Notes
    -----
    The response of a row is (first grid point at risk, one past the last, event), on the grid of event times that
    ``with_grid`` is told of. Given the hazard's jumps (the context, from a first round) the score of a row is
    a (δ − e^η Δ) and its weight a e^η Δ, with Δ the sum of the jumps while it is at risk; ``close`` takes the
    jumps' own term off the information.

    Examples
    --------
    >>> from statkit.families import Cox
    >>> Cox(ties="breslow")
    Cox(ties='breslow')

    References
    ----------
    D. R. Cox (1972), Regression models and life-tables. B. Efron (1977), The efficiency of Cox's likelihood
    function for censored data.
    """

    name = "cox"
    solver = "partial_likelihood"
    links = ("log",)
    support = "a time and an event"
    analytic_bias = False
    centered = True

    def __init__(self, ties="efron", link=None):
        self._set(ties=ties, link=link)
        self.offsets, self.tied = np.zeros(1, np.intp), _NO_TIES

    def _set(self, **parameters):
        if parameters["ties"] not in _TIES:
            raise ValueError(f"ties must be 'efron' or 'breslow', not {parameters['ties']!r}")
        super()._set(**parameters)
        self.ties = parameters["ties"]

    def with_grid(self, offsets, tied) -> Cox:
        """The family on a grid of event times: where strata start, and which points may be tied."""
        other = Cox(**self._given)
        other.offsets = np.asarray(offsets, np.intp)
        other.tied = np.asarray(tied, np.intp) if self.ties == "efron" else _NO_TIES
        return other

    def _key(self):
        return (*super()._key(), self.offsets.tobytes(), self.tied.tobytes())

    def __reduce__(self):
        return _on_grid, (self._given, self.offsets, self.tied)

    # -- the context: from all rows --------------------------------------------------------------------------

    def context(self, block, eta, moments=True):
        """Sums of a block that make the context: of e^η, and of e^η x with ``moments``."""
        return risk_sums(block, eta, self.offsets, self.tied, moments)

    def prepare(self, sums):
        """The context of all rows' sums."""
        return hazard_of(sums, self.offsets, self.tied, self.ties == "efron")

    def close(self, out, hazard):
        """Terms of the loss and the information that are not sums over rows."""
        out["loss"] += hazard.loss
        if "information" in out:
            out["information"] = out["information"] - hazard.correction()
        if "sums" in out:
            out["sums"]["loss"] = out["loss"]
            out["sums"]["n_events"] = float(hazard.n_events)

    def row_scores(self, block, eta, hazard, tables):
        """Scores of the rows, (n, q), summing to the gradient; ``tables`` are the context's.

        A row's part in the risk sets of others counts, so that groups' scores are independent.
        """
        mean, path, own = tables
        n = len(eta)
        r, w = np.empty(n), np.empty(n)
        row_terms(
            eta,
            block.y,
            NO_WEIGHT if block.weight is None else block.weight,
            hazard[0],
            hazard[1],
            hazard[2],
            r,
            w,
        )
        a = np.ones(n) if block.weight is None else block.weight
        first, last = block.y[:, 0].astype(np.intp), block.y[:, 1].astype(np.intp)
        at_risk = last > first
        first, last = np.where(at_risk, first, 0), np.where(at_risk, last, 0)
        event = np.where(at_risk, block.y[:, 2], 0.0)
        at = np.maximum(last - 1, 0)
        with np.errstate(over="ignore", invalid="ignore"):
            rate = np.where(at_risk & (a > 0), a * np.exp(eta - hazard[0]), 0.0)
        U = block.to_dense() * r[:, None]
        U -= (a * event)[:, None] * mean[at]
        U += rate[:, None] * (path[last] - path[first])
        if own.size:
            U -= (rate * event)[:, None] * own[at]
        return U

    # -- passes over the rows --------------------------------------------------------------------------------

    def link(self, eta, y, weight, shape, context, r, w):
        shift, cumulative, own = context
        return -row_terms(eta, y, NO_WEIGHT if weight is None else weight, shift, cumulative, own, r, w)

    def sums(self, eta, y, weight, shape=None, known=None):
        return {"loss": known[0], "pearson": math.nan, "deviance": math.nan, "n_events": 0.0}

    def loglik(self, sums, scale=1.0, n=None, shape=None):
        """The log partial likelihood."""
        return -sums["loss"]

    def inverse_link(self, eta):
        """Hazard relative to the baseline."""
        return np.exp(eta)

    def null_eta(self, sum_y, sum_w):
        return 0.0

    def null_loss(self, sum_y, sum_w, shape=None):
        return math.nan

    def start(self, y, weight=None):
        return np.zeros(len(y))

    def check_response(self, y):
        """Nothing: the design has checked the times before it coded them."""
        return None


def _on_grid(given, offsets, tied):
    family = Cox(**given)
    family.offsets, family.tied = offsets, tied
    return family
