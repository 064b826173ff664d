"""The pass over the data: residuals, scores, the full gradient at the pilot, and the rows that are drawn.

A draw is a small picklable object that turns scores into kept rows; what it keeps merges in the engine's
tree.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from statkit.design.block import concatenate
from statkit.plans._kernels import above_floor, lengths_to_scores
from statkit.rounds.tasks import _Sums, linear_predictor, response_sums
from statkit.sampling.priority import above_next_key, largest_keys, priority_keys
from statkit.sampling.uniforms import SALT, bernoulli_rows, uniforms_of_rows

__all__ = [
    "KeptRows",
    "Model",
    "PilotRates",
    "PoissonDraw",
    "PriorityDraw",
    "RepeatedDraw",
    "ReplacementDraw",
    "TotalsDraw",
    "link_rows",
    "pilot_rows",
    "rare_columns",
    "require_finite",
    "score_rows",
]

#: Streams of the seed contract.
PILOT_STREAM, SAMPLE_STREAM = 0, 1

# Rows whose η, residuals and scores are held at a time.
_STRETCH = 32_768
# Numbers in the dense part of a tile: it stays in the second-level cache while it is used twice.
_TILE_NUMBERS = 81_920


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
    stream: int = SAMPLE_STREAM

    def uniforms(self, block):
        return uniforms_of_rows(self.seed, self.stream, block.rows, block.n_rows)

    def mixed(self, m, weight):
        mixed = (1 - self.mixture) * m
        mixed += self.mixture * self.mean
        return mixed if weight is None else np.where(weight > 0, mixed, 0.0)

    def take(self, m, part, u):
        return self.reaching(self.mixed(m, part.weight), u)

    def reaching(self, m, u):
        """Rows whose key is above the floor, their keys and their mixed scores."""
        index = np.empty(len(m), np.intp)
        index = index[: above_floor(m, u, self.floor, index)]
        return index, priority_keys(m[index], u[index]), m[index]

    def gather(self, block, taken):
        index, keys, scores = _joined(taken)
        if len(index) > self.n + 1:
            top = np.sort(largest_keys(keys, self.n + 1))
            index, keys, scores = index[top], keys[top], scores[top]
        return {"kept": KeptRows(keys, scores, [block.take(index)], self.n)}


class KeptLists(list):
    """Rows of several draws, mergeable."""

    def merge(self, other):
        return KeptLists(mine.merge(theirs) for mine, theirs in zip(self, other, strict=True))


@dataclass(frozen=True)
class RepeatedDraw:
    """Several priority draws in one pass, each from a stream of its own."""

    draws: tuple

    def uniforms(self, block):
        return np.array([draw.uniforms(block) for draw in self.draws])

    def take(self, m, part, u):
        return [draw.take(m, part, row) for draw, row in zip(self.draws, u, strict=True)]

    def gather(self, block, taken):
        kept = KeptLists()
        for k, draw in enumerate(self.draws):
            kept.append(draw.gather(block, [(start, each[k]) for start, each in taken])["kept"])
        return {"kept": kept}


def _joined(taken):
    """Index, keys and scores of stretches that start at row numbers of the block."""
    index = np.concatenate([start + rows for start, (rows, _, _) in taken])
    return index, *(np.concatenate([part[k] for _, part in taken]) for k in (1, 2))


@dataclass(frozen=True)
class PoissonDraw:
    """Independent draws with ``π = min(1, n ((1 − a) min(m, H) / total + a / rows))``."""

    seed: int
    n: int
    mixture: float
    level: float
    total: float
    rows: int

    def uniforms(self, block):
        return uniforms_of_rows(self.seed, SAMPLE_STREAM, block.rows, block.n_rows)

    def probability(self, m, weight):
        part = np.minimum(m, self.level) / self.total
        pi = np.minimum(1.0, self.n * ((1 - self.mixture) * part + self.mixture / self.rows))
        return pi if weight is None else np.where(weight > 0, pi, 0.0)

    def take(self, m, part, u):
        pi = self.probability(m, part.weight)
        index = np.flatnonzero(u < pi)
        return index, pi[index], pi[index]

    def gather(self, block, taken):
        index, keys, scores = _joined(taken)
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

    def uniforms(self, block):
        return np.empty(0)

    def take(self, m, part, u):
        m = m if part.weight is None else m[part.weight > 0]
        return np.empty(0, np.intp), m, m

    def gather(self, block, taken):
        scores = _joined(taken)[2]
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

    def uniforms(self, block):
        return np.empty(0)

    def take(self, m, part, u):
        p = (1 - self.mixture) * m / self.total + self.mixture / self.rows
        p = p if part.weight is None else np.where(part.weight > 0, p, 0.0)
        return np.arange(len(p)), p, p

    def gather(self, block, taken):
        p = _joined(taken)[2]
        points = np.sort(np.random.default_rng([self.seed, SAMPLE_STREAM, SALT]).random(self.n))
        start, stop = self.between[int(block.row_numbers()[0])] if block.n_rows else (0.0, 0.0)
        reached = start + np.cumsum(p)
        mine = points[(points >= start) & (points < stop)]
        drawn = np.minimum(np.searchsorted(reached, mine, side="right"), len(p) - 1)
        return {"kept": KeptRows(p[drawn], p[drawn], [block.take(drawn)])}


def score_rows(block, model: Model, scoring, draw, full: bool) -> dict:
    """Scores of a block and its drawn rows; with ``full`` also gradient, loss and sums at the pilot.

    Works through stretches whose η, scores and weights stay in cache.
    """
    n, family = block.n_rows, model.family
    # Scores of |r| times the length of scaled columns: one sweep gives η and length.
    simple = family.predictors == 1 and scoring.squares is not None
    swept = _swept if simple else _product
    u = draw.uniforms(block)
    gradient = np.zeros(family.predictors * block.n_columns)
    loss, sums = 0.0, _Sums()
    taken = []
    for start in range(0, max(n, 1), _STRETCH):
        part = block.take(slice(start, min(start + _STRETCH, n))) if n > _STRETCH else block
        eta, r, w, part_loss, m = swept(part, model, scoring, gradient if full else None)
        if full:
            loss += part_loss
            terms = _Sums(family.sums(eta, part.y, part.weight, model.shape, (part_loss, r, w)))
            sums = sums.merge(terms) if sums else terms
        taken.append((start, draw.take(m, part, u[..., start : start + len(m)])))
    out = draw.gather(block, taken)
    out["n"] = n if block.weight is None else int(np.count_nonzero(block.weight))
    out.update(response_sums(block, family.predictors + 1))
    if full:
        out.update(gradient=gradient, loss=loss, sums=sums, coded=_coded_counts(block))
    return out


def _swept(part, model, scoring, gradient):
    """η, r, w, loss and scores of rows, and their part of the gradient, with one read of each row."""
    n, family = part.n_rows, model.family
    eta, r, w, length = np.empty((4, n))
    loss = 0.0
    scaled, squares = part.scaled(model.center, model.scale), scoring.squares
    step = min(max(_TILE_NUMBERS // max(part.dense.shape[1], 1), 512), 8_192)
    for start in range(0, max(n, 1), step):
        rows = slice(start, min(start + step, n))
        scaled.predict_and_measure(model.theta, squares, rows, eta[rows], length[rows])
        weight = None if part.weight is None else part.weight[rows]
        loss += family.link(eta[rows], part.y[rows], weight, model.shape, None, r[rows], w[rows])
        if gradient is not None:
            scaled.add_scores(r[rows], rows, gradient)
    lengths_to_scores(r, length)
    return eta, r, w, float(loss), length


def _product(part, model, scoring, gradient):
    """The same for any design and criterion."""
    eta, r, w, loss = link_rows(part, model)
    if gradient is not None:
        scaled = part.scaled(model.center, model.scale)
        columns = [r] if r.ndim == 1 else [np.ascontiguousarray(c) for c in r.T]
        gradient += np.concatenate([scaled.transpose_matvec(c) for c in columns])
    return eta, r, w, loss, scoring.scores(part, model.family, eta, r, w, part.y)


def _coded_counts(block) -> np.ndarray:
    """Rows with each coded column switched on: a sample may lack rare levels."""
    if block.codes is None:
        return np.zeros(block.n_columns)
    c = block.codes.columns
    return np.bincount(c[c >= 0].ravel(), minlength=block.n_columns).astype(float)


@dataclass(frozen=True)
class PilotRates:
    """Inclusion probabilities of the pilot.

    Attributes
    ----------
    zero, one : float
        Of a row; where the response is 1 it is ``one``.
    balance : ndarray of shape (q,) or None
        Both are multiplied by its product with the row, and cut at 1.
    """

    zero: float
    one: float
    balance: np.ndarray | None = None

    def of(self, block) -> np.ndarray:
        """Probabilities of a block's rows; rows of weight zero are never drawn."""
        pi = np.full(block.n_rows, self.zero) if self.zero == self.one else np.where(
            block.y == 1.0, self.one, self.zero
        )  # fmt: skip
        if self.balance is not None:
            pi = np.minimum(1.0, pi * block.matvec(self.balance, offset=False))
        return pi if block.weight is None else np.where(block.weight > 0, pi, 0.0)


