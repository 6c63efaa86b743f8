"""Slow, obvious NumPy twins of the kernels. Each section imports only what it needs."""

from __future__ import annotations

import numpy as np

# --- matting ---------------------------------------------------------------------------------------


def matting_laplacian(image, epsilon):
    """Return the dense matting Laplacian (Levin et al. 2008, equation 12), float64, windows of up to 3 x 3."""
    rows, cols = image.shape[:2]
    height, width = min(3, rows), min(3, cols)
    index = np.arange(rows * cols).reshape(rows, cols)
    colors = image.astype(np.float64)
    laplacian = np.zeros((rows * cols, rows * cols))
    for row in range(rows - height + 1):
        for col in range(cols - width + 1):
            window = np.s_[row : row + height, col : col + width]
            color = colors[window].reshape(-1, 3)
            color = color - color.mean(0)
            size = len(color)
            inner = np.linalg.inv(color.T @ color / size + epsilon / size * np.eye(3))
            which = index[window].ravel()
            laplacian[np.ix_(which, which)] += np.eye(size) - (1 + color @ inner @ color.T) / size
    return laplacian


def closed_form(image, trimap, epsilon=1e-7):
    """Return alpha of a dense direct solve, not clipped, float64."""
    laplacian = matting_laplacian(image, epsilon)
    unknown = (trimap == 128).ravel()
    alpha = (trimap == 255).ravel().astype(np.float64)
    right = -laplacian[unknown] @ np.where(unknown, 0, alpha)
    alpha[unknown] = np.linalg.solve(laplacian[np.ix_(unknown, unknown)], right)
    return alpha.reshape(trimap.shape)
