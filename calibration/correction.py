"""What was believed of many parts, moved to where sums of them meet what was measured.

The parts t have a prior, normal and independent: a mean and a deviation each. Sums r . t, one a
row of R, were measured as y with an error e. The mean afterwards (Bayesian linear regression) is

    t + D R' (R D R' + E)^-1 (y - R t),   D = diag(deviation^2),   E = diag(e^2)

so that each part moves in proportion to how little was known of it, and parts of no sum stay.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]


def posterior(prior: Array, deviation: Array, rows: Array, sums: Array, error: Array) -> Array:
    """Return the parts [N] after sums of them were measured.

    Parameters
    ----------
    prior, deviation : [N], what was believed of each part.
    rows : [M, N], how much of each part is in each sum.
    sums, error : [M], what was measured, and its standard error.
    """
    spread = rows * deviation**2
    moved = np.linalg.solve(spread @ rows.T + np.diag(error**2), sums - rows @ prior)
    result: Array = prior + spread.T @ moved
    return result
