"""Slow, obvious NumPy twins of the kernels. Each section imports only what it needs."""

from __future__ import annotations

from fractions import Fraction

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


def foreground_by_levels(image, alpha, regularization=1e-5, gradient_weight=1.0):
    """Return foreground and background of Germer et al. (2020), pixel by pixel in raster order, float64."""

    def nearest(array, rows, cols):
        row, col = np.arange(rows) * array.shape[0] // rows, np.arange(cols) * array.shape[1] // cols
        return array[row][:, col].astype(np.float64)

    rows, cols = alpha.shape
    levels = int(np.ceil(np.log2(max(rows, cols))))
    means = [image[side].sum(0) / (side.sum() + 1e-5) for side in (alpha > 0.9, alpha < 0.1)]
    colors = np.stack(means)[None, None]  # (rows, cols, 2, 3)
    for level in range(levels + 1):
        shape = round(rows ** (level / levels)), round(cols ** (level / levels))
        small_image, small_alpha, colors = nearest(image, *shape), nearest(alpha, *shape), nearest(colors, *shape)
        for _ in range(10 if max(shape) <= 32 else 2):
            for row, col in np.ndindex(shape):
                a = np.array([small_alpha[row, col], 1 - small_alpha[row, col]])
                left, right = np.outer(a, a), np.outer(a, small_image[row, col])
                for down, along in ((0, -1), (0, 1), (-1, 0), (1, 0)):
                    other = min(max(row + down, 0), shape[0] - 1), min(max(col + along, 0), shape[1] - 1)
                    weight = regularization + gradient_weight * abs(a[0] - small_alpha[other])
                    left += weight * np.eye(2)
                    right += weight * colors[other]
                colors[row, col] = np.clip(np.linalg.solve(left, right), 0, 1)
    return colors[:, :, 0], colors[:, :, 1]


# --- evaluate: matting metrics -------------------------------------------------------------------


def gradient_error(alpha, truth, trimap, sigma=1.4):
    """Rhemann's gradient error with full 9 x 9 filters of unit energy, pixel by pixel."""
    half = 4
    offsets = np.arange(-half, half + 1)
    gauss = np.exp(-(offsets**2) / (2 * sigma**2)) / (sigma * np.sqrt(2 * np.pi))
    kernel = np.outer(gauss, -offsets * gauss / sigma**2)
    kernel /= np.sqrt((kernel**2).sum())

    def slope(image):
        padded = np.pad(image, half, mode="edge")
        out = np.zeros(image.shape)
        for row, col in np.ndindex(image.shape):
            window = padded[row : row + 2 * half + 1, col : col + 2 * half + 1]
            out[row, col] = np.hypot((window * kernel).sum(), (window * kernel.T).sum())
        return out

    return ((slope(alpha) - slope(truth)) ** 2)[trimap == 128].sum()


def connectivity_error(alpha, truth, trimap, theta=0.15):
    """Rhemann's connectivity error by flood fill."""

    def largest(mask):
        seen, best = np.zeros(mask.shape, bool), []
        for start in zip(*np.nonzero(mask), strict=True):
            piece, stack = [], [start]
            while stack:
                row, col = stack.pop()
                inside = 0 <= row < mask.shape[0] and 0 <= col < mask.shape[1]
                if inside and mask[row, col] and not seen[row, col]:
                    seen[row, col] = True
                    piece.append((row, col))
                    stack += [(row + 1, col), (row - 1, col), (row, col + 1), (row, col - 1)]
            best = piece if len(piece) > len(best) else best
        out = np.zeros(mask.shape, bool)
        for place in best:
            out[place] = True
        return out

    levels = np.full(alpha.shape, -1.0)
    for number in range(1, 11):
        source = largest((alpha >= number / 10) & (truth >= number / 10))
        levels[(levels == -1) & ~source] = (number - 1) / 10
    levels[levels == -1] = 1

    def connected(values):
        return 1 - (values - levels) * (values - levels >= theta)

    return np.abs(connected(alpha) - connected(truth))[trimap == 128].sum()


