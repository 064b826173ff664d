"""One BLAS thread: matrices of the size of a graph are slower on several, and bits would depend on them."""

from __future__ import annotations

from contextlib import AbstractContextManager
from functools import cache

from threadpoolctl import ThreadpoolController


@cache
def _controller() -> ThreadpoolController:
    return ThreadpoolController()


def one_blas_thread() -> AbstractContextManager:
    """Return a context in which BLAS uses one thread."""
    return _controller().limit(limits=1, user_api="blas")
