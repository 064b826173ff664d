"""What every test shares: one BLAS thread, drawn examples that are the same in every run of ``make test``, commands."""

import os

# Set before numpy is imported, so that workers do not compete.
for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(variable, "1")

import pytest  # noqa: E402
from hypothesis import settings  # noqa: E402

# A change is judged on the same examples before and after; `make test-slow` looks for new ones.
settings.register_profile("fixed", derandomize=True, database=None)
settings.register_profile("search", print_blob=True)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "fixed"))


@pytest.fixture
def run(capfd):
    """Run a command of ``statkit`` in this process; return its exit code, standard output and standard error."""
    from statkit.cli import main

    def call(*arguments):
        with pytest.raises(SystemExit) as caught:
            main([str(a) for a in arguments])
        out, err = capfd.readouterr()
        return caught.value.code, out, err

    return call
