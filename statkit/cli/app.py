"""The commands of ``statkit``, put together."""

from __future__ import annotations

from typing import Annotated

import typer

from statkit.cli import datasets
from statkit.cli.dag import dag
from statkit.cli.explain import explain
from statkit.cli.federated import combine, summarize
from statkit.cli.fit import fit
from statkit.cli.labels import labels
from statkit.cli.predict import predict
from statkit.cli.sample import sample
from statkit.cli.stream import merge, update

app = typer.Typer(
    name="statkit",
    help="Recent statistics papers as dependable software: fits with standard errors, for files of any size.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)
app.command()(fit)
app.command()(explain)
app.command()(predict)
app.command()(update)
app.command()(merge)
app.command()(labels)
app.command()(dag)
app.command()(sample)
app.command()(summarize)
app.command()(combine)
app.add_typer(datasets.app, name="datasets")


def _show_version(wanted: bool) -> None:
    if wanted:
        from statkit import __version__

        typer.echo(f"statkit {__version__}")
        raise typer.Exit()


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    """Options before the command."""
