"""Which lines of a long table are printed: the ends of long terms, and whatever needs attention."""

import numpy as np

__all__ = ["abbreviate"]

# A table of this many lines is printed whole; a term of this many is not abbreviated.
_LONG_TABLE, _LONG_TERM = 60, 12
_FIRST, _LAST = 3, 3
_FIRST_PLAIN, _LAST_PLAIN = 40, 10


def abbreviate(positions, terms, attention):
    """Lines to print, in order.

    Parameters
    ----------
    positions : range
        Parameters that make up the table.
    terms : dict of str to list of int
        Positions of each term's parameters.
    attention : ndarray of bool
        Parameters that are always printed.

    Returns
    -------
    list of int or (str or None, int)
        A position, or a gap: the term it belongs to (None: several) and how many of its lines are left out. A
        term's hidden lines may lie in several runs; the last run carries the number of all, the earlier ones
        carry 0.
    """
    if len(positions) <= _LONG_TABLE:
        return list(positions)
    hidden = {}
    for term, members in terms.items():
        members = [i for i in members if i in positions]
        if len(members) > _LONG_TERM:
            hidden.update({i: term for i in members[_FIRST:-_LAST] if not attention[i]})
    shown = [i for i in positions if i not in hidden]
    if len(shown) > _LONG_TABLE:
        middle = shown[_FIRST_PLAIN:-_LAST_PLAIN]
        hidden.update({i: None for i in middle if not attention[i]})
    return _with_gaps(positions, hidden)


def _with_gaps(positions, hidden):
    items = []
    for i in positions:
        if i not in hidden:
            items.append(i)
        elif not (items and isinstance(items[-1], tuple) and items[-1][0] == hidden[i]):
            items.append((hidden[i], 0))
    left = {}
    for term in hidden.values():
        left[term] = left.get(term, 0) + 1
    for at in reversed(np.flatnonzero([isinstance(item, tuple) for item in items])):
        items[at] = (items[at][0], left.pop(items[at][0], 0))
    return items
