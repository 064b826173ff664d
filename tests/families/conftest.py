"""One simulated data set for every family and link."""

import numpy as np
import pytest

from statkit.families import (
    Binomial,
    Gamma,
    Gaussian,
    InverseGaussian,
    NegativeBinomial,
    Poisson,
    QuasiBinomial,
    QuasiPoisson,
    Tweedie,
)

FAMILIES = [
    *(Gaussian(link) for link in Gaussian.links),
    *(Binomial(link) for link in Binomial.links),
    *(Poisson(link) for link in Poisson.links),
    *(Gamma(link) for link in Gamma.links),
    *(InverseGaussian(link) for link in InverseGaussian.links),
    NegativeBinomial(alpha=0.7),
    Tweedie(power=1.5),
    Tweedie(power=2.6),
    QuasiBinomial("cloglog"),
    QuasiPoisson(),
]


class Case:
    """A design of three columns whose predictor stays inside the domain of the link, and a response."""

    def __init__(self, family, n=400, seed=0):
        rng = np.random.default_rng(seed)
        self.family = family
        self.X = np.column_stack([np.ones(n), rng.uniform(-1, 1, n), rng.uniform(-1, 1, n)])
        self.theta = np.array([1.5 if family.link_name not in ("logit", "probit") else 0.1, 0.4, -0.3])
        if family.link_name == "cloglog":
            self.theta[0] = -0.3
        self.eta = self.X @ self.theta
        self.weight = rng.uniform(0.3, 2.5, n)
        mu = family.inverse_link(self.eta)
        self.y = {
            "gaussian": lambda: mu + 0.2 * rng.standard_normal(n),
            "binomial": lambda: (rng.random(n) < mu).astype(float),
            "quasi_binomial": lambda: rng.binomial(5, mu) / 5.0,
            "poisson": lambda: rng.poisson(mu).astype(float),
            "quasi_poisson": lambda: rng.poisson(mu).astype(float),
            "gamma": lambda: rng.gamma(3.0, mu / 3.0),
            "inverse_gaussian": lambda: rng.wald(mu, 5.0),
            "negative_binomial": lambda: rng.poisson(mu * rng.gamma(1 / 0.7, 0.7, n)).astype(float),
            "tweedie": lambda: np.where(
                (rng.random(n) < 0.2) & (getattr(family, "power", 3) < 2), 0.0, rng.gamma(2.0, mu / 2.0)
            ),
        }[family.name]()

    def link(self, eta=None, y=None, weight=None):
        eta = self.eta if eta is None else eta
        y = self.y if y is None else y
        r, w = np.full(len(eta), np.nan), np.full(len(eta), np.nan)
        loss = self.family.link(eta, y, weight, None, None, r, w)
        return loss, r, w


@pytest.fixture(params=FAMILIES, ids=lambda f: f"{f.name}-{f.link_name}-{getattr(f, 'power', '')}".strip("-"))
def case(request):
    return Case(request.param)
