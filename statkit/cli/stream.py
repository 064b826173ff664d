"""``statkit fit … - --plan renewable``, ``statkit update`` and ``statkit merge``: models that go on with new rows."""

from __future__ import annotations

import difflib
import re
from pathlib import Path
from typing import Annotated

import typer

from statkit.cli.fit import Output, print_estimate


def fit_stream(formula: str, options: dict, roles: dict):
    """A model of the rows on standard input, batch by batch, in memory that does not grow."""
    from statkit.regression import GLMRegressor

    plan = options["plan"]
    if plan.n_passes not in ("auto", 1):
        raise ValueError(
            "standard input can be read only once: save it to a file for --passes, or leave --passes out"
        )
    model = GLMRegressor(options.pop("family"), formula=formula, **options)
    _absorb(model, formula, roles)
    return model


def update(
    model: Annotated[
        Path, typer.Argument(metavar="MODEL", help="What `statkit fit --plan renewable --save` wrote.")
    ],
    files: Annotated[
        list[str],
        typer.Argument(metavar="FILE", help="New rows: Parquet, CSV or Arrow; - for standard input."),
    ],
    save: Annotated[
        Path | None, typer.Option(metavar="MODEL", help="Where to save the result; MODEL itself by default.")
    ] = None,
    output: Annotated[Output, typer.Option(help="What to print.")] = "table",
) -> None:
    """Go on with a saved fit: absorb new rows, save the model, print its table.

    If a file cannot be absorbed, nothing is saved.
    """
    from statkit.regression.model_document import load_model, save_model
    from statkit.sources import as_source

    fitted = _stream_of(load_model(model), model)
    for file in files:
        if file == "-":
            _absorb(fitted, fitted.formula or "y ~ .", {})
            continue
        with as_source(file) as source:
            fitted.partial_fit(source)
    save_model(fitted, save or model)
    typer.echo(print_estimate(fitted.estimate_, output))


def merge(
    models: Annotated[list[Path], typer.Argument(metavar="MODEL MODEL…", help="Fits of different rows.")],
    save: Annotated[
        Path | None, typer.Option(metavar="MODEL", help="File to save the merged model to.")
    ] = None,
    output: Annotated[Output, typer.Option(help="What to print.")] = "table",
) -> None:
    """Put the streams of several saved fits together: one fit of all their rows, without reading them again."""
    from statkit.regression.model_document import load_model, save_model

    if len(models) < 2:
        raise typer.BadParameter("give at least two models")
    if len({path.resolve() for path in models}) < len(models):
        raise typer.BadParameter("a model is given twice: its rows would count twice")
    fitted = _stream_of(load_model(models[0]), models[0])
    for path in models[1:]:
        fitted.merge(_stream_of(load_model(path), path))
    if save is not None:
        save_model(fitted, save)
    typer.echo(print_estimate(fitted.estimate_, output))


def _stream_of(model, path):
    if vars(model).get("_stream") is None:
        raise ValueError(f"{path} was not fitted with --plan renewable: it has no stream that could go on")
    return model


def _absorb(model, formula: str, roles: dict) -> None:
    """The rows on standard input into the model."""
    from statkit.sources.batches import read_batches

    words = set(re.findall(r"[^\W\d]\w*", formula)) | {name for name in roles.values() if name}
    everything = re.search(r"(?<![\w.])\.(?![\w.])", formula) is not None

    def wanted(name):  # columns with nearly the name too, so that an error can name them
        return (
            everything
            or name in words
            or name in formula
            or bool(difflib.get_close_matches(name, words, 1, 0.8))
        )

    def whole(name):
        return re.search(rf"\bC\(\s*`?{re.escape(name)}`?\s*[,)]", formula) is not None

    weight, offset, groups = (roles.get(role) for role in ("weights", "offset", "groups"))
    empty = True
    for table in read_batches("-", wanted=wanted, whole=whole, rows=model.plan.batch_size):
        empty = False
        model.partial_fit(table, None, weight, offset, groups)
    if empty:
        raise ValueError("standard input has no rows")
