"""The seed contract: a row's random number depends on the seed, the stream and the row's number, on nothing
else.

So chunks, partitions, workers and their order cannot change which rows are drawn.
"""

from __future__ import annotations

import numpy as np

__all__ = ["bernoulli_rows", "row_uniforms", "uniforms_of_rows"]


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


# Row numbers whose draws come from one generator.
_STRETCH = 2**16


def bernoulli_rows(seed: int, stream: int, rate: float, start: int, stop: int):
    """Rows of ``start`` to ``stop − 1`` that are drawn independently with probability ``rate``.

    The gaps between drawn rows are geometric, so that only drawn rows cost time. A row's draw depends on seed,
    stream, rate and row number alone.

    Returns
    -------
    rows : ndarray of int, ascending
    u : ndarray
        A further uniform number for each, to thin them with.

    Examples
    --------
    >>> from statkit.sampling.uniforms import bernoulli_rows
    >>> bernoulli_rows(0, 0, 1.0, 5, 8)[0]
    array([5, 6, 7])
    """
    rows, uniforms = [], []
    for stretch in range(start // _STRETCH, -(-stop // _STRETCH)):
        rng = np.random.default_rng([seed, stream, SALT, stretch])
        expected = rate * _STRETCH
        reached = np.empty(0, np.int64)
        while not len(reached) or reached[-1] < _STRETCH:
            gaps = rng.geometric(rate, int(expected + 6 * np.sqrt(expected) + 16))
            gaps = np.minimum(gaps, _STRETCH + 1)  # tiny rates: the sum must not overflow
            reached = np.concatenate([reached, np.cumsum(gaps) + (reached[-1] if len(reached) else -1)])
        u = rng.random(len(reached))
        number = stretch * _STRETCH + reached
        inside = slice(*np.searchsorted(number, [max(start, stretch * _STRETCH),
                                                 min(stop, (stretch + 1) * _STRETCH)]))  # fmt: skip
        rows.append(number[inside])
        uniforms.append(u[inside])
    if not rows:
        return np.empty(0, np.int64), np.empty(0)
    return np.concatenate(rows), np.concatenate(uniforms)
