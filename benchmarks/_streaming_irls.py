"""A plain competitor out of core: iteratively reweighted least squares over the row groups of a Parquet file.

What one writes in an afternoon: cold start as in R's ``glm.fit`` (μ = (y + ½) / 2), one pass an iteration, numpy
products, and R's rule to stop (relative change of the deviance below 1e-8).
"""

from __future__ import annotations

import numpy as np
import pyarrow.parquet as pq
from scipy.special import expit, xlog1py, xlogy


def logistic(path, features, response):
    """Coefficients (intercept first), standard errors and number of passes."""
    file = pq.ParquetFile(path, pre_buffer=False)
    q = len(features) + 1
    beta, deviance, passes = None, np.inf, 0
    while True:
        passes += 1
        gram, moment, previous, deviance = np.zeros((q, q)), np.zeros(q), deviance, 0.0
        for group in range(file.num_row_groups):
            table = file.read_row_group(group, columns=[*features, response], use_threads=False)
            X = np.empty((table.num_rows, q))
            X[:, 0] = 1.0
            for j, name in enumerate(features):
                X[:, j + 1] = table[name].to_numpy()
            y = table[response].to_numpy().astype(float)
            if beta is None:
                mu = (y + 0.5) / 2
                eta = np.log(mu / (1 - mu))
            else:
                eta = X @ beta
                mu = expit(eta)
            w = mu * (1 - mu)
            deviance -= 2 * (xlogy(y, mu) + xlog1py(1 - y, -mu)).sum()
            XW = X.T * w
            gram += XW @ X
            moment += XW @ (eta + (y - mu) / w)
        beta = np.linalg.solve(gram, moment)
        if abs(previous - deviance) < 1e-8 * (abs(deviance) + 0.1):
            return beta, np.sqrt(np.diag(np.linalg.inv(gram))), passes
