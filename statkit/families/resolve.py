"""From what a user writes as ``family`` and ``link`` to a family."""

import difflib
from importlib import import_module

from .base import Family

#: name -> class; only the module of the family that is asked for is loaded
FAMILIES = {
    "gaussian": "Gaussian",
    "binomial": "Binomial",
    "poisson": "Poisson",
    "gamma": "Gamma",
    "inverse_gaussian": "InverseGaussian",
    "negative_binomial": "NegativeBinomial",
    "tweedie": "Tweedie",
    "quasi_binomial": "QuasiBinomial",
    "quasi_poisson": "QuasiPoisson",
}


#: What other software calls them.
_OTHER_NAMES = {
    "normal": "gaussian",
    "linear": "gaussian",
    "ols": "gaussian",
    "logistic": "binomial",
    "logit": "binomial",
    "probit": "binomial",
    "bernoulli": "binomial",
    "nb": "negative_binomial",
    "negbin": "negative_binomial",
}


def resolve_family(family, link=None):
    """Family of a name or an object.

    Parameters
    ----------
    family : str or Family
        One of "gaussian", "binomial", "poisson", "gamma", "inverse_gaussian", "negative_binomial", "tweedie",
        "quasi_binomial", "quasi_poisson", or a family.
    link : str or None, default=None
        Name of the link; None is the family's own.

    Returns
    -------
    family : Family

    Raises
    ------
    ValueError
        For an unknown family, a link that it has not, or a link that contradicts the family's.
    TypeError
        When ``family`` is neither a name nor a family.

    Examples
    --------
    >>> from statkit.families import resolve_family
    >>> resolve_family("binomial", "probit")
    Binomial(link='probit')
    """
    if isinstance(family, Family):
        if link is None:
            return family
        parameters = family.get_params()
        changed = type(family)(**{**parameters, "link": link})
        if parameters["link"] is not None and changed.link_name != family.link_name:
            raise ValueError(f"link={link!r} contradicts family={family!r}: give the link once")
        return changed
    if not isinstance(family, str):
        raise TypeError(
            f"family has to be an object of statkit.families or one of {', '.join(map(repr, FAMILIES))}, "
            f"got {family!r}"
        )
    if family not in FAMILIES:
        asked = family.lower().replace("-", "_").replace(" ", "_")
        near = (
            [_OTHER_NAMES[asked]]
            if asked in _OTHER_NAMES
            else difflib.get_close_matches(asked, FAMILIES, n=1)
        )
        hint = f"; did you mean {near[0]!r}?" if near else ""
        raise ValueError(f"unknown family {family!r}: choose from {', '.join(map(repr, FAMILIES))}{hint}")
    return getattr(import_module(__package__), FAMILIES[family])(link=link)
