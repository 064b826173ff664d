"""The package: what it exports, that importing it is free, and that its metadata are true."""

import ast
import importlib
import inspect
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

import statkit
import statkit.datasets

ROOT = Path(statkit.__file__).parents[1]


def run(code, cwd):
    done = subprocess.run(
        [sys.executable, "-c", f"import sys; sys.path.insert(0, {str(ROOT)!r}); {code}"],
        cwd=cwd,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.split()


def test_import_loads_nothing_heavy(tmp_path):
    loaded = run("before = set(sys.modules); import statkit; print(*(set(sys.modules) - before))", tmp_path)
    outside = {name.split(".")[0] for name in loaded} - set(sys.stdlib_module_names)
    assert outside == {"statkit"}


@pytest.mark.parametrize(
    ("code", "absent"),
    [
        (
            "from statkit.datasets import flights_path; flights_path()",
            {"numpy", "pandas", "pyarrow", "sklearn"},
        ),
        ("import statkit.cli", {"typer", "rich", "numpy"}),
        ("from statkit.datasets import make_glm; make_glm(10, 2)", {"pandas", "pyarrow", "sklearn"}),
    ],
)
def test_parts_load_what_they_use(code, absent, tmp_path):
    assert not absent & set(run(f"{code}; print(*sys.modules)", tmp_path))


STUBS = sorted((ROOT / "statkit").rglob("__init__.pyi"))


@pytest.mark.parametrize("stub", STUBS, ids=lambda path: path.parent.name)
def test_every_exported_name_exists(stub):
    """The stub is what the package exports: each name is there, and is what the stub's line says."""
    package = importlib.import_module(".".join(stub.parent.relative_to(ROOT).parts))
    assert package.__all__ and set(package.__all__) <= set(dir(package))
    for statement in ast.parse(stub.read_text()).body:
        if isinstance(statement, ast.ImportFrom):
            (alias,) = statement.names
            assert alias.name == alias.asname and alias.name in package.__all__
            item = getattr(package, alias.name)
            home = importlib.import_module(statement.module)
            assert item is getattr(home, alias.name)
            # Where it is defined, or the room that shows it.
            assert getattr(item, "__module__", statement.module).startswith(statement.module)


def test_stubs_stand_beside_the_packages_that_load_lazily():
    assert {path.with_suffix(".py") for path in STUBS} == {
        path
        for path in (ROOT / "statkit").rglob("__init__.py")
        if "lazy_names(__name__, __file__)" in path.read_text()
    }


def test_subpackages_are_attributes(tmp_path):
    assert run("import statkit; print(statkit.plans.__name__, statkit.datasets.__name__)", tmp_path) == [
        "statkit.plans",
        "statkit.datasets",
    ]


def test_unknown_attribute():
    with pytest.raises(AttributeError, match="no attribute 'lasso'"):
        _ = statkit.lasso


def test_metadata():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert project["name"] == "statkit-methods"
    assert project["scripts"] == {"statkit": "statkit.cli:main"}
    assert {"dask", "ray", "spark", "plot", "persist", "docs", "test"} <= set(
        project["optional-dependencies"]
    )
    assert re.fullmatch(r"\d+\.\d+\.\d+", statkit.__version__)
    assert statkit.__version__ in (ROOT / "CHANGELOG.md").read_text()
    assert f"version: {statkit.__version__}" in (ROOT / "CITATION.cff").read_text()
    assert (ROOT / "statkit" / "py.typed").is_file()


def test_every_import_is_declared():
    # A package that is installed here by chance would be missing on another machine.
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    declared = {re.split(r"[<>=\[]", line)[0].lower() for line in project["dependencies"]}
    for extra in project["optional-dependencies"].values():
        declared |= {re.split(r"[<>=\[]", line)[0].lower() for line in extra}
    names = {"sklearn": "scikit-learn", "llvmlite": "numba", "distributed": "dask"}
    imported = set()
    for path in (ROOT / "statkit").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                imported |= {alias.name.split(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.level == 0:
                imported.add(node.module.split(".")[0])
    outside = imported - set(sys.stdlib_module_names) - {"statkit"}
    used_if_there = {"cartopy"}  # coastlines on maps; plain maps without it
    assert {names.get(m, m) for m in outside} - used_if_there <= declared


#: Rooms that users call. Families, designs, sources and engines are protocols, described in docs/architecture.md.
CALLED = [stub for stub in STUBS if stub.parent.name not in ("families", "design", "sources")]


@pytest.mark.parametrize("stub", CALLED, ids=lambda path: path.parent.name)
def test_public_signatures_are_typed(stub):
    """Every parameter and result of what a user calls has a type, for checkers and editors."""
    package = importlib.import_module(".".join(stub.parent.relative_to(ROOT).parts))
    missing = []
    for name in package.__all__:
        item = getattr(package, name)
        functions = {name: item}
        if inspect.isclass(item):
            functions = {
                f"{base.__name__}.{key}": getattr(value, "__func__", value)
                for base in item.__mro__
                if base.__module__.startswith("statkit.")
                for key, value in vars(base).items()
                if key == "__init__" or not key.startswith("_")
            }
        for key, function in functions.items():
            if not inspect.isfunction(function) or not function.__module__.startswith("statkit."):
                continue
            signature = inspect.signature(inspect.unwrap(function))
            missing += [
                f"{key}({parameter})"
                for parameter in signature.parameters.values()
                if parameter.annotation is parameter.empty and parameter.name not in ("self", "cls")
            ]
            if signature.return_annotation is signature.empty:
                missing.append(f"{key}() -> ?")
    assert not sorted(set(missing))


def test_files_do_not_hide_what_is_public():
    """Importing a file binds its name in the package: a public function of that name would be gone from then on."""
    code = (
        "import importlib, pkgutil, types, statkit\n"
        "for room in [m.name for m in pkgutil.iter_modules(statkit.__path__, 'statkit.') if m.ispkg]:\n"
        "    package = importlib.import_module(room)\n"
        "    for file in [m.name for m in pkgutil.iter_modules(package.__path__) if not m.ispkg]:\n"
        "        if file in getattr(package, '__all__', ()):\n"
        "            importlib.import_module(f'{room}.{file}')\n"
        "            found = getattr(package, file)\n"
        "            if isinstance(found, types.ModuleType) and hasattr(found, file):\n"
        "                print(room, file)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout == ""
