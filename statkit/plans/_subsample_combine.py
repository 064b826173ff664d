"""Estimates of several samples, joined: pilot and second sample, for parity with the literature (their union is
better), and repeated samples of one design."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from statkit.design.block import concatenate
from statkit.plans._subsample_fit import fit_rows
from statkit.solvers.cholesky import Factor

__all__ = ["combine", "mean_of_samples"]


def combine(plan, problem, pilot, drawn, options):
    """Rows, their probabilities and the joint solution of ``plan.combine``."""
    again = plan.sampling == "replacement"
    block = pilot.block.merge(drawn["block"])
    if plan.combine == "pooled":
        # Each row of either sample stands for the share of the data that its sample has of all drawn rows.
        share = pilot.block.n_rows / block.n_rows
        pi = np.concatenate([pilot.pi / share, drawn["pi"] / (1 - share)])
        return block, pi, fit_rows(problem, block, pi, pilot.theta, replacement=True, **options)
    first = fit_rows(problem, pilot.block, pilot.pi, pilot.theta, **options)
    second = fit_rows(problem, drawn["block"], drawn["pi"], pilot.theta, replacement=again, **options)
    n0, n1 = pilot.block.n_rows, drawn["block"].n_rows
    if plan.combine == "information":
        A0, A1 = n0 * first.information, n1 * second.information
    else:
        A0, A1 = (np.linalg.pinv(s.covariances()[0], hermitian=True) for s in (first, second))
    total = Factor(A0 + A1)
    theta = total.solve(A0 @ _filled(first) + A1 @ _filled(second))
    M = (n0 * first.information + n1 * second.information) / (n0 + n1)
    inverse = total.inverse()
    V = sum(inverse @ A @ s.covariances()[0] @ A @ inverse for A, s in ((A0, first), (A1, second)))
    meat = (n0 * first.meat_population + n1 * second.meat_population) / (n0 + n1)
    # On the scale of M, so that M⁻¹ (…) M⁻¹ gives the joint covariance back.
    joint = replace(
        second, theta=theta, information=M, factor=Factor(M), meat_full=M @ V @ M, meat_population=meat
    )
    share = n0 / (n0 + n1)
    return block, np.concatenate([pilot.pi / share, drawn["pi"] / (1 - share)]), joint


def mean_of_samples(problem, pilot, drawn, options):
    """Rows, their probabilities and the mean of the estimates of independent samples; its error by their spread."""
    samples = drawn["samples"]
    fits = [fit_rows(problem, block, pi, pilot.theta, **options) for block, pi in samples]
    B = len(fits)
    thetas = np.array([_filled(fit) for fit in fits])
    theta = np.where(np.isnan([fit.theta for fit in fits]).any(axis=0), np.nan, thetas.mean(axis=0))
    away = thetas - thetas.mean(axis=0)
    M = sum(fit.information for fit in fits) / B
    joint = replace(
        fits[0], theta=theta, information=M, factor=Factor(M),
        meat_full=M @ (away.T @ away / (B * (B - 1))) @ M,
        meat_population=sum(fit.meat_population for fit in fits) / B,
    )  # fmt: skip
    return concatenate([block for block, _ in samples]), B * np.concatenate([pi for _, pi in samples]), joint


def _filled(solution):
    return np.where(np.isnan(solution.theta), 0.0, solution.theta)
