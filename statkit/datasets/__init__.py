"""Data sets that ship with statkit, and simulators.

Loaders return a scikit-learn ``Bunch``; ``*_path`` functions return the path of a file, for what reads files.
"""

from typing import TYPE_CHECKING

from statkit._lazy import lazy_names

if TYPE_CHECKING:
    from statkit.datasets.causal import load_airquality as load_airquality
    from statkit.datasets.causal import load_sachs as load_sachs
    from statkit.datasets.cluster_simulators import make_cluster_mixture as make_cluster_mixture
    from statkit.datasets.fields import (
        load_north_america_air_temperature as load_north_america_air_temperature,
    )
    from statkit.datasets.fields import load_ozone_midwest as load_ozone_midwest
    from statkit.datasets.flights import flights_path as flights_path
    from statkit.datasets.flights import load_flights as load_flights
    from statkit.datasets.glm_parquet import write_glm_parquet as write_glm_parquet
    from statkit.datasets.glm_simulator import make_glm as make_glm
    from statkit.datasets.random_field import make_random_field as make_random_field
    from statkit.datasets.text import load_debian_sections as load_debian_sections
    from statkit.datasets.text import load_spamassassin as load_spamassassin
    from statkit.datasets.text import load_vader_ratings as load_vader_ratings
    from statkit.datasets.views import load_leaves100 as load_leaves100
    from statkit.datasets.views import load_mfeat as load_mfeat
    from statkit.datasets.views import load_nutrimouse as load_nutrimouse
    from statkit.datasets.views import make_multiview_blobs as make_multiview_blobs

__all__ = [
    "flights_path",
    "load_airquality",
    "load_debian_sections",
    "load_flights",
    "load_leaves100",
    "load_mfeat",
    "load_north_america_air_temperature",
    "load_nutrimouse",
    "load_ozone_midwest",
    "load_sachs",
    "load_spamassassin",
    "load_vader_ratings",
    "make_cluster_mixture",
    "make_glm",
    "make_multiview_blobs",
    "make_random_field",
    "write_glm_parquet",
]

__getattr__, __dir__ = lazy_names(
    __name__,
    {
        "flights_path": "statkit.datasets.flights",
        "load_airquality": "statkit.datasets.causal",
        "load_debian_sections": "statkit.datasets.text",
        "load_flights": "statkit.datasets.flights",
        "load_leaves100": "statkit.datasets.views",
        "load_mfeat": "statkit.datasets.views",
        "load_north_america_air_temperature": "statkit.datasets.fields",
        "load_nutrimouse": "statkit.datasets.views",
        "load_ozone_midwest": "statkit.datasets.fields",
        "load_sachs": "statkit.datasets.causal",
        "load_spamassassin": "statkit.datasets.text",
        "load_vader_ratings": "statkit.datasets.text",
        "make_cluster_mixture": "statkit.datasets.cluster_simulators",
        "make_glm": "statkit.datasets.glm_simulator",
        "make_multiview_blobs": "statkit.datasets.views",
        "make_random_field": "statkit.datasets.random_field",
        "write_glm_parquet": "statkit.datasets.glm_parquet",
    },
)
