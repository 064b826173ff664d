"""Levels that come later: a frozen design with some more, and where its old columns went.

In information form a column without rows is a row and column of zeros, so a stream can get new ones at any time.
"""

from __future__ import annotations

import copy
from dataclasses import replace

import numpy as np

from statkit.design.block import Block, Codes

__all__ = ["UnknownLevel", "column_map", "moved_block", "with_more_levels"]


class UnknownLevel(ValueError):
    """A row has a level that the design does not know.

    Attributes
    ----------
    text : str
        The factor.
    levels : list
        All unknown levels that the rows have.
    """

    def __init__(self, message: str, text: str, levels: list):
        super().__init__(message)
        self.text = text
        self.levels = levels


def with_more_levels(design, text: str, levels: list):
    """The frozen design with levels appended to a factor; None where its coding cannot take more."""
    factor = design._categorical(text)
    if factor.given or factor.reduced is not None or factor.full is not None:
        return None
    old = factor.levels
    known = set(old.keys)
    keys = old.keys + tuple(sorted(level for level in levels if level not in known))
    more = (0,) * (len(keys) - len(old.keys))
    grown = copy.copy(design)
    grown._factors = {
        **design._factors,
        text: replace(factor, levels=replace(old, keys=keys, n=old.n + more)),
    }
    grown._settle()
    return grown


def column_map(old, new) -> np.ndarray:
    """Internal column of ``new`` for every internal column of ``old``."""
    where = {new.names[j]: k for k, j in enumerate(new.position)}
    return np.array([where[old.names[j]] for j in old.position], dtype=np.intp)


def moved_block(block: Block, to: np.ndarray, width: int) -> Block:
    """A block encoded by the old design as the new one, of ``width`` columns, would have encoded it."""
    if block.codes is None:
        return block
    kind = np.int16 if width < 2**15 else np.int32
    lookup = np.append(to, -1).astype(kind)  # −1 stays −1
    codes = block.codes
    first = width - (len(to) - codes.width) if len(to) else width
    columns = np.ascontiguousarray(lookup[codes.columns])
    return replace(block, codes=Codes(columns, codes.multiplier, first))