def pilot_rows(block, seed: int, rates: PilotRates, windows) -> dict:
    """Poisson draws of pilot rows, in windows of row numbers or everywhere.

    Parameters
    ----------
    windows : ndarray of shape (g, 2) or None
        First and last-but-one row number of each window.
    """
    index, u = np.arange(block.n_rows), np.empty(0)
    if rates.balance is not None:
        u = uniforms_of_rows(seed, PILOT_STREAM, block.rows, block.n_rows)
    elif block.n_rows:
        # Gaps between rows at the higher rate, thinned: rows that are not drawn cost nothing.
        numbers = block.rows if isinstance(block.rows, np.ndarray) else None
        first = block.rows if numbers is None else int(numbers[0])
        last = first + block.n_rows - 1 if numbers is None else int(numbers[-1])
        most = max(rates.zero, rates.one)
        rows, u = bernoulli_rows(seed, PILOT_STREAM, most, first, last + 1)
        index, u = rows - first, u * most
        if numbers is not None:  # rows were dropped
            index = np.searchsorted(numbers, rows)
            here = numbers[index] == rows
            index, u = index[here], u[here]
    part = block if rates.balance is not None else block.take(index)
    pi = rates.of(part)
    hit = u < pi
    if windows is not None:
        number = part.row_numbers()
        window = np.searchsorted(windows[:, 0], number, side="right") - 1
        hit &= (window >= 0) & (number < windows[window, 1])
    return {"kept": KeptRows(pi[hit], pi[hit], [part.take(np.flatnonzero(hit))]), "n": block.n_rows}


