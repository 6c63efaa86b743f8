"""Alpha by the matting Laplacian.

In every 3 x 3 window alpha is asked to be an affine function of color (Levin, Lischinski and Weiss
2008). The sum of squared departures is a quadratic form in alpha; with alpha fixed where the trimap
knows it, its minimum is one sparse, positive definite linear system over the unknown pixels.
Works on sRGB-encoded color, as published.
"""

from __future__ import annotations

import warnings
from typing import Annotated, Any

import numpy as np

from bgkit.errors import ConvergenceWarning
from bgkit.layers import BACKGROUND, FOREGROUND, UNKNOWN, Array
from bgkit.params import Range
from bgkit.stage import note, stage


@stage(gives="alpha")
def closed_form_matting(
    image: Array,
    trimap: Array,
    *,
    epsilon: Annotated[float, Range(1e-10, 10.0, ui=(1e-8, 1e-3))] = 1e-7,
    tolerance: Annotated[float, Range(1e-12, 0.1, ui=(1e-8, 1e-3))] = 1e-7,
    max_iterations: Annotated[int, Range(1, 100_000, ui=(10, 1000))] = 1000,
) -> Array:
    """Solve for alpha where the trimap is unknown, by the matting Laplacian.

    Parameters
    ----------
    image : float32 array of shape (M, N, 3)
        sRGB-encoded, 0..1.
    trimap : uint8 array of shape (M, N)
        0 background, 128 unknown, 255 foreground.
    epsilon : float
        Weight of the color line's slope; larger makes alpha smoother and forgives noise.
    tolerance : float
        Relative residual at which the solve stops; smaller is more exact and slower.
    max_iterations : int
        Iterations after which the solve gives up with a warning.

    Returns
    -------
    float32 array of shape (M, N)
        Alpha, 0..1; exactly 0 and 1 where the trimap is known.

    Warns
    -----
    ConvergenceWarning
        If the residual is still above ``tolerance`` after ``max_iterations``.

    Notes
    -----
    With no foreground in the trimap the minimum is alpha = 0 in the unknown, with no background
    alpha = 1; a trimap that is unknown everywhere gives 0, for nothing says there is a subject.

    References
    ----------
    A. Levin, D. Lischinski, Y. Weiss: A Closed-Form Solution to Natural Image Matting. PAMI 30(2), 2008.

    Examples
    --------
    >>> image = np.ones((3, 5, 3)) * np.linspace(0, 1, 5)[:, None]
    >>> closed_form_matting(image, np.uint8([[0, 128, 128, 128, 255]] * 3))[1].round(2)
    array([0.  , 0.25, 0.5 , 0.75, 1.  ], dtype=float32)
    """
    alpha = np.zeros(trimap.shape, np.float32)
    alpha[trimap == FOREGROUND] = 1
    unknown = trimap == UNKNOWN
    if not unknown.any() or not (trimap == FOREGROUND).any():
        note(iterations=0, residual=0.0)
        return alpha
    if not (trimap == BACKGROUND).any():
        note(iterations=0, residual=0.0)
        return np.ones_like(alpha)
    alpha[unknown] = _solve(image, trimap, epsilon, tolerance, max_iterations)[unknown]
    return alpha


def _solve(image: Array, trimap: Array, epsilon: float, tolerance: float, max_iterations: int) -> Array:
    import pymatting

    margin = [(0, max(0, 3 - size)) for size in trimap.shape]
    progress: dict[str, Any] = {}

    def watch(_matrix: Any, x: Array, _b: Array, norm_b: float, _r: Array, norm_r: float) -> None:
        progress.update(x=x, residual=float(norm_r / norm_b), iterations=progress.get("iterations", 0) + 1)

    padded = np.pad(trimap, margin, mode="edge") / 255.0
    try:
        alpha = pymatting.estimate_alpha_cf(
            np.pad(image, [*margin, (0, 0)], mode="edge").astype(np.float64),
            padded,
            laplacian_kwargs={"epsilon": epsilon},
            cg_kwargs={"rtol": tolerance, "maxiter": max_iterations, "callback": watch},
        )
    except ValueError:
        if progress.get("iterations", 0) < max_iterations:
            raise
        alpha = padded.copy()
        alpha[(padded > 0.1) & (padded < 0.9)] = progress["x"]
        warnings.warn(
            f"closed_form_matting: residual {progress['residual']:.1e} after {max_iterations} iterations, "
            f"expected {tolerance:.1e}; raise max_iterations or epsilon",
            ConvergenceWarning,
            stacklevel=2,
        )
    note(iterations=progress.get("iterations", 0), residual=progress.get("residual", 0.0))
    clipped: Array = np.clip(alpha, 0, 1)
    return clipped[: trimap.shape[0], : trimap.shape[1]]
