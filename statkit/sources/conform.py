"""Columns as they were read, brought to the types that the schema promises."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["common_type", "conform", "is_text", "sorted_text", "take_columns", "without_dictionary"]


def is_text(kind: pa.DataType) -> bool:
    """Whether a type is one of Arrow's text types."""
    import pyarrow as pa

    return pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind)


def conform(column: pa.ChunkedArray, kind: pa.DataType, name: str, where: str) -> pa.ChunkedArray:
    """A column as ``kind``; text that was read as a dictionary stays one, in sorted order.

    Raises
    ------
    ValueError
        If a value has no counterpart of that type.
    """
    import pyarrow as pa

    if column.type == kind:
        return column
    if pa.types.is_dictionary(column.type) and is_text(kind):
        return sorted_text(column)
    if pa.types.is_dictionary(kind) and not pa.types.is_dictionary(column.type):
        return sorted_text(column.cast(kind.value_type))
    try:
        return column.cast(kind)
    except pa.ArrowException as error:
        raise ValueError(f"column {name!r} of {where} cannot be read as {kind}: {error}") from None


def sorted_text(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """The column with one sorted dictionary.

    Files list levels in order of appearance, which differs from row group to row group and means nothing;
    whoever reads a dictionary may take its order for that of the categories.
    """
    import pyarrow as pa
    import pyarrow.compute as pc

    if not pa.types.is_dictionary(column.type):
        column = column.dictionary_encode()
    array = _one_chunk(column.unify_dictionaries())
    values = array.dictionary
    if len(values) > 1 and not pc.all(pc.less(values[:-1], values[1:])).as_py():
        order = pc.sort_indices(values)
        rank = pc.sort_indices(order).cast(pa.int32())  # the inverse permutation
        array = pa.DictionaryArray.from_arrays(rank.take(array.indices), values.take(order))
    return pa.chunked_array([array])


def _one_chunk(column: pa.ChunkedArray) -> pa.Array:
    import pyarrow as pa

    if column.num_chunks == 1:
        return column.chunk(0)
    combined = column.combine_chunks()
    return combined.combine_chunks() if isinstance(combined, pa.ChunkedArray) else combined


def without_dictionary(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """The column's values themselves."""
    import pyarrow as pa

    return column.cast(column.type.value_type) if pa.types.is_dictionary(column.type) else column


def take_columns(table: pa.Table, columns: Sequence[str], schema: dict, where: str) -> pa.Table:
    """Columns of a table, in the order asked for, with the types of the schema."""
    import pyarrow as pa

    arrays = [conform(table.column(name), schema[name], name, where) for name in columns]
    if not arrays:
        return table.select([])
    return pa.table(arrays, names=list(columns))


def common_type(a: pa.DataType, b: pa.DataType) -> pa.DataType | None:
    """The type that holds the values of both, or None: wider numbers, longer text, nothing with anything."""
    import pyarrow as pa

    t = pa.types
    if a == b or t.is_null(b):
        return a
    if t.is_null(a):
        return b
    plain_a, plain_b = (k.value_type if t.is_dictionary(k) else k for k in (a, b))
    if is_text(plain_a) and is_text(plain_b):
        return plain_a if plain_a == plain_b else pa.large_string()
    numbers = all(t.is_integer(k) or t.is_floating(k) for k in (a, b))
    times = t.is_timestamp(a) and t.is_timestamp(b) and a.tz == b.tz
    if not (numbers or times or (t.is_decimal(a) and t.is_decimal(b))):
        return None
    if numbers and t.is_floating(a) != t.is_floating(b):
        return pa.float64()
    try:
        schemas = [pa.schema([("x", k)]) for k in (a, b)]
        return pa.unify_schemas(schemas, promote_options="permissive").field("x").type
    except pa.ArrowException:
        return None
