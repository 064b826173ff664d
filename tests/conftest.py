"""What every test shares: one BLAS thread, set before numpy is imported, so that workers do not compete."""

import os

for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(variable, "1")
