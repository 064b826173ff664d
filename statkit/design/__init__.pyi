from statkit.design.block import Block as Block
from statkit.design.block import CodePart as CodePart
from statkit.design.block import Csr as Csr
from statkit.design.block import make_block as make_block
from statkit.design.design import Design as Design
from statkit.design.formula import FormulaDesign as FormulaDesign
from statkit.design.frame import FrameDesign as FrameDesign
from statkit.design.matrix import MatrixDesign as MatrixDesign

__all__: list[str]
