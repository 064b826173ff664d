"""Scalar functions for the kernels of the families, without branches: loops over them become vector code.

``math.exp`` in compiled code is a call of the C library a row and stops the vectoriser; these are inlined
polynomials, accurate to about one unit in the last place and several times faster in a loop. A NaN argument
gives NaN: missing or broken data must stay visible in the sums.

The compiled kernels of the families hold copies of these functions, and numba's cache looks only at the file of
the kernel: after an edit here, delete ``__pycache__`` of this folder.
"""

import math
from typing import Any

import numpy as np
from llvmlite import ir
from numba import njit, types
from numba.extending import intrinsic

#: rows that a kernel takes at a time: its scratch rows stay in the first-level cache
TILE = 512

#: ``contract`` allows fused multiply-add and nothing that touches NaN or infinity; without the numpy error
#: model a division would test its divisor and stop the vectoriser
KERNEL: dict[str, Any] = {"cache": True, "nogil": True, "error_model": "numpy", "fastmath": {"contract"}}
INLINE: dict[str, Any] = {**KERNEL, "forceinline": True}

#: the weight argument of a kernel that has none
NO_WEIGHT = np.empty(0)

_MAGIC = 6755399441055744.0  # 1.5 * 2**52: adding it rounds to an integer, held in the low bits
_LOG2E = 1.4426950408889634
_LN2_HIGH = 6.93147180369123816490e-01  # 33 leading bits: an integer times it is exact
_LN2_LOW = 1.90821492927058770002e-10
_SQRT_HALF = 0.7071067811865476
INV_SQRT_2PI = 0.3989422804014327
LOG_SQRT_2PI = 0.9189385332046728


@intrinsic
def _bits(typingctx, x):
    def codegen(context, builder, signature, args):
        return builder.bitcast(args[0], ir.IntType(64))

    return types.int64(types.float64), codegen


@intrinsic
def _float(typingctx, bits):
    def codegen(context, builder, signature, args):
        return builder.bitcast(args[0], ir.DoubleType())

    return types.float64(types.int64), codegen


@njit(**INLINE)
def clip(x, low, high):
    """``x`` within [low, high]; NaN stays NaN."""
    x = low if x < low else x
    return high if x > high else x


@njit(**INLINE)
def exp_parts(x):
    """``(2**k, exp(x - k log 2) - 1)`` for the integer k nearest to x / log 2; |x| <= 708."""
    shifted = x * _LOG2E + _MAGIC
    k = shifted - _MAGIC
    scale = _float((_bits(shifted) + 1023) << 52)
    t = (x - k * _LN2_HIGH) - k * _LN2_LOW
    p = 1 / 6227020800.0
    p = p * t + 1 / 479001600.0
    p = p * t + 1 / 39916800.0
    p = p * t + 1 / 3628800.0
    p = p * t + 1 / 362880.0
    p = p * t + 1 / 40320.0
    p = p * t + 1 / 5040.0
    p = p * t + 1 / 720.0
    p = p * t + 1 / 120.0
    p = p * t + 1 / 24.0
    p = p * t + 1 / 6.0
    p = p * t + 0.5
    return scale, t + t * t * p


@njit(**INLINE)
def exp(x):
    """exp(x) for |x| <= 708; the caller clips."""
    scale, p = exp_parts(x)
    return scale + scale * p


@njit(**INLINE)
def expm1(x):
    """exp(x) - 1 for |x| <= 708, accurate near 0."""
    scale, p = exp_parts(x)
    return (scale - 1.0) + scale * p


@njit(**INLINE)
def log(x):
    """Natural logarithm: -inf at 0, NaN below; subnormal numbers count as 0."""
    bits = _bits(x)
    # the exponent by which x / 2**e lies in [sqrt(1/2), sqrt(2))
    e = (bits - 0x3FE6A09E667F3BCD) >> 52
    f = _float(bits - (e << 52)) - 1.0
    k = float(e)
    s = f / (2.0 + f)
    z = s * s
    p = 1 / 21.0
    p = p * z + 1 / 19.0
    p = p * z + 1 / 17.0
    p = p * z + 1 / 15.0
    p = p * z + 1 / 13.0
    p = p * z + 1 / 11.0
    p = p * z + 1 / 9.0
    p = p * z + 1 / 7.0
    p = p * z + 1 / 5.0
    p = p * z + 1 / 3.0
    # log(1 + f) = f - f²/2 + s (f²/2 + 2 z p): f is exact, so that only small terms are rounded
    half = 0.5 * f * f
    value = k * _LN2_HIGH + (f - (half - (s * (half + 2.0 * z * p) + k * _LN2_LOW)))
    value = value if x > 2.2250738585072014e-308 else -np.inf
    value = value if x < np.inf else x
    return value if x >= 0.0 else np.nan


