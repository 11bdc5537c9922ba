"""The linear models over the answers of a stack's members, with numpy and scipy alone."""

from __future__ import annotations

import numpy as np

PENALTY = 1.0
"""Weight of half the sum of squared coefficients, beside the sum of the losses of the rows."""

ROUNDS = 200


def logistic(columns: np.ndarray, classes: np.ndarray, count: int, weight: np.ndarray | None = None) -> np.ndarray:
    """Return the coefficients of a multinomial logistic regression, `[columns + 1, classes]`, the constant last.

    Args:
        columns: `[rows, columns]`.
        classes: class of each row, from 0.
        count: how many classes there are.
        weight: what each row counts; None lets all count 1.
    """
    from scipy.optimize import minimize

    known, rows = _with_one(columns), np.arange(len(classes))
    counts = np.ones(len(classes)) if weight is None else weight.astype(np.float64)
    shape = (known.shape[1], count)
    penalty = np.full((shape[0], 1), PENALTY)
    penalty[-1] = 0  # the constant is free

    def loss(flat: np.ndarray) -> tuple[float, np.ndarray]:
        coefficients = flat.reshape(shape)
        scores = known @ coefficients
        raised = np.exp(scores - scores.max(axis=1, keepdims=True))
        found = raised / raised.sum(axis=1, keepdims=True)
        value = -(counts * np.log(found[rows, classes].clip(1e-300))).sum() + 0.5 * (penalty * coefficients**2).sum()
        found[rows, classes] -= 1
        slope = known.T @ (counts[:, None] * found) + penalty * coefficients
        return float(value / counts.sum()), slope.reshape(-1) / counts.sum()

    best = minimize(loss, np.zeros(shape[0] * count), jac=True, method="L-BFGS-B", options={"maxiter": ROUNDS})
    return np.asarray(best.x).reshape(shape)


def least_squares(columns: np.ndarray, target: np.ndarray, weight: np.ndarray | None = None) -> np.ndarray:
    """Return the coefficients of a ridge regression, `[columns + 1]`, the constant last; see `logistic`."""
    known = _with_one(columns)
    counted = known if weight is None else known * weight[:, None]
    penalty = PENALTY * np.eye(known.shape[1])
    penalty[-1, -1] = 1e-9  # this little only keeps the system solvable
    return np.asarray(np.linalg.solve(counted.T @ known + penalty, counted.T @ target))


def _with_one(columns: np.ndarray) -> np.ndarray:
    return np.concatenate([columns, np.ones((len(columns), 1))], axis=1)
