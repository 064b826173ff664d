"""Docstrings as the reference needs them: names that end in an underscore and bars are text, not markup.

Docstrings are read in terminals more often than on pages, so they are not littered with backslashes for Sphinx.
"""

from __future__ import annotations

import re

LITERAL = re.compile(r"(``.+?``|`[^`]+`_{0,2}|\*\*.+?\*\*)")
ENDS_IN_UNDERSCORE = re.compile(r"(?<![\w\\])([A-Za-z]\w*?)_(?![\w`])")
BARS = re.compile(r"(?<!\\)\|")
#: Labels of scikit-learn's manual, in the methods that its mixins give.
FOREIGN_LABEL = re.compile(r":ref:`([^<`]+?)\s*<[^>`]+>`")


def plain(lines: list[str]) -> list[str]:
    """The lines with what would be read as a link or a substitution escaped; examples and tables stay."""
    made, example = [], False
    for line in lines:
        example = line.strip() != "" and (example or line.lstrip().startswith(">>>"))
        if example or line.lstrip().startswith(("| ", "+-", "..")):
            made.append(line)
            continue
        parts = LITERAL.split(FOREIGN_LABEL.sub(r"\1", line))
        for k in range(0, len(parts), 2):
            parts[k] = BARS.sub(r"\\|", ENDS_IN_UNDERSCORE.sub(r"\1\\_", parts[k]))
        made.append("".join(parts))
    return made


def connected(app, what, name, obj, options, lines):
    """After numpydoc."""
    lines[:] = plain(lines)
