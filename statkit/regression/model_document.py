"""A fitted regression as a document for the model file, and back; predictions of one in a stream."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

import numpy as np

from statkit._model_file import read_model, write_model
from statkit.regression._base import RegressionBase

#: Constructor parameters that are plain values; objects (plan, engine) say how it was fitted, not what it is.
_FITTED = ("classes_", "n_features_in_", "feature_names_in_")
_PARAMETERS = ("link", "formula", "fit_intercept", "alpha", "l1_ratio", "cov_type", "na_action")


def save_model(model: RegressionBase, path: str | os.PathLike[str]) -> None:
    """Write a fitted ``GLMRegressor`` or ``GLMClassifier`` to a file that holds numbers and text alone."""
    family, design = model._fitted_family, model._design
    document = {
        "kind": type(model).__name__,
        "parameters": {name: getattr(model, name) for name in _PARAMETERS},
        "family": {"name": family.name, "parameters": family.get_params()},
        "design": design.to_dict(),
        "estimate": model.estimate_.to_dict(),
        "fitted": {name: np.asarray(getattr(model, name)) for name in _FITTED if hasattr(model, name)},
    }
    write_model(path, document)


def load_model(path: str | os.PathLike[str]) -> RegressionBase:
    """Read a model that `save_model` wrote; a ``ValueError`` says why a file is not one."""
    document = read_model(path)
    if document.get("kind") not in ("GLMRegressor", "GLMClassifier"):
        raise ValueError(f"{os.fspath(path)} holds a {document.get('kind')!r}, not a regression model")
    try:
        return _rebuilt(document)
    except (LookupError, TypeError, AttributeError, ValueError) as error:
        raise ValueError(f"{os.fspath(path)} is damaged: {type(error).__name__}: {error}") from None


def _rebuilt(document: dict[str, Any]) -> RegressionBase:
    from statkit import design, families, regression
    from statkit.families.resolve import FAMILIES
    from statkit.results import Estimate

    kept = document["family"]
    family = (
        families.Softmax(**kept["parameters"])
        if kept["name"] == "softmax"
        else getattr(families, FAMILIES[kept["name"]])(**kept["parameters"])
    )
    parameters = {name: document["parameters"][name] for name in _PARAMETERS}
    if document["kind"] == "GLMRegressor":
        parameters["family"] = family
    model = getattr(regression, document["kind"])(**parameters)
    model.estimate_ = Estimate.from_dict(document["estimate"])
    designs = {
        "FormulaDesign": design.FormulaDesign,
        "FrameDesign": design.FrameDesign,
        "MatrixDesign": design.MatrixDesign,
    }
    model._design = designs[document["design"]["kind"]].from_dict(document["design"])
    model._fitted_family = family
    for name, value in document["fitted"].items():
        setattr(model, name, int(value) if value.ndim == 0 else value)
    model._set_coefficients(model.estimate_.values)
    return model


def predicted_batches(model: RegressionBase, data: str | list[str], show: bool) -> Iterator[np.ndarray]:
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
