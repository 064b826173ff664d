"""Random fields: correlation kernels, their Schrödinger operators, and what is estimated from samples."""
