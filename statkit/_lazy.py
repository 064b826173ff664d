"""Names of a package that load when they are used (PEP 562), so that importing the package costs nothing."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any


def lazy_names(
    package: str, where: Mapping[str, str], subpackages: Sequence[str] = ()
) -> tuple[Callable[[str], Any], Callable[[], list[str]]]:
    """Return ``__getattr__`` and ``__dir__`` for ``package``.

    Parameters
    ----------
    package : str
        ``__name__`` of the package that calls.
    where : mapping
        Name to the module that defines it.
    subpackages : sequence of str
        Subpackages that are reachable as attributes without an import of their own.
    """

    def __getattr__(name: str) -> Any:
        if name in where:
            value = getattr(importlib.import_module(where[name]), name)
        elif name in subpackages:
            value = importlib.import_module(f"{package}.{name}")
        else:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        vars(importlib.import_module(package))[name] = value  # found directly from now on
        return value

    def __dir__() -> list[str]:
        return sorted({*vars(importlib.import_module(package)), *where, *subpackages})

    return __getattr__, __dir__
