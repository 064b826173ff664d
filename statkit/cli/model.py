"""A fitted regression as a document for the model file, and back; predictions of one in a stream."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from statkit._model_file import read_model, write_model

if TYPE_CHECKING:
    import numpy as np

    from statkit.regression import GLMRegressor

_KIND = "GLMRegressor"
#: Constructor parameters that are plain values; objects (plan, engine) say how it was fitted, not what it is.
_PARAMETERS = ("link", "formula", "fit_intercept", "alpha", "l1_ratio", "cov_type", "na_action")


def save_model(model: GLMRegressor, path: str | os.PathLike[str]) -> None:
    """Write a fitted model to a file that holds numbers and text alone."""
    family = model._fitted_family
    write_model(
        path,
        {
            "kind": _KIND,
            "parameters": {name: getattr(model, name) for name in _PARAMETERS},
            "family": {"name": family.name, "parameters": family.get_params()},
            "design": model._design.to_dict(),
            "estimate": model.estimate_.to_dict(),
        },
    )


def load_model(path: str | os.PathLike[str]) -> GLMRegressor:
    """Read a model that `save_model` wrote; a ``ValueError`` says why a file is not one."""
    document = read_model(path)
    if document.get("kind") != _KIND:
        raise ValueError(f"{os.fspath(path)} holds a {document.get('kind')!r}, not a {_KIND}")
    try:
        return _rebuilt(document)
    except (LookupError, TypeError, AttributeError, ValueError) as error:
        raise ValueError(f"{os.fspath(path)} is damaged: {type(error).__name__}: {error}") from None


def _rebuilt(document: dict[str, Any]) -> GLMRegressor:
    from statkit import families
    from statkit.design.formula import FormulaDesign
    from statkit.families.resolve import FAMILIES
    from statkit.regression import GLMRegressor
    from statkit.results import Estimate

    kept = document["family"]
    family = getattr(families, FAMILIES[kept["name"]])(**kept["parameters"])
    model = GLMRegressor(family, **{name: document["parameters"][name] for name in _PARAMETERS})
    model.estimate_ = Estimate.from_dict(document["estimate"])
    model._design = FormulaDesign.from_dict(document["design"])
    model._fitted_family = family
    model._set_coefficients()
    return model


def predicted_batches(model: GLMRegressor, data: str | list[str], show: bool) -> Iterator[np.ndarray]:
    """Yield the expected responses of consecutive rows, a partition at a time; `show` draws a bar."""
    from statkit.regression._fit import progress_bar
    from statkit.regression._tabular import mean_of_partition, open_for_prediction

    source = open_for_prediction(model, data)
    progress = progress_bar(int(show))
    try:
        partitions = source.partitions()
        done, total = 0, sum(partition.n_rows for partition in partitions)
        for partition in partitions:
            yield mean_of_partition(source, model, partition)
            done += partition.n_rows
            if progress is not None:
                progress(1, done, total)
    finally:
        source.close()
