"""Names for what many public functions take; for type checkers, imported by them alone."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeAlias

if TYPE_CHECKING:
    from numpy.random import RandomState
    from numpy.typing import ArrayLike

    #: Values beside the rows: an array, or the name of a column.
    Column: TypeAlias = ArrayLike | str | None
    #: Seed of what is drawn.
    Seed: TypeAlias = int | RandomState | None

__all__ = ["Column", "Data", "Seed"]

#: Rows: an array, sparse matrix, frame, dataset, path, URL, glob, or Source.
Data: TypeAlias = Any
