"""The seed contract: a row's random number depends on the seed, the stream and the row's number, on nothing
else.

So chunks, partitions, workers and their order cannot change which rows are drawn.
"""

from __future__ import annotations

import numpy as np

__all__ = ["row_uniforms", "uniforms_of_rows"]


#: Seed sequences are padded with zeros, so that [seed, 0] alone would be ``default_rng(seed)``: a
#: simulation and the sample from it, both with seed 0, would then use the same numbers.
SALT = 0x7374_6174


def row_uniforms(seed: int, stream: int, start: int, stop: int) -> np.ndarray:
    """Uniform numbers of rows ``start`` to ``stop − 1``.

    Row i of a stream has the i-th double of ``PCG64(SeedSequence([seed, stream, SALT]))``, which is reached
    by a jump: any range of rows costs the same.

    Parameters
    ----------
    seed : int >= 0
    stream : int >= 0
        Independent purposes have streams of their own (0 pilot, 1 second stage).
    start, stop : int
        Row numbers.

    Returns
    -------
    u : ndarray of shape (stop − start,)
        In [0, 1).

    Examples
    --------
    >>> from statkit.sampling import row_uniforms
    >>> bool((row_uniforms(0, 1, 0, 10)[4:] == row_uniforms(0, 1, 4, 10)).all())
    True

    References
    ----------
    M. E. O'Neill (2014), PCG: A Family of Simple Fast Space-Efficient Statistically Good Algorithms for
    Random Number Generation.
    """
    if not 0 <= start <= stop:
        raise ValueError(f"rows {start} to {stop} are not a range of row numbers")
    generator = np.random.PCG64(np.random.SeedSequence([seed, stream, SALT]))
    generator.advance(int(start))
    return np.random.Generator(generator).random(int(stop - start))


def uniforms_of_rows(seed: int, stream: int, rows: int | np.ndarray, n: int) -> np.ndarray:
    """Uniforms of a block's ``n`` rows, given its first row number or all of them in ascending order."""
    if not isinstance(rows, np.ndarray):
        return row_uniforms(seed, stream, rows, rows + n)
    if n == 0:
        return np.empty(0)
    first = int(rows[0])
    return row_uniforms(seed, stream, first, int(rows[-1]) + 1)[rows - first]
