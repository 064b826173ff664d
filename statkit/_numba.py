"""BLAS inside numba: the symbols of scipy's ``cython_blas``, callable from nogil kernels and cacheable.

``np.matmul`` and ``scipy.linalg.blas`` hold the interpreter lock or its bookkeeping long enough that small
products do not scale over threads; a direct call from compiled code does.
"""

import numpy as np
from llvmlite import binding
from numba import njit, types
from numba.extending import get_cython_function_address

_POINTER = types.voidptr


def _symbol(name: str, n_arguments: int) -> types.ExternalFunction:
    address = get_cython_function_address("scipy.linalg.cython_blas", name)
    binding.add_symbol(f"statkit_{name}", address)
    return types.ExternalFunction(f"statkit_{name}", types.void(*([_POINTER] * n_arguments)))


_dsyrk = _symbol("dsyrk", 10)
_dgemv = _symbol("dgemv", 11)
_dgemm = _symbol("dgemm", 13)

_N = ord("N")
_T = ord("T")
_L = ord("L")


@njit(cache=True, nogil=True)
def add_gram(A, m, out):
    """Add the Gram matrix of the first ``m`` rows of C-ordered ``A`` to the upper triangle of ``out``."""
    d = A.shape[1]
    flags = np.array([_L, _N], dtype=np.uint8)
    sizes = np.array([d, m], dtype=np.int32)
    one = np.ones(1)
    _dsyrk(
        flags[:1].ctypes,
        flags[1:].ctypes,
        sizes[:1].ctypes,
        sizes[1:].ctypes,
        one.ctypes,
        A.ctypes,
        sizes[:1].ctypes,
        one.ctypes,
        out.ctypes,
        sizes[:1].ctypes,
    )


@njit(cache=True, nogil=True)
def add_cross(A, B, m, out):
    """Add ``A[:m].T @ B[:m]`` (both C-ordered, ``d`` and ``e`` columns) to C-ordered ``out`` (d, e)."""
    d = A.shape[1]
    e = B.shape[1]
    flags = np.array([_N, _T], dtype=np.uint8)
    sizes = np.array([d, e, m], dtype=np.int32)
    one = np.ones(1)
    _dgemm(
        flags[:1].ctypes,
        flags[1:].ctypes,
        sizes[1:].ctypes,
        sizes[:1].ctypes,
        sizes[2:].ctypes,
        one.ctypes,
        B.ctypes,
        sizes[1:].ctypes,
        A.ctypes,
        sizes[:1].ctypes,
        one.ctypes,
        out.ctypes,
        sizes[1:].ctypes,
    )


@njit(cache=True, nogil=True)
def add_rows_dot(A, m, x, out):
    """Add ``A[:m] @ x`` (C-ordered ``A``) to ``out[:m]``."""
    d = A.shape[1]
    flag = np.array([_T], dtype=np.uint8)
    sizes = np.array([d, m, 1], dtype=np.int32)
    one = np.ones(1)
    _dgemv(
        flag.ctypes,
        sizes[:1].ctypes,
        sizes[1:].ctypes,
        one.ctypes,
        A.ctypes,
        sizes[:1].ctypes,
        x.ctypes,
        sizes[2:].ctypes,
        one.ctypes,
        out.ctypes,
        sizes[2:].ctypes,
    )


@njit(cache=True, nogil=True)
def add_columns_dot(A, m, r, out):
    """Add ``A[:m].T @ r[:m]`` (C-ordered ``A``) to ``out``."""
    d = A.shape[1]
    flag = np.array([_N], dtype=np.uint8)
    sizes = np.array([d, m, 1], dtype=np.int32)
    one = np.ones(1)
    _dgemv(
        flag.ctypes,
        sizes[:1].ctypes,
        sizes[1:].ctypes,
        one.ctypes,
        A.ctypes,
        sizes[:1].ctypes,
        r.ctypes,
        sizes[2:].ctypes,
        one.ctypes,
        out.ctypes,
        sizes[2:].ctypes,
    )
