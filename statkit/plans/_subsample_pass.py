"""The pass over the data: residuals, scores, the full gradient at the pilot, and the rows that are drawn.

A draw is a small picklable object that turns scores into kept rows; what it keeps merges in the engine's
tree.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from statkit.design.block import concatenate
from statkit.rounds.tasks import _Sums, linear_predictor, response_sums
from statkit.sampling.priority import above_next_key, largest_keys, priority_keys
from statkit.sampling.uniforms import SALT, uniforms_of_rows

__all__ = [
    "KeptRows",
    "Model",
    "PoissonDraw",
    "PriorityDraw",
    "ReplacementDraw",
    "TotalsDraw",
    "link_rows",
    "pilot_rows",
    "score_rows",
]

#: Streams of the seed contract.
PILOT_STREAM, SAMPLE_STREAM = 0, 1

_TILE = 8_192


@dataclass(frozen=True)
class Model:
    """What the worker needs to know of the model: family, coefficients, shape and the scaling of columns."""

    family: object
    theta: np.ndarray
    shape: np.ndarray
    center: np.ndarray
    scale: np.ndarray


def link_rows(block, model: Model):
    """η, r, w and the loss of rows at the model's coefficients."""
    K = model.family.predictors
    eta = linear_predictor(block.scaled(model.center, model.scale), model.theta, K)
    r = np.empty_like(eta)
    w = np.empty((len(eta), K * (K + 1) // 2)) if K > 1 else np.empty_like(eta)
    loss = model.family.link(eta, block.y, block.weight, model.shape, None, r, w)
    return eta, r, w, float(loss)


class KeptRows:
    """Rows drawn so far, in row order, with a number or two for each; at most about 2n of them when n is
    given.

    Parameters
    ----------
    keys, scores : ndarray
        Priority and mixed score of each row (other draws: inclusion probability in ``scores``).
    pieces : list of Block
    n : int or None
        Keep the n + 1 rows of largest key; None keeps all.
    """

    def __init__(self, keys, scores, pieces, n=None):
        self.keys, self.scores, self.pieces, self.n = keys, scores, pieces, n

    def merge(self, other: KeptRows) -> KeptRows:
        merged = KeptRows(
            np.concatenate([self.keys, other.keys]), np.concatenate([self.scores, other.scores]),
            self.pieces + other.pieces, self.n,
        )  # fmt: skip
        if self.n is not None and len(merged.keys) > 2 * (self.n + 1):
            merged._reduce(np.sort(largest_keys(merged.keys, self.n + 1)))
        return merged

    def _reduce(self, index):
        self.keys, self.scores = self.keys[index], self.scores[index]
        self.pieces = [concatenate(self.pieces).take(index)]

    def block(self):
        return concatenate(self.pieces)

    def priority(self) -> tuple[object, np.ndarray, float]:
        """Block, mixed scores and threshold of the ``n`` rows of largest key."""
        kept, tau = above_next_key(self.keys, self.n)
        return self.block().take(kept), self.scores[kept], tau


@dataclass(frozen=True)
class PriorityDraw:
    """Exactly ``n`` rows in one pass. ``floor`` is a key that certainly too many rows exceed: it saves
    copying."""

    seed: int
    n: int
    mixture: float
    mean: float
    floor: float = 0.0

    def mixed(self, m, weight):
        mixed = (1 - self.mixture) * m + self.mixture * self.mean
        return mixed if weight is None else np.where(weight > 0, mixed, 0.0)

    def take(self, m, part):
        m = self.mixed(m, part.weight)
        keys = priority_keys(m, uniforms_of_rows(self.seed, SAMPLE_STREAM, part.rows, len(m)))
        index = np.flatnonzero(keys > self.floor)
        return index, keys[index], m[index]

    def gather(self, block, index, keys, scores):
        if len(index) > self.n + 1:
            top = np.sort(largest_keys(keys, self.n + 1))
            index, keys, scores = index[top], keys[top], scores[top]
        return {"kept": KeptRows(keys, scores, [block.take(index)], self.n)}


@dataclass(frozen=True)
class PoissonDraw:
    """Independent draws with ``π = min(1, n ((1 − a) min(m, H) / total + a / rows))``."""

    seed: int
    n: int
    mixture: float
    level: float
    total: float
    rows: int

    def probability(self, m, weight):
        part = np.minimum(m, self.level) / self.total
        pi = np.minimum(1.0, self.n * ((1 - self.mixture) * part + self.mixture / self.rows))
        return pi if weight is None else np.where(weight > 0, pi, 0.0)

    def take(self, m, part):
        pi = self.probability(m, part.weight)
        index = np.flatnonzero(uniforms_of_rows(self.seed, SAMPLE_STREAM, part.rows, len(m)) < pi)
        return index, pi[index], pi[index]

    def gather(self, block, index, keys, scores):
        return {"kept": KeptRows(keys, scores, [block.take(index)])}


class TopScores:
    """The ``n`` largest scores and the sum of the others: what the exact threshold needs."""

    def __init__(self, n, top, rest):
        self.n, self.top, self.rest = n, top, rest

    def merge(self, other):
        return cut_scores(self.n, np.concatenate([self.top, other.top]), self.rest + other.rest)


def cut_scores(n, m, rest=0.0):
    if len(m) <= n:
        return TopScores(n, m, rest)
    ordered = np.partition(m, len(m) - n)
    return TopScores(n, ordered[len(m) - n :].copy(), rest + float(ordered[: len(m) - n].sum()))


class Totals(list):
    """(first row, sum of scores, rows of positive weight) of consecutive blocks."""

    def merge(self, other):
        return Totals([*self, *other])


@dataclass(frozen=True)
class TotalsDraw:
    """Draws nothing: finds the threshold and the totals that a draw in the next pass needs."""

    n: int

    def take(self, m, part):
        m = m if part.weight is None else m[part.weight > 0]
        return np.empty(0, np.intp), m, m

    def gather(self, block, index, keys, scores):
        first = int(block.row_numbers()[0]) if block.n_rows else -1
        return {
            "top": cut_scores(self.n, scores),
            "totals": Totals([(first, float(scores.sum()), len(scores))]),
        }


@dataclass(frozen=True)
class ReplacementDraw:
    """``n`` draws with replacement: uniform points on the cumulated probabilities of all rows in order."""

    seed: int
    n: int
    mixture: float
    total: float
    rows: int
    between: dict

    def take(self, m, part):
        p = (1 - self.mixture) * m / self.total + self.mixture / self.rows
        p = p if part.weight is None else np.where(part.weight > 0, p, 0.0)
        return np.arange(len(p)), p, p

    def gather(self, block, index, keys, p):
        points = np.sort(np.random.default_rng([self.seed, SAMPLE_STREAM, SALT]).random(self.n))
        start, stop = self.between[int(block.row_numbers()[0])] if block.n_rows else (0.0, 0.0)
        reached = start + np.cumsum(p)
        mine = points[(points >= start) & (points < stop)]
        drawn = np.minimum(np.searchsorted(reached, mine, side="right"), len(p) - 1)
        return {"kept": KeptRows(p[drawn], p[drawn], [block.take(drawn)])}


def score_rows(block, model: Model, scoring, draw, full: bool) -> dict:
    """Scores of a block and its drawn rows; with ``full`` also gradient, loss and sums at the pilot.

    Works through tiles that stay in cache, so that each row is fetched from memory once.
    """
    n, K, family = block.n_rows, model.family.predictors, model.family
    gradient = np.zeros(K * block.n_columns)
    loss, sums = 0.0, _Sums()
    index, keys, scores = [], [], []
    for start in range(0, max(n, 1), _TILE):
        part = block.take(slice(start, min(start + _TILE, n))) if n > _TILE else block
        eta, r, w, part_loss = link_rows(part, model)
        if full:
            loss += part_loss
            scaled = part.scaled(model.center, model.scale)
            columns = [r] if K == 1 else [np.ascontiguousarray(r[:, k]) for k in range(K)]
            gradient += np.concatenate([scaled.transpose_matvec(c) for c in columns])
            terms = _Sums(family.sums(eta, part.y, part.weight, model.shape, (part_loss, r, w)))
            sums = sums.merge(terms) if sums else terms
        m = scoring.scores(part, family, eta, r, w, part.y)
        taken = draw.take(m, part)
        index.append(start + taken[0])
        keys.append(taken[1])
        scores.append(taken[2])
    out = draw.gather(block, np.concatenate(index), np.concatenate(keys), np.concatenate(scores))
    out["n"] = n if block.weight is None else int(np.count_nonzero(block.weight))
    out.update(response_sums(block, K + 1))
    if full:
        out.update(gradient=gradient, loss=loss, sums=sums, coded=_coded_counts(block))
    return out


def _coded_counts(block) -> np.ndarray:
    """Rows with each coded column switched on: a sample may lack rare levels."""
    if block.codes is None:
        return np.zeros(block.n_columns)
    c = block.codes.columns
    return np.bincount(c[c >= 0].ravel(), minlength=block.n_columns).astype(float)


def pilot_rows(block, seed: int, rates, windows) -> dict:
    """Poisson draws of pilot rows, in windows of row numbers or everywhere.

    Parameters
    ----------
    rates : float or tuple of two
        Inclusion probability, or that of responses 0 and 1.
    windows : ndarray of shape (g, 2) or None
        First and last-but-one row number of each window.
    """
    u = uniforms_of_rows(seed, PILOT_STREAM, block.rows, block.n_rows)
    pi = pilot_probability(rates, block.y, block.weight)
    hit = u < pi
    if windows is not None:
        number = block.row_numbers()
        hit &= (number < windows[np.searchsorted(windows[:, 0], number, side="right") - 1, 1]) & (
            number >= windows[0, 0]
        )
    index = np.flatnonzero(hit)
    pi = np.broadcast_to(pi, len(u))[index]
    return {"kept": KeptRows(pi, pi, [block.take(index)]), "n": block.n_rows}


def pilot_probability(rates, y, weight):
    """Pilot inclusion probabilities of rows; rows of weight zero are never drawn."""
    pi = np.where(y == 1.0, rates[1], rates[0]) if isinstance(rates, tuple) else np.full(len(y), rates)
    return pi if weight is None else np.where(weight > 0, pi, 0.0)


def weighted(block, factor):
    """The block with every row's weight multiplied by ``factor``."""
    return replace(block, weight=factor if block.weight is None else factor * block.weight)
