from statkit.datasets.causal import load_airquality as load_airquality
from statkit.datasets.causal import load_sachs as load_sachs
from statkit.datasets.cluster_simulators import make_cluster_mixture as make_cluster_mixture
from statkit.datasets.fields import load_north_america_air_temperature as load_north_america_air_temperature
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

__all__: list[str]
