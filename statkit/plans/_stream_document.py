"""A stream's state as plain values for a model file, and back: numbers, text, lists and arrays."""

from __future__ import annotations

from typing import Any

import numpy as np

from statkit.design.block import Block, Codes, Csr
from statkit.plans._lags import LagSums
from statkit.plans._stream_state import History, StreamState
from statkit.rounds.tasks import GroupSums

__all__ = ["state_from_dict", "state_to_dict"]

_VERSION = 1
_ARRAYS = ("center", "scale", "theta", "A", "v", "buffer_A", "buffer_v", "y", "squares", "inverse", "local")
_NUMBERS = {
    "q": int, "visited": int, "n": int, "n_effective": float, "weight": float, "n_rows": int, "n_read": int,
    "n_missing": int, "loss": float, "pearson": float, "n_batches": int, "drifted": int, "spread": float,
    "thick": bool,
}  # fmt: skip


def state_to_dict(state: StreamState) -> dict:
    """Everything the stream needs to go on, in values that a model file can hold."""
    lines = [[float(value) for value in line] for line in state.history.lines()]
    return {
        "stream_version": _VERSION,
        **{name: _array(getattr(state, name)) for name in _ARRAYS},
        **{name: kind(getattr(state, name)) for name, kind in _NUMBERS.items()},
        "sums": {name: float(value) for name, value in state.sums.items()},
        "meat": _meat(state.meat),
        "counts": None if state.counts is None else np.asarray(state.counts),
        "history": [state.history.total, np.array(lines, dtype=float).reshape(len(lines), 7)],
        "buffer": None if state.buffer is None else _block(state.buffer),
        "pending": [_block(block) for block in state.pending],
    }


def state_from_dict(kept: dict) -> StreamState:
    """The state that `state_to_dict` described.

    Raises
    ------
    ValueError
        If it was written by another version, or its parts do not fit together.
    """
    if kept.get("stream_version") != _VERSION:
        raise ValueError(
            f"the stream's state is of version {kept.get('stream_version')!r}, this statkit reads {_VERSION}"
        )
    q = int(kept["q"])
    for name, shape in (
        ("A", (q, q)),
        ("v", (q,)),
        ("theta", (q,)),
        ("buffer_A", (q, q)),
        ("buffer_v", (q,)),
    ):
        if kept[name] is not None and np.shape(kept[name]) != shape:
            raise ValueError(f"the stream's {name} has shape {np.shape(kept[name])}, not {shape}")
    total, lines = kept["history"]
    history = [
        (int(b), int(n), s, int(df), p, loss, int(steps)) for b, n, s, df, p, loss, steps in lines.tolist()
    ]
    return StreamState(
        **{name: _array(kept[name]) for name in _ARRAYS},
        **{name: kind(kept[name]) for name, kind in _NUMBERS.items()},
        sums=dict(kept["sums"]),
        meat=_meat_from(kept["meat"]),
        counts=kept["counts"],
        history=History(history, int(total)),
        buffer=None if kept["buffer"] is None else _block_from(kept["buffer"]),
        pending=[_block_from(block) for block in kept["pending"]],
    )


def _array(value):
    return None if value is None else np.array(value, dtype=float)


def _meat(meat) -> Any:
    if meat is None:
        return None
    if isinstance(meat, GroupSums):
        return {"kind": "groups", "labels": meat.labels, "sums": meat.sums}
    if isinstance(meat, LagSums):
        return {"kind": "lags", "lags": meat.lags, "total": meat.total, "head": meat.head, "tail": meat.tail}
    return {"kind": "rows", "total": np.asarray(meat)}


def _meat_from(kept) -> Any:
    if kept is None:
        return None
    if kept["kind"] == "groups":
        return GroupSums(kept["labels"], kept["sums"])
    if kept["kind"] == "lags":
        return LagSums(int(kept["lags"]), kept["total"], kept["head"], kept["tail"])
    return kept["total"]


def _block(block: Block) -> dict:
    codes, csr = block.codes, block.csr
    return {
        "dense": np.ascontiguousarray(block.dense),
        "csr": None if csr is None else [csr.data, csr.indices, csr.indptr, int(csr.width)],
        "codes": None if codes is None else [codes.columns, codes.multiplier, int(codes.width)],
        "intercept": bool(block.intercept),
        **{name: getattr(block, name) for name in ("y", "weight", "offset", "group")},
        "rows": block.row_numbers(),
        "read": [int(block.n_read), int(block.n_missing)],
    }


def _block_from(kept: dict) -> Block:
    return Block(
        kept["dense"],
        None if kept["csr"] is None else Csr(*kept["csr"]),
        None if kept["codes"] is None else Codes(*kept["codes"]),
        kept["intercept"], kept["y"], kept["weight"], kept["offset"], kept["group"], kept["rows"], *kept["read"],
    )  # fmt: skip
