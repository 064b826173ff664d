"""Keep the README true: its measured table from ``benchmarks/results``, its demo from the command line.

``python docs/_readme.py`` writes the table anew, ``--demo`` the demo's output too (some seconds). What is made
stands between ``<!-- made: NAME -->`` and ``<!-- /made -->``.
"""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))

import _figures  # noqa: E402
import _tables  # noqa: E402

README = HERE.parent / "README.md"
PART = re.compile(r"(<!-- made: (\w+) -->\n).*?(<!-- /made -->)", re.DOTALL)
FORMULA = "I(delay > 15) ~ poly(distance, 2) + C(hour(date)) + C(weekday(date)) + C(origin)"


def measured() -> str:
    about = _tables.machine(_figures.results("glm"))
    return (
        f"`python benchmarks/glm.py --size full`, alternating with the peers, one BLAS thread each; CPU seconds unless\n"
        f"said ({about}). Ratios are statkit to its peer, SE are standard errors.\n\n{_tables.measured('glm')}\n"
    )


def demo() -> str:
    from statkit.datasets import flights_path

    command = [sys.executable, "-m", "statkit", "fit", FORMULA, str(flights_path()), "--family", "binomial"]
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=HERE.parent)
    return f"```\n$ make demo\n{done.stdout.rstrip()}\n```\n"


def made(text: str, makers: dict) -> str:
    """The README with the parts in ``makers`` made anew, the others as they are."""
    return PART.sub(lambda m: m[1] + makers[m[2]]() + m[3] if m[2] in makers else m[0], text)


if __name__ == "__main__":
    makers = {"measured": measured} | ({"demo": demo} if "--demo" in sys.argv[1:] else {})
    README.write_text(made(README.read_text(), makers))
