"""Formulas of any kind: a design, or a ``ValueError`` for the one who wrote it. Nothing hangs, nothing runs."""

from __future__ import annotations

import datetime
import os
import signal
import warnings

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from statkit.design import FormulaDesign
from statkit.sources import Rows

N = 8
TABLE = pa.table(
    {
        "y": np.arange(N, dtype=float),
        "x": np.linspace(1, 2, N),
        "k": np.arange(N) % 3,
        "c": list("aabbccab"),
        "b": [True, False] * (N // 2),
        "t": [datetime.datetime(2020, 1, 1 + i) for i in range(N)],
        "odd name": np.arange(N) * 1.0,
    }
)
SCHEMA = dict(zip(TABLE.column_names, TABLE.schema.types, strict=True))
ROWS = Rows(0, N, TABLE, None, {}, "rows")

ATOMS = st.sampled_from(
    ["x", "k", "c", "b", "t", "`odd name`", "y", "nowhere", "1", "0", "-1", "2", "1e400", "9" * 22, "'a'", "''",
     "None", "True", ".", "np.pi", "[1, 2]", "Q('x')", '"x', "x.real", "{}", "", "é", "\x00", "#"]
)  # fmt: skip
FUNCTIONS = st.sampled_from(
    ["log", "np.log", "poly", "bs", "cr", "cc", "C", "I", "Q", "hour", "weekday", "center", "scale", "where", "clip",
     "offset", "Surv", "lag", "round", "power", "minimum", "isin", "eval", "open", "__import__", "contr.sum", "x"]
)  # fmt: skip
OPTIONS = st.sampled_from(["df", "degree", "levels", "contrasts", "knots", "raw", "base", "nonsense"])
OPERATORS = st.sampled_from(
    ["+", "-", "*", ":", "/", "**", "%in%", "|", "&", "^", "~", "==", "<", "in", "and", "if", "@", "//", ","]
)


def larger(inner):
    call = st.builds(lambda f, a: f"{f}({', '.join(a)})", FUNCTIONS, st.lists(inner, max_size=3))
    with_option = st.builds(lambda f, a, o, v: f"{f}({a}, {o}={v})", FUNCTIONS, inner, OPTIONS, ATOMS)
    operation = st.builds(lambda a, o, b: f"{a} {o} {b}", inner, OPERATORS, inner)
    wrapped = st.builds(
        lambda before, a, after: before + a + after,
        st.sampled_from(["(", "-", "~", "not ", "lambda x: ", "*", "[v for v in ", ""]), inner,
        st.sampled_from([")", "]", "[0]", "(", "\\", "`", "'", "\n", ".__class__", ""]),
    )  # fmt: skip
    return call | with_option | operation | wrapped


SIDES = st.sampled_from(["y ~ ", "log(y) ~ ", "C(c) ~ ", "Surv(x, b) ~ ", "", "y ~ y ~ ", "~"])
FORMULAS = st.builds(lambda side, e: side + e, SIDES, st.recursive(ATOMS, larger, max_leaves=8))


class Hangs(Exception):
    """The formula is still being read."""


def read(formula, seconds=10):
    """A frozen design's block, or the ValueError; anything else goes up."""

    def stop(*_):
        raise Hangs(formula[:200])

    before = signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            design = FormulaDesign(formula, SCHEMA)
            return design.freeze(design.profile(ROWS)).encode(ROWS)
    except ValueError as error:
        assert len(str(error)) > 5
        assert not isinstance(error, UnicodeError | np.linalg.LinAlgError)
        return error
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


@settings(max_examples=300, deadline=None)
@given(FORMULAS)
@example("y ~ minimum(x)")
@example("y ~ Q()")
@example("y ~ bs(x, '')")
@example("y ~ c:" + "9" * 22)
@example("y ~ x in k")
@example("y ~ x + I(1 + 2)")
def test_sentences_of_the_grammar_and_beside_it(formula):
    read(formula)


@settings(max_examples=150, deadline=None)
@given(st.text(max_size=30))
def test_any_text(formula):
    read(formula)
    read("y ~ " + formula)


@pytest.mark.slow
@settings(max_examples=5_000, deadline=None)
@given(FORMULAS)
def test_many_sentences(formula):
    read(formula)


@pytest.mark.parametrize(
    "formula",
    [
        "y ~ (x + k + c + b)**30",
        "y ~ x**99999999",
        "y ~ " + "*".join(["x", "k", "c", "b", "`odd name`"] * 6),
        "y ~ I(" + "-" * 5_000 + "x)",
        "y ~ " + "(" * 500 + "x" + ")" * 500,
        "y ~ " + "I(" * 300 + "x" + ")" * 300,
        "y ~ I(x**99999**99999)",
        "y ~ I(9**9**9**9 * x)",
        "y ~ I(x + " + "9" * 5_000 + ")",
        "y ~ bs(x, df=99999999)",
        "y ~ bs(x, degree=99999999)",
        "y ~ poly(x, 99999999)",
        "y ~ poly(x, 99999999, raw=True)",
        "y ~ cr(x, df=99999999)",
        "y ~ C(c, levels='a'*10**9)",
        "y ~ I('a'*10**9)",
        "y ~ " + "+".join(["x"] * 3_000),
    ],
)
def test_what_would_take_for_ever_is_refused_or_quick(formula):
    read(formula)


@pytest.mark.parametrize(
    "attack",
    [
        "__import__('os').system('touch {flag}')",
        "I(__import__('os').system('touch {flag}'))",
        "C(x, contrasts=__import__('os').system('touch {flag}'))",
        "C(x, levels=__import__('os').system('touch {flag}'))",
        "bs(x, knots=__import__('os').system('touch {flag}'))",
        'eval(\'open("{flag}", "w")\')',
        "open('{flag}', 'w')",
        "I(x.__class__.__base__.__subclasses__())",
        "I((lambda: open('{flag}', 'w'))())",
        "I([open('{flag}', 'w') for _ in [1]])",
        "I({{open('{flag}', 'w'): 1}})",
        "I(x if open('{flag}', 'w') else x)",
        "I(f\"{{open('{flag}', 'w')}}\")",
        "I(x := open('{flag}', 'w'))",
        "I(x[open('{flag}', 'w')])",
        "np.save('{flag}', x)",
        "np.core.os.system('touch {flag}')",
        "x.to_csv('{flag}')",
    ],
)
def test_no_formula_runs_code(attack, tmp_path):
    flag = tmp_path / "flag"
    answer = read("y ~ " + attack.format(flag=flag))
    assert isinstance(answer, ValueError), f"{attack} was taken for a column"
    assert not os.listdir(tmp_path)


def test_the_error_names_the_place():
    assert "minimum(x)" in str(read("y ~ k + minimum(x)"))
    assert "bs()" in str(read("y ~ bs(x, '')"))
    assert "more than 20,000 terms" in str(read("y ~ (x + k + c + b)**30"))