# --- morphology ------------------------------------------------------------------------------------------------------


def erode(mask, disk):
    """Return the least value under the footprint, what lies outside the picture left out of account."""
    radius = disk.shape[0] // 2
    padded = np.pad(mask, radius, constant_values=np.inf)
    out = np.full(mask.shape, np.inf, mask.dtype)
    for row, col in np.argwhere(disk):
        out = np.minimum(out, padded[row : row + mask.shape[0], col : col + mask.shape[1]])
    return out


def dilate(mask, disk):
    """Return the greatest value under the footprint."""
    return -erode(-mask, disk)


def by_levels(mask, hard_operator):
    """Extend an operator on hard masks to soft ones: apply it to every level set and stack what comes out."""
    out = np.zeros_like(mask)
    for level in np.unique(mask[mask > 0]):
        out[hard_operator(mask >= level)] = level  # level sets are nested, so a higher one overwrites a lower
    return out


def fill_holes(hard, max_pixels):
    """Fill 4-connected holes of at most ``max_pixels`` that do not touch the border."""
    from scipy import ndimage

    labels, count = ndimage.label(~hard)
    out = hard.copy()
    edge = np.concatenate([labels[0], labels[-1], labels[:, 0], labels[:, -1]])
    for label in range(1, count + 1):
        hole = labels == label
        if label not in edge and hole.sum() <= max_pixels:
            out |= hole
    return out


def remove_small(hard, min_pixels):
    """Remove 8-connected pieces of fewer than ``min_pixels``."""
    from scipy import ndimage

    labels, count = ndimage.label(hard, np.ones((3, 3)))
    out = hard.copy()
    for label in range(1, count + 1):
        piece = labels == label
        if piece.sum() < min_pixels:
            out &= ~piece
    return out


def keep_touching(hard, core):
    """Keep 8-connected pieces that meet ``core``."""
    from scipy import ndimage

    labels, _ = ndimage.label(hard, np.ones((3, 3)))
    return hard & np.isin(labels, np.unique(labels[core & hard]))


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


# --- networks --------------------------------------------------------------------------------------


def resize_matrix(old, new, kind):
    """Return the (new, old) weights of resizing one axis, float64, entry by entry from the definitions."""
    if kind == "whole-area":
        return whole_area_matrix(old, new) / 256
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


def whole_area_matrix(old, new):
    """Return what each new pixel takes of each old one, in 256ths: whole numbers (new, old), by exact fractions."""
    shares, half = np.zeros((new, old)), Fraction(1, 2)
    for row in range(new):
        if new >= old:
            at = min(max((row + half) * old / new - half, Fraction(0)), Fraction(old - 1))
            after = int((at - int(at)) * 256 + half)
            shares[row, int(at)] = 256 - after
            if after:
                shares[row, int(at) + 1] = after
        else:
            start = Fraction(row * old, new)
            ends = [min(max((pixel - start) * new / old, Fraction(0)), Fraction(1)) for pixel in range(old + 1)]
            shares[row] = np.diff([int(256 * end + half) for end in ends])
    return shares


def resized(values, shape, kind):
    """Return an array (M, N, C) resized to ``shape``, float64."""
    if kind == "whole-area":
        values = np.rint(values * 255.0) / 255
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


# --- upsampling ------------------------------------------------------------------------------------


def guided_filter(image, mask, radius, epsilon):
    """Return the guided filter with a color guide (He et al. 2013, equations 19 to 21), windows cut at the border."""
    rows, cols = mask.shape
    window = {
        (row, col): np.s_[max(row - radius, 0) : row + radius + 1, max(col - radius, 0) : col + radius + 1]
        for row in range(rows)
        for col in range(cols)
    }
    a, b = np.zeros((rows, cols, 3)), np.zeros((rows, cols))
    for place, part in window.items():
        color, value = image[part].reshape(-1, 3).astype(np.float64), mask[part].ravel().astype(np.float64)
        covariance = color.T @ value / len(value) - color.mean(0) * value.mean()
        spread = np.cov(color, rowvar=False, bias=True)
        a[place] = np.linalg.solve(spread + epsilon * np.eye(3), covariance)
        b[place] = value.mean() - a[place] @ color.mean(0)
    out = np.zeros((rows, cols))
    for place, part in window.items():
        out[place] = a[part].mean((0, 1)) @ image[place] + b[part].mean()
    return out.clip(0, 1)


