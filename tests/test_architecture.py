"""The floors of the house: no import goes up, rooms of a floor form no circle, private files stay private.

Imports are read from the source, so that those inside functions count as well as those at the top.
"""

import ast
import itertools
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "statkit"

#: Rooms by floor, as in docs/architecture.md. Methods other than regression live on floor 3 beside the plans.
FLOORS = {
    0: {"exceptions", "_lazy", "_typing", "_magnitude", "_model_file", "_numba", "_replaced", "_unchanged"},
    1: {"families", "design", "sources", "engines"},
    2: {"rounds", "sampling", "solvers", "results"},
    3: {"plans", "naive_bayes", "cluster", "decomposition", "causal", "inference"},
    4: {"regression"},
    5: {"cli", "__main__"},
}
#: Beside the house: any room may be shown or fed by them, and none imports them.
BESIDE = {"datasets", "plotting", "persistence", "_discovery"}
#: Estimators with a method that hands them to their display.
DRAWS_ITSELF = {("causal", "plotting")}
#: The door: names that are loaded when used.
DOOR = {"__init__"}
FLOOR_OF = {room: floor for floor, rooms in FLOORS.items() for room in rooms}


def room_of(module: tuple[str, ...]) -> str:
    """Room of ``("statkit", room, …)``."""
    return module[1] if len(module) > 1 else "__init__"


def modules() -> dict[tuple[str, ...], Path]:
    found = {}
    for path in PACKAGE.rglob("*.py"):
        if "_files" in path.parts:
            continue
        parts = ("statkit", *path.relative_to(PACKAGE).with_suffix("").parts)
        found[parts if parts == ("statkit", "__init__") else tuple(p for p in parts if p != "__init__")] = (
            path
        )
    return found


MODULES = modules()


def imported(importer: tuple[str, ...], path: Path):
    """Modules of this package that a file imports, as tuples of names, with the line."""
    package = importer if path.name == "__init__.py" else importer[:-1]
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names = [tuple(alias.name.split(".")) for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else ()
            base += tuple((node.module or "").split(".")) if node.module else ()
            # `from room import file` imports the file, `from file import name` does not.
            names = [base + (a.name,) if base + (a.name,) in MODULES else base for a in node.names]
        else:
            continue
        for name in names:
            if name[0] == "statkit":
                yield name, node.lineno


ARROWS = [
    (importer, target, line)
    for importer, path in MODULES.items()
    for target, line in imported(importer, path)
]


def shown(arrow) -> str:
    importer, target, line = arrow
    return f"{'.'.join(importer)}:{line} imports {'.'.join(target)}"


def between_rooms():
    for arrow in ARROWS:
        here, there = room_of(arrow[0]), room_of(arrow[1])
        if here != there and here not in BESIDE | DOOR:
            yield arrow, here, there


def test_the_imports_are_found():
    rooms = {(here, there) for _, here, there in between_rooms()}
    assert {
        ("plans", "rounds"),
        ("regression", "plans"),
        ("design", "_numba"),
        ("cli", "regression"),
    } <= rooms


def test_every_room_has_a_floor():
    rooms = {room_of(module) for module in MODULES}
    assert rooms <= set(FLOOR_OF) | BESIDE | DOOR, sorted(rooms - set(FLOOR_OF) - BESIDE - DOOR)


def test_no_import_goes_up():
    up = [
        shown(arrow)
        for arrow, here, there in between_rooms()
        if there in FLOOR_OF and FLOOR_OF[there] > FLOOR_OF[here]
    ]
    assert not up, "\n".join(up)


def test_no_room_but_the_command_line_imports_what_stands_beside_the_house():
    inward = [
        shown(arrow)
        for arrow, here, there in between_rooms()
        if there in BESIDE and here != "cli" and (here, there) not in DRAWS_ITSELF
    ]
    assert not inward, "\n".join(inward)


def test_rooms_form_no_circle():
    below: dict[str, set[str]] = {}
    for _, here, there in between_rooms():
        if there not in DOOR:
            below.setdefault(here, set()).add(there)
    assert not (circle := find_circle(below)), " → ".join(circle)


def test_private_files_stay_in_their_room():
    """A file whose name begins with an underscore is its room's own; those on the ground are everyone's."""
    through = [
        shown(arrow)
        for arrow, here, there in between_rooms()
        if FLOOR_OF.get(there) != 0 and any(part.startswith("_") for part in arrow[1][2:])
    ]
    assert not through, "\n".join(through)


def find_circle(below: dict[str, set[str]]) -> list[str]:
    """A circle of a directed graph, or nothing."""
    done: set[str] = set()

    def walk(node, path):
        if node in path:
            return path[path.index(node) :] + [node]
        if node in done:
            return []
        for other in sorted(below.get(node, ())):
            if circle := walk(other, path + [node]):
                return circle
        done.add(node)
        return []

    return next(filter(None, (walk(node, []) for node in sorted(below))), [])


@pytest.mark.parametrize("circle", [["a", "b"], ["a", "b", "c"]])
def test_a_circle_would_be_found(circle):
    below = {a: {b} for a, b in itertools.pairwise([*circle, circle[0]])}
    assert find_circle(below) and not find_circle({"a": {"b", "c"}, "b": {"c"}})
