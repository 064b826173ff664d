"""Data sets that ship with statkit, and simulators.

Loaders return a scikit-learn ``Bunch``; ``*_path`` functions return the path of a file, for what reads files.
"""

from typing import TYPE_CHECKING

from statkit._lazy import lazy_names

if TYPE_CHECKING:
    from statkit.datasets.fields import (
        load_north_america_air_temperature as load_north_america_air_temperature,
    )
    from statkit.datasets.fields import load_ozone_midwest as load_ozone_midwest
    from statkit.datasets.flights import flights_path as flights_path
    from statkit.datasets.flights import load_flights as load_flights
    from statkit.datasets.glm_parquet import write_glm_parquet as write_glm_parquet
    from statkit.datasets.glm_simulator import make_glm as make_glm
    from statkit.datasets.random_field import make_random_field as make_random_field

__all__ = [
    "flights_path",
    "load_flights",
    "load_north_america_air_temperature",
    "load_ozone_midwest",
    "make_glm",
    "make_random_field",
    "write_glm_parquet",
]

__getattr__, __dir__ = lazy_names(
    __name__,
    {
        "flights_path": "statkit.datasets.flights",
        "load_flights": "statkit.datasets.flights",
        "load_north_america_air_temperature": "statkit.datasets.fields",
        "load_ozone_midwest": "statkit.datasets.fields",
        "make_random_field": "statkit.datasets.random_field",
        "make_glm": "statkit.datasets.glm_simulator",
        "write_glm_parquet": "statkit.datasets.glm_parquet",
    },
)
