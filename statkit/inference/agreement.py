"""Whether the summaries of several sites speak of one model, and the maps from its parameters to each site's own."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from statkit.inference.site_summary import LocalSummary

__all__ = ["Alignment", "align"]


@dataclass(frozen=True)
class Alignment:
    """The parameters of all sites together.

    Attributes
    ----------
    names : list of str
        Shared parameters, then those that every site has for itself, as ``name[site]``.
    terms : dict of str to list of int
    maps : list of ndarray of shape (q_k, Q)
        From the parameters, in common coordinates, to a site's own.
    to_raw : ndarray of shape (Q, Q)
        From common coordinates to the columns' own units.
    shared : list of str
        Names of one site's parameters in the order of all sites.
    """

    names: list
    terms: dict
    maps: list
    to_raw: np.ndarray
    shared: list


def align(summaries: list[LocalSummary], own: tuple[str, ...]) -> Alignment:
    """Compare the sites' models and join their parameters.

    Parameters
    ----------
    summaries : list of LocalSummary
    own : tuple of str
        Parameters or terms that differ between sites.

    Raises
    ------
    ValueError
        If the models differ: the message names the site, and what to do.
    """
    first = summaries[0]
    for other in summaries[1:]:
        _compare(first, other)
    names = list(dict.fromkeys(name for s in summaries for name in s.names))
    terms = {
        term: list(dict.fromkeys(names.index(s.names[i]) for s in summaries for i in s.terms[term]))
        for term in first.terms
    }
    # In the order of the terms, so that a level that the first site lacks stands beside the others.
    order = list(dict.fromkeys(i for members in terms.values() for i in members))
    order += [i for i in range(len(names)) if i not in set(order)]
    names = [names[i] for i in order]
    terms = {term: sorted(order.index(i) for i in members) for term, members in terms.items()}
    mine = _own(own, names, terms)
    center, scale = _common(summaries, names, mine)
    maps, Q = [], len(names)
    shared = [j for j in range(Q) if j not in mine]
    place = {j: i for i, j in enumerate(shared)}
    size = len(shared) + len(mine) * len(summaries)
    labels = [names[j] for j in shared]
    big_terms: dict[str, list[int]] = {}
    for k, s in enumerate(summaries):
        A = _to_site(s, names, center, scale)
        B = np.zeros((len(A), size))
        for j in range(Q):
            at = place[j] if j in place else len(shared) + k * len(mine) + mine.index(j)
            B[:, at] = A[:, j]
        maps.append(B)
        labels += [f"{names[j]}[{s.site}]" for j in mine]
        for term, members in terms.items():
            at_site = [
                place[j] if j in place else len(shared) + k * len(mine) + mine.index(j) for j in members
            ]
            big_terms[term] = list(dict.fromkeys([*big_terms.get(term, []), *at_site]))
    return Alignment(
        labels, big_terms, maps, _raw(summaries, names, center, scale, place, mine, first.intercept), names
    )


def _compare(first: LocalSummary, other: LocalSummary) -> None:
    def refuse(what, mine, theirs, remedy):
        raise ValueError(
            f"the sites differ in {what}: {first.site!r} has {mine!r}, {other.site!r} has {theirs!r}; {remedy}"
        )

    for what, remedy in (
        ("kind", "combine summaries of one round"),
        ("formula", "all sites must fit one formula"),
        ("response", "all sites must model one response"),
        ("family", "all sites must fit one family and link"),
        ("classes", "the response must have the same classes everywhere"),
        ("intercept", "all sites must fit one formula"),
    ):
        mine, theirs = getattr(first, what), getattr(other, what)
        if mine != theirs:
            refuse(f"their {what}", mine, theirs, remedy)
    mine, theirs = first.design, other.design
    for text, state in (mine.get("states") or {}).items():
        if not _near(state, (theirs.get("states") or {}).get(text)):
            raise ValueError(
                f"the sites differ in {text}, whose columns depend on the rows: {other.site!r} must be summarised "
                f"like {first.site!r} (local_summary(…, like=first), statkit summarize --like)"
            )
    for text, factor in (mine.get("factors") or {}).items():
        if "levels" in factor:
            _compare_levels(text, factor, (theirs.get("factors") or {}).get(text), first, other)
    if list(first.terms) != list(other.terms):
        refuse("their terms", list(first.terms), list(other.terms), "all sites must fit one formula")
    if not (mine.get("factors") or {}) and first.names != other.names:
        refuse(
            "their columns", first.names, other.names, "all sites must have the same columns, in one order"
        )


def _compare_levels(text, factor, theirs, first, other):
    mine_levels = first.levels[text]
    their_levels = other.levels.get(text)
    if theirs is None or their_levels is None:
        raise ValueError(f"{text} is a factor at {first.site!r}, but not at {other.site!r}")
    if mine_levels == their_levels:
        return
    union = list(dict.fromkeys([*mine_levels, *their_levels]))
    advice = (
        f"summarise every site again with levels={{{text!r}: {union!r}}} (or like={first.site!r}'s summary)"
    )
    lacking = [v for v in union if v not in their_levels] or [v for v in union if v not in mine_levels]
    site = other.site if any(v not in their_levels for v in union) else first.site
    if factor["levels"]["kind"] != theirs["levels"]["kind"]:
        raise ValueError(
            f"levels of {text} are of other types at {first.site!r} and {other.site!r}; {advice}"
        )
    reference = mine_levels[factor["base"]], their_levels[theirs["base"]]
    if reference[0] != reference[1]:
        raise ValueError(
            f"the sites differ in the reference level of {text}: {reference[0]!r} at {first.site!r}, "
            f"{reference[1]!r} at {other.site!r}; {advice}"
        )
    treatment = all(_is_treatment(f) for f in (factor, theirs))
    if not treatment:
        raise ValueError(
            f"the sites differ in the levels of {text}: {site!r} lacks {lacking}, and its contrasts mean something "
            f"else with other levels; {advice}"
        )


def _is_treatment(factor) -> bool:
    """Whether every level but the reference has a column of its own, alone."""
    reduced = factor.get("reduced")
    if reduced is None:
        return True
    matrix = np.delete(np.asarray(reduced["matrix"]), factor["base"], axis=0)
    return matrix.shape[0] == matrix.shape[1] and bool((matrix == np.eye(len(matrix))).all())


def _near(a, b) -> bool:
    if isinstance(a, dict) and isinstance(b, dict):
        return a.keys() == b.keys() and all(_near(a[k], b[k]) for k in a)
    if isinstance(a, (list, tuple)) and isinstance(b, (list, tuple)):
        return len(a) == len(b) and all(_near(x, y) for x, y in zip(a, b, strict=True))
    if isinstance(a, np.ndarray) or isinstance(b, np.ndarray):
        return np.shape(a) == np.shape(b) and bool(np.allclose(a, b, rtol=1e-9, atol=0))
    if isinstance(a, float) and isinstance(b, (int, float)):
        return bool(np.isclose(a, b, rtol=1e-9, atol=0))
    return a == b


def _own(own, names, terms) -> list[int]:
    found: list[int] = []
    for name in own:
        if name in names:
            found.append(names.index(name))
        elif name in terms:
            found += terms[name]
        else:
            raise ValueError(
                f"there is no parameter or term {name!r}: parameters are {', '.join(names[:12])}"
            )
    return sorted(set(found))


def _dense(s: LocalSummary) -> list[tuple[int, str, float, float]]:
    """(internal column, name, centre, scale) of the dense columns."""
    i = int(s.intercept)
    columns = range(i, i + s.n_dense)
    center = s.center if s.center.size else np.zeros(s.n_dense)
    scale = s.scale if s.scale.size else np.ones(s.n_dense)
    return [(j, s.names[s.position[j]], center[j - i], scale[j - i]) for j in columns]


def _common(summaries, names, mine) -> tuple[np.ndarray, np.ndarray]:
    """Centre and scale of every parameter's column in common coordinates; 0 and 1 for those that are not dense."""
    center, spread, weight = np.zeros(len(names)), np.zeros(len(names)), np.zeros(len(names))
    for s in summaries:
        for _, name, c, scale in _dense(s):
            j = names.index(name)
            center[j] += s.nobs * c
            spread[j] += s.nobs / scale
            weight[j] += s.nobs
    dense = weight > 0
    center[dense] /= weight[dense]
    scale = np.ones(len(names))
    scale[dense] = weight[dense] / spread[dense]
    if summaries[0].intercept and 0 not in mine:
        # An intercept that is shared is shared at zero, not at the centre of slopes that differ.
        center[mine] = 0.0
    return center, scale


def _to_site(s: LocalSummary, names, center, scale) -> np.ndarray:
    """From common coordinates to the site's: slopes by their scales, the intercept by the shift of the centres."""
    A = np.zeros((len(s.point), len(names)))
    at = [names.index(s.names[i]) for i in s.position]
    A[range(len(at)), at] = 1.0
    for j, _, c, own_scale in _dense(s):
        u = at[j]
        A[j, u] = scale[u] / own_scale
        if s.intercept:
            A[0, u] = (c - center[u]) * scale[u]
    return A


def _raw(summaries, names, center, scale, place, mine, intercept) -> np.ndarray:
    size = len(place) + len(mine) * len(summaries)
    T = np.zeros((size, size))
    for k in range(len(summaries)):
        at = [
            place[j] if j in place else len(place) + k * len(mine) + mine.index(j) for j in range(len(names))
        ]
        for j, i in enumerate(at):
            T[i, i] = scale[j]
        if intercept:
            for j in range(1, len(names)):
                T[at[0], at[j]] = -center[j] * scale[j]
    return T
