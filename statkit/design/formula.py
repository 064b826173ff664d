"""Designs from formulas such as ``late ~ poly(distance, 2) + C(hour(date)) + origin``."""

from __future__ import annotations

from statkit.design.columns import Coded, Columns, Instants
from statkit.design.expressions import Evaluator, column_names, quoted, top_call
from statkit.design.formula_parse import parse_formula, plan_terms, read_factor
from statkit.design.roles import ResponseSpec, survival_texts
from statkit.design.terms_design import TermsDesign

__all__ = ["FormulaDesign"]


class FormulaDesign(TermsDesign):
    """Columns, response and roles of a formula over a table.

    The grammar is formulaic's: ``C()`` with its contrasts, ``poly``, ``bs``, ``cr``, ``center``, ``scale``,
    functions of numpy, ``I()``, interactions, ``- 1``; besides, ``offset(e)``, ``Surv(time, event)``, and
    ``hour``, ``minute``, ``weekday`` (Monday = 0), ``day``, ``dayofyear``, ``month``, ``year``, ``date`` of a
    timestamp column. Names are formulaic's.

    Parameters
    ----------
    formula : str
    schema : dict of str to pyarrow.DataType
        Columns of the table.
    na_action : {"drop", "raise"}, default="drop"
        What to do with rows in which a used column has no value.
    weight, offset, group : str or None
        Names of columns, or expressions; None when there is none or it comes as an array beside the table.
    classes : sequence or None
        Labels of the response, in the order of their codes. None takes them from the response: False and True
        for a condition, the levels of text or categories; numbers then stay numbers.
    y_beside : bool, default=False
        The response comes as an array beside the table.
    limit_rule : dict, callable or None
        Response value → limit of a coefficient whose level has this response only, such as
        ``{0: -inf, 1: inf}`` for a binomial response. None sets nothing aside.

    Raises
    ------
    ValueError
        For a formula that cannot be read, an unknown column or function, or no response.

    Examples
    --------
    >>> import pyarrow as pa
    >>> table = pa.table({"y": [1.0, 2.0, 3.0, 5.0], "a": ["u", "v", "w", "u"]})
    >>> from statkit.sources import Rows
    >>> rows = Rows(0, 4, table, None, {}, "rows 0–3")
    >>> design = FormulaDesign("y ~ a", dict(zip(table.column_names, table.schema.types)))
    >>> design = design.freeze(design.profile(rows))
    >>> design.names
    ('Intercept', 'a[T.v]', 'a[T.w]')
    >>> design.encode(rows).to_dense()
    array([[1., 0., 0.],
           [1., 1., 0.],
           [1., 0., 1.],
           [1., 0., 0.]])
    """

    def __init__(
        self,
        formula: str,
        schema: dict,
        *,
        na_action: str = "drop",
        weight: str | None = None,
        offset: str | None = None,
        group: str | None = None,
        classes=None,
        y_beside: bool = False,
        limit_rule=None,
    ):
        parsed = parse_formula(formula, [c for c in schema if c not in (weight, offset, group)])
        weight, offset, group = (_role(r, schema) for r in (weight, offset, group))
        offsets = parsed.offsets + (() if offset is None else (offset,))
        factors = list(dict.fromkeys(f for _, fs, _ in parsed.terms for f in fs))
        surv = None if parsed.response is None else survival_texts(parsed.response)
        texts = surv or (() if parsed.response is None else (parsed.response,))
        roles = [r for r in (weight, group) if r is not None]
        _check_columns([*texts, *factors, *offsets, *roles], schema)
        empty = Evaluator(Columns(_empty_table(schema, [*texts, *factors, *offsets, *roles])), None)
        specs = {text: read_factor(text, _is_categorical(text, empty)) for text in factors}
        for text in (*offsets, *([] if weight is None else [weight])):
            _must_be_number(text, empty.value(text))
        response, classes = _response(parsed.response, surv, empty, y_beside, classes, formula)
        super().__init__(
            formula=formula, plan=plan_terms(parsed, specs), specs=specs, response=response,
            weight=weight, offsets=offsets, group=group, classes=classes, na_action=na_action,
            limit_rule=limit_rule,
        )  # fmt: skip


def _role(name: str | None, schema: dict) -> str | None:
    if name is None or not isinstance(name, str):
        return name
    return quoted(name) if name in schema else name


def _check_columns(texts: list[str], schema: dict) -> None:
    for text in texts:
        for name in column_names(text):
            if name not in schema:
                from statkit.sources import column_not_found

                raise column_not_found(name, list(schema))


def _empty_table(schema: dict, texts: list[str]):
    import pyarrow as pa

    names = dict.fromkeys(name for text in texts for name in column_names(text))
    return pa.schema([(name, schema[name]) for name in names]).empty_table()


def _is_categorical(text: str, empty: Evaluator) -> bool:
    value = empty.value(text)
    call = top_call(text)
    if call is not None and call[0] == "C":
        return True
    if isinstance(value, Instants):
        raise ValueError(f"{text}: a timestamp column needs hour(), weekday(), month(), date(), … or C()")
    return isinstance(value, Coded) and value.categorical


def _must_be_number(text: str, value) -> None:
    if isinstance(value, Instants) or (isinstance(value, Coded) and value.categorical):
        raise ValueError(f"{text} must be a numeric column")


def _response(text, surv, empty: Evaluator, y_beside: bool, classes, formula: str):
    if text is None:
        if not y_beside:
            raise ValueError(f"the formula {formula!r} has no response: write 'y ~ …', or give y")
        return ResponseSpec("beside", (), "y"), classes
    if y_beside:
        raise ValueError(f"the response is given twice: by {formula!r} and by y")
    if surv is not None:
        return ResponseSpec("survival", surv, text), None
    value = empty.value(text)
    shown = text[1:-1] if text.startswith("`") else text
    if isinstance(value, Instants):
        raise ValueError(f"{text}: a timestamp cannot be the response")
    if classes is not None or (isinstance(value, Coded) and value.categorical):
        return ResponseSpec("classes", (text,), shown), classes
    if isinstance(value, Coded) and value.values.dtype.kind == "b":
        return ResponseSpec("classes", (text,), shown), (False, True)
    return ResponseSpec("numbers", (text,), shown), None
