"""Linear models with penalties, with numpy and scipy alone: for what is too small to need Keras."""

from __future__ import annotations

import numpy as np

ROUNDS = 200


def with_one(columns: np.ndarray) -> np.ndarray:
    """Return the columns and one of ones behind them, for the constant."""
    return np.concatenate([columns, np.ones((len(columns), 1))], axis=1)


def softmax(scores: np.ndarray) -> np.ndarray:
    """Return probabilities, `[rows, classes]`."""
    raised = np.exp(scores - scores.max(axis=1, keepdims=True))
    return np.asarray(raised / raised.sum(axis=1, keepdims=True))


def logistic(
    columns: np.ndarray,
    classes: np.ndarray,
    count: int,
    penalty: float,
    weight: np.ndarray | None = None,
    tolerance: float = 1e-9,
) -> np.ndarray:
    """Return the coefficients of a multinomial logistic regression, `[columns + 1, classes]`, the constant last.

    Args:
        columns: `[rows, columns]`.
        classes: class of each row, from 0.
        count: how many classes there are.
        penalty: of half the sum of squared coefficients, beside the sum of the rows' losses; the constant is free.
        weight: what each row counts; None lets all count 1.
        tolerance: relative fall of the loss at which it is good enough.
    """
    from scipy.optimize import minimize

    known, rows = with_one(columns), np.arange(len(classes))
    counts = np.ones(len(classes)) if weight is None else weight.astype(np.float64)
    shape = (known.shape[1], count)
    penalties = np.full((shape[0], 1), penalty)
    penalties[-1] = 0

    def loss(flat: np.ndarray) -> tuple[float, np.ndarray]:
        coefficients = flat.reshape(shape)
        found = softmax(known @ coefficients)
        value = -(counts * np.log(found[rows, classes].clip(1e-300))).sum() + 0.5 * (penalties * coefficients**2).sum()
        found[rows, classes] -= 1
        slope = known.T @ (counts[:, None] * found) + penalties * coefficients
        return float(value / counts.sum()), slope.reshape(-1) / counts.sum()

    options = {"maxiter": ROUNDS, "ftol": tolerance}
    best = minimize(loss, np.zeros(shape[0] * count), jac=True, method="L-BFGS-B", options=options)
    return np.asarray(best.x).reshape(shape)


def ridge(columns: np.ndarray, target: np.ndarray, penalty: float, weight: np.ndarray | None = None) -> np.ndarray:
    """Return the coefficients of a ridge regression, `[columns + 1]`, the constant last; see `logistic`."""
    known = with_one(columns)
    counted = known.T if weight is None else known.T * weight
    penalties = penalty * np.eye(known.shape[1])
    penalties[-1, -1] = 1e-9  # this little only keeps the system solvable
    return np.asarray(np.linalg.solve(counted @ known + penalties, counted @ target))
