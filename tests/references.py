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


# --- networks --------------------------------------------------------------------------------------


def resize_matrix(old, new, kind):
    """Return the (new, old) weights of resizing one axis, float64, entry by entry from the definitions."""
    matrix = np.zeros((new, old))
    scale = old / new
    for i in range(new):
        center = (i + 0.5) * scale - 0.5
        if kind == "area" and new <= old:
            for j in range(old):
                matrix[i, j] = max(0.0, min(j + 1, (i + 1) * scale) - max(j, i * scale))
        elif kind in ("area", "bilinear"):
            low = int(np.floor(center))
            for j, weight in ((low, low + 1 - center), (low + 1, center - low)):
                matrix[i, min(max(j, 0), old - 1)] += weight
        elif kind == "bicubic":  # OpenCV's and torch's, a = -0.75
            low = int(np.floor(center))
            for j in range(low - 1, low + 3):
                x = abs(center - j)
                near, far = (1.25 * x - 2.25) * x * x + 1, -0.75 * (((x - 5) * x + 8) * x - 4)
                matrix[i, min(max(j, 0), old - 1)] += near if x < 1 else far
        elif kind == "nearest":
            matrix[i, min(int((i + 0.5) * scale), old - 1)] = 1
        else:  # Pillow's: the kernel as wide as the shrinking
            wide = max(scale, 1.0)
            for j in range(old):
                x = abs(j - center) / wide
                if kind == "smooth-bilinear":
                    matrix[i, j] = max(0.0, 1 - x)
                elif kind == "smooth-bicubic":
                    far = ((-0.5 * x + 2.5) * x - 4) * x + 2
                    matrix[i, j] = (1.5 * x - 2.5) * x * x + 1 if x < 1 else far if x < 2 else 0.0
                else:
                    matrix[i, j] = np.sinc(x) * np.sinc(x / 3) if x < 3 else 0.0
    return matrix / matrix.sum(1, keepdims=True)


def resized(values, shape, kind):
    """Return an array (M, N, C) resized to ``shape``, float64."""
    down = resize_matrix(values.shape[0], shape[0], kind)
    across = resize_matrix(values.shape[1], shape[1], kind)
    rows = np.tensordot(down, values.astype(np.float64), 1)
    return np.tensordot(across, rows, (1, 1)).swapaxes(0, 1)


def network_input(image, shape, *, kind="area", box=None, pad=0.0, order="RGB", scale=1.0, mean=0.0, deviation=1.0):
    """Return what a network of layout NCHW is fed: the picture in ``box`` (top, left, rows, columns), normalized."""
    top, left, rows, cols = box or (0, 0, *shape)
    canvas = np.full((*shape, 3), pad, np.float64)
    canvas[top : top + rows, left : left + cols] = resized(image, (rows, cols), kind)
    if order == "BGR":
        canvas = canvas[:, :, ::-1]
    return ((canvas * scale - np.asarray(mean)) / np.asarray(deviation)).transpose(2, 0, 1)[None]
