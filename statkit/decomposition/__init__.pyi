from statkit.decomposition.bootstrap import bootstrap_modes as bootstrap_modes
from statkit.decomposition.comparison import captured_variance as captured_variance
from statkit.decomposition.comparison import subspace_angle as subspace_angle
from statkit.decomposition.distributed_pca import DistributedPCA as DistributedPCA
from statkit.decomposition.fields.correlation_length import CorrelationFit as CorrelationFit
from statkit.decomposition.fields.correlation_length import (
    estimate_correlation_length as estimate_correlation_length,
)
from statkit.decomposition.fields.karhunen_loeve import karhunen_loeve as karhunen_loeve
from statkit.decomposition.fields.modes import FieldModes as FieldModes
from statkit.decomposition.fields.modes import schrodinger_modes as schrodinger_modes
from statkit.decomposition.fields.operators import graph_operator as graph_operator
from statkit.decomposition.fields.operators import grid_operator as grid_operator
from statkit.decomposition.fields.operators import mesh_operator as mesh_operator
from statkit.decomposition.fields.variance import estimate_variance_field as estimate_variance_field
from statkit.decomposition.meshes.sphere import icosphere as icosphere
from statkit.decomposition.rotation import promax as promax
from statkit.decomposition.rotation import varimax as varimax
from statkit.decomposition.schrodinger_pca import SchrodingerPCA as SchrodingerPCA

__all__: list[str]
