"""Display classes: plots of fitted estimators, with matplotlib imported when used."""

from statkit._lazy import lazy_names

_WHERE = {
    "AffinityDisplay": "statkit.plotting.multiview",
    "ViewWeightsDisplay": "statkit.plotting.multiview",
}

__all__ = sorted(_WHERE)

__getattr__, __dir__ = lazy_names(__name__, _WHERE)
