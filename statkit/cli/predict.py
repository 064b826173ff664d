"""``statkit predict``: predictions of a saved model with intervals, in bounded memory, for files of any size."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer


def predict(
    model: Annotated[Path, typer.Argument(metavar="MODEL", help="What `statkit fit --save` wrote.")],
    files: Annotated[
        list[str], typer.Argument(metavar="FILE", help="Parquet, CSV or Arrow; paths, globs, URLs.")
    ],
    output: Annotated[
        Path, typer.Option("--output", "-o", metavar="OUT.parquet", help="File to write the predictions to.")
    ],
    interval: Annotated[
        str | None,
        typer.Option(
            "--interval",
            metavar="confidence|prediction",
            help="Add standard errors and limits of the mean, or of a new observation too (gaussian family).",
        ),
    ] = None,
    level: Annotated[float, typer.Option("--level", help="Of the limits.")] = 0.95,
) -> None:
    """Predict the response of every row of the files.

    OUT.parquet gets the column prediction: the expected response, row by row in the order of the files. It is
    missing where a row lacks a value. With --interval come mean_se, mean_ci_lower and mean_ci_upper, and for
    new observations obs_ci_lower and obs_ci_upper. A response of several classes has a line for each, with row
    and class beside.
    """
    if output.exists() and any(Path(file).exists() and output.samefile(file) for file in files):
        raise ValueError(f"{output} is one of the files to read: write the predictions to another file")

    from statkit.regression.model_document import load_model
    from statkit.regression.predicting import write_predictions

    data = files[0] if len(files) == 1 else files
    write_predictions(
        load_model(model), data, output, interval=interval, level=level, verbose=int(sys.stderr.isatty()),
        name="prediction",
    )  # fmt: skip
