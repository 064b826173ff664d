"""``statkit explain``: what a fit would take and give, before any pass over the files."""

from __future__ import annotations

from typing import Annotated, Literal

import typer

from statkit.cli.fit import CovType, NaAction, Refine

_CLASSES = {
    "exact": "Exact", "subsample": "Subsample", "one-shot": "OneShot", "lsa": "LeastSquaresApproximation",
    "one-step": "OneStep", "renewable": "Renewable", "sgd": "AveragedSGD",
}  # fmt: skip


def explain(
    formula: Annotated[str, typer.Argument(metavar="FORMULA", help="As for fit.")],
    files: Annotated[
        list[str], typer.Argument(metavar="FILE", help="Parquet, CSV or Arrow; paths, globs, URLs.")
    ],
    family: Annotated[
        str, typer.Option(help="As for fit; cox, ordered, softmax and quantile too.")
    ] = "gaussian",
    link: Annotated[str | None, typer.Option(help="Link function; the family's own by default.")] = None,
    ties: Annotated[
        Literal["efron", "breslow"] | None, typer.Option(help="Events at one time, for --family cox.")
    ] = None,
    weights: Annotated[str | None, typer.Option(metavar="COL", help="Column of prior weights.")] = None,
    offset: Annotated[
        str | None, typer.Option(metavar="COL", help="Column to add to the linear predictor.")
    ] = None,
    cluster: Annotated[str | None, typer.Option(metavar="COL", help="Column of clusters.")] = None,
    cov_type: Annotated[
        CovType | None, typer.Option(help="Standard errors; nonrobust, or cluster with --cluster.")
    ] = None,
    alpha: Annotated[float, typer.Option(help="Penalty, in units of the mean loss.")] = 0.0,
    l1_ratio: Annotated[float, typer.Option(help="Share of the penalty on absolute values.")] = 0.0,
    plan: Annotated[
        list[str] | None,
        typer.Option(
            help=f"A plan to look at: {', '.join(_CLASSES)}; may be given again. All that suit the model by default."
        ),
    ] = None,
    size: Annotated[
        list[int] | None,
        typer.Option(help="Rows to draw, for --plan subsample; may be given again."),
    ] = None,
    criterion: Annotated[str | None, typer.Option(help="Which rows to prefer (subsample).")] = None,
    refine: Annotated[Refine | None, typer.Option(help="How to refine a sample's estimate.")] = None,
    engine: Annotated[str, typer.Option(help="Who would compute, as for fit.")] = "threads",
    n_jobs: Annotated[int | None, typer.Option(help="Workers; one for each processor by default.")] = None,
    na_action: Annotated[NaAction, typer.Option(help="What to do with rows that lack a value.")] = "drop",
    seed: Annotated[int | None, typer.Option(help="Seed of the pilot.")] = None,
    full: Annotated[bool, typer.Option("--full", help="Show all standard errors.")] = False,
    output: Annotated[Literal["table", "json", "csv"], typer.Option(help="What to print.")] = "table",
) -> None:
    """Tell what a fit would take and give: passes, seconds, memory, standard errors, distance to the exact fit.

    Nothing is read but footers and a pilot from up to eight places of the files, at most a quarter of the rows.
    """
    from statkit import explain as look

    plans = _plans(plan or [], size or [], criterion, refine)
    told = look(
        formula, files[0] if len(files) == 1 else files, plans, engine, family=family, link=link, ties=ties,
        weights=weights, offset=offset, groups=cluster, n_jobs=n_jobs, alpha=alpha, l1_ratio=l1_ratio,
        cov_type=cov_type, na_action=na_action, random_state=seed,
    )  # fmt: skip
    if output == "table":
        typer.echo(str(told.summary(full=full)))
    elif output == "csv":
        typer.echo(told.frame.to_csv(index=False).rstrip("\n"))
    else:
        import json

        typer.echo(json.dumps(told.to_dict(), allow_nan=False, indent=2))


def _plans(names: list[str], sizes: list[int], criterion: str | None, refine: str | None):
    """Plans of these names; a subsample for each size. None for the usual ones."""
    from statkit import plans

    options: dict = {k: v for k, v in {"criterion": criterion, "refine": refine}.items() if v is not None}
    if (sizes or options) and "subsample" not in names:
        option = "size" if sizes else next(iter(options))
        raise typer.BadParameter(f"--{option} is for --plan subsample")
    if options.get("refine") == "none":
        options["refine"] = None
    made = []
    for name in names:
        if name not in _CLASSES:
            raise typer.BadParameter(f"--plan {name} has no forecast: choose from {', '.join(_CLASSES)}")
        if name == "subsample":
            made += [plans.Subsample(n, **options) for n in sizes] or [plans.Subsample(**options)]
        else:
            made.append(getattr(plans, _CLASSES[name])())
    return made or None