def rare_columns(block) -> dict:
    """Sums of the columns over rows of response 0 and 1 apart, and whether each holds zeros and ones only."""
    part = replace(block, weight=None, offset=None)
    sums = [part.transpose_matvec(np.ascontiguousarray((block.y == 1.0) == one, float)) for one in (0, 1)]
    other = np.zeros(block.n_columns)
    i, d = int(block.intercept), block.dense.shape[1]
    for start in range(0, block.n_rows, 4096):
        X = np.asarray(block.dense[start : start + 4096])
        other[i : i + d] += np.count_nonzero((X != 0) & (X != 1), axis=0)
    if block.codes is not None and block.codes.multiplier.size:
        other[i + d :] = 1.0
    if block.csr is not None:
        wrong = block.csr.indices[block.csr.data != 1.0]
        other[i:] += np.bincount(wrong, minlength=block.csr.width)
    return {
        "sums": np.array(sums),
        "other": other,
        "n": np.array([np.sum(block.y != 1.0), np.sum(block.y == 1.0)]),
    }


def _demand_finite(block, design) -> dict:
    design.require_finite(block)
    return {}


def require_finite(problem):
    """Raise the error of the first value that is not finite, where encoding left rows unchecked."""
    if not getattr(problem.design, "check", True):
        problem.session.round(_demand_finite, problem.design)


def weighted(block, factor):
    """The block with every row's weight multiplied by ``factor``."""
    return replace(block, weight=factor if block.weight is None else factor * block.weight)
