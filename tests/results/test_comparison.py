"""Fits side by side: every number in its place, in text, HTML, LaTeX and as a frame."""

import numpy as np
import pandas as pd
import pytest

from statkit import compare, glm, quantreg
from statkit.regression import GLMClassifier, GLMRegressor


@pytest.fixture(scope="module")
def fits():
    rng = np.random.default_rng(0)
    n = 400
    frame = pd.DataFrame({"x": rng.normal(size=n), "z": rng.normal(size=n), "g": rng.choice(list("abc"), n)})
    frame["y"] = 3 * frame.x + 0.3 * (frame.g == "b") + rng.normal(size=n)
    frame["k"] = rng.poisson(np.exp(0.3 * frame.x)) * 1.0
    return {
        "lines": glm("y ~ x + g", frame), "robust": glm("y ~ x + z", frame, cov_type="HC1"),
        "counts": glm("k ~ x", frame, "poisson"), "median": quantreg("y ~ x", frame),
        "classes": GLMClassifier(formula="g ~ x").fit(frame),
    }  # fmt: skip


def test_numbers_are_those_of_the_fits(fits):
    frame = compare(fits).to_frame()
    assert list(frame.columns) == list(fits)
    for name, fit in fits.items():
        e = fit.estimate_
        for label, value, error in zip(e.labels, e.values, e.bse, strict=True):
            assert frame.loc[(label, "coef"), name] == value and frame.loc[(label, "std err"), name] == error
        others = frame[name].xs("coef", level="value").drop(e.labels)
        assert others.isna().all()
        assert frame.loc[("", "nobs"), name] == e.nobs
        np.testing.assert_equal(frame.loc[("", "aic"), name], e.aic)


def test_text(fits):
    text = str(compare(fits["lines"], fits["robust"], fits["counts"], names=["lines", "robust", "counts"]))
    lines = text.splitlines()
    assert lines[2].split() == ["lines", "robust", "counts"]
    at = next(i for i, line in enumerate(lines) if line.startswith("g[T.b]"))
    coef = fits["lines"].estimate_.params["g[T.b]"]
    assert lines[at].split() == ["g[T.b]", f"{coef:.4f}"]  # blank where a fit lacks it
    assert lines[at + 1].split() == [f"({fits['lines'].estimate_.bse['g[T.b]']:.4f})"]
    assert "*" not in text
    assert [line.split() for line in lines if line.startswith("Covariance")] == [
        ["Covariance", "nonrobust", "HC1", "nonrobust"]
    ]
    # R² for linear models alone; digits stand under each other.
    assert len(next(line for line in lines if line.startswith("R²")).split()) == 3
    assert lines[at].rindex(".") == lines[at + 1].rindex(".")
    assert "different responses" in text


def test_stars_and_what_stands_below(fits):
    e = fits["lines"].estimate_
    text = str(compare(e, stars=True))
    line = next(line for line in text.splitlines() if line.startswith("x "))
    assert line.endswith("***") and "*** p < 0.001" in text
    assert "[" in str(compare(e, below="conf_int")) and "Limits of 0.95 confidence" in str(
        compare(e, below="conf_int")
    )
    limits = e.conf_int().loc["x"]
    assert f"[{limits[0]:.4f}, {limits[1]:.4f}]" in str(compare(e, below="conf_int"))
    assert "(<2e-16)" in str(compare(e, below="pvalue"))
    assert "(" not in str(compare(e, below=None)).split("Fit\n")[0].split("---")[-1]
    only = compare(fits, keep=["x"])
    assert "g[T.b]" not in str(only) and ("z", "coef") not in only.to_frame().index


def test_html_and_latex(fits):
    table = compare(fits["lines"], fits["counts"], stars=True)
    html, latex = table.as_html(), table.as_latex()
    assert html.count("<tr") > 15 and "***" in html and "g[T.b]" in html
    assert "^{***}$" in latex and r"\begin{tabular}{lrr}" in latex and r"\midrule" in latex
    error = fits["lines"].estimate_.bse["x"]
    assert f"$({error:.4f})$" in latex and f"({error:.4f})" in html


def test_notes_tell_what_does_not_compare(fits):
    rng = np.random.default_rng(1)
    few = GLMRegressor().fit(rng.normal(size=(50, 2)), rng.normal(size=50))
    text = str(compare(fits["lines"], few))
    assert "different numbers of rows" in text
    assert "do not compare" not in str(compare(fits["lines"], fits["robust"]))


def test_what_is_refused(fits):
    e = fits["lines"]
    for options, message in (
        ({"names": ["one"]}, "2 fits, but 1 names"), ({"names": ["a", "a"]}, "different from each other"),
        ({"below": "bse"}, "below must be"), ({"keep": ["w"]}, "no fit has a coefficient 'w'"),
    ):  # fmt: skip
        with pytest.raises(ValueError, match=message):
            compare(e, e, **options)
    with pytest.raises(ValueError, match="at least one"):
        compare()
    with pytest.raises(TypeError, match="fit it first"):
        compare(GLMRegressor())


def test_aliased_and_odd_names():
    frame = pd.DataFrame({"a|b": [0.0, 1, 2, 3, 4], "$": [0.0, 2, 4, 6, 8], "y": [1.0, 3, 2, 5, 4]})
    with pytest.warns(UserWarning):
        fit = GLMRegressor().fit(frame[["a|b", "$"]], frame.y)
    assert "aliased" in str(compare(fit)) and r"\$" in compare(fit).as_latex()
