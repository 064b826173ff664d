"""The estimate that a state of a descent stands for."""

from __future__ import annotations

import numpy as np

from statkit.plans import _sgd_kernels as k

__all__ = ["theta_now"]


def theta_now(state, plan) -> np.ndarray:
    """The estimate of a state without rows that wait."""
    chains = state.chains
    if state.drift is not None:
        mean = np.empty(len(state.drift))
        memory = state.memory
        k.settle(
            chains.b[0], state.drift, state.last, int(chains.counts[0, 1]), memory.matrix, memory.vector,
            memory.mode == k.SCALING_DIAGONAL, mean,
        )  # fmt: skip
        chains.mean[0] = mean
        return mean.copy()
    if state.tree is not None and state.tree.current == len(state.tree.parent) - 1:
        return state.tree.threads()[0].mean(axis=0)
    if state.inference.name == "hulc":
        return chains.mean.mean(axis=0)
    return (chains.mean if plan.average else chains.b)[0].copy()
