"""A fitted regression as a document for the model file, and back."""

from __future__ import annotations

import os
from typing import Any

import numpy as np

from statkit._model_file import model_from_bytes, model_to_bytes, read_model, write_model
from statkit.regression._base import RegressionBase

_FITTED = ("classes_", "n_features_in_", "feature_names_in_")
#: Constructor parameters that are plain values, by kind of model. Objects say how it was fitted, not what it is;
#: only the plan of a stream is kept, which goes on with it.
_PARAMETERS = {
    "GLMRegressor": ("link", "formula", "fit_intercept", "alpha", "l1_ratio", "cov_type", "na_action"),
    "GLMClassifier": ("link", "formula", "fit_intercept", "alpha", "l1_ratio", "cov_type", "na_action"),
    "QuantileRegressor": ("quantile", "formula", "fit_intercept", "cov_type", "na_action"),
}


def save_model(model: RegressionBase, path: str | os.PathLike[str]) -> None:
    """Write a fitted regression to a file that holds numbers and text alone; a stream can go on from it."""
    write_model(path, _document(model))


def load_model(path: str | os.PathLike[str]) -> RegressionBase:
    """Read a model that `save_model` wrote; a ``ValueError`` says why a file is not one."""
    return _checked(read_model(path), os.fspath(path))


def model_state(model: RegressionBase) -> bytes:
    """A fitted regression, with its stream, as bytes: what `save_model` writes."""
    return model_to_bytes(_document(model))


def model_from_state(state: bytes) -> RegressionBase:
    """The model of `model_state`."""
    if not isinstance(state, (bytes, bytearray, memoryview)):
        raise TypeError(f"a state is the bytes that get_state() gave, not {type(state).__name__}")
    return _checked(model_from_bytes(bytes(state)), "the state")


def _document(model) -> dict[str, Any]:
    family, design = model._fitted_family, model._design
    kind = type(model).__name__
    document = {
        "kind": kind,
        "parameters": {name: getattr(model, name) for name in _PARAMETERS[kind]},
        "family": {"name": family.name, "parameters": family.get_params()},
        "design": design.to_dict(),
        "estimate": model.estimate_.to_dict(),
        "fitted": {name: np.asarray(getattr(model, name)) for name in _FITTED if hasattr(model, name)},
    }
    stream = vars(model).get("_stream")
    if stream is not None and hasattr(model.plan, "state_to_dict"):
        problem = stream.problem
        document["stream"] = {
            "plan": {"name": type(model.plan).__name__, "parameters": _plain(model.plan.get_params())},
            "problem": {
                "alpha": problem.alpha, "cov_type": problem.cov_type, "seed": problem.seed,
                "shape": np.asarray(problem.shape, dtype=float),
            },
            "state": model.plan.state_to_dict(stream.state),
        }  # fmt: skip
    return document


def _plain(parameters: dict) -> dict:
    return {
        name: value.item() if isinstance(value, np.generic) else value for name, value in parameters.items()
    }


def _checked(document: dict[str, Any], where: str) -> RegressionBase:
    if document.get("kind") not in _PARAMETERS:
        raise ValueError(f"{where} holds a {document.get('kind')!r}, not a regression model")
    try:
        return _rebuilt(document)
    except (LookupError, TypeError, AttributeError, ValueError) as error:
        raise ValueError(f"{where} is damaged: {type(error).__name__}: {error}") from None


def _family(kept: dict[str, Any]):
    from statkit import families
    from statkit.families.resolve import FAMILIES

    special = {"softmax": "Softmax", "quantile": "Quantile", "huber": "Huber"}
    name = special.get(kept["name"]) or FAMILIES[kept["name"]]
    return getattr(families, name)(**kept["parameters"])


def _rebuilt(document: dict[str, Any]) -> RegressionBase:
    from statkit import design, regression
    from statkit.results import Estimate

    kind = document["kind"]
    family = _family(document["family"])
    parameters = {name: document["parameters"][name] for name in _PARAMETERS[kind]}
    if kind == "GLMRegressor":
        parameters["family"] = family
    stream = document.get("stream")
    if stream is not None:
        parameters["plan"] = _plan(stream["plan"])
    model = getattr(regression, kind)(**parameters)
    model.estimate_ = Estimate.from_dict(document["estimate"])
    designs: dict[str, Any] = {
        "FormulaDesign": design.FormulaDesign,
        "FrameDesign": design.FrameDesign,
        "MatrixDesign": design.MatrixDesign,
    }
    model._design = designs[document["design"]["kind"]].from_dict(document["design"])
    model._fitted_family = family
    for name, value in document["fitted"].items():
        setattr(model, name, int(value) if value.ndim == 0 else value)
    model._set_coefficients(model.estimate_.values)
    if stream is not None:
        from statkit.regression._streaming import show

        model._stream = _stream(model, family, stream)
        show(model, model._stream.problem, model._stream.state)
    return model


def _plan(kept: dict[str, Any]):
    from statkit import plans

    if kept["name"] not in plans.__all__:
        raise ValueError(f"there is no plan {kept['name']!r}")
    return getattr(plans, kept["name"])(**kept["parameters"])


def _stream(model, family, kept: dict[str, Any]):
    from statkit.regression._streaming import Stream
    from statkit.rounds import Problem

    described, nothing = kept["problem"], np.empty(0)
    problem = Problem(
        family, model._design, None, alpha=float(described["alpha"]), shape=described["shape"],
        cov_type=described["cov_type"], seed=int(described["seed"]), scaling={"center": nothing, "scale": nothing},
    )  # fmt: skip
    problem.l1_ratio = float(model.l1_ratio)
    problem.classes = vars(model).get("classes_")
    state = model.plan.state_from_dict(kept["state"])
    if state.q != problem.size:
        raise ValueError(f"the stream has {state.q} coefficients, the model {problem.size}")
    return Stream(problem, state)
