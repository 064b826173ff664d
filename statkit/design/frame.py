"""A frame without a formula: all of its columns, in their order."""

from __future__ import annotations

from statkit.design.columns import table_field
from statkit.design.expressions import quoted
from statkit.design.formula_parse import FactorSpec, Scoped
from statkit.design.roles import ResponseSpec
from statkit.design.terms_design import TermsDesign

__all__ = ["FrameDesign"]


class FrameDesign(TermsDesign):
    """Numbers and booleans as they are, text and categories by treatment coding as ``name[T.level]``.

    Parameters
    ----------
    schema : dict of str to pyarrow.DataType
        Columns of the table.
    columns : sequence of str or None
        Columns to use, in this order; None for all but the roles.
    intercept : bool, default=True
        Without an intercept the first categorical column keeps all of its levels.
    y, weight, offset, group : str or None
        Columns with these roles; None when there is none or it comes as an array beside the table.
    classes : sequence or None
        Labels of the response in the order of their codes; None as in
        :class:`~statkit.design.formula.FormulaDesign`.
    na_action : {"drop", "raise"}, default="drop"
    limit_rule : dict, callable or None

    Raises
    ------
    ValueError
        For an unknown column, or one whose type a model cannot use.

    Examples
    --------
    >>> import pyarrow as pa
    >>> schema = {"x": pa.float64(), "flag": pa.bool_()}
    >>> FrameDesign(schema).freeze(None).names
    ('Intercept', 'x', 'flag')
    """

    def __init__(
        self,
        schema: dict,
        columns=None,
        *,
        intercept: bool = True,
        y: str | None = None,
        weight: str | None = None,
        offset: str | None = None,
        group: str | None = None,
        classes=None,
        na_action: str = "drop",
        limit_rule=None,
    ):
        roles = [r for r in (y, weight, offset, group) if r is not None]
        columns = [c for c in schema if c not in roles] if columns is None else list(columns)
        for name in (*columns, *roles):
            if name not in schema:
                from statkit.sources import column_not_found

                raise column_not_found(name, list(schema))
        specs: dict[str, FactorSpec] = {}
        plan: list[tuple[str, tuple[Scoped, ...]]] = [("Intercept", (Scoped(()),))] if intercept else []
        spanned = intercept
        for name in columns:
            text = quoted(name)
            categorical = _must_fit(name, schema[name]) in ("text", "categories")
            specs[text] = FactorSpec(text, categorical, categorical)
            plan.append((name, (Scoped(((text, categorical and spanned),)),)))
            spanned = spanned or categorical
        for name in (weight, offset):
            if name is not None and table_field(schema[name]) not in ("number", "boolean"):
                raise ValueError(f"column {name!r} has type {schema[name]}, it must be numeric")
        response, classes = _response(y, schema, classes)
        super().__init__(
            formula=None, plan=tuple(plan), specs=specs, response=response, weight=weight and quoted(weight),
            offsets=() if offset is None else (quoted(offset),), group=group and quoted(group),
            classes=classes, na_action=na_action, limit_rule=limit_rule,
        )  # fmt: skip


def _must_fit(name: str, kind) -> str:
    field = table_field(kind)
    if field == "nothing":
        raise ValueError(f"column {name!r} has no value: all its rows are missing; leave it out")
    if field in ("time", "unsupported"):
        hint = "; a formula can use hour(), weekday(), month() of it" if field == "time" else ""
        raise ValueError(f"column {name!r} has type {kind}, which a model cannot use as it is{hint}")
    return field


def _response(y: str | None, schema: dict, classes) -> tuple[ResponseSpec, tuple | None]:
    if y is None:
        return ResponseSpec("beside", (), "y"), None
    field = _must_fit(y, schema[y])
    if classes is not None or field in ("text", "categories"):
        return ResponseSpec("classes", (quoted(y),), y), classes
    if field == "boolean":
        return ResponseSpec("classes", (quoted(y),), y), (False, True)
    return ResponseSpec("numbers", (quoted(y),), y), None
