"""``statkit labels``: which labels of a file of texts are likely wrong, worst first."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from statkit._replaced import replaced


def labels(
    file: Annotated[
        Path, typer.Argument(metavar="FILE.csv", help="Texts with labels; CSV, may be compressed.")
    ],
    text: Annotated[str, typer.Option("--text", metavar="COL", help="Column of the texts.")],
    label: Annotated[str, typer.Option("--label", metavar="COL", help="Column of the given labels.")],
    output: Annotated[
        Path, typer.Option("--output", "-o", metavar="ISSUES.csv", help="File to write the labels to.")
    ],
    trusted: Annotated[
        str | None,
        typer.Option("--trusted", metavar="COL", help="Column of labels known to be right, empty elsewhere."),
    ] = None,
    transition: Annotated[
        str, typer.Option(help="How labels go wrong: full, symmetric, class, uniform or pair.")
    ] = "full",
    min_df: Annotated[int, typer.Option(min=1, help="Words in fewer texts are left out.")] = 2,
) -> None:
    """Find the labels of texts that are likely wrong.

    ISSUES.csv gets one line a label, worst first: the number of the row in the file (the first below the
    header is 1), the given and the likely label, the probability that the given one is wrong, whether that
    is more than one half, and the text. The summary of error rates is printed.
    """
    if output.exists() and file.exists() and output.samefile(file):
        raise ValueError(f"{output} is the file to read: write the labels to another one")

    import numpy as np
    import pandas as pd
    from sklearn.feature_extraction.text import CountVectorizer

    from statkit.naive_bayes import MislabeledMultinomialNB

    frame = pd.read_csv(file, dtype=str)
    for column in filter(None, (text, label, trusted)):
        if column not in frame:
            raise ValueError(f"{file} has no column {column!r}: it has {', '.join(map(str, frame.columns))}")
    if frame[label].notna().sum() == 0 and trusted is None:
        raise ValueError(f"column {label!r} of {file} is empty")
    texts = frame[text].fillna("")
    try:
        X = CountVectorizer(min_df=min(min_df, max(len(frame) // 2, 1))).fit_transform(texts)
    except ValueError as error:
        raise ValueError(f"column {text!r} of {file} has no words: {error}") from None
    model = MislabeledMultinomialNB(transition=transition)
    model.fit(X, frame[label], y_trusted=None if trusted is None else frame[trusted])
    issues = model.label_issues().sort_values("rank")
    table = pd.DataFrame(
        {
            "row": issues.index + 1,
            "given_label": issues["given_label"],
            "predicted_label": issues["predicted_label"],
            "error_proba": np.round(issues["error_proba"], 6),
            "is_issue": issues["is_issue"],
            "text": texts[issues.index],
        }
    )
    with replaced(output) as unfinished:
        table.to_csv(unfinished, index=False)
    typer.echo(model.summary().as_text())
    typer.echo(f"{int(issues['is_issue'].sum()):,} of {len(issues):,} labels are likely wrong: {output}")
