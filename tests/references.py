"""Slow, obvious NumPy twins of the kernels: what they must compute, written as the formula."""

import numpy as np

# --- dense CRF -----------------------------------------------------------------------------------


def dense_gaussian(features):
    """Return the symmetrically normalized Gaussian kernel between all points, float64 (P, P).

    ``features`` (P, d) are already divided by their standard deviations.
    """
    features = np.asarray(features, np.float64)
    square = (features**2).sum(1)
    kernel = np.exp(-0.5 * np.maximum(square[:, None] + square[None] - 2 * features @ features.T, 0))
    norm = 1 / np.sqrt(kernel.sum(1))
    return norm[:, None] * kernel * norm[None]


def crf_features(image, position_std, color_std=None):
    """Return (row, col) / position_std, and RGB * 255 / color_std where one is given, for all pixels."""
    rows, cols = np.mgrid[: image.shape[0], : image.shape[1]]
    features = np.stack([rows, cols], -1).reshape(-1, 2) / position_std
    if color_std is None:
        return features
    return np.hstack([features, np.reshape(image, (-1, 3)).astype(np.float64) * 255 / color_std])


def mean_field(unary, kernels, compatibility, iterations):
    """Return Q, float64 (L, M, N), of mean field with all sums made: ``kernels`` are (weight, (P, P)) pairs."""
    energy = np.asarray(unary, np.float64).reshape(len(unary), -1)
    q = _softmax(-energy)
    for _ in range(iterations):
        message = sum(weight * q @ kernel for weight, kernel in kernels)
        q = _softmax(-energy - compatibility @ message)
    return q.reshape(np.shape(unary))


def _softmax(x):
    exponential = np.exp(x - x.max(0))
    return exponential / exponential.sum(0)
