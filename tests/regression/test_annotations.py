"""Public signatures are typed in full, so that a type checker and an editor know what they take and give."""

import inspect

import pytest

import statkit.regression
import statkit.results
from statkit.results.estimate import Estimate
from statkit.results.survival import SurvivalEstimate

ROOMS = (statkit.results, statkit.regression)
NAMES = [(room, name) for room in ROOMS for name in room.__all__]


def untyped(function) -> list[str]:
    """What a signature leaves open."""
    function = inspect.unwrap(function)
    signature = inspect.signature(function)
    left = [
        name
        for i, (name, parameter) in enumerate(signature.parameters.items())
        if parameter.annotation is inspect.Parameter.empty and not (i == 0 and name in ("self", "cls"))
    ]
    returns = signature.return_annotation is inspect.Signature.empty and function.__name__ != "__init__"
    return left + (["return"] if returns else [])


def public_functions(thing):
    if not inspect.isclass(thing):
        yield thing.__name__, thing
        return
    for owner in thing.__mro__:
        if not owner.__module__.startswith("statkit"):
            continue
        for name, member in vars(owner).items():
            if name.startswith("_") and name != "__init__":
                continue
            member = getattr(member, "fget", None) or getattr(member, "fn", None) or member
            member = getattr(member, "__func__", member)
            if inspect.isfunction(member):
                yield f"{owner.__name__}.{name}", member


@pytest.mark.parametrize(("room", "name"), NAMES, ids=[f"{r.__name__}.{n}" for r, n in NAMES])
def test_public_signatures_are_typed(room, name):
    left = {where: found for where, f in public_functions(getattr(room, name)) if (found := untyped(f))}
    assert not left


def test_the_kinds_of_estimate_are_typed():
    for kind in (Estimate, SurvivalEstimate):
        assert not {where: found for where, f in public_functions(kind) if (found := untyped(f))}
