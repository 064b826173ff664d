"""``statkit sample``: rows that a weighted fit wants, and their weights, as a Parquet file."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from statkit._replaced import replaced


def sample(
    files: Annotated[
        list[str], typer.Argument(metavar="FILE", help="Parquet, CSV or Arrow; paths, globs, URLs.")
    ],
    size: Annotated[int, typer.Option("-n", "--size", help="Rows to draw.")],
    formula: Annotated[str, typer.Option(help="The model whose fit the rows are to serve.")],
    output: Annotated[
        Path, typer.Option("--output", "-o", metavar="OUT.parquet", help="File to write the rows to.")
    ],
    family: Annotated[str, typer.Option(help="Family of the model, as for fit.")] = "gaussian",
    criterion: Annotated[
        str, typer.Option(help="Which rows to prefer: optLs, optA, LCC, uniform, …")
    ] = "optLs",
    seed: Annotated[int | None, typer.Option(help="Seed of the draw.")] = None,
) -> None:
    """Draw rows of files for use in any weighted method.

    OUT.parquet has the columns of the files, with two more: _row, the row's number in the files, and _weight.
    The draw depends on the response: without the weights, these rows mislead.
    """
    if not output.absolute().parent.is_dir():
        raise FileNotFoundError(f"cannot write {output}: there is no folder {output.absolute().parent}")
    if output.exists() and any(Path(file).exists() and output.samefile(file) for file in files):
        raise ValueError(f"{output} is one of the files to read: write the rows to another file")

    import numpy as np
    import pyarrow as pa
    import pyarrow.parquet as pq

    from statkit import glm
    from statkit.plans import Subsample
    from statkit.sources import as_source

    data = files[0] if len(files) == 1 else files
    plan = Subsample(size, criterion=criterion, refine=None, combine="none")
    with (
        as_source(data) as source,
        replaced(output) as unfinished,
    ):  # one source: files that change are noticed
        drawn = glm(formula, source, family=family, plan=plan, random_state=seed).estimate_
        rows, weights = drawn.sample_indices, drawn.sample_weights
        columns, types = tuple(source.schema), pa.schema(list(source.schema.items()))
        extra = [("_row", pa.int64()), ("_weight", pa.float64())]
        schema = pa.schema([*types, *(pa.field(*one) for one in extra)])
        with pq.ParquetWriter(unfinished, schema, compression="zstd") as writer:
            for partition in source.partitions():
                first = partition.first_row
                mine = slice(*np.searchsorted(rows, [first, first + partition.n_rows]))
                if mine.start == mine.stop:
                    continue
                raw: Any = source.read(partition, columns).table
                table = raw.take(pa.array(rows[mine] - first)).cast(types)  # text is read as a dictionary
                for (name, kind), values in zip(extra, (rows, weights), strict=True):
                    table = table.append_column(name, pa.array(values[mine], kind))
                writer.write_table(table.cast(schema))
    typer.echo(f"{len(rows):,} of {drawn.rows_read:,} rows to {output}")
