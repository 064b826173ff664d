"""The sparse operators whose lowest eigenstates are the leading modes, and how they are diagonalised."""

from __future__ import annotations

import warnings
from dataclasses import dataclass

import numpy as np
from scipy import linalg, sparse
from scipy.sparse.linalg import eigsh

from statkit.decomposition.fields.lanczos import BLOCK, ShiftedInverse, largest

OPERATORS = ("log", "quadratic", "quadratic-sym", "resolvent")
EMPTY = 1e-12  # a node with a smaller share of the largest variance is outside the field: its mode value is 0
FLOOR = 1e-6  # the logarithm sees no smaller share
DENSE = 400  # up to so many nodes the dense solver is faster
LANCZOS_3D = 20_000  # factors of larger three-dimensional problems fill up; there the plain iteration wins


@dataclass(frozen=True)
class Spectrum:
    """Relative eigenvalues μ (descending; λ = m0 · scale · μ), energies, and orthonormal vectors (n, k)."""

    share: np.ndarray
    energies: np.ndarray
    vectors: np.ndarray


def hamiltonian(
    stiffness: sparse.csr_array, mass: np.ndarray, strength: np.ndarray, operator: str = "log"
) -> sparse.csr_array:
    """Assemble the symmetric operator H over nodes of positive strength.

    Parameters
    ----------
    stiffness : sparse array of shape (n, n)
        -∇·Σ∇ with its boundary term.
    mass : ndarray of shape (n,)
        Volume of each node.
    strength : ndarray of shape (n,)
        B², the variance times the relative kernel mass and density.
    operator : {"log", "quadratic", "quadratic-sym"}, default="log"
        ½L - log B², its expansion ½BLB - B², or the symmetrised product ¼(B²L + LB²) - B².
    """
    root = sparse.diags_array(1 / np.sqrt(mass))
    kinetic = sparse.csr_array(root @ stiffness @ root) * 0.5
    if operator == "log":
        return sparse.csr_array(kinetic - sparse.diags_array(np.log(strength)))
    if operator == "quadratic":
        amplitude = sparse.diags_array(np.sqrt(strength))
        return sparse.csr_array(amplitude @ kinetic @ amplitude - sparse.diags_array(strength))
    diagonal = sparse.diags_array(strength)
    return sparse.csr_array(0.5 * (diagonal @ kinetic + kinetic @ diagonal) - diagonal)


def solve(
    stiffness: sparse.csr_array,
    mass: np.ndarray,
    strength: np.ndarray,
    n_modes: int,
    *,
    operator: str = "log",
    dimension: int = 2,
    resolvent: tuple[float, int] | None = None,
    solver: str = "auto",
    loose: int = 0,
) -> Spectrum:
    """Return the leading `n_modes` (fewer where the operator has no more of positive variance).

    `resolvent` is (2 nu, α) of (1 + L / 2nu)^-α, needed by ``operator="resolvent"``; the last `loose` modes may be
    rough (an iterative solver then stops earlier).
    """
    n = len(mass)
    scale = float(strength.max())
    active = np.flatnonzero((strength > EMPTY * scale) & (mass > 0))
    b2 = strength[active] / scale
    if len(active) < n:
        stiffness = sparse.csr_array(stiffness[active][:, active])
        mass = mass[active]
    k = min(n_modes, len(active))
    if operator == "resolvent":
        assert resolvent is not None
        value, vectors = _solve_resolvent(stiffness, mass, b2, k, *resolvent)
        keep = value > 0
        share, energies, vectors = value[keep], -value[keep], vectors[:, keep]
    else:
        b2 = np.maximum(b2, FLOOR) if operator == "log" else b2
        matrix = hamiltonian(stiffness, mass, b2, operator)
        energies, vectors = _lowest(matrix, b2, k, operator, dimension, solver, loose)
        if operator == "log":
            share = np.exp(-energies)
        else:
            keep = energies < 0
            if not keep.all():
                warnings.warn(
                    f"{int((~keep).sum())} of {k} modes of the {operator} operator have a negative variance "
                    'and are dropped: the correlation length is too long for it; use operator="log"',
                    UserWarning,
                    stacklevel=2,
                )
            energies, vectors = energies[keep], vectors[:, keep]
            share = -energies
    full = np.zeros((n, vectors.shape[1]))
    full[active] = vectors
    energies = energies - np.log(scale) if operator == "log" else energies * scale
    return Spectrum(share * scale, energies, full)


def _lowest(matrix, b2, k, operator, dimension, solver, loose):
    n = matrix.shape[0]
    if solver == "dense" or (solver == "auto" and (n <= DENSE or k > n // 6)):
        return linalg.eigh(matrix.toarray(), subset_by_index=(0, k - 1))
    if solver == "lanczos" or (solver == "auto" and dimension >= 3 and n > LANCZOS_3D):
        energies, vectors = eigsh(
            matrix, k, which="SA", v0=np.ones(n), tol=1e-7, ncv=max(3 * k, 60), maxiter=50 * n
        )
    else:
        inverse = ShiftedInverse.below(matrix, _below(matrix, b2, operator))
        # Cubes have levels that are more than eight-fold.
        block = BLOCK if dimension < 3 else 2 * BLOCK
        vectors = largest(inverse, n, k, loose=loose, block=block)[1]
        # The shift drops out of Rayleigh quotients.
        energies = np.einsum("nk,nk->k", vectors, matrix @ vectors)
    order = np.argsort(energies)
    return energies[order], vectors[:, order]


def _below(matrix, b2, operator) -> float:
    """A shift below the spectrum: the kinetic part is ≥ 0, so the least potential bounds it."""
    if operator == "log":
        return float(-np.log(b2.max()) - 0.01)
    if operator == "quadratic":
        return -1.1
    # The symmetrised product differs from the quadratic form by entries ¼ L_ab (A_a - A_b)²: Gershgorin.
    entry = matrix.tocoo()
    a, b = np.sqrt(b2[entry.row]), np.sqrt(b2[entry.col])
    coupling = np.abs(entry.data) / np.maximum(a * a + b * b, 1e-300) * (a - b) ** 2
    return -1.1 - float(np.bincount(entry.row, coupling, len(b2)).max())


def _solve_resolvent(stiffness, mass, b2, k, two_nu, order):
    """Largest eigenpairs of B (1 + L̂ / 2nu)^-α B, one factor for all α solves."""
    n = len(mass)
    root = sparse.diags_array(1 / np.sqrt(mass))
    shifted = sparse.eye_array(n) + (root @ stiffness @ root) / two_nu
    amplitude = np.sqrt(b2)
    if n <= DENSE or k > n // 6:
        power = np.linalg.matrix_power(np.linalg.inv(shifted.toarray()), order)
        value, vectors = linalg.eigh(amplitude[:, None] * power * amplitude, subset_by_index=(n - k, n - 1))
    else:
        value, vectors = largest(_Resolvent(ShiftedInverse(shifted, 0.0), amplitude, order), n, k, tol=1e-8)
        return value, vectors
    return value[::-1], vectors[:, ::-1]


@dataclass(frozen=True)
class _Resolvent:
    inverse: ShiftedInverse
    amplitude: np.ndarray
    order: int

    def __matmul__(self, block: np.ndarray) -> np.ndarray:
        out = self.amplitude[:, None] * block
        for _ in range(self.order):
            out = self.inverse @ out
        return self.amplitude[:, None] * out
