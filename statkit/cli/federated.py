"""``statkit summarize`` and ``statkit combine``: one model from sites that keep their rows."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Literal

import typer

from statkit.cli.fit import NaAction, Output, print_estimate

Method = Literal["auto", "weighted", "average", "random", "one_step"]
CovType = Literal["nonrobust", "HC0", "HC1", "partition", "between"]


def summarize(
    formula: Annotated[str, typer.Argument(metavar="FORMULA", help="The same at every site.")],
    files: Annotated[
        list[str],
        typer.Argument(metavar="FILE", help="The site's rows: Parquet, CSV or Arrow; paths, globs, URLs."),
    ],
    out: Annotated[
        Path,
        typer.Option("--out", "-o", metavar="SITE", help="File to write: site.json, or site.npz (smaller)."),
    ],
    family: Annotated[str, typer.Option(help="As in statkit fit; the same at every site.")] = "gaussian",
    link: Annotated[str | None, typer.Option(help="Link function; the family's own by default.")] = None,
    site: Annotated[str | None, typer.Option(help="Name of the site; that of the file by default.")] = None,
    weights: Annotated[str | None, typer.Option(metavar="COL", help="Column of prior weights.")] = None,
    offset: Annotated[
        str | None, typer.Option(metavar="COL", help="Column to add to the linear predictor.")
    ] = None,
    levels: Annotated[
        list[str] | None,
        typer.Option(
            metavar="COL=A,B,…", help="Levels of a factor, the reference first, as the sites agreed."
        ),
    ] = None,
    like: Annotated[
        Path | None,
        typer.Option(metavar="SITE", help="Another site's summary: take over its levels and transforms."),
    ] = None,
    at: Annotated[
        Path | None,
        typer.Option(metavar="JSON", help="Second round: what statkit combine --output json printed."),
    ] = None,
    na_action: Annotated[NaAction, typer.Option(help="What to do with rows that lack a value.")] = "drop",
    min_count: Annotated[
        int, typer.Option(help="Fewest rows, and rows of a class, to hand anything over.")
    ] = 10,
    min_level: Annotated[int, typer.Option(help="Fewest rows of a level.")] = 5,
    engine: Annotated[str, typer.Option(help="Who computes, as in statkit fit.")] = "threads",
    n_jobs: Annotated[int | None, typer.Option(help="Workers; one for each processor by default.")] = None,
) -> None:
    """Fit one site's rows and write what other sites may see: sums, never a row."""
    if out.suffix not in (".json", ".npz"):
        raise typer.BadParameter(f"the summary's file is called *.json or *.npz, not {out}")
    if not out.absolute().parent.is_dir():
        raise FileNotFoundError(f"cannot write {out}: there is no folder {out.absolute().parent}")
    from statkit.inference import local_summary

    summary = local_summary(
        files[0] if len(files) == 1 else files,
        formula=formula,
        family=family,
        link=link,
        sample_weight=weights,
        offset=offset,
        na_action=na_action,
        site=out.stem if site is None else site,
        levels=_levels(levels or []),
        like=like,
        at=None if at is None else _parameters(at),
        min_count=min_count,
        min_level=min_level,
        engine=engine,
        n_jobs=n_jobs,
    )
    summary.save(out)
    what = "its fit" if at is None else "score and information at the given parameters"
    typer.echo(
        f"{out}: {summary.nobs:,} rows of {summary.site}, {what}, {len(summary.point)} parameters, no row"
    )


def combine(
    sites: Annotated[list[Path], typer.Argument(metavar="SITE", help="Files that statkit summarize wrote.")],
    method: Annotated[
        Method,
        typer.Option(
            help="weighted by information, average, random (sites differ), or one_step (second round)."
        ),
    ] = "auto",
    own: Annotated[
        list[str] | None,
        typer.Option(metavar="TERM", help="Parameter or term that every site has for itself, as Intercept."),
    ] = None,
    plain: Annotated[bool, typer.Option("--plain", help="Do not subtract the predicted bias.")] = False,
    dispersion: Annotated[
        Literal["pooled", "own"], typer.Option(help="One dispersion, or one a site.")
    ] = "pooled",
    cov_type: Annotated[CovType, typer.Option(help="Standard errors.")] = "nonrobust",
    diagnostics: Annotated[
        bool, typer.Option("--diagnostics", help="Print bias and heterogeneity too.")
    ] = False,
    output: Annotated[Output, typer.Option(help="What to print.")] = "table",
) -> None:
    """Combine the summaries of several sites and print the table of all their rows."""
    from statkit.inference import combine_summaries

    estimate = combine_summaries(
        sites,
        method,
        bias_correction=None if plain else "auto",
        own=own or (),
        dispersion=dispersion,
        cov_type=cov_type,
    )
    typer.echo(print_estimate(estimate, output))
    if diagnostics and output == "table":
        tables = [estimate.diagnostics.set_index("name"), estimate.partitions.set_index("partition")]
        if "heterogeneity" in estimate.extra:
            tables.append(estimate.heterogeneity)
        for table in tables:
            typer.echo("\n" + table.to_string(float_format=lambda v: f"{v:.4g}"))


def _levels(given: list[str]) -> dict:
    levels: dict = {}
    for text in given:
        name, sign, values = text.partition("=")
        if not sign or not name or not values:
            raise typer.BadParameter(f"--levels wants COL=A,B,…, not {text!r}")
        levels[name] = [_value(v) for v in values.split(",")]
    return levels


def _value(text: str):
    """Numbers as numbers, in the way in which a formula writes them."""
    for kind in (int, float):
        try:
            value = kind(text)
        except ValueError:
            continue
        return value if str(value) == text else text
    return text


def _parameters(path: Path) -> dict:
    try:
        record = json.loads(path.read_bytes())
        params = {str(name): float(value) for name, value in record["params"].items()}
    except (KeyError, TypeError, AttributeError, ValueError, RecursionError) as error:
        raise ValueError(f"{path} is not what statkit combine --output json prints: {error}") from None
    return params
