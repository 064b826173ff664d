"""A design as plain values for a model file, and back: numbers, text, lists and arrays, nothing that runs."""

from __future__ import annotations

import numpy as np

from statkit.design.coding import Categorical, Contrast, Numeric
from statkit.design.formula_parse import FactorSpec, Scoped
from statkit.design.levels import Levels
from statkit.design.roles import ResponseSpec
from statkit.design.row_values import shown

__all__ = ["design_to_dict", "frozen_fields", "setup_fields"]


def design_to_dict(design) -> dict:
    """Everything that prediction needs of a :class:`~statkit.design.terms_design.TermsDesign`."""
    response, factors = design._response, design._factors
    return {
        "kind": type(design).__name__,
        "formula": design.formula,
        "plan": [
            [name, [[[list(f) for f in s.factors], s.scale] for s in scoped]] for name, scoped in design._plan
        ],
        "specs": [
            [s.text, s.categorical, s.spans, s.contrasts, None if s.given is None else list(s.given)]
            for s in design._specs.values()
        ],
        "response": None if response is None else [response.kind, list(response.texts), response.name],
        "weight": design._weight,
        "offsets": list(design._offsets),
        "group": design._group,
        "na_action": design.na_action,
        "classes": None if design._class_levels is None else design._class_levels.to_dict(),
        "states": design._states,
        "factors": None if factors is None else {text: _factor_to_dict(f) for text, f in factors.items()},
        "notes": list(design.notes),
    }


def _factor_to_dict(factor: Numeric | Categorical) -> dict:
    if isinstance(factor, Numeric):
        return {"fields": None if factor.fields is None else list(factor.fields)}
    return {
        "levels": factor.levels.to_dict(),
        "base": factor.base,
        "reduced": _contrast_to_dict(factor.reduced),
        "full": _contrast_to_dict(factor.full),
        # JSON has no infinity.
        "removed": [[level, "+inf" if sign > 0 else "-inf"] for level, sign in factor.removed.items()],
        "given": factor.given,
    }


def _contrast_to_dict(contrast: Contrast | None) -> dict | None:
    return None if contrast is None else {"matrix": contrast.matrix, "labels": list(contrast.labels)}


def setup_fields(kept: dict) -> dict:
    """Arguments of ``TermsDesign`` from what :func:`design_to_dict` wrote."""
    response = kept["response"]
    return {
        "formula": kept["formula"],
        "plan": tuple(
            (name, tuple(Scoped(tuple((t, bool(r)) for t, r in fs), float(scale)) for fs, scale in scoped))
            for name, scoped in kept["plan"]
        ),
        "specs": {
            text: FactorSpec(text, categorical, spans, contrasts, None if given is None else tuple(given))
            for text, categorical, spans, contrasts, given in kept["specs"]
        },
        "response": None if response is None else ResponseSpec(response[0], tuple(response[1]), response[2]),
        "weight": kept["weight"],
        "offsets": tuple(kept["offsets"]),
        "group": kept["group"],
        "na_action": kept["na_action"],
    }


def frozen_fields(kept: dict) -> tuple[dict | None, Levels | None]:
    """Frozen factors, None before freezing, and classes."""
    classes = None if kept["classes"] is None else Levels.from_dict(kept["classes"])
    if kept["factors"] is None:
        return None, classes
    return {text: _factor_from_dict(text, part) for text, part in kept["factors"].items()}, classes


def _factor_from_dict(text: str, part: dict) -> Numeric | Categorical:
    if "levels" not in part:
        fields = part["fields"]
        return Numeric(text, shown(text), None if fields is None else tuple(fields))
    return Categorical(
        text, shown(text), Levels.from_dict(part["levels"]), int(part["base"]),
        _contrast_from_dict(part["reduced"]), _contrast_from_dict(part["full"]),
        {int(level): float(sign) for level, sign in part["removed"]}, bool(part["given"]),
    )  # fmt: skip


def _contrast_from_dict(part: dict | None) -> Contrast | None:
    if part is None:
        return None
    return Contrast(np.asarray(part["matrix"], dtype=np.float64), tuple(part["labels"]))
