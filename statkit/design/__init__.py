"""How columns become a matrix: formulas, levels, scaling; the block of encoded rows and its kernels."""

from importlib import import_module

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


def __getattr__(name: str):
    if name in _HOME:
        return getattr(import_module(f"statkit.design.{_HOME[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
