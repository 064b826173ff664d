"""What every design offers: how raw columns become a block, and what its columns are called."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from statkit.design.block import Block
    from statkit.sources import Rows


class Design:
    """How raw rows become a :class:`~statkit.design.block.Block`; immutable once frozen.

    Attributes
    ----------
    columns : tuple of str
        Raw columns that ``encode`` reads; empty for a plain matrix.
    profile_columns : tuple of str or None
        Raw columns that ``profile`` reads; None when no profile round is needed.
    names : tuple of str
        Public parameter names, ``"Intercept"`` first.
    terms : dict of str to list of int
        Positions in ``names`` of every term.
    position : ndarray of int
        Public position of each internal column.
    limits : dict of str to float
        Levels set aside because their response is constant, with their limit (±inf).
    set_aside : dict of str to int
        Rows of each such level.
    """

    columns: tuple[str, ...] = ()
    profile_columns: tuple[str, ...] | None = None
    names: tuple[str, ...] = ()
    terms: dict[str, list[int]]
    position: np.ndarray
    limits: dict[str, float] = {}
    set_aside: dict[str, int] = {}
    notes: tuple[str, ...] = ()
    intercept: bool = True
    na_action: str = "drop"
    response_name: str = "y"
    formula: str | None = None
    token: str = ""
    classes: tuple | None = None

    def profile(self, rows: Rows) -> dict:
        """Summary of the raw rows that freezing needs (levels, states of transforms)."""
        raise TypeError(f"{type(self).__name__} needs no profile")

    def freeze(self, summary: dict | None) -> Design:
        """The design with everything that depends on the data fixed."""
        return self

    def encode(self, rows: Rows) -> Block:
        """Rows as a block, with response, weights, offset and groups."""
        raise NotImplementedError

    def encode_predictors(self, rows: Rows) -> tuple[Block, np.ndarray | None]:
        """Rows as a block without response, one row for every raw row.

        The second answer, if any, is added to η: ±inf for levels set aside, NaN for rows with missing values.
        """
        raise NotImplementedError
