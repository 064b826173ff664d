"""``statkit fit``: R's ``glm()`` on files, the table on standard output."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Literal

import typer

Output = Literal["table", "json", "csv", "latex"]
CovType = Literal["nonrobust", "HC0", "HC1", "cluster"]
NaAction = Literal["drop", "raise"]
PlanName = Literal["exact", "subsample", "one-shot", "lsa", "one-step", "renewable", "sgd"]
OnDrift = Literal["warn", "skip", "ignore"]
Refine = Literal["calibrated", "one_step", "newton", "none"]


def fit(
    formula: Annotated[
        str, typer.Argument(metavar="FORMULA", help='For instance "late ~ poly(distance, 2) + C(origin)".')
    ],
    files: Annotated[
        list[str],
        typer.Argument(
            metavar="FILE", help="Parquet, CSV or Arrow; paths, globs, URLs; - for standard input."
        ),
    ],
    family: Annotated[
        str,
        typer.Option(
            help="gaussian, binomial, poisson, gamma, inverse_gaussian, negative_binomial, tweedie, "
            "quasi_binomial, quasi_poisson; cox, with Surv(time, event) on the left; or ordered classes."
        ),
    ] = "gaussian",
    link: Annotated[str | None, typer.Option(help="Link function; the family's own by default.")] = None,
    ties: Annotated[
        Literal["efron", "breslow"] | None, typer.Option(help="Events at one time, for --family cox.")
    ] = None,
    weights: Annotated[str | None, typer.Option(metavar="COL", help="Column of prior weights.")] = None,
    offset: Annotated[
        str | None, typer.Option(metavar="COL", help="Column to add to the linear predictor.")
    ] = None,
    cluster: Annotated[
        str | None, typer.Option(metavar="COL", help="Column of clusters, for errors that allow for them.")
    ] = None,
    cov_type: Annotated[
        CovType | None, typer.Option(help="Standard errors; nonrobust, or cluster with --cluster.")
    ] = None,
    alpha: Annotated[float, typer.Option(help="Penalty, in units of the mean loss.")] = 0.0,
    l1_ratio: Annotated[
        float, typer.Option(help="Share of the penalty on absolute values: 0 is ridge, 1 the lasso.")
    ] = 0.0,
    plan: Annotated[
        PlanName,
        typer.Option(
            help="How: exact, a sample in one pass, one round over the files' partitions with its bias predicted, "
            "renewable: batch by batch, which also reads standard input (-) in constant memory, or sgd: averaged "
            "stochastic gradients with their errors."
        ),
    ] = "exact",
    engine: Annotated[
        str,
        typer.Option(
            help="Who computes: threads, serial, processes, dask://HOST:PORT, ray, ray://HOST:PORT, spark or "
            "spark://HOST:PORT (extras dask, ray, spark)."
        ),
    ] = "threads",
    n_jobs: Annotated[int | None, typer.Option(help="Workers; one for each processor by default.")] = None,
    na_action: Annotated[NaAction, typer.Option(help="What to do with rows that lack a value.")] = "drop",
    size: Annotated[int | None, typer.Option(help="Rows to draw, for --plan subsample.")] = None,
    criterion: Annotated[
        str | None, typer.Option(help="Which rows to prefer: optLs, optA, cv, uniform, … (subsample).")
    ] = None,
    refine: Annotated[Refine | None, typer.Option(help="How to refine a sample's estimate.")] = None,
    target: Annotated[
        Literal["population", "full_data"] | None,
        typer.Option(help="What the sample's errors refer to; the population by default."),
    ] = None,
    seed: Annotated[int | None, typer.Option(help="Seed of plans that sample.")] = None,
    batch_size: Annotated[int | None, typer.Option(help="Rows of a batch, for --plan renewable.")] = None,
    passes: Annotated[
        int | None, typer.Option(help="Passes over files (renewable): 2 by default; standard input has 1.")
    ] = None,
    forgetting: Annotated[
        float | None, typer.Option(help="Factor on what is known at every batch (renewable); 1 by default.")
    ] = None,
    on_drift: Annotated[
        OnDrift | None, typer.Option(help="What to do with batches unlike the earlier ones (renewable).")
    ] = None,
    output: Annotated[Output, typer.Option(help="What to print.")] = "table",
    save: Annotated[
        Path | None, typer.Option(metavar="MODEL", help="File to save the fitted model to, for predict.")
    ] = None,
) -> None:
    """Fit a generalized linear model to files and print its table.

    The fit is exact, in a few passes and bounded memory, unless --plan says otherwise.
    """
    sampled = {"size": size, "criterion": criterion, "refine": refine, "target": target}
    streamed = {
        "batch_size": batch_size, "n_passes": passes, "forgetting": forgetting, "on_drift": on_drift
    }  # fmt: skip
    plan_object = _plan(plan, sampled, streamed)
    if cluster is not None and cov_type not in (None, "cluster"):
        raise typer.BadParameter(f"--cluster wants --cov-type cluster, not {cov_type}")
    if save is not None and not save.absolute().parent.is_dir():
        # Said before the fit, which may take long.
        raise FileNotFoundError(f"cannot save to {save}: there is no folder {save.absolute().parent}")

    if ties is not None and family != "cox":
        raise typer.BadParameter("--ties is for --family cox")
    if save is not None and family in ("cox", "ordered"):
        raise typer.BadParameter(f"--save does not know --family {family} yet")
    options = {
        "engine": engine,
        "n_jobs": n_jobs,
        "alpha": alpha,
        "cov_type": cov_type or ("nonrobust" if cluster is None else "cluster"),
        "na_action": na_action,
        "plan": plan_object,
        "random_state": seed,
        "verbose": int(sys.stderr.isatty()),
    }
    roles = {"weights": weights, "offset": offset, "groups": cluster}
    function, own = _model(family, link, ties, l1_ratio)
    if plan == "renewable" and files == ["-"]:
        if family in ("cox", "ordered"):
            raise typer.BadParameter(f"--family {family} cannot be fitted from a stream")
        from statkit.cli.stream import fit_stream

        model = fit_stream(formula, own | options, roles)
    else:
        model = function(formula, files[0] if len(files) == 1 else files, **roles, **own, **options)
    if save is not None:
        from statkit.regression.model_document import save_model

        save_model(model, save)
    typer.echo(print_estimate(model.estimate_, output))


def _model(family: str, link: str | None, ties: str | None, l1_ratio: float):
    """The function that fits the family, and its own options."""
    from statkit import regression

    if family in ("cox", "ordered") and l1_ratio:
        raise typer.BadParameter(f"--family {family} has no --l1-ratio")
    if family == "cox":
        if link is not None:
            raise typer.BadParameter("--family cox has no --link")
        return regression.coxph, {} if ties is None else {"ties": ties}
    if family == "ordered":
        return regression.polr, {} if link is None else {"link": link}
    return regression.glm, {"family": family, "link": link, "l1_ratio": l1_ratio}


def _plan(name: str, sampled: dict, streamed: dict):
    """The plan that the options describe; options of another plan are refused."""
    for owner, options in (("subsample", sampled), ("renewable", streamed)):
        named = [option for option, value in options.items() if value is not None]
        if name != owner and named:
            option = named[0].replace("n_passes", "passes").replace("_", "-")
            raise typer.BadParameter(f"--{option} is for --plan {owner}")
    if name == "exact":
        return None
    from statkit import plans

    given = {option: value for option, value in {**sampled, **streamed}.items() if value is not None}
    if name == "renewable":
        return plans.Renewable(unknown_level="grow", **given)
    if name == "subsample":
        if given.get("refine") == "none":
            given["refine"] = None
        return plans.Subsample(**given)
    if name == "sgd":
        return plans.AveragedSGD()
    kinds = {"one-shot": "OneShot", "lsa": "LeastSquaresApproximation", "one-step": "OneStep"}
    return getattr(plans, kinds[name])()


def print_estimate(estimate, output: Output) -> str:
    """An estimate as text of that kind."""
    if output == "table":
        return str(estimate.summary())
    if output == "latex":
        return estimate.summary().as_latex()
    if output == "csv":
        return estimate.to_frame().to_csv().rstrip("\n")
    import json

    return json.dumps(estimate.to_dict(matrices=False), allow_nan=False, indent=2)
