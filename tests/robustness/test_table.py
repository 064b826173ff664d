"""Every row of the table in docs/robustness.md has its test, and every test of this folder its row."""

from __future__ import annotations

import ast
import re
from pathlib import Path

TESTS = Path(__file__).parents[1]
TABLE = TESTS.parent / "docs" / "robustness.md"


def functions(path):
    return {n.name for n in ast.parse(path.read_text()).body if isinstance(n, ast.FunctionDef)}


def rows():
    lines = [line for line in TABLE.read_text().splitlines() if line.startswith("| ")][1:]
    assert len(lines) > 30
    return lines


def test_every_row_has_four_cells_and_a_test_that_exists():
    for line in rows():
        cells = [cell.strip() for cell in line.strip("|").split(" | ")]
        assert len(cells) == 4 and all(cells), line
        found = re.fullmatch(r"`([\w/]+\.py)::(\w+)`", cells[3].rstrip(" |"))
        assert found, line
        assert found[2] in functions(TESTS / found[1]), line


def test_every_file_of_the_campaign_is_in_the_table():
    text = "\n".join(rows())
    for path in Path(__file__).parent.glob("test_*.py"):
        if path != Path(__file__):
            assert f"robustness/{path.name}" in text, path.name
