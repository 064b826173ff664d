"""How columns become a matrix: formulas, levels, scaling; the block of encoded rows and its kernels."""

from statkit._lazy import lazy_names

_HOME = {
    "Block": "block",
    "CodePart": "block",
    "Csr": "block",
    "make_block": "block",
    "Design": "design",
    "MatrixDesign": "matrix",
    "FormulaDesign": "formula",
    "FrameDesign": "frame",
}

__all__ = sorted(_HOME)

__getattr__, __dir__ = lazy_names(__name__, {name: f"{__name__}.{file}" for name, file in _HOME.items()})
