"""Decompositions of data matrices into modes."""

from typing import TYPE_CHECKING

from statkit._lazy import lazy_names

if TYPE_CHECKING:
    from statkit.decomposition.comparison import captured_variance as captured_variance
    from statkit.decomposition.comparison import subspace_angle as subspace_angle
    from statkit.decomposition.fields.modes import schrodinger_modes as schrodinger_modes

_HOME = {
    "captured_variance": "comparison",
    "icosphere": "meshes.sphere",
    "schrodinger_modes": "fields.modes",
    "subspace_angle": "comparison",
}

__all__ = sorted(_HOME)

__getattr__, __dir__ = lazy_names(__name__, {name: f"{__name__}.{file}" for name, file in _HOME.items()})
