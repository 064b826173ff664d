"""Display classes: ``XDisplay.from_estimator(…)``; matplotlib is imported when something is drawn."""

from statkit._lazy import lazy_names

_HOME = {
    "CorrelationDisplay": "decomposition",
    "ModesDisplay": "decomposition",
    "ScreeDisplay": "decomposition",
}

__all__ = sorted(_HOME)

__getattr__, __dir__ = lazy_names(__name__, {name: f"{__name__}.{file}" for name, file in _HOME.items()})
