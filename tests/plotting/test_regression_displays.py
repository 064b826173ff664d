"""Displays of regressions draw the numbers of the fits."""

import matplotlib
import numpy as np
import pytest

matplotlib.use("Agg")

import matplotlib.pyplot as plt

from statkit.datasets import make_glm
from statkit.plans import RegularizationPath, Renewable
from statkit.plotting import CoefficientDisplay, DriftDisplay, PenaltyPathDisplay, SurvivalDisplay
from statkit.regression import CoxPHRegressor, GLMClassifier, GLMRegressor


@pytest.fixture(autouse=True)
def close_figures():
    yield
    plt.close("all")


def test_coefficients_and_limits_are_those_of_the_table():
    X, y, _ = make_glm(300, 3, family="poisson", random_state=0)
    fit = GLMRegressor("poisson").fit(X, y)
    display = CoefficientDisplay.from_estimator(fit, level=0.9)
    assert [t.get_text() for t in display.ax_.get_yticklabels()] == ["x0", "x1", "x2"]
    np.testing.assert_allclose(display.ax_.lines[0].get_xdata(), fit.coef_)
    drawn = np.array([s[:, 0] for s in display.ax_.collections[0].get_segments()])
    np.testing.assert_allclose(drawn, fit.conf_int(0.1).to_numpy()[1:])
    ratios = display.plot(exponentiate=True, n_parameters=2)
    np.testing.assert_allclose(ratios.ax_.lines[0].get_xdata(), np.exp(fit.coef_[:2]))
    assert "1 more not shown" in ratios.ax_.get_xlabel() and ratios.ax_.get_xscale() == "log"


def test_fits_with_other_parameters_share_the_lines_of_those_they_have():
    X, y, _ = make_glm(300, 3, family="gaussian", random_state=0)
    wide, narrow = GLMRegressor().fit(X, y), GLMRegressor().fit(X[:, :2], y)
    display = CoefficientDisplay.from_estimators({"wide": wide, "narrow": narrow})
    first, second = (line.get_ydata() for line in display.ax_.lines[:2])
    assert len(first) == 3 and len(second) == 2
    assert np.all(first[:2] < second) and np.array_equal(np.round(first[:2]), np.round(second))
    chosen = CoefficientDisplay.from_estimators({"wide": wide}, parameters=["x2", "Intercept", "none such"])
    assert [t.get_text() for t in chosen.ax_.get_yticklabels()] == ["x2", "Intercept"]
    with pytest.raises(ValueError, match="no parameter is left"):
        CoefficientDisplay.from_estimator(wide, parameters=["none such"])
    with pytest.raises(ValueError, match="level"):
        CoefficientDisplay.from_estimator(wide, level=95)
    with pytest.raises(ValueError, match="fit it first"):
        CoefficientDisplay.from_estimator(GLMRegressor())


def test_results_of_statsmodels_and_softmax_are_drawn():
    import statsmodels.api as sm

    X, y, _ = make_glm(200, 2, family="gaussian", random_state=0)
    result = sm.OLS(y, sm.add_constant(X)).fit()
    display = CoefficientDisplay.from_estimators({"statkit": GLMRegressor().fit(X, y), "statsmodels": result})
    np.testing.assert_allclose(display.ax_.lines[1].get_xdata(), result.params[1:])
    three = GLMClassifier().fit(X, np.digitize(y, np.quantile(y, [0.3, 0.6])))
    names = [t.get_text() for t in CoefficientDisplay.from_estimator(three).ax_.get_yticklabels()]
    assert names == ["1 x0", "1 x1", "2 x0", "2 x1"]


def test_survival_curves_are_the_predictions():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(150, 1))
    y = np.column_stack([rng.exponential(np.exp(-X[:, 0])), rng.random(150) < 0.8])
    fit = CoxPHRegressor().fit(X, y)
    display = SurvivalDisplay.from_estimator(fit, [[0.0], [1.0]], times=[0.5, 1.0], labels=["a", "b"])
    table = fit.predict_survival([[0.0], [1.0]], [0.5, 1.0])
    for row, line in enumerate(display.ax_.lines[:2]):
        np.testing.assert_allclose(line.get_ydata()[1:], table.loc[table["row"] == row, "survival"])
        assert line.get_xdata()[0] == 0.0 and line.get_ydata()[0] == 1.0
    assert len(display.ax_.collections) == 2 and not display.plot(bands=False).ax_.collections
    with pytest.raises(ValueError, match="at most 8"):
        SurvivalDisplay.from_estimator(fit, np.zeros((9, 1)))
    with pytest.raises(ValueError, match="2 labels, got 1"):
        SurvivalDisplay.from_estimator(fit, [[0.0], [1.0]], labels=["a"])


def test_a_batch_that_drifts_is_marked():
    X, y, coef = make_glm(3000, 3, family="binomial", random_state=0)
    y[2500:] = 1 - y[2500:]
    with pytest.warns(UserWarning, match="does not follow"):
        model = GLMClassifier(plan=Renewable(n_passes=1, batch_size=500)).fit(X, y)
    display = DriftDisplay.from_estimator(model)
    alarms = [line for line in display.ax_.lines if line.get_label() == "does not"]
    assert len(alarms) == 1 and alarms[0].get_xdata().tolist() == [6.0]
    assert len(next(line for line in display.ax_.lines if line.get_label() == "alarm").get_xdata()) == 5
    with pytest.raises(ValueError, match="tests no batches"):
        DriftDisplay.from_estimator(GLMClassifier().fit(X, y))


def test_the_chosen_penalty_is_marked():
    X, y, _ = make_glm(500, 4, family="binomial", random_state=0)
    fit = GLMClassifier(plan=RegularizationPath(n_alphas=10), l1_ratio=1.0).fit(X, y)
    display = PenaltyPathDisplay.from_estimator(fit, n_labels=2)
    path = fit.estimate_.selection_path
    np.testing.assert_allclose(path.loc[display.chosen, "coef"].to_numpy()[1:], fit.coef_.ravel())
    labels = [t.get_text() for t in display.ax_.get_legend().get_texts()]
    assert len(labels) == 3 and labels[-1] == "chosen"
    assert display.ax_.xaxis_inverted()
    with pytest.raises(ValueError, match="without a path"):
        PenaltyPathDisplay.from_estimator(GLMClassifier().fit(X, y))
