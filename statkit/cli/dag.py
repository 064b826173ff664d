"""``statkit dag``: the causal graph of a table with holes."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from statkit._replaced import replaced

Model = Literal["gaussian", "equal_var", "nongaussian", "nonlinear"]


def dag(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="CSV or Parquet; empty cells are missing.")],
    model: Annotated[Model, typer.Option(help="Noise and effects: see the user guide.")] = "gaussian",
    columns: Annotated[str | None, typer.Option(metavar="A,B,…", help="Use these columns only.")] = None,
    log: Annotated[
        bool, typer.Option("--log", help="Take logarithms first; all values must be positive.")
    ] = False,
    forbid: Annotated[
        list[str] | None, typer.Option(metavar="A:B", help="No edge from A to B. May be repeated.")
    ] = None,
    require: Annotated[
        list[str] | None, typer.Option(metavar="A:B", help="An edge from A to B. May be repeated.")
    ] = None,
    tiers: Annotated[
        str | None, typer.Option(metavar="A,B/C,D", help="No edge from a later tier to an earlier one.")
    ] = None,
    penalty: Annotated[float, typer.Option(help="Times the BIC's price of an edge.")] = 2.0,
    bootstrap: Annotated[int, typer.Option(min=0, help="Resamples for the confidence of edges.")] = 0,
    seed: Annotated[int, typer.Option(help="Of the random starts and the resamples.")] = 0,
    n_jobs: Annotated[int | None, typer.Option(help="Threads of the bootstrap.")] = None,
    output: Annotated[
        Path | None,
        typer.Option(
            "-o", "--output", metavar="PATH", help="Write the graph: .json, .dot, .png, .svg or .pdf."
        ),
    ] = None,
    impute: Annotated[
        Path | None,
        typer.Option(metavar="PATH", help="Write the table with its holes filled: .csv or .parquet."),
    ] = None,
) -> None:
    """Learn the causal graph of the columns of a table with missing cells and print its edges."""
    _check_target(output, (".json", ".dot", ".png", ".svg", ".pdf"))
    _check_target(impute, (".csv", ".parquet"))

    import numpy as np

    from statkit.causal import MissDAG

    frame = _read(file, columns)
    if log:
        wrong = [name for name in frame if (frame[name] <= 0).any()]
        if wrong:
            raise ValueError(f"--log wants positive values, but {', '.join(wrong)} has others")
        frame = np.log(frame)
    estimator = MissDAG(
        model,
        forbidden=[_pair(edge) for edge in forbid or []],
        required=[_pair(edge) for edge in require or []],
        tiers=None if tiers is None else [tier.split(",") for tier in tiers.split("/")],
        penalty_discount=penalty,
        n_bootstrap=bootstrap,
        n_jobs=n_jobs,
        random_state=seed,
    )
    estimator.set_output(transform="pandas").fit(frame)
    table = estimator.edges_.dropna(axis="columns", how="all")
    if "confidence" in table:
        table = table.sort_values("adjacency", ascending=False)
    typer.echo(table.to_string(index=False, float_format="{:.3f}".format) if len(table) else "no edges")
    typer.echo(
        f"{len(frame)} rows, {frame.isna().to_numpy().mean():.1%} of the cells missing, "
        f"log-likelihood {estimator.loglik_:.2f}, {estimator.n_iter_} iterations"
    )
    if output is not None:
        with replaced(output) as unfinished:
            _write(estimator, unfinished, output.suffix.lower())
    if impute is not None:
        filled = estimator.transform(frame)
        filled = np.exp(filled) if log else filled
        with replaced(impute) as unfinished:
            filled.to_csv(unfinished, index=False) if impute.suffix == ".csv" else filled.to_parquet(
                unfinished
            )


def _check_target(path: Path | None, kinds: tuple[str, ...]) -> None:
    if path is None:
        return
    if path.suffix.lower() not in kinds:
        raise typer.BadParameter(f"{path} should end in one of {', '.join(kinds)}")
    if not path.absolute().parent.is_dir():  # said before the fit, which may take long
        raise FileNotFoundError(f"cannot write {path}: there is no folder {path.absolute().parent}")


def _read(file: Path, columns: str | None):
    import pandas as pd

    frame = pd.read_parquet(file) if file.suffix.lower() == ".parquet" else pd.read_csv(file)
    if columns is not None:
        wanted = columns.split(",")
        absent = [name for name in wanted if name not in frame]
        if absent:
            raise ValueError(f"{file} has no column {absent[0]!r}: it has {', '.join(map(str, frame))}")
        frame = frame[wanted]
    words = [str(name) for name in frame if not pd.api.types.is_numeric_dtype(frame[name])]
    if words:
        raise ValueError(
            f"these columns of {file} are not numbers: {', '.join(words)}; choose with --columns"
        )
    return frame.astype(float)


def _pair(edge: str) -> tuple[str, str]:
    parts = edge.split(":")
    if len(parts) != 2 or not all(parts):
        raise typer.BadParameter(f"an edge is written CAUSE:EFFECT, not {edge!r}")
    return parts[0], parts[1]


def _write(estimator, path: Path, kind: str) -> None:
    if kind == ".dot":
        path.write_text(estimator.to_dot() + "\n", encoding="utf-8")
    elif kind == ".json":
        import json

        names = [str(name) for name in estimator.feature_names_in_]
        edges = estimator.edges_.astype(object).where(estimator.edges_.notna(), None)
        graph = {
            "nodes": names,
            "edges": edges.to_dict("records"),
            "noise_var": dict(zip(names, estimator.noise_var_.tolist(), strict=True)),
            "loglik": estimator.loglik_,
            "n_iter": estimator.n_iter_,
            "converged": bool(estimator.converged_),
        }
        path.write_text(json.dumps(graph, indent=2, allow_nan=False) + "\n", encoding="utf-8")
    else:
        import matplotlib

        matplotlib.use("Agg")
        estimator.plot().figure_.savefig(path, format=kind[1:], dpi=150, bbox_inches="tight")
