"""The printed table: golden texts, what is never left out, output that is valid whatever the names are."""

import re
from html.parser import HTMLParser

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from statkit.results import Estimate, Summary
from statkit.results._numbers import coefficient_columns, p_phrase, p_value, quantity, statistic
from statkit.results._text import _width

GOLDEN = """\
                              Logistic regression
================================================================================
Formula     late ~ distance + C(day) + alias
Family      binomial, logit link
Modelled    late = True (against False)
Plan        Exact(tol=0.0001)
Engine      threads (2 workers)
Covariance  HC1
--------------------------------------------------------------------------------
Rows read                    3,000,000    Log-likelihood           -1,234,567.89
Rows used                    2,999,998    Deviance                  2,469,135.78
Rows with missing values             1    Null deviance             2,500,000.00
Passes over the data               4.2    AIC                       2,469,141.78
Rounds                               6    BIC                       2,469,180.52
Seconds                           1.41    Dispersion                   1 (fixed)
Converged                          yes    Residual df                  2,999,995
================================================================================
                         coef   std err        z   P>|z|      [0.025      0.975]
--------------------------------------------------------------------------------
Intercept            -1.23457   0.01230  -100.37  <2e-16    -1.25868    -1.21046
distance           3.1234e-04  1.07e-06   291.91  <2e-16  3.1024e-04  3.1444e-04
C(day)[T.2]           0.01500   0.00800     1.88  0.0608    -0.00068     0.03068
C(day)[T.3]               inf       NaN      NaN     NaN         NaN         NaN
alias                     NaN       NaN      NaN     NaN         NaN         NaN
================================================================================
One row was set aside.
NaN: C(day)[T.3]: its only row is an event
NaN: alias: a linear combination of distance and the intercept
WARN: partition_se_ratio = 5.9: rows are correlated within partitions; use
  cov_type="cluster"
"""


@pytest.fixture
def late(small):
    def build(**changes):
        known = {
            "names": ["Intercept", "distance", "C(day)[T.2]", "C(day)[T.3]", "alias"],
            "values": [-1.23457, 3.1234e-4, 0.015, np.inf, np.nan],
            "covariance": np.diag(np.array([0.0123, 1.07e-6, 0.008, np.nan, np.nan]) ** 2),
            "terms": {"Intercept": [0], "distance": [1], "C(day)": [2, 3], "alias": [4]},
            "family": "binomial",
            "link": "logit",
            "formula": "late ~ distance + C(day) + alias",
            "response": "late",
            "classes": [False, True],
            "plan": "Exact(tol=0.0001)",
            "engine": "threads (2 workers)",
            "cov_type": "HC1",
            "rows_read": 3_000_000,
            "rows_used": 2_999_998,
            "nobs": 2_999_998,
            "rows_missing": 1,
            "n_passes": 4.2,
            "n_rounds": 6,
            "seconds": 1.4132,
            "llf": -1234567.89,
            "deviance": 2469135.78,
            "null_deviance": 2500000.0,
            "rank": 3,
            "df_resid": 2_999_995,
            "notes": ["One row was set aside."],
            "why_nan": {
                "C(day)[T.3]": "its only row is an event",
                "alias": "a linear combination of distance and the intercept",
            },
            "diagnostics": [
                {"name": "newton_decrement", "value": 1e-9, "verdict": "OK", "advice": "nothing to do"},
                {
                    "name": "partition_se_ratio",
                    "value": 5.9,
                    "verdict": "WARN",
                    "advice": 'rows are correlated within partitions; use cov_type="cluster"',
                },
            ],
        }
        return small(**{**known, **changes})

    return build


def factor(small, levels, **changes):
    """Intercept and one factor of many levels."""
    names = ["Intercept", *(f"C(port)[T.{i:03d}]" for i in range(levels))]
    values = np.linspace(-1, 1, levels + 1)
    known = {
        "names": names,
        "values": values,
        "covariance": np.eye(levels + 1) / 100,
        "terms": {"Intercept": [0], "C(port)": list(range(1, levels + 1))},
    }
    return small(**{**known, **changes})


def lines_of(estimate, **options):
    """Labels of the coefficient lines in the text."""
    table = str(estimate.summary(**options)).split("-" * 80)[-1].split("=" * 80)[0]
    return [line.split()[0] for line in table.splitlines() if line.strip()]


def test_golden(late):
    summary = late().summary()
    assert isinstance(summary, Summary)
    assert str(summary) + "\n" == GOLDEN
    assert repr(summary) == str(summary) == summary.as_text()


def test_what_was_done_differently_is_said(late):
    text = str(
        late(converged=False, alpha=0.1, target="the fit of all rows", use_t=True, scale=2.5).summary(
            alpha=0.1
        )
    )
    assert "Converged                           NO" in text and "FAIL: the fit has not converged" in text
    assert "alpha 0.1, l1_ratio 0" in text and "conditional on the penalty" in text
    assert "Target      the fit of all rows" in text
    assert "2.5 (estimated)" in text and "P>|t|" in text and "[0.05" in text and "0.95]" in text
    assert "Alpha       0.5 (std err 0.1)" in str(
        late(shape={"alpha": 0.5}, shape_bse={"alpha": 0.1}).summary()
    )


