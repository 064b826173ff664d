"""``statkit predict``: predictions of a saved model, partition by partition, for files of any size."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from statkit._replaced import replaced


def predict(
    model: Annotated[Path, typer.Argument(metavar="MODEL", help="What `statkit fit --save` wrote.")],
    files: Annotated[
        list[str], typer.Argument(metavar="FILE", help="Parquet, CSV or Arrow; paths, globs, URLs.")
    ],
    output: Annotated[
        Path, typer.Option("--output", "-o", metavar="OUT.parquet", help="File to write the predictions to.")
    ],
) -> None:
    """Predict the response of every row of the files.

    OUT.parquet gets one column, prediction: the expected response, row by row in the order of the files. It
    is missing where a row lacks a value.
    """
    if output.exists() and any(Path(file).exists() and output.samefile(file) for file in files):
        raise ValueError(f"{output} is one of the files to read: write the predictions to another file")

    import pyarrow as pa
    import pyarrow.parquet as pq

    from statkit.regression.model_document import load_model, predicted_batches

    fitted = load_model(model)
    schema = pa.schema([("prediction", pa.float64())])
    with (
        replaced(output) as unfinished,
        pq.ParquetWriter(unfinished, schema, compression="zstd") as writer,
    ):
        data = files[0] if len(files) == 1 else files
        for mean in predicted_batches(fitted, data, show=sys.stderr.isatty()):
            writer.write_table(pa.table([pa.array(mean, from_pandas=True)], schema=schema))
