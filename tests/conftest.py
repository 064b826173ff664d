"""What every test shares: one BLAS thread, and drawn examples that are the same in every run of ``make test``."""

import os

# Set before numpy is imported, so that workers do not compete.
for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(variable, "1")

from hypothesis import settings  # noqa: E402

# A change is judged on the same examples before and after; `make test-slow` looks for new ones.
settings.register_profile("fixed", derandomize=True, database=None)
settings.register_profile("search", print_blob=True)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "fixed"))
