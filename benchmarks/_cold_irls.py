"""Cold-start IRLS on statkit's own rounds: what the pilot of ``Exact`` saves is measured against it."""

from __future__ import annotations

import numpy as np
from scipy.special import logit

from statkit.plans import Exact
from statkit.rounds import Want
from statkit.solvers.newton import NewtonResult

__all__ = ["ColdIRLS"]


class ColdIRLS(Exact):
    """Logistic regression from μ = (y + ½) / 2, one Newton step a round, R's rule to stop."""

    def estimate(self, problem):
        first = problem.session.round(working_response)
        theta, deviance, rounds = np.linalg.solve(first["H"], first["g"]), np.inf, 1
        while True:
            e = problem.evaluate(theta, Want(sums=True))
            rounds += 1
            previous, deviance = deviance, e.sums["deviance"]
            from statkit.solvers.cholesky import Factor

            factor = Factor(e.information)
            theta = theta + factor.solve(e.gradient)
            if abs(previous - deviance) < 1e-8 * (abs(deviance) + 0.1):
                none = np.zeros(len(theta), bool)
                return self.finish(problem, NewtonResult(theta, e, factor, 0.0, True, none, []), None)


def working_response(block) -> dict:
    """Normal equations of the first step."""
    mu = (block.y + 0.5) / 2
    w = mu * (1 - mu)
    return {"H": block.sandwich(w), "g": block.transpose_matvec(w * logit(mu) + (block.y - mu))}
