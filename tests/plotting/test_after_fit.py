"""The displays of fitted regressions draw what they are given."""

import matplotlib
import numpy as np
import pandas as pd
import pytest

matplotlib.use("Agg")

import matplotlib.pyplot as plt

from statkit import glm
from statkit.plotting import CalibrationDisplay, ResidualDisplay
from statkit.regression import GLMClassifier, polr

RNG = np.random.default_rng(4)
N = 600
FRAME = pd.DataFrame({"x": RNG.normal(size=N), "a": RNG.choice(["p", "q", "r"], N)})
FRAME["count"] = RNG.poisson(np.exp(0.3 * FRAME.x + 0.8 * (FRAME.a == "q")))
FRAME["yes"] = (RNG.random(N) < 1 / (1 + np.exp(-FRAME.x))) * 1.0
FRAME["class"] = RNG.choice(["low", "mid", "top"], N)


@pytest.fixture(autouse=True)
def close_figures():
    yield
    plt.close("all")


@pytest.mark.parametrize("against", ["fitted", "linear", "x", "x ** 2"])
def test_residuals_against_numbers(against):
    display = ResidualDisplay.from_estimator(
        glm("count ~ x", FRAME, "poisson"), FRAME, against=against, size=200
    )
    assert len(display.ax_.collections[0].get_offsets()) == 200
    assert display.kind == "quantile" and display.ax_.get_ylabel() == "quantile residual"
    assert display.bins_["n"].sum() == 200
    total = (display.bins_["n"] * display.bins_["mean"]).sum()
    assert total == pytest.approx(display.residual.sum(), abs=1e-9)
    assert "200 of 600 rows" in [t.get_text() for t in display.ax_.texts]


def test_residuals_show_a_variable_that_was_forgotten():
    fit = glm("count ~ x", FRAME, "poisson")
    display = ResidualDisplay.from_estimator(fit, FRAME, against="a")
    b = display.bins_
    assert [t.get_text() for t in display.ax_.get_xticklabels()] == ["p", "q", "r"]
    assert b["mean"][1] > 5 * b["error"][1] and b["mean"][0] < 0
    held = ResidualDisplay.from_estimator(glm("count ~ x + a", FRAME, "poisson"), FRAME, against="a").bins_
    assert (np.abs(held["mean"]) < 4 * held["error"]).all()


def test_normal_plot():
    display = ResidualDisplay.from_estimator(glm("count ~ x + a", FRAME, "poisson"), FRAME, against="normal")
    b = display.bins_
    assert ((b["lower"] < b["mean"]) & (b["mean"] < b["upper"])).mean() > 0.85
    assert display.ax_.get_xlabel() == "normal quantile"


def test_residuals_of_other_kinds_and_models():
    _, ax = plt.subplots()
    display = ResidualDisplay.from_estimator(glm("yes ~ x", FRAME, "binomial"), FRAME, kind="deviance", ax=ax)
    assert display.ax_ is ax and display.figure_ is ax.figure
    ordered = ResidualDisplay.from_estimator(polr("class ~ x", FRAME), FRAME)
    assert ordered.ax_.get_xlabel() == "latent predictor"
    constant = ResidualDisplay(np.array([1.0, -1.0, 0.5]), np.ones(3)).plot()
    assert constant.bins_["mean"] == pytest.approx([1 / 6])
    with pytest.raises(ValueError, match="60 levels"):
        ResidualDisplay(np.zeros(60), np.arange(60).astype(str)).plot()


def test_the_sample_is_seeded():
    fit = glm("count ~ x", FRAME, "poisson")
    one, same, other = (
        ResidualDisplay.from_estimator(fit, FRAME, size=50, random_state=s) for s in (1, 1, 2)
    )
    assert (one.residual == same.residual).all() and (one.residual != other.residual).any()


def test_calibration():
    fit = glm("yes ~ x", FRAME, "binomial")
    display = CalibrationDisplay.from_estimator(fit, FRAME, n_bins=6)
    assert len(display.bins[1]["observed"]) == 6 and 0 < display.error_[1] < 0.1
    assert "Brier" in display.ax_.texts[0].get_text()
    assert display.ax_.get_xlabel() == "predicted probability of yes = 1"
    shifted = CalibrationDisplay.from_estimator(fit, FRAME.assign(x=FRAME.x + 1.5), n_bins=6)
    assert shifted.error_[1] > 3 * display.error_[1]


def test_calibration_of_classes():
    fit = GLMClassifier(formula="class ~ x + a").fit(FRAME)
    display = CalibrationDisplay.from_estimator(fit, FRAME, strategy="uniform", n_bins=5)
    assert [t.get_text() for t in display.ax_.get_legend().get_texts()] == ["low", "mid", "top"]
    one = CalibrationDisplay.from_estimator(fit, FRAME, pos_label="mid")
    assert list(one.bins) == ["mid"]
    for options in ({"pos_label": "none"}, {"n_bins": 0}, {"strategy": "kmeans"}, {"level": 2}):
        with pytest.raises(ValueError, match=next(iter(options))):
            CalibrationDisplay.from_estimator(fit, FRAME, **options)
