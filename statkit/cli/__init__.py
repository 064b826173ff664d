"""The ``statkit`` command: fits, predictions and data sets without a line of Python."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import NoReturn

__all__ = ["main"]


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Run the command and exit: 0, 1 after an error (one line on standard error), 2 after wrong usage.

    After Ctrl-C it is 130, and 143 after a signal to terminate; temporary files are removed then too.

    Parameters
    ----------
    arguments : sequence of str, default=None
        Those of the command line if None.
    """
    from statkit.cli.errors import INTERRUPTED, Terminated, one_line_warnings, report, terminable

    with terminable(), one_line_warnings():
        try:
            from statkit.cli.app import app

            given = None if arguments is None else list(arguments)
            code = app(args=given, prog_name="statkit", standalone_mode=False)
            if code == INTERRUPTED:  # typer has caught Ctrl-C
                code = report(KeyboardInterrupt())
        except (Exception, KeyboardInterrupt, Terminated) as error:
            code = report(error)
    sys.exit(code if isinstance(code, int) else 0)