def test_unknown_figures_are_left_out(small):
    text = str(small().summary())
    assert "Log-likelihood" not in text and "Seconds" not in text and "NaN" not in text


def test_long_terms_show_their_ends_and_every_line_without_error(small):
    values, covariance = np.linspace(-1, 1, 229), np.eye(229) / 100
    values[100], covariance[100, 100] = np.inf, np.nan
    covariance[150] = covariance[:, 150] = np.nan
    values[150] = np.nan
    estimate = factor(small, 228, values=values, covariance=covariance)
    assert lines_of(estimate) == [
        "Intercept",
        *(f"C(port)[T.{i:03d}]" for i in (0, 1, 2)),
        "…",
        "C(port)[T.099]",
        "…",
        "C(port)[T.149]",
        "…",
        *(f"C(port)[T.{i:03d}]" for i in (225, 226, 227)),
    ]
    text = str(estimate.summary())
    joint = estimate.wald_test_terms().loc["C(port)"]
    assert f"… 220 more levels of C(port); all: chi2(226) = {statistic(joint['statistic'])}" in text
    assert "summary(full=True)" in text
    assert lines_of(estimate, full=True) == estimate.names
    assert "Left out" not in str(estimate.summary(full=True))


def test_short_tables_are_whole(small):
    assert len(lines_of(factor(small, 59))) == 60
    assert len(lines_of(factor(small, 60))) < 20


def test_many_columns_without_terms(small):
    k = 200
    names = [f"x{i}" for i in range(k)]
    covariance = np.eye(k)
    covariance[120, 120] = np.nan
    estimate = small(names=names, values=np.ones(k), covariance=covariance)
    assert lines_of(estimate) == [*names[:40], "…", "x120", "…", *names[190:]]
    assert "… 149 more coefficients" in str(estimate.summary())


def test_no_joint_test_with_too_few_clusters(small):
    scores = np.random.default_rng(0).normal(size=(20, 101))
    text = str(factor(small, 100, covariance=scores.T @ scores).summary())
    assert re.search(r"… 94 more levels of C\(port\)$", text, flags=re.MULTILINE)


def test_classes_have_sections(small):
    estimate = small(
        names=["Intercept", "x1"],
        values=np.arange(4.0),
        covariance=np.eye(4),
        terms={"Intercept": [0], "x1": [1]},
        classes=["low", "mid", "high"],
        response="level",
    )
    assert lines_of(estimate) == ["level", "Intercept", "x1", "level", "Intercept", "x1"]
    for text in (str(estimate.summary()), estimate.summary().as_html(), estimate.summary().as_latex()):
        assert "level = mid" in text and "level = high" in text and "each against low" in text


def test_one_coefficient(small):
    estimate = small(names=["x0"], values=[1.0])
    assert lines_of(estimate) == ["x0"]


@pytest.mark.parametrize(
    ("row", "texts"),
    [
        ((1.23456, 0.0123, 1.2, 1.3), ("1.2346", "0.0123", "1.2000", "1.3000")),
        ((-3482258.63, 890420.38, -5e6, -1e6), ("-3482259", "890420", "-5000000", "-1000000")),
        ((3.1234e-7, 1.07e-9, 3.1e-7, 3.2e-7), ("3.1234e-07", "1.07e-09", "3.1000e-07", "3.2000e-07")),
        ((0.0, 1e-9, -2e-9, 2e-9), ("0", "1.00e-09", "-2.00e-09", "2.00e-09")),
        ((np.inf, np.nan, np.nan, np.nan), ("inf", "NaN", "NaN", "NaN")),
        ((0.0, 0.0, 0.0, 0.0), ("0.0000", "0.0000", "0.0000", "0.0000")),
    ],
)
def test_the_standard_error_decides_the_digits(row, texts):
    assert tuple(column[0] for column in coefficient_columns(*([value] for value in row))) == texts


@settings(max_examples=200, deadline=None)
@given(st.lists(st.tuples(st.floats(-1e300, 1e300), st.floats(1e-300, 1e300)), min_size=1, max_size=8))
def test_numbers_keep_their_value(rows):
    coef, bse = (np.array(column) for column in zip(*rows, strict=True))
    texts = coefficient_columns(coef, bse, coef, coef)
    for value, error, text, text_error in zip(coef, bse, texts[0], texts[1], strict=True):
        # Half a unit of the last digit shown, at most a hundredth of the standard error; nine digits at most.
        assert abs(float(text) - value) <= max(
            0.0051 * error, 1e-9 * abs(value), 0.5e-6 if "e" not in text else 0
        )
        assert abs(float(text_error) - error) <= 0.0051 * error


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.5, "0.5000"),
        (1.0, "1.0000"),
        (0.00123, "0.0012"),
        (9.9e-4, "9.9e-04"),
        (1e-300, "<2e-16"),
        (0, "<2e-16"),
    ],
)
def test_p_values(value, text):
    assert p_value(value) == text
    assert p_phrase(value) == (f"p < {text[1:]}" if text[0] == "<" else f"p = {text}")


