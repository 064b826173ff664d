"""Data sets that ship with statkit, and simulators.

Loaders return a scikit-learn ``Bunch``; ``*_path`` functions return the path of a file, for what reads files.
"""

from typing import TYPE_CHECKING

from statkit._lazy import lazy_names

if TYPE_CHECKING:
    from statkit.datasets.cluster_simulators import make_cluster_mixture as make_cluster_mixture
    from statkit.datasets.fields import (
        load_north_america_air_temperature as load_north_america_air_temperature,
    )
    from statkit.datasets.fields import load_ozone_midwest as load_ozone_midwest
    from statkit.datasets.causal import load_airquality as load_airquality
    from statkit.datasets.causal import load_sachs as load_sachs
    from statkit.datasets.flights import flights_path as flights_path
    from statkit.datasets.flights import load_flights as load_flights
    from statkit.datasets.glm_parquet import write_glm_parquet as write_glm_parquet
    from statkit.datasets.glm_simulator import make_glm as make_glm
    from statkit.datasets.text import load_debian_sections as load_debian_sections
    from statkit.datasets.text import load_spamassassin as load_spamassassin
    from statkit.datasets.text import load_vader_ratings as load_vader_ratings

__all__ = [
    "flights_path",
    "load_debian_sections",
    "load_flights",
    "load_spamassassin",
    "load_vader_ratings",
    "make_glm",
    "write_glm_parquet",
]
__all__ = ["flights_path", "load_flights", "make_cluster_mixture", "make_glm", "write_glm_parquet"]
    from statkit.datasets.views import load_leaves100 as load_leaves100
    from statkit.datasets.views import load_mfeat as load_mfeat
    from statkit.datasets.views import load_nutrimouse as load_nutrimouse
    from statkit.datasets.views import make_multiview_blobs as make_multiview_blobs
    "load_leaves100",
    "load_mfeat",
    "load_nutrimouse",
    "make_multiview_blobs",
    from statkit.datasets.random_field import make_random_field as make_random_field
    "load_north_america_air_temperature",
    "load_ozone_midwest",
    "make_random_field",
__all__ = ["flights_path", "load_airquality", "load_flights", "load_sachs", "make_glm", "write_glm_parquet"]

__getattr__, __dir__ = lazy_names(
    __name__,
    {
        "flights_path": "statkit.datasets.flights",
        "load_debian_sections": "statkit.datasets.text",
        "load_flights": "statkit.datasets.flights",
        "load_spamassassin": "statkit.datasets.text",
        "load_vader_ratings": "statkit.datasets.text",
        "make_cluster_mixture": "statkit.datasets.cluster_simulators",
        "load_leaves100": "statkit.datasets.views",
        "load_mfeat": "statkit.datasets.views",
        "load_nutrimouse": "statkit.datasets.views",
        "load_north_america_air_temperature": "statkit.datasets.fields",
        "load_ozone_midwest": "statkit.datasets.fields",
        "make_random_field": "statkit.datasets.random_field",
        "load_airquality": "statkit.datasets.causal",
        "load_sachs": "statkit.datasets.causal",
        "make_glm": "statkit.datasets.glm_simulator",
        "make_multiview_blobs": "statkit.datasets.views",
        "write_glm_parquet": "statkit.datasets.glm_parquet",
    },
)
