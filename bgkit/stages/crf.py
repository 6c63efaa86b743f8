"""Fully connected CRF: let pixels that lie near one another and look alike agree on their label.

Every pixel is joined to every other by two Gaussian kernels, one of position and one of position and color; mean field
finds the labels (Krähenbühl and Koltun 2011). The color space is encoded sRGB in steps of 1/255, as in the paper.
Time and memory are linear in the pixels: some 60 bytes a pixel, and the lattice is built once for all iterations.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

import cv2
import numpy as np
from numpy.typing import ArrayLike, NDArray

from bgkit._ext.dense_crf import AllPairs, Gaussian, Lattice, mean_field_two
from bgkit.errors import LayerError, ParamError
from bgkit.extent import subject_box
from bgkit.layers import Array, as_layer
from bgkit.params import Range
from bgkit.resizing import reduced
from bgkit.stage import note, stage
from bgkit.threads import threads

__all__ = ["dense_crf", "mean_field"]

LEAST = 1e-5  # no label is less likely than this: a mask of exactly 0 or 1 would never move (as in pydensecrf)


@stage(gives="mask")
def dense_crf(
    image: Array,
    mask: Array,
    *,
    iterations: Annotated[int, Range(0, 100, "", ui=(1, 10))] = 5,
    spatial_std: Annotated[float, Range(0.5, 100, "px", ui=(1, 10))] = 3.0,
    spatial_weight: Annotated[float, Range(0, 100, "", ui=(0, 10))] = 3.0,
    position_std: Annotated[float, Range(2, 1000, "px", ui=(10, 150))] = 80.0,
    color_std: Annotated[float, Range(1, 255, "/255", ui=(3, 40))] = 13.0,
    bilateral_weight: Annotated[float, Range(0, 100, "", ui=(0, 20))] = 10.0,
    confidence: Annotated[float, Range(0, 1, "", ui=(0.5, 1))] = 1.0,
    tolerance: Annotated[float, Range(0, 1, "", ui=(0, 0.01))] = 0.001,
    reference: Annotated[int, Range(0, 100_000, "px", ui=(0, 2000))] = 0,
    scale_by: Literal["picture", "subject"] = "picture",
    resolution: Annotated[int, Range(0, 100_000, "px", ui=(0, 4000))] = 0,
    exact_pixels: Annotated[int, Range(0, 1_000_000, "px", ui=(0, 20_000))] = 4096,
) -> Array:
    """Move the mask's edge to the picture's edges with a fully connected CRF.

    Parameters
    ----------
    image : float32 array of shape (M, N, 3)
        sRGB-encoded RGB, 0..1.
    mask : float32 array of shape (M, N)
        Probability of foreground, 0..1: the unary term.
    iterations : int
        Mean-field updates at most; more carry agreement farther. 0 returns the mask as it is.
    spatial_std : float
        Reach of the kernel of position alone; larger smooths the edge more and removes larger specks.
    spatial_weight : float
        Strength of that kernel; larger makes the mask smoother.
    position_std : float
        Reach of the kernel of position and color; larger lets farther pixels of like color agree.
    color_std : float
        How unlike two colors may be and still agree, in steps of 1/255; larger crosses weaker edges.
    bilateral_weight : float
        Strength of the kernel of position and color; larger moves the edge further to where colors change.
    confidence : float
        How far the mask is believed: 0.8 takes 0..1 as 0.1..0.9; less lets the picture overrule it more.
    tolerance : float
        Stop when no pixel's probability moves by more than this in an iteration; 0 runs all iterations.
    reference : int
        Longest side, of what ``scale_by`` names, for which the reaches are meant as they are given: one k times larger
        has reaches k times as far, so that one value serves all sizes. 0 takes them as they are.
    scale_by : str
        Whose longest side it is: the ``picture``'s, or that of the box around the ``subject`` in the mask, so that more
        canvas changes nothing. The picture's where the mask shows no subject; without a reference, neither counts.
    resolution : int
        Longest side at which the iterations run; a picture larger by a third is reduced to it, and only the last
        update happens at its full size, along its own edges. Smaller is faster and coarser; 0 never reduces.
    exact_pixels : int
        Sum over all pairs of pixels, without the lattice, in pictures of at most so many pixels: exact, but the time
        grows with the square of their number.

    Returns
    -------
    float32 array of shape (M, N)
        Probability of foreground, 0..1.

    Raises
    ------
    ParamError
        If the picture is too large for such small standard deviations.

    Notes
    -----
    The Potts model with two labels: Q1 - Q0 = tanh((log(m / (1 - m)) + sum over kernels w K (Q1 - Q0)) / 2), with K
    normalized symmetrically. In pydensecrf's words: ``addPairwiseGaussian(sxy=spatial_std, compat=spatial_weight)``
    and ``addPairwiseBilateral(sxy=position_std, srgb=color_std, compat=bilateral_weight)``.

    The defaults are the usual ones there. They suit a poor mask; a good but soft one loses parts of the subject to a
    backdrop of similar color. For such a mask, take ``position_std=20, color_std=8, bilateral_weight=5``.

    References
    ----------
    Krähenbühl and Koltun, "Efficient inference in fully connected CRFs with Gaussian edge potentials", NIPS 2011.
    Adams, Baek and Davis, "Fast high-dimensional filtering using the permutohedral lattice", Eurographics 2010.

    Examples
    --------
    A mask that misses the second of two dark columns by a little gets it back:

    >>> image = np.array([[0, 0, 1, 1]] * 4)[..., None].repeat(3, 2).astype(float)
    >>> mask = np.array([[0.9, 0.4, 0.1, 0.1]] * 4)
    >>> dense_crf(image, mask)[0].round()
    array([1., 1., 0., 0.], dtype=float32)
    """
    if iterations == 0:
        return mask.copy()
    share = resolution / max(mask.shape)
    if not 0 < share < 0.75:  # from there on reducing saves no time
        share = 1.0
    side = max(subject_box(mask) if scale_by == "subject" else mask.shape)
    scale = side / reference if reference else 1.0
    spatial = max(scale * spatial_std, 0.5), spatial_weight
    bilateral = max(scale * position_std, 2.0), color_std, bilateral_weight
    kernels = _Kernels(image, share, spatial, bilateral, exact_pixels)
    unary = _log_odds(mask, confidence)
    if share == 1:
        balance, done, change = kernels.mean_field_two(unary, iterations, tolerance)
    else:
        small = np.ascontiguousarray(reduced(unary, kernels.size))
        balance, done, change = kernels.mean_field_two(small, iterations - 1, tolerance)
        unary += kernels.message_onto(image, balance)
        balance = _tanh_half(unary)
        done += 1
    note(iterations=done, change=change)
    balance *= np.float32(0.5)
    balance += np.float32(0.5)
    return balance


def mean_field(
    image: ArrayLike,
    unary: ArrayLike,
    compatibility: ArrayLike | None = None,
    *,
    iterations: int = 5,
    spatial_std: float = 3.0,
    spatial_weight: float = 3.0,
    position_std: float = 80.0,
    color_std: float = 13.0,
    bilateral_weight: float = 10.0,
    tolerance: float = 0.0,
    exact_pixels: int = 4096,
) -> NDArray[np.float32]:
    """Return the label probabilities of a fully connected CRF with L labels.

    Parameters
    ----------
    image : array of shape (M, N, 3)
        sRGB-encoded RGB, uint8 or float 0..1.
    unary : array of shape (L, M, N)
        Energy of each label: minus the logarithm of its probability.
    compatibility : array of shape (L, L), optional
        Penalty where like pixels have labels (l, l'); by default the Potts model, 1 for any two different labels.
    iterations, spatial_std, spatial_weight, position_std, color_std, bilateral_weight, tolerance, exact_pixels
        As for :func:`dense_crf`.

    Returns
    -------
    float32 array of shape (L, M, N)
        Probabilities, which sum to 1 over the labels.

    Raises
    ------
    LayerError
        If the shapes do not fit, or a value is not finite.
    """
    image = as_layer("image", image)
    energy = np.ascontiguousarray(unary, np.float32)
    if energy.ndim != 3 or energy.shape[1:] != image.shape[:2] or not np.isfinite(energy).all():
        raise LayerError(
            f"unary: expected finite values of shape (L, {image.shape[0]}, {image.shape[1]}), got {energy.shape}"
        )
    labels = len(energy)
    penalty = 1 - np.eye(labels) if compatibility is None else np.asarray(compatibility, np.float64)
    if penalty.shape != (labels, labels) or not np.isfinite(penalty).all():
        raise LayerError(f"compatibility: expected finite values of shape ({labels}, {labels}), got {penalty.shape}")
    kernels = _Kernels(
        image, 1.0, (spatial_std, spatial_weight), (position_std, color_std, bilateral_weight), exact_pixels
    )
    if compatibility is None and labels == 2:
        balance, _, _ = kernels.mean_field_two(energy[0] - energy[1], iterations, tolerance)
        return np.stack([(1 - balance) / 2, (1 + balance) / 2])
    q = _softmax(-energy)
    for _ in range(iterations):
        before = q
        messages = np.stack([kernels.message(channel) for channel in q])
        q = _softmax(-energy - np.tensordot(penalty.astype(np.float32), messages, 1))
        if np.abs(q - before).max() < tolerance:
            break
    return q


class _Kernels:
    """Both pairwise kernels of one picture, reduced to a share of its size."""

    bilateral: Any  # AllPairs or Lattice

    def __init__(
        self,
        image: Array,
        share: float,
        spatial: tuple[float, float],
        bilateral: tuple[float, float, float],
        exact_pixels: int,
    ) -> None:
        spatial_std, spatial_weight = spatial
        position_std, color_std, bilateral_weight = bilateral
        self.size = (max(1, round(image.shape[0] * share)), max(1, round(image.shape[1] * share)))
        if self.size != image.shape[:2]:
            image = reduced(image, self.size)
        self.threads = threads()
        self.weights = bilateral_weight, spatial_weight
        exact = share == 1 and self.size[0] * self.size[1] <= exact_pixels
        try:
            self.bilateral = (AllPairs if exact else Lattice)(image, position_std * share, color_std, self.threads)
        except ValueError as error:
            raise ParamError(
                f"position_std, color_std: too small for a picture of {self.size} pixels: {error}"
            ) from None
        self.gaussian = Gaussian(*self.size, spatial_std * share)

    def mean_field_two(self, unary: Array, iterations: int, tolerance: float) -> tuple[Array, int, float]:
        """Return Q1 - Q0 for log odds ``unary``, the iterations run, and the last change of Q1."""
        balance = _tanh_half(unary)
        if not isinstance(self.bilateral, Lattice):
            return self._mean_field_all_pairs(unary, balance, iterations, tolerance)
        done, change = mean_field_two(
            self.bilateral, self.gaussian, unary, *self.weights, iterations, tolerance, balance, self.threads
        )
        return balance, done, change

    def _mean_field_all_pairs(
        self, unary: Array, balance: Array, iterations: int, tolerance: float
    ) -> tuple[Array, int, float]:
        done, change = 0, 0.0
        while done < iterations and (done == 0 or change >= tolerance):
            before, balance = balance, _tanh_half(unary + self.message(balance))
            done, change = done + 1, float(np.abs(balance - before).max()) / 2
        return balance, done, change

    def message(self, channel: Array) -> Any:
        """Return the weighted sum of both kernels' filters of one channel."""
        bilateral, spatial = np.empty_like(channel), np.empty_like(channel)
        self.bilateral.filter(channel, bilateral, self.threads)
        self.gaussian.filter(channel, spatial, self.threads)
        return np.float32(self.weights[0]) * bilateral + np.float32(self.weights[1]) * spatial

    def message_onto(self, image: Array, channel: Array) -> Any:
        """Return the same for the pixels of the whole picture: the bilateral part follows that picture's edges."""
        bilateral, spatial = np.empty(image.shape[:2], np.float32), np.empty_like(channel)
        self.bilateral.filter_onto(image, channel, bilateral, self.threads)
        self.gaussian.filter(channel, spatial, self.threads)
        spatial = cv2.resize(spatial, image.shape[1::-1], interpolation=cv2.INTER_LINEAR)
        return np.float32(self.weights[0]) * bilateral + np.float32(self.weights[1]) * spatial


def _tanh_half(odds: Array) -> Array:
    """Return Q1 - Q0 for log odds."""
    half = odds * np.float32(0.5)
    return np.tanh(half, out=half)


def _log_odds(mask: Array, confidence: float) -> Array:
    odds = (mask - np.float32(0.5)) * np.float32(confidence)
    against = np.maximum(np.float32(0.5) - odds, np.float32(LEAST))
    odds += np.float32(0.5)
    np.maximum(odds, np.float32(LEAST), out=odds)
    odds /= against
    return np.log(odds, out=odds)


def _softmax(x: Array) -> Array:
    exponential = np.exp(x - x.max(axis=0))
    return exponential / exponential.sum(axis=0)