def test_quantities():
    assert [quantity(v) for v in (-1234567.891, 12.3456789, np.nan, 0.0, -0.001234567, 1e300)] == [
        "-1,234,567.89",
        "12.3457",
        "NaN",
        "0",
        "-0.00123457",
        "1e+300",
    ]
    assert [statistic(v) for v in (1.005, -1234.56, 1e7, np.nan)] == ["1.00", "-1235", "1e+07", "NaN"]


class Checker(HTMLParser):
    """Fails on tags that do not match, collects text, attributes and the number of cells per row."""

    def __init__(self):
        super().__init__()
        self.open, self.text, self.tags, self.rows = [], [], set(), []

    def handle_starttag(self, tag, attrs):
        self.open.append(tag)
        self.tags.add(tag)
        assert not any(name.startswith("on") or name in ("src", "href") for name, _ in attrs)
        if tag == "tr":
            self.rows.append(0)
        if tag in ("td", "th"):
            self.rows[-1] += int(dict(attrs).get("colspan", 1))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if self.open[-1:] != ["style"]:
            self.text.append(data)


ALLOWED = {"div", "style", "table", "caption", "tbody", "thead", "tr", "th", "td", "ul", "li", "b"}


def check_html(summary):
    html = summary.as_html()
    checker = Checker()
    checker.feed(html)
    checker.close()
    assert not checker.open and checker.tags <= ALLOWED
    assert "http" not in html.split("</style>")[0]
    return " ".join(checker.text), checker.rows


def check_latex(latex):
    bare = re.sub(r"\\[\\{}&%$#_]", "", latex)  # escaped characters and line ends
    depth = 0
    for character in bare:
        depth += {"{": 1, "}": -1}.get(character, 0)
        assert depth >= 0
    assert depth == 0 and bare.count("$") % 2 == 0
    body = "\n".join(line for line in latex.splitlines() if not line.startswith("% "))
    text = re.sub(r"\$[^$]*\$", "", re.sub(r"\\\$", "", body))  # ^ is for mathematics only
    assert not re.search(r"(?<!\\)[%#~^_]", text)
    begun, ended = re.findall(r"\\begin\{(\w+)\}", latex), re.findall(r"\\end\{(\w+)\}", latex)
    assert sorted(begun) == sorted(ended)


def check_text(text, width=100):
    lines = text.splitlines()
    assert max(map(_width, lines)) <= width
    rules = {len(line) for line in lines if line and set(line) == {"="}}
    assert len(rules) == 1


def test_html(late):
    text, rows = check_html(late().summary())
    assert "−1.23457" in text and "∞" in text and "partition_se_ratio" in text
    assert set(rows[-5:]) == {7}  # every line of the table: a name and six numbers
    assert late().summary()._repr_html_() == late().summary().as_html()


def test_latex(late):
    latex = late().summary().as_latex()
    check_latex(latex)
    assert r"$-1.23457$" in latex and r"$\infty$" in latex and r"$<2\times 10^{-16}$" in latex
    assert r"late \textasciitilde{} distance" in latex and r"$3{,}000{,}000$" in latex
    table = latex.split(r"\midrule")[1].split(r"\bottomrule")[0]
    assert all(line.count(" & ") == 6 for line in table.strip().splitlines())


NASTY = [
    "<script>alert(1)</script>",
    'a" onload="x',
    "a & b < c > d",
    "100% \\ $x_1^2$ {#~}",
    "line\nbreak\ttab\x1b[31m",
    "年龄段:收入水平" * 8,
    "cafe\u0301 \u200b👩‍🚀",
    "[T.a]",
    "a very long name " * 10 + "[T.the last level]",
    " ",
]


def nasty(names):
    k = len(names)
    return Estimate(
        names=names,
        values=np.linspace(-1e5, 1e5, k),
        covariance=np.diag(np.linspace(1e-12, 4.0, k)),
        terms={name: [i] for i, name in enumerate(names)},
        family="gaussian",
        link="identity",
        use_t=True,
        nobs=50,
        df_resid=50 - k,
        df_model=k - 1,
        rank=k,
        response=names[0],
        formula=" + ".join(names),
        plan=names[-1],
        classes=[names[0], names[-1]],
        notes=names,
        why_nan=dict.fromkeys(names, names[0]),
        diagnostics=[{"name": n, "value": n, "verdict": "FAIL", "advice": n} for n in names],
    ).summary()


def test_nasty_names():
    summary = nasty(NASTY)
    check_text(str(summary))
    text, _ = check_html(summary)
    assert NASTY[0] in text and NASTY[3] in text  # escaped, not lost
    check_latex(summary.as_latex())
    assert "\x1b" not in str(summary) + summary.as_latex()
    assert "a very long na" in str(summary) and "…" in str(summary) and "last level]" in str(summary)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.text(max_size=60), min_size=1, max_size=5, unique=True))
def test_any_names(names):
    summary = nasty(names)
    check_text(str(summary))
    check_html(summary)
    check_latex(summary.as_latex())
