"""``statkit datasets``: what ships with the package, and where it is."""

from __future__ import annotations

from typing import Annotated

import typer

from statkit.datasets import registry

app = typer.Typer(
    help="List, describe and locate the data sets that ship with statkit.",
    no_args_is_help=True,
    rich_markup_mode=None,
)

Name = Annotated[str, typer.Argument(metavar="NAME", help="A name that `statkit datasets list` shows.")]


@app.command("list")
def list_sets() -> None:
    """List the data sets: name and what it is."""
    width = max(map(len, registry.SETS))
    for name, entry in registry.SETS.items():
        typer.echo(f"{name:{width}}  {entry.about}")


@app.command()
def describe(name: Name) -> None:
    """Print the README of a data set: source, licence, columns."""
    typer.echo(registry.description_of(name).rstrip())


@app.command()
def path(name: Name) -> None:
    """Print the path of a data set's file."""
    typer.echo(registry.path_of(name))
