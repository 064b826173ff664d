"""``python -m statkit`` is the ``statkit`` command."""

from statkit.cli import main

if __name__ == "__main__":
    main()
