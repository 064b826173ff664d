"""From a formula's text to its parts: response, terms, offsets, and which factors are coded in full.

formulaic reads the grammar and decides, by its rule of structural full rank, where a categorical factor loses
its reference level. It sees a stand-in frame of two rows that has the factors as columns, never the data.
"""

from __future__ import annotations

import ast
import re
from dataclasses import dataclass

from statkit.design.expressions import STATEFUL, literal, parse, quoted, readable, stateful_calls, top_call
from statkit.design.formula_size import check_number_of_terms

__all__ = ["FactorSpec", "ParsedFormula", "Scoped", "parse_formula", "plan_terms", "read_factor"]

#: Columns that formulaic takes for the intercept, or for nothing, even in backticks: what stands for them there.
_STAND_INS = {"1": "\ue000", "": "\ue001"}


@dataclass(frozen=True)
class ParsedFormula:
    """The parts of a formula as text; a term is its name with the texts of its factors, literals apart."""

    response: str | None
    terms: tuple[tuple[str, tuple[str, ...], tuple[str, ...]], ...]
    offsets: tuple[str, ...]


@dataclass(frozen=True)
class FactorSpec:
    """What is known of a factor before any data.

    Attributes
    ----------
    text : str
    categorical : bool
    spans : bool
        Whether its columns contain the constant.
    contrasts : str or None
        Text of the contrasts in ``C(…)``; None for treatment coding.
    given : tuple or None
        Levels written in the formula.
    """

    text: str
    categorical: bool
    spans: bool
    contrasts: str | None = None
    given: tuple | None = None


@dataclass(frozen=True)
class Scoped:
    """A product of factors, each in full or reduced coding, that gives one group of columns."""

    factors: tuple[tuple[str, bool], ...]
    scale: float = 1.0


def parse_formula(text: str, columns: list[str]) -> ParsedFormula:
    """Read a formula.

    Parameters
    ----------
    text : str
    columns : list of str
        What ``.`` stands for.

    Raises
    ------
    ValueError
        If formulaic cannot read it, or the response is not a single expression.
    """
    from formulaic import Formula
    from formulaic.errors import FormulaInvalidError, FormulaParsingError, FormulaSyntaxError
    from formulaic.parser import DefaultFormulaParser

    parser = DefaultFormulaParser(feature_flags={"TWOSIDED"})
    stands = {name: sign for name, sign in _STAND_INS.items() if name in columns}
    given = text
    for name, sign in stands.items():
        given = given.replace(f"`{name}`", f"`{sign}`")
    context = {"__formulaic_variables_available__": [stands.get(name, name) for name in columns]}

    def own(part: str) -> str:
        for name, sign in stands.items():
            part = part.replace(sign, name)
        return part

    try:
        with readable(text):
            check_number_of_terms(parser.get_ast(given, context=context), len(columns))
            parsed = Formula(given, _parser=parser, _context=context)
    except (FormulaSyntaxError, FormulaParsingError, FormulaInvalidError, SyntaxError) as error:
        plain = re.sub(r"\x1b\[[0-9;]*m|[⧛⧚]", "", str(error)).strip()
        raise ValueError(f"cannot read the formula {text!r}: {plain}") from None
    left = list(getattr(parsed, "lhs", None) or [])
    right = list(getattr(parsed, "rhs", parsed))
    if len(left) > 1 or (left and len(left[0].factors) != 1):
        raise ValueError(f"the left side of {text!r} must be one response: write an expression as I(…)")
    terms, offsets = [], []
    for term in right:
        factors = tuple(
            quoted(own(f.expr)) if f.eval_method.value == "lookup" else own(f.expr) for f in term.factors
        )
        literals = tuple(f.expr for f in term.factors if f.eval_method.value == "literal")
        factors = tuple(f for f in factors if f not in literals)
        call = top_call(factors[0]) if len(factors) == 1 else None
        if call is not None and call[0] == "offset":
            if len(call[1].args) != 1:
                raise ValueError(f"{factors[0]}: offset() takes one expression")
            offsets.append(_inside(factors[0]))
        else:
            terms.append(("Intercept" if not factors else own(str(term)), factors, literals))
    response = None
    if left:
        factor = left[0].factors[0]
        response = own(factor.expr)
        response = quoted(response) if factor.eval_method.value == "lookup" else response
    return ParsedFormula(response, tuple(terms), tuple(offsets))


