"""Names of a package that load when they are used (PEP 562), so that importing the package costs nothing.

Which names there are is said once, in the stub ``__init__.pyi`` beside the package's ``__init__.py``: type checkers
and editors read it as it stands, and the package reads it when it is imported.
"""

from __future__ import annotations

import ast
import importlib
import os
from collections.abc import Callable
from typing import Any


def lazy_names(package: str, file: str) -> tuple[Callable[[str], Any], Callable[[], list[str]], list[str]]:
    """Return ``__getattr__``, ``__dir__`` and ``__all__`` for ``package``, whose ``__init__.py`` is ``file``.

    The stub holds lines ``from statkit.room.file import Name as Name``, and ``from statkit.room import file as file``
    for a subpackage or module that is reachable without an import of its own.
    """
    with open(os.path.splitext(file)[0] + ".pyi", encoding="utf-8") as stub:
        statements = ast.parse(stub.read()).body
    where = {
        alias.name: statement.module
        for statement in statements
        if isinstance(statement, ast.ImportFrom) and statement.module
        for alias in statement.names
    }

    def __getattr__(name: str) -> Any:
        if name not in where:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        if where[name] == package:
            value = importlib.import_module(f"{package}.{name}")
        else:
            value = getattr(importlib.import_module(where[name]), name)
        vars(importlib.import_module(package))[name] = value  # found directly from now on
        return value

    def __dir__() -> list[str]:
        return sorted({*vars(importlib.import_module(package)), *where})

    return __getattr__, __dir__, sorted(where)
