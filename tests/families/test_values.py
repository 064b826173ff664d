"""Families as values: names, links, equality, parameters, and the check of the response."""

import numpy as np
import pytest
from sklearn.base import clone

from statkit.families import (
    Binomial,
    Family,
    Gamma,
    Gaussian,
    InverseGaussian,
    NegativeBinomial,
    Poisson,
    QuasiBinomial,
    QuasiPoisson,
    Softmax,
    Tweedie,
    resolve_family,
)

DEFAULTS = {
    "gaussian": (Gaussian, "identity", True, "pearson"),
    "binomial": (Binomial, "logit", True, "known"),
    "poisson": (Poisson, "log", True, "known"),
    "gamma": (Gamma, "log", False, "pearson"),
    "inverse_gaussian": (InverseGaussian, "log", False, "pearson"),
    "negative_binomial": (NegativeBinomial, "log", False, "known"),
    "tweedie": (Tweedie, "log", False, "pearson"),
    "quasi_binomial": (QuasiBinomial, "logit", True, "pearson"),
    "quasi_poisson": (QuasiPoisson, "log", True, "pearson"),
}


@pytest.mark.parametrize("name", DEFAULTS)
def test_names_and_defaults(name):
    family = resolve_family(name)
    cls, link, canonical, dispersion = DEFAULTS[name]
    assert type(family) is cls and family.name == name and family.link_name == link
    assert family.canonical is canonical and family.dispersion == dispersion
    assert family.predictors == 1 and family.curved and family.context is None
    assert resolve_family(family) is family
    assert resolve_family(name, link) == family


def test_unknown_names_get_the_list_and_the_nearest():
    with pytest.raises(ValueError, match=r"unknown family 'poison'.*'gaussian'.*did you mean 'poisson'"):
        resolve_family("poison")
    with pytest.raises(ValueError, match="did you mean 'inverse_gaussian'"):
        resolve_family("inverse gaussian")
    with pytest.raises(ValueError, match=r"Binomial has no link 'probi'.*did you mean 'probit'"):
        resolve_family("binomial", "probi")
    with pytest.raises(TypeError, match="family has to be"):
        resolve_family(3)
    with pytest.raises(ValueError, match="contradicts"):
        resolve_family(Binomial("probit"), "logit")


def test_link_beside_an_object():
    assert resolve_family(Binomial(), "cloglog") == Binomial("cloglog")
    assert resolve_family(Binomial("probit"), "probit") == Binomial("probit")
    assert resolve_family(NegativeBinomial(alpha=2.0), "log").alpha == 2.0


def test_equality_and_hash():
    assert Binomial() == Binomial("logit") and hash(Binomial()) == hash(Binomial("logit"))
    assert Binomial() != Binomial("probit") and Binomial() != QuasiBinomial()
    assert InverseGaussian("1/mu^2") == InverseGaussian("inverse_squared")
    assert len({NegativeBinomial(), NegativeBinomial(alpha=None), NegativeBinomial(alpha=1.0)}) == 2
    assert Tweedie(1.2) != Tweedie(1.3) and Softmax(3) != Softmax(4) and Poisson() != "poisson"


@pytest.mark.parametrize(
    ("family", "text"),
    [
        (Binomial(), "Binomial()"),
        (Binomial("probit"), "Binomial(link='probit')"),
        (NegativeBinomial(), "NegativeBinomial(alpha=None)"),
        (Tweedie(power=1.7), "Tweedie(power=1.7)"),
        (Softmax(4), "Softmax(n_classes=4)"),
    ],
)
def test_repr(family, text):
    assert repr(family) == text
    assert eval(text) == family


def test_parameters_and_clone():
    family = NegativeBinomial(alpha=0.5)
    other = clone(family)
    assert other == family and other is not family
    assert other.set_params(alpha=None) is other
    assert other.n_shape == 1 and family.n_shape == 0 and family.alpha == 0.5
    with pytest.raises(ValueError, match="no parameter 'beta'"):
        family.set_params(beta=1)
    with pytest.raises(ValueError, match="alpha"):
        family.set_params(alpha=-1.0)
    assert family == NegativeBinomial(alpha=0.5)
    assert Tweedie(1.5).set_params(power=1.6).variance(2.0) == 2.0**1.6


@pytest.mark.parametrize("power", [0, 1, 2, np.nan, np.inf, -1.5])
def test_tweedie_power(power):
    with pytest.raises(ValueError, match="power"):
        Tweedie(power)


@pytest.mark.parametrize("n_classes", [1, 2.5])
def test_softmax_classes(n_classes):
    with pytest.raises(ValueError, match="n_classes"):
        Softmax(n_classes)


def test_alpha_that_is_not_given():
    with pytest.raises(ValueError, match="to be estimated"):
        NegativeBinomial().variance(1.0)
    assert NegativeBinomial().variance(2.0, shape=np.array([0.5])) == 4.0


def test_softmax_names_what_it_lacks():
    with pytest.raises(NotImplementedError, match="bias correction"):
        Softmax(3).weight_derivative(np.zeros((2, 2)))


@pytest.mark.parametrize(
    ("family", "good", "bad"),
    [
        (Gaussian(), [-1.0, 5.0], [np.nan, np.inf]),
        (Binomial(), [0.0, 0.3, 1.0], [-0.1, 1.5, np.nan]),
        (Poisson(), [0.0, 7.0, 0.5], [-1.0, np.inf]),
        (Gamma(), [0.1, 5.0], [0.0, -1.0]),
        (InverseGaussian(), [0.1, 5.0], [0.0, -1.0]),
        (NegativeBinomial(), [0.0, 7.0], [-1.0]),
        (Tweedie(1.5), [0.0, 7.0], [-1.0]),
        (Tweedie(2.5), [0.1, 7.0], [0.0]),
        (Softmax(3), [0.0, 1.0, 2.0], [3.0, -1.0, 0.5, np.nan]),
    ],
)
def test_check_response(family, good, bad):
    assert family.check_response(np.array(good)) is None
    assert family.check_response(np.empty(0)) is None
    for value in bad:
        index, reason = family.check_response(np.array([*good, value, value]))
        assert index == len(good)
        assert reason == f"{family.name} needs {family.support}, found {value!r}"


def test_softmax_null_and_start():
    y = np.array([0.0, 0.0, 1.0, 2.0])
    counts = np.bincount(y.astype(int))
    np.testing.assert_allclose(Softmax(3).inverse_link(Softmax(3).null_eta(counts, 4.0)), counts / 4.0)
    assert np.all(np.isfinite(Softmax(3).null_eta([0.0, 4.0, 1.0], 5.0)))
    assert np.all(np.argmax(Softmax(3).inverse_link(Softmax(3).start(y)), axis=1) == y)


def test_public_names_load_when_used():
    import statkit.families as families

    assert issubclass(families.Poisson, Family)
    assert set(dir(families)) >= {"Softmax", "resolve_family"}
    with pytest.raises(AttributeError, match="Poison"):
        families.Poison  # noqa: B018
