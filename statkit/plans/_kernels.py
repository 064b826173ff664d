"""Compiled loops of the scoring pass: nothing as long as the rows is made."""

import numpy as np
from numba import njit


@njit(cache=True, nogil=True, error_model="numpy", fastmath={"contract"})
def lengths_to_scores(r, lengths):
    """Turn squared lengths of rows into scores ``|r| · length``, in place."""
    for i in range(r.shape[0]):
        lengths[i] = abs(r[i]) * np.sqrt(lengths[i])


@njit(cache=True, nogil=True)
def above_floor(scores, u, floor, index):
    """Rows with ``score > floor · u``, written to ``index``; their number."""
    count = 0
    for i in range(scores.shape[0]):
        if scores[i] > floor * u[i]:
            index[count] = i
            count += 1
    return count