# --- color keys ------------------------------------------------------------------------------------


def surface_values(coefficients, shape):
    """Return polynomials with the terms 1, r, c, r², rc, c² for every pixel, (M, N, ...)."""
    rows, cols = shape
    half = max(rows, cols) / 2
    values = np.empty((rows, cols, *coefficients.shape[:-1]))
    for row in range(rows):
        for col in range(cols):
            r, c = (row + 0.5 - rows / 2) / half, (col + 0.5 - cols / 2) / half
            values[row, col] = coefficients @ [1, r, c, r * r, r * c, c * c]
    return values


def luv_key(luv, targets, tolerance, softness, shadow):
    """Return the soft mask of a picture in CIELUV against surfaces (T, 3, 6), float64."""
    rows, cols = luv.shape[:2]
    mask = np.empty((rows, cols))
    surfaces = surface_values(np.asarray(targets, np.float64), (rows, cols))
    for row in range(rows):
        for col in range(cols):
            distances = []
            for target in surfaces[row, col]:
                along = luv[row, col] @ target / max(target @ target, 1e-20)
                distances.append(np.linalg.norm(luv[row, col] - np.clip(along, 1 - shadow, 1) * target))
            mask[row, col] = np.clip((min(distances) - tolerance) / softness, 0, 1)
    return mask


def color_difference_key(image, primary, screen, black, white):
    """Return Vlahos's color difference key against a screen whose own excess is a polynomial (6,), float64."""
    image = image.astype(np.float64)
    excess = image[..., primary] - np.delete(image, primary, -1).max(-1)
    missing = 1 - excess / np.maximum(surface_values(np.asarray(screen, np.float64), image.shape[:2]), 0.05)
    return np.clip((missing - black) / (white - black), 0, 1)


# Sampling (bgkit._ext.sampling)


def choose_samples(pixel, behind, block, index, penalty, colors, mixed, solid):
    """Return each pixel's best mixing color, its cost, and the least cost of being a sample itself."""
    chosen, costs = [], []
    for color, ground, which in zip(pixel, behind, block, strict=True):
        found = []
        for sample, extra in zip(index[which], penalty[which], strict=True):
            line = colors[sample] - ground
            share = np.clip((color - ground) @ line / (line @ line + 1e-6), 0, 1)
            rest = color - ground - share * line
            found.append((rest @ rest * mixed + extra, ((color - colors[sample]) ** 2).sum() * solid + extra))
        best = int(np.argmin([cost for cost, _ in found]))
        chosen.append(colors[index[which][best]])
        costs.append((found[best][0], min(alone for _, alone in found)))
    return np.array(chosen), np.array(costs)


# --- pointwise -------------------------------------------------------------------------------------


def relight(image, gain, knee):
    """Return the picture in light multiplied by ``gain`` (of its shape), decoded and encoded again, highlights bent."""
    from bgkit.color import linear_from_srgb, srgb_from_linear

    encoded = srgb_from_linear(np.minimum(linear_from_srgb(image) * gain, 60.0))
    peak = encoded.max(-1, keepdims=True)
    room = max(1 - knee, 1e-12)
    bent = knee + room * (1 - np.exp(-np.maximum(peak - knee, 0) / room))
    return np.where(peak > knee, encoded * bent / np.maximum(peak, 1e-9), encoded)


def draw_in(alpha, clear, solid):
    """Return alpha with both ends drawn in, float64."""

    def without_faint(share, limit):
        t = np.clip((share - limit) / (2 * limit), 0, 1) if limit else np.ones_like(share)
        return np.where(share < 3 * limit, share * t * t * (3 - 2 * t), share)

    return 1 - without_faint(1 - without_faint(alpha.astype(np.float64), clear), solid)
