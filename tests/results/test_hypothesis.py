"""Hypotheses are read as arithmetic about names that look like arithmetic themselves."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from statkit.results.hypothesis import parse_hypothesis

HOSTILE = [
    "Intercept",
    "x1",
    "x12",
    "x1:x2",
    "poly(distance, 2)[1]",
    "poly(distance, 2)[2]",
    "C(weekday(date))[T.5]",
    "C(weekday(date))[T.6]",
    "C(where)[T.New York, NY]",
    "C(where)[T.a = b]",
    "C(where)[T.a = b]:x1",
    "I(x1 - x2)",
    "I(x1 + 2*x2)",
    "np.log(x1 + 1)",
    "x1 - x2",
    "a b",
    "1",
    "2.5",
    "größe[T.Zürich]",
    "年龄",
    "-",
    "(",
    "C(k)[T.1e-05]",
    "C(k)[T.-1]",
]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("x1", [({"x1": 1.0}, 0.0)]),
        ("x1 = x2 = 0", [({"x1": 1.0}, 0.0), ({"x2": 1.0}, 0.0)]),
        ("x1 = x2, x3 = 1", [({"x1": 1.0, "x2": -1.0}, 0.0), ({"x3": 1.0}, 1.0)]),
        ("2*x1 - x2 = 3", [({"x1": 2.0, "x2": -1.0}, 3.0)]),
        ("2 * (x1 - x2)/4 + 1 == -(x3 + 1)", [({"x1": 0.5, "x2": -0.5, "x3": 1.0}, -2.0)]),
        ("x1*3 + x1 = 1e2", [({"x1": 4.0}, 100.0)]),
        ("-x1 = +.5", [({"x1": -1.0}, 0.5)]),
        ("1 = x1", [({"x1": -1.0}, -1.0)]),
        ("x1=x2=x3", [({"x1": 1.0, "x3": -1.0}, 0.0), ({"x2": 1.0, "x3": -1.0}, 0.0)]),
        ("`x1`=2", [({"x1": 1.0}, 2.0)]),
        ("x1 - x1 + x2", [({"x2": 1.0}, 0.0)]),
    ],
)
def test_arithmetic(text, expected):
    assert parse_hypothesis(text, ["x1", "x2", "x3"]) == expected


@pytest.mark.parametrize("name", [name for name in HOSTILE if name not in ("1", "2.5", "-", "(")])
def test_hostile_names(name):
    for text in (f"{name} = 2", f"2 ={name}", f"3*{name}=-1.5", f"({name})=0", f"`{name}` = 2"):
        [(coefficients, _)] = parse_hypothesis(text, HOSTILE)
        assert list(coefficients) == [name]


def test_longest_name_wins():
    assert parse_hypothesis("x1 - x2 = 1", HOSTILE) == [({"x1 - x2": 1.0}, 1.0)]
    assert parse_hypothesis("x1 + x12 = 1", HOSTILE) == [({"x1": 1.0, "x12": 1.0}, 1.0)]
    assert parse_hypothesis("C(weekday(date))[T.5] = C(weekday(date))[T.6]", HOSTILE) == [
        ({"C(weekday(date))[T.5]": 1.0, "C(weekday(date))[T.6]": -1.0}, 0.0)
    ]


def test_a_number_is_a_number():
    assert parse_hypothesis("2.5*x1 = 1", HOSTILE) == [({"x1": 2.5}, 1.0)]
    assert parse_hypothesis("`2.5` = `1`", HOSTILE) == [({"2.5": 1.0, "1": -1.0}, 0.0)]
    assert parse_hypothesis("(2*`-` - `(`) = 0", HOSTILE) == [({"-": 2.0, "(": -1.0}, 0.0)]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("x13 = 0", "'x13'.*did you mean 'x1' or 'x12'"),
        ("C(weekday(date))[T.7] = 0", r"did you mean .*T\.[56]"),
        ("x1*x12 = 0", "not linear"),
        ("x12/x1", "division by a number"),
        ("x1/0", "division by a number"),
        ("x1 x12 = 0", "operator"),
        ("x1 + = 0", "a parameter or a number is missing"),
        ("", "missing at the end"),
        ("x1,", "missing at the end"),
        ("2*(x1 + 1 = 0", "not closed"),
        ("1 = 0", "without a parameter"),
        ("x1 = x1", "without a parameter"),
        ("x1 ; x2", "';'"),
        ("`nope` = 0", "'nope'"),
        ("`x1 = 0", "x1 = 0"),
        ("zzz", "the parameters are"),
    ],
)
def test_errors_say_what_and_where(text, message):
    with pytest.raises(ValueError, match=message):
        parse_hypothesis(text, HOSTILE)


names = st.lists(
    st.text(st.characters(codec="utf-8", exclude_characters="`"), min_size=1, max_size=12),
    min_size=1,
    max_size=6,
    unique=True,
)


@settings(max_examples=200, deadline=None)
@given(st.data(), names)
def test_backquotes_settle_everything(data, names):
    numbers = st.floats(0.01, 1e6)
    factors = [data.draw(numbers) for _ in names]
    right = data.draw(numbers)
    text = " - ".join(f"{f!r}*`{name}`" for f, name in zip(factors, names, strict=True)) + f" = {right!r}"
    signs = [1.0] + [-1.0] * (len(names) - 1)
    [(coefficients, constant)] = parse_hypothesis(text, names)
    assert coefficients == {name: s * f for name, s, f in zip(names, signs, factors, strict=True)}
    assert constant == right


@settings(max_examples=200, deadline=None)
@given(st.text("x1+-*/=,() `[]2", max_size=20))
def test_nonsense_is_a_value_error(text):
    try:
        equations = parse_hypothesis(text, ["x1", "x[2]", "(1"])
    except ValueError as error:
        assert str(error)
    else:
        assert equations and all(coefficients for coefficients, _ in equations)