def _inside(text: str) -> str:
    return text.strip()[len("offset(") : -1]


def read_factor(text: str, is_categorical: bool) -> FactorSpec:
    """What a factor's text says of its coding.

    Parameters
    ----------
    text : str
    is_categorical : bool
        Whether its values are categories by their type.
    """
    call = top_call(text)
    if call is None or call[0] != "C":
        spans = is_categorical
        if call is not None and call[0] in STATEFUL:
            from statkit.design.transforms import spans_intercept

            outer = stateful_calls(text)[-1]
            spans = spans_intercept(outer.name, outer.options)
        return FactorSpec(text, is_categorical, spans)
    node = call[1]
    contrasts = node.args[1] if len(node.args) > 1 else None
    given, spans = None, True
    for keyword in node.keywords:
        if keyword.arg == "contrasts":
            contrasts = keyword.value
        elif keyword.arg == "levels":
            given = tuple(literal(keyword.value))
        elif keyword.arg == "spans_intercept":
            spans = bool(literal(keyword.value))
        else:
            raise ValueError(f"{text}: C() has no option {keyword.arg!r}")
    if len(node.args) > 2:
        raise ValueError(f"{text}: C() takes a column and its contrasts")
    written = None
    if contrasts is not None and not (isinstance(contrasts, ast.Constant) and contrasts.value is None):
        written = ast.unparse(contrasts)
        read_contrasts(written)
    return FactorSpec(text, True, spans, written, given)


def read_contrasts(text: str):
    """The formulaic contrasts that a text such as ``contr.treatment(base='b')`` names."""
    from formulaic.transforms import contrasts as kinds

    known = {
        "contr.treatment": kinds.TreatmentContrasts,
        "contr.SAS": kinds.SASContrasts,
        "contr.sum": kinds.SumContrasts,
        "contr.helmert": kinds.HelmertContrasts,
        "contr.diff": kinds.DiffContrasts,
        "contr.poly": kinds.PolyContrasts,
        "contr.custom": kinds.CustomContrasts,
        "Sum": kinds.SumContrasts,
        "Helmert": kinds.HelmertContrasts,
        "Diff": kinds.DiffContrasts,
        "Poly": kinds.PolyContrasts,
        "Treatment": lambda reference=kinds.UNSET: kinds.TreatmentContrasts(base=reference),
    }
    node = parse(text)
    name = ast.unparse(node.func) if isinstance(node, ast.Call) else ast.unparse(node)
    if name in known:
        if not isinstance(node, ast.Call):
            return known[name]()
        args = [literal(a) for a in node.args]
        try:
            return known[name](*args, **{str(k.arg): literal(k.value) for k in node.keywords})
        except TypeError as error:
            raise ValueError(f"contrasts {text!r}: {error}") from None
    if isinstance(node, ast.Dict | ast.List | ast.Tuple) or name.endswith("array"):
        return kinds.CustomContrasts(literal(node))
    raise ValueError(f"unknown contrasts {text!r}; known are {', '.join(sorted(known))}, a dict or an array")


def plan_terms(
    parsed: ParsedFormula, specs: dict[str, FactorSpec]
) -> tuple[tuple[str, tuple[Scoped, ...]], ...]:
    """Which factors are coded in full and which reduced, term by term."""
    import pandas as pd
    from formulaic.formula import SimpleFormula
    from formulaic.parser.types import Factor, Term

    frame = pd.DataFrame(
        {
            text: pd.Categorical(["a", "b"]) if spec.spans else [0.0, 1.0]
            for text, spec in specs.items()
        }
    )  # fmt: skip
    if not len(frame.columns):
        frame = pd.DataFrame({"": [0.0, 1.0]})
    terms = [
        Term(
            [Factor(v, eval_method="literal") for v in literals]
            + [Factor(text, eval_method="lookup") for text in factors]
        )
        for _, factors, literals in parsed.terms
    ]
    with readable(" + ".join(name for name, _, _ in parsed.terms)):
        structure = SimpleFormula(terms, _ordering="none").get_model_matrix(frame).model_spec.structure
    planned = []
    for (name, _, _), encoded in zip(parsed.terms, structure, strict=True):
        scoped = tuple(
            Scoped(tuple((f.factor.expr, bool(f.reduced)) for f in s.factors), float(s.scale))
            for s in encoded.scoped_terms
        )
        planned.append((name, scoped))
    return tuple(planned)
