"""The sparse operators whose lowest eigenstates are the leading modes, and how they are diagonalised."""

from __future__ import annotations

import warnings
from dataclasses import dataclass

import numpy as np
from scipy import linalg, sparse
from scipy.sparse.linalg import LinearOperator, eigsh, splu

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
) -> Spectrum:
    """Return the leading `n_modes` (fewer where the operator has no more of positive variance).

    `resolvent` is (2 nu, α) of (1 + L / 2nu)^-α, needed by ``operator="resolvent"``.
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
        energies, vectors = _lowest(matrix, b2, k, operator, dimension, solver)
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


def _lowest(matrix, b2, k, operator, dimension, solver):
    n = matrix.shape[0]
    if solver == "dense" or (solver == "auto" and (n <= DENSE or k > n // 3)):
        return linalg.eigh(matrix.toarray(), subset_by_index=(0, k - 1))
    start = np.ones(n)
    if solver == "lanczos" or (solver == "auto" and dimension >= 3 and n > LANCZOS_3D):
        energies, vectors = eigsh(
            matrix, k, which="SA", v0=start, tol=1e-7, ncv=max(3 * k, 60), maxiter=50 * n
        )
    else:
        energies, vectors = eigsh(
            matrix,
            k,
            sigma=0.0,
            which="LM",
            v0=start,
            tol=1e-6,
            OPinv=_inverse(matrix, _below(matrix, b2, operator)),
        )
        energies = np.einsum(
            "nk,nk->k", vectors, matrix @ vectors
        )  # the shift drops out of Rayleigh quotients
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


def _inverse(matrix, shift: float) -> LinearOperator:
    n = matrix.shape[0]
    factor = splu(
        sparse.csc_array(matrix - shift * sparse.eye_array(n)),
        permc_spec="MMD_AT_PLUS_A",
        diag_pivot_thresh=0.0,
        options={"SymmetricMode": True},
    )
    return LinearOperator((n, n), matvec=factor.solve, dtype=float)


def _solve_resolvent(stiffness, mass, b2, k, two_nu, order):
    """Largest eigenpairs of B (1 + L̂ / 2nu)^-α B, one factor for all α solves."""
    n = len(mass)
    root = sparse.diags_array(1 / np.sqrt(mass))
    shifted = sparse.eye_array(n) + (root @ stiffness @ root) / two_nu
    amplitude = np.sqrt(b2)
    if n <= DENSE or k > n // 3:
        power = np.linalg.matrix_power(np.linalg.inv(shifted.toarray()), order)
        value, vectors = linalg.eigh(amplitude[:, None] * power * amplitude, subset_by_index=(n - k, n - 1))
    else:
        solve_once = _inverse(sparse.csr_array(shifted), 0.0)

        def apply(v):
            v = amplitude * v.ravel()
            for _ in range(order):
                v = solve_once.matvec(v)
            return amplitude * v

        value, vectors = eigsh(
            LinearOperator((n, n), matvec=apply, dtype=float), k, which="LA", v0=np.ones(n), tol=1e-8
        )
    return value[::-1], vectors[:, ::-1]
