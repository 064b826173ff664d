"""Data sets that ship with statkit, and simulators.

Loaders return a scikit-learn ``Bunch``; ``*_path`` functions return the path of a file, for what reads files.
"""

from typing import TYPE_CHECKING

from statkit._lazy import lazy_names

if TYPE_CHECKING:
    from statkit.datasets.causal import load_airquality as load_airquality
    from statkit.datasets.causal import load_sachs as load_sachs
    from statkit.datasets.flights import flights_path as flights_path
    from statkit.datasets.flights import load_flights as load_flights
    from statkit.datasets.glm_parquet import write_glm_parquet as write_glm_parquet
    from statkit.datasets.glm_simulator import make_glm as make_glm

__all__ = ["flights_path", "load_airquality", "load_flights", "load_sachs", "make_glm", "write_glm_parquet"]

__getattr__, __dir__ = lazy_names(
    __name__,
    {
        "flights_path": "statkit.datasets.flights",
        "load_airquality": "statkit.datasets.causal",
        "load_flights": "statkit.datasets.flights",
        "load_sachs": "statkit.datasets.causal",
        "make_glm": "statkit.datasets.glm_simulator",
        "write_glm_parquet": "statkit.datasets.glm_parquet",
    },
)
