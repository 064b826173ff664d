"""Tasks that plans send to blocks: module-level functions from a block to a summary."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

__all__ = [
    "GroupSums",
    "Kept",
    "Want",
    "column_scaling",
    "context_sums",
    "evaluate",
    "response_sums",
    "sample_rows",
    "score_products",
]

#: Largest number of clusters whose score sums are held.
MAX_GROUPS = 1_000_000

# Rows whose scores are written out at a time.
_SCORE_ROWS = 8_192


@dataclass(frozen=True, slots=True)
class Want:
    """What an evaluation returns beside the loss.

    Attributes
    ----------
    gradient, information : bool
    sums : bool
        Deviance, Pearson statistic and what the log-likelihood needs, at θ and at the null model.
    meat : {None, "rows", "groups", "partitions", "bootstrap"}
        Sum of outer products of scores, by row, by group or by partition; or scores summed with random signs.
    scores : bool
        The score of every partition.
    seed : int
        Of the signs.
    """

    gradient: bool = True
    information: bool = True
    sums: bool = False
    meat: str | None = None
    scores: bool = False
    seed: int = 0


class GroupSums:
    """Sums of scores by group label, mergeable.

    Parameters
    ----------
    labels : ndarray of shape (G,), sorted and distinct
    sums : ndarray of shape (G, q)
    """

    def __init__(self, labels: np.ndarray, sums: np.ndarray):
        self.labels = labels
        self.sums = sums

    @classmethod
    def of(cls, block, labels: np.ndarray, inverse: np.ndarray, sums: np.ndarray) -> GroupSums:
        """Those of a block, without the clusters whose rows all have weight zero: as if they were not there."""
        if block.weight is not None and not block.weight.all():
            there = np.bincount(inverse, block.weight != 0, len(labels)) > 0
            labels, sums = labels[there], sums[there]
        return cls(labels, sums)

    def merge(self, other: GroupSums) -> GroupSums:
        labels, inverse = np.unique(np.concatenate([self.labels, other.labels]), return_inverse=True)
        if len(labels) > MAX_GROUPS:
            raise ValueError(
                f"more than {MAX_GROUPS:,} clusters: their score sums do not fit; use cov_type='HC1' or "
                "coarser groups"
            )
        sums = np.zeros((len(labels), self.sums.shape[1]))
        sums[inverse[: len(self.labels)]] = self.sums
        sums[inverse[len(self.labels) :]] += other.sums
        return GroupSums(labels, sums)

    def meat(self) -> np.ndarray:
        return self.sums.T @ self.sums


class PartitionScores:
    """Scores of the partitions, in order, mergeable: clusters are partitions."""

    def __init__(self, scores: list, sizes: list):
        self.scores = scores
        self.sizes = sizes

    def merge(self, other: PartitionScores) -> PartitionScores:
        return PartitionScores(self.scores + other.scores, self.sizes + other.sizes)

    def meat(self) -> np.ndarray:
        """Sum of outer products, with the factor K/(K − 1)."""
        K = len(self.scores)
        if K < 2:
            raise ValueError("cov_type='partition' needs at least 2 partitions: there is nothing to compare")
        G = np.array(self.scores)
        return G.T @ G * (K / (K - 1))


class Kept:
    """Rows kept from blocks, joined in order.

    Joining is put off until all pieces are there, so that merging in a tree copies nothing twice.
    """

    def __init__(self, pieces: list):
        self.pieces = pieces

    def merge(self, other: Kept) -> Kept:
        return Kept(self.pieces + other.pieces)

    def block(self):
        from statkit.design.block import concatenate

        return concatenate(self.pieces)


def linear_predictor(block, theta, predictors: int) -> np.ndarray:
    """η, shape (n,) for one predictor and (n, predictors) for several; θ lists the predictors one by one."""
    if predictors == 1:
        return block.matvec(theta)
    q = block.n_columns
    eta = np.empty((block.n_rows, predictors))
    for a in range(predictors):
        eta[:, a] = block.matvec(theta[a * q : (a + 1) * q])
    return eta


def evaluate(block, family, theta, shape, center, scale, null, want: Want, context=None) -> dict:
    """Loss, score, information and sums of a block at θ.

    Parameters
    ----------
    theta : ndarray of shape (predictors·q,)
    shape : ndarray of shape parameters of the family
    center, scale : ndarray
        Scaling of dense columns; empty for none.
    null : ndarray of shape (predictors,) or None
        η of the model without columns, for the null sums.
    """
    block = block.scaled(center, scale)
    K = family.predictors
    y, a = block.y, block.weight
    if family.n_thresholds:
        from statkit.rounds.ordered import evaluate_ordered

        out = evaluate_ordered(block, family, theta, want) | _counts(block, family.n_classes)
        if want.sums:
            out["sums"] = _Sums(loss=out["loss"], pearson=np.nan, deviance=2 * out["loss"])
            if block.offset is not None:
                out["null"] = _Sums(deviance=np.nan)  # with an offset it has no closed form
        return out
    eta = linear_predictor(block, theta, K)
    r = np.empty_like(eta)
    w = np.empty((len(eta), K * (K + 1) // 2)) if K > 1 else np.empty_like(eta)
    loss = family.link(eta, y, a, shape, context, r, w)
    out = {"loss": float(loss)} | _counts(block, K + 1)
    if K == 1 and want.gradient and want.information:
        out["information"], out["gradient"] = block.normal_equations(w, r)
    else:
        if want.gradient:
            columns = [block.transpose_matvec(np.ascontiguousarray(r_j)) for r_j in r.reshape(-1, K).T]
            out["gradient"] = np.concatenate(columns)
        if want.information:
            out["information"] = _information(block, w, K)
    if want.information and family.dispersion != "known":
        out["pearson"] = family.pearson(r, w)
    if want.sums:
        out["sums"] = _Sums(family.sums(eta, y, a, shape, (loss, r, w)))
        if null is not None and (
            block.offset is not None or not block.intercept or family.name == "gaussian"
        ):
            flat = np.broadcast_to(null if K > 1 else null[0], eta.shape)
            eta0 = np.ascontiguousarray(flat if block.offset is None else _add(flat, block.offset))
            out["null"] = _Sums(family.sums(eta0, y, a, shape))
    if null is not None and block.offset is not None and block.intercept:
        out["null_step"] = _null_step(block, family, shape, null, context)
    if family.context is not None:
        return out  # scores of rows need more of the context: see `score_products`
    if want.meat == "rows":
        out["meat"] = _row_meat(block, r, K)
    elif want.meat == "groups":
        out["meat"] = _group_sums(block, r, K)
    elif want.meat == "bootstrap":
        from statkit.rounds.multipliers import signed_sums

        out["meat"] = signed_sums(block, r, K, want.seed)
    if want.scores or want.meat == "partitions":
        columns = r[:, None] if K == 1 else r
        score = out.get("gradient")
        if score is None:
            score = np.concatenate(
                [block.transpose_matvec(np.ascontiguousarray(column)) for column in columns.T]
            )
        scores = PartitionScores([score.copy()], [out["n"]])
        if want.meat == "partitions":
            out["meat"] = scores
        if want.scores:
            out["scores"] = scores
    return out


def _counts(block, n_classes):
    """How many rows a block has, and the sums of its response and weights."""
    a, n = block.weight, block.n_rows
    rows = {"n": n if a is None else int(np.count_nonzero(a)), "n_rows": n}
    return rows | response_sums(block, n_classes)


def context_sums(block, family, theta, center, scale, moments=True) -> dict:
    """What a family with context must know of all rows before it can evaluate any."""
    block = block.scaled(center, scale)
    return {"context": family.context(block, linear_predictor(block, theta, family.predictors), moments)}


def score_products(block, family, theta, center, scale, context, tables, meat: str) -> dict:
    """Outer products of scores, by row, group or partition, for a family with context."""
    block = block.scaled(center, scale)
    eta = linear_predictor(block, theta, family.predictors)
    n, q = block.n_rows, block.n_columns
    total, groups, inverse, sums = np.zeros((q, q)), None, None, None
    if meat == "groups":
        groups, inverse = np.unique(block.group, return_inverse=True)
        sums = np.zeros((len(groups), q))
    score = np.zeros(q)
    for start in range(0, n, _SCORE_ROWS):
        rows = slice(start, min(start + _SCORE_ROWS, n))
        U = family.row_scores(block.take(rows), eta[rows], context, tables)
        if meat == "rows":
            total += U.T @ U
        elif sums is not None:
            np.add.at(sums, inverse[rows], U)
        score += U.sum(axis=0)
    if sums is not None:
        return {"meat": GroupSums.of(block, groups, inverse, sums), "score": score}
    return {"meat": total if meat == "rows" else PartitionScores([score]), "score": score}


def _null_step(block, family, shape, null, context):
    """Score and information of the model with an intercept and the offset only, a number each.

    With an offset that model has no closed form; it is fitted in step with the other.
    """
    eta = np.ascontiguousarray(_add(np.broadcast_to(null[0], len(block.y)), block.offset))
    r, w = np.empty_like(eta), np.empty_like(eta)
    family.link(eta, block.y, block.weight, shape, context, r, w)
    return np.array([r.sum(), w.sum()])


class _Sums(dict):
    """A dict of numbers that adds."""

    def merge(self, other):
        return _Sums({name: value + other[name] for name, value in self.items()})


def _add(eta, offset):
    return eta + (offset if eta.ndim == 1 else offset[:, None])


def _information(block, w, K):
    if K == 1:
        return block.sandwich(w)
    q = block.n_columns
    out = np.empty((K * q, K * q))
    pair = 0
    for a in range(K):
        for b in range(a, K):
            part = block.sandwich(np.ascontiguousarray(w[:, pair]), nonnegative=a == b)
            out[a * q : (a + 1) * q, b * q : (b + 1) * q] = part
            out[b * q : (b + 1) * q, a * q : (a + 1) * q] = part
            pair += 1
    return out


def _row_meat(block, r, K):
    if K == 1:
        return block.sandwich(r * r)
    q = block.n_columns
    out = np.empty((K * q, K * q))
    for a in range(K):
        for b in range(a, K):
            part = block.sandwich(r[:, a] * r[:, b], nonnegative=a == b)
            out[a * q : (a + 1) * q, b * q : (b + 1) * q] = part
            out[b * q : (b + 1) * q, a * q : (a + 1) * q] = part
    return out


def _group_sums(block, r, K):
    labels, inverse = np.unique(block.group, return_inverse=True)
    if K == 1:
        return GroupSums.of(block, labels, inverse, block.group_scores(r, inverse, len(labels)))
    parts = [block.group_scores(np.ascontiguousarray(r[:, a]), inverse, len(labels)) for a in range(K)]
    return GroupSums.of(block, labels, inverse, np.hstack(parts))


def response_sums(block, n_classes: int = 0) -> dict:
    """Weighted sum of the response, by class where it is a class code, and the sum of the weights."""
    y, a = block.y, block.weight
    weight = float(len(y)) if a is None else float(a.sum())
    if y.ndim == 2:
        total = y.sum(axis=0) if a is None else y.T @ a
    elif n_classes > 2:
        total = np.bincount(y.astype(np.intp), a, n_classes)
    else:
        total = np.array([y.sum() if a is None else y @ a])
    return {"weight": weight, "y": total, "n_read": block.n_read, "n_missing": block.n_missing}


def column_scaling(block, centered: bool = False) -> dict:
    """Centre and scale of the dense columns, from a few thousand rows: any values near them serve.

    Without an intercept columns are not centred, unless the model does not see constants (``centered``).
    Both are empty when the columns are well scaled as they are, which spares a copy of every tile.
    """
    X = block.dense
    sample = np.asarray(X[:: max(1, len(X) // 4096)], dtype=float)
    center = sample.mean(axis=0) if len(sample) else np.zeros(X.shape[1])
    if not (block.intercept or centered):
        center[:] = 0.0
    with np.errstate(invalid="ignore", over="ignore"):  # rows are checked later, or were
        spread = np.sqrt(((sample - center) ** 2).mean(axis=0)) if len(sample) else np.ones(X.shape[1])
    lost = ~np.isfinite(spread) | (spread == 0.0)
    if lost.any() and len(sample):  # constant, or of values whose squares are no numbers
        away = np.abs(sample[:, lost] - center[lost])
        peak = np.where(away.max(axis=0) > 0, away.max(axis=0), 1.0)
        spread[lost] = peak * np.sqrt(((away / peak) ** 2).mean(axis=0))
    spread = np.where(spread > 1e-8 * np.abs(center), spread, np.maximum(np.abs(center), 1.0))
    fair = (np.abs(center) <= 10 * spread).all() and (spread > 0.05).all() and (spread < 20).all()
    nothing = np.empty(0)
    return {"center": nothing, "scale": nothing} if fair else {"center": center, "scale": 1.0 / spread}


def sample_rows(block, seed: int, share: float, at_least: int) -> dict:
    """A simple random sample of a block's rows, ``share`` of them; keyed by seed and first row."""
    n = block.n_rows
    m = min(n, max(at_least, round(share * n)))
    if m == n:
        return {"kept": Kept([block])}
    first = int(block.rows if not isinstance(block.rows, np.ndarray) else block.rows[0]) if n else 0
    rng = np.random.default_rng([seed, first])
    index = np.sort(rng.choice(n, m, replace=False))
    return {"kept": Kept([block.take(index)])}
