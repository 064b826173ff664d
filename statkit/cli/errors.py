"""What goes wrong, said in one line: no traceback for someone who never opens Python."""

from __future__ import annotations

import os
import signal
import sys
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

#: Set it to see where an error was raised.
TRACEBACK = "STATKIT_TRACEBACK"

_EXPECTED = (
    ValueError,
    TypeError,
    LookupError,
    OSError,
    ImportError,
    MemoryError,
    ArithmeticError,
    RuntimeError,
)


#: Exit codes of a shell: 128 and the number of the signal.
INTERRUPTED, TERMINATED = 130, 143


class Terminated(BaseException):
    """Somebody asked the process to end: ``kill``, ``timeout``, the scheduler of jobs."""


@contextmanager
def terminable() -> Iterator[None]:
    """Turn the signal to terminate into an exception, so that temporary files are removed."""

    def terminate(*_):
        raise Terminated

    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGTERM, terminate)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def report(error: BaseException) -> int:
    """Print one line about an error to standard error and return the exit code."""
    if os.environ.get(TRACEBACK):
        raise error
    if isinstance(error, BrokenPipeError):  # the reader (head, less) went away
        _let_go_of_output()
        return 0
    if isinstance(error, KeyboardInterrupt) or type(error).__name__ == "Abort":
        _say("interrupted")
        return INTERRUPTED
    if isinstance(error, Terminated):
        _say("terminated")
        return TERMINATED
    if hasattr(error, "format_message"):  # typer: wrong usage
        if type(error).__name__ == "NoArgsIsHelpError":  # its message is the help
            print(error.format_message(), file=sys.stderr)
        else:
            context = getattr(error, "ctx", None)
            command = context.command_path if context else "statkit"
            said = error.format_message().replace("Value error, ", "").rstrip(".")
            _say(f"{said} (see {command} --help)")
        return getattr(error, "exit_code", 2)
    message = _message(error)
    if not isinstance(error, _EXPECTED):
        message = f"{type(error).__name__}: {message} (set {TRACEBACK}=1 to see where)"
    _say(message)
    if isinstance(error, OSError):
        _let_go_of_output()
    return 1


@contextmanager
def one_line_warnings() -> Iterator[None]:
    """Show warnings as one line each on standard error, without the line of Python that raised them."""
    with warnings.catch_warnings():
        warnings.showwarning = lambda message, *_, **__: _say(f"warning: {message}")
        yield


def _message(error: BaseException) -> str:
    if isinstance(error, OSError) and error.filename is not None:
        return f"{error.filename}: {error.strerror}"
    if isinstance(error, KeyError) and error.args:
        return str(error.args[0])
    if isinstance(error, MemoryError):
        return f"not enough memory: {error}"
    return str(error) or type(error).__name__


def _let_go_of_output() -> None:
    """What cannot be written to standard output is dropped: Python would complain again when it flushes at exit."""
    try:
        sys.stdout.flush()
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _say(text: str) -> None:
    print(f"statkit: {' '.join(text.split())}", file=sys.stderr)