@njit(**INLINE)
def log1p(x):
    """log(1 + x) for x >= -1/2, accurate near 0."""
    u = 1.0 + x
    lost = x - (u - 1.0)  # what the addition rounded away
    return log(u) + (lost / u if u < 4503599627370496.0 else 0.0)


@njit(**INLINE)
def mills(x):
    """Mills ratio Φ(-x) / φ(x) for x >= 0: (x + 1) M(x) is a Chebyshev series in (x - 5) / (x + 5).

    After Shepherd & Laframboise (1981), Chebyshev approximation of (1 + 2x) exp(x²) erfc(x) in 0 ≤ x < ∞; the
    coefficients were computed with 40 digits, and their absolute values add up to 1.7, so nothing cancels.
    """
    t = (x - 5.0) / (x + 5.0)
    p = 6.288377855498677e-11
    p = p * t - 9.564832934712551e-10
    p = p * t - 1.0846925288860795e-09
    p = p * t + 1.1032071151574336e-08
    p = p * t + 1.0082895646260188e-08
    p = p * t - 7.758520236786343e-08
    p = p * t - 6.738323465177047e-08
    p = p * t + 4.91996233147834e-07
    p = p * t + 3.2197131609042185e-07
    p = p * t - 3.277287633208865e-06
    p = p * t - 1.7723438185601556e-07
    p = p * t + 2.270961270923768e-05
    p = p * t - 2.48054584472145e-05
    p = p * t - 0.0001343742785571135
    p = p * t + 0.00045704381820007954
    p = p * t + 1.9530638370790786e-05
    p = p * t - 0.004201290310663574
    p = p * t + 0.01634823128102938
    p = p * t - 0.038026592187762366
    p = p * t + 0.0615050458401865
    p = p * t - 0.0661776007789934
    p = p * t + 0.0250721793016388
    p = p * t + 0.07778159886873554
    p = p * t - 0.22948753825211315
    p = p * t + 1.1568486282918946
    return p / (x + 1.0)


@njit(cache=True, nogil=True, error_model="numpy", fastmath={"reassoc"}, forceinline=True)
def total(x):
    """Sum of ``x``; the only place where the order of additions is left to the compiler."""
    s = 0.0
    for i in range(x.shape[0]):
        s += x[i]
    return s


@njit(**INLINE)
def scale_rows(weight, loss, r, w):
    """Multiply loss, score and Fisher weight by the prior weight."""
    for i in range(weight.shape[0]):
        r[i] *= weight[i]
    for i in range(weight.shape[0]):
        w[i] *= weight[i]
    for i in range(weight.shape[0]):
        loss[i] *= weight[i]


@njit(**KERNEL)
def digamma(x):
    """ψ(x) for x > 0: recurrence up to 10, then the asymptotic series."""
    s = 0.0
    while x < 10.0:
        s -= 1.0 / x
        x += 1.0
    z = 1.0 / (x * x)
    p = 1 / 12.0
    p = p * z - 691 / 32760.0
    p = p * z + 1 / 132.0
    p = p * z - 1 / 240.0
    p = p * z + 1 / 252.0
    p = p * z - 1 / 120.0
    p = p * z + 1 / 12.0
    return s + math.log(x) - 0.5 / x - z * p


@njit(**KERNEL)
def trigamma(x):
    """ψ'(x) for x > 0: recurrence up to 10, then the asymptotic series."""
    s = 0.0
    while x < 10.0:
        s += 1.0 / (x * x)
        x += 1.0
    z = 1.0 / (x * x)
    p = 7 / 6.0
    p = p * z - 691 / 2730.0
    p = p * z + 5 / 66.0
    p = p * z - 1 / 30.0
    p = p * z + 1 / 42.0
    p = p * z - 1 / 30.0
    p = p * z + 1 / 6.0
    return s + 1.0 / x + 0.5 * z + z * p / x
