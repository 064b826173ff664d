"""How many products the operators of a formula would write out, before they are."""

from __future__ import annotations

from typing import Any

__all__ = ["check_number_of_terms"]

_MOST = 20_000


def check_number_of_terms(tree: Any, n_columns: int) -> None:
    """Refuse a formula whose ``*`` and ``**`` make more terms than anybody can wait for.

    Parameters
    ----------
    tree : ASTNode or Token or None
        The formula as formulaic's parser reads it.
    n_columns : int
        What ``.`` stands for.

    Raises
    ------
    ValueError
        With the number.
    """
    counts: dict[int, float] = {}
    waiting = [tree]
    while waiting:  # not by recursion: a long sum is a deep tree
        node = waiting[-1]
        inner = [arg for arg in getattr(node, "args", ()) if id(arg) not in counts]
        if inner:
            waiting += inner
            continue
        waiting.pop()
        counts[id(node)] = _count(node, counts, n_columns)
        if counts[id(node)] > _MOST:
            raise ValueError(f"the formula's products make more than {_MOST:,} terms")


def _count(node: Any, counts: dict[int, float], n_columns: int) -> float:
    if not hasattr(node, "operator"):
        return 1.0
    parts = [counts[id(arg)] for arg in node.args]
    symbol = node.operator.symbol
    if symbol == ".":
        return float(n_columns)
    if len(parts) != 2:
        return sum(parts)
    a, b = parts
    if symbol == ":":
        return a * b
    if symbol in ("*", "/", "%in%"):
        return a + b + a * b
    if symbol in ("**", "^"):
        power = str(node.args[1])
        return max(a ** min(int(power), 100), float(power)) if power.isdigit() else a
    return a + b
