"""The empty plate brought to the picture: same exposure, same position.

A plate is shot minutes before or after the picture: lamps and camera settings have changed, the camera has moved by a
fraction of a pixel on a tripod, by a hand's breadth without one.

Exposure is one factor for each channel, of code or of light, whichever leaves less: sRGB is ``(c + 0.055)^2.4`` for
all but the darkest codes c, so a factor of light is a factor of ``c + 0.055``. It is the most frequent ratio of picture
to plate, so it needs the backdrop to be the largest piece of one ratio, not to be the larger part.

Position is a translation, found on the backdrop's texture from coarse to fine (Lucas and Kanade 1981), or a homography
from matched features (Lowe 2004) where that explains more: a camera that was turned or moved. What is left, parallax
of near and far things, is a coarse flow (Kroeger et al. 2016), kept only where it agrees forwards and backwards and
carried on from there: behind the subject it cannot be seen. Each step is believed only where it explains what differs;
a blank wall has nothing to register, and no motion is made up for it.
"""

from __future__ import annotations

import weakref
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from bgkit.backdrop.sampling import push_pull
from bgkit.backdrop.surface import estimate_plate
from bgkit.color import dot, largest_channel, mean_channel
from bgkit.resizing import reduced

__all__ = ["Match", "border_share", "match_plate", "plate_explains"]

Floats = NDArray[Any]

DARKEST, BRIGHTEST = 0.02, 0.992  # codes beyond these are noise, or clipped: their ratio says nothing
LIGHT = 0.055  # added to a code, makes a factor of it a factor of light
WORST = 1.5  # log ratio of exposures that are still looked for: a factor of 4.5
BINS, PEAKS = 60, 6  # of the log ratio, 5 % each; the most frequent ratios that are tried
LOOKED_AT = 60_000  # pixels that tell the exposure; means of several lose their noise
UNLIKE = 0.7  # log ratio by which channels change unlike; smaller, and a quarter of the red alone is not believed
ALIKE = 0.02  # log ratio, within which an exposure is the same
NOISE = 3 / 255  # code: what is left where the plate explains a pixel
SHORTEST = 64  # px, the coarsest level's longer side
LARGEST = 2_000_000  # pixels of the finest level that is registered: 0.01 px there are 0.03 px of 12 megapixels
WORKING = 960  # px, the longer side on which features and flow are found
FEATURES = 1500  # the strongest of each picture
FARTHEST = 0.1  # of the diagonal: a corner that moves farther is a wrong match
PARALLAX = 0.01  # of the diagonal, up to which the flow is believed
TELLING = 8  # px, shorter side of the smallest picture whose border can tell that a plate is another scene's
BETTER = 0.25  # of the border, that a smooth surface explains and the plate does not: it is of another scene
BURNT = 0.05  # of the border: a plate that is overexposed there says nothing of what is behind the subject either
AGREEMENT = 0.5  # px of the working size, between the flow there and the flow back


@dataclass(frozen=True, eq=False)
class Match:
    """A plate in the picture's exposure and position, float32 (M, N, 3), and what it took to bring it there.

    ``gain``: factor per channel, of code at middle gray. ``shift``: rows and columns by which the middle of the plate
    moved, px; ``motion``: the homography from plate to picture (column, row, 1), float64 (3, 3); ``flow``: largest
    local shift beyond it, px. ``misplaced``: how far apart both still are where the plate has edges, px.
    ``unexplained``: share of the picture's border that shows something else than the plate, 0..1; the top counts
    most, the bottom, where subjects stand, least; 1 where the plate is overexposed on a twentieth of it.
    ``seen``: bool (M, N), what lay within the plate's frame. ``fits``: False where a
    smooth surface explains so much more of the border that it took the plate's place.
    """

    plate: Floats
    gain: tuple[float, float, float]
    shift: tuple[float, float]
    motion: Floats
    farthest: float
    flow: float
    misplaced: float
    unexplained: float
    seen: NDArray[np.bool_]
    fits: bool = True


def match_plate(image: Floats, plate: Floats) -> Match:
    """Bring the plate to the picture's exposure and position.

    Parameters
    ----------
    image, plate : float32 array of shape (M, N, 3)
        sRGB-encoded, 0..1.

    Returns
    -------
    Match

    References
    ----------
    B. D. Lucas and T. Kanade, "An iterative image registration technique with an application to stereo vision",
    IJCAI 1981. D. G. Lowe, "Distinctive image features from scale-invariant keypoints", IJCV 60(2), 2004.
    T. Kroeger, R. Timofte, D. Dai, L. Van Gool, "Fast optical flow using dense inverse search", ECCV 2016.
    """
    global _last
    if _last is not None and _last[0]() is image and _last[1]() is plate:
        return _last[2]
    match = _match(image, plate)
    if not (image.flags.writeable or plate.flags.writeable):  # as stages get them: what was matched stays as it was
        _last = (weakref.ref(image, _forget), weakref.ref(plate, _forget), match)
    return match


# The key and the matting of one chain ask for the same match, which is half of its time; gone with its picture.
_last: tuple[weakref.ref[Floats], weakref.ref[Floats], Match] | None = None


def _forget(gone: weakref.ref[Floats]) -> None:
    global _last
    if _last is not None and (gone is _last[0] or gone is _last[1]):
        _last = None


def _match(image: Floats, plate: Floats) -> Match:
    exposure = _exposure(image, plate)
    gray, behind = mean_channel(image), mean_channel(exposure.of(plate))
    shift = _shift(gray, behind)
    motion = np.array([[1, 0, shift[1]], [0, 1, shift[0]], [0, 0, 1]], np.float64)
    turned = _by_features(gray, behind)
    if turned is not None and _explains_more(gray, behind, motion, turned):
        motion = turned
    flow = _parallax(gray, behind, motion)
    seen = np.ones(gray.shape, bool)
    if flow is not None or (motion != np.eye(3)).any():
        seen = _move(np.ones(gray.shape, np.float32), motion, cv2.INTER_LINEAR, flow, cv2.BORDER_CONSTANT) > 0.99
        plate = np.clip(_move(plate, motion, cv2.INTER_CUBIC, flow), 0, 1)
        exposure = _exposure(image, plate)
    matched = np.ascontiguousarray(np.clip(exposure.of(plate), 0, 1), np.float32)
    (right, down), farthest = _moved(motion, gray.shape)
    longest = 0.0 if flow is None else float(np.sqrt((flow**2).sum(-1).max()))
    misplaced = _misplaced(image, matched)
    unexplained = _unexplained(image, matched, misplaced, seen)
    fits = True
    if unexplained > BETTER and min(gray.shape) >= TELLING:
        smooth, everywhere = estimate_plate(image), np.ones_like(seen)
        if _unexplained(image, smooth, 0.0, everywhere) < unexplained - BETTER:
            matched, misplaced, seen, fits = smooth, 0.0, everywhere, False
    if fits and border_share(_burnt(image, plate, matched) & seen) > BURNT:
        unexplained = 1.0
    return Match(matched, exposure.gain, (down, right), motion, farthest, longest, misplaced, unexplained, seen, fits)


@dataclass(frozen=True, eq=False)
class _Exposure:
    """A factor for each channel, float32 (3,), of ``code + offset``."""

    factor: Floats
    offset: float

    def of(self, plate: Floats) -> Floats:
        exposed: Floats = plate * self.factor + np.float32(self.offset) * (self.factor - 1)
        return exposed

    def score(self, image: Floats, plate: Floats, weight: Floats) -> float:
        """Return the weight of what is explained within 3 levels; slightly more where all channels change alike."""
        rest = largest_channel(np.abs(image - self.of(plate)))
        change = np.log(self.gain)
        likely = np.exp(-0.5 * ((change - change.mean()) ** 2).sum() / UNLIKE**2)
        return float(likely * (np.exp(-0.5 * (rest / NOISE) ** 2) @ weight))

    @property
    def gain(self) -> tuple[float, float, float]:
        red, green, blue = (self.of(np.full(3, 0.5, np.float32)) / 0.5).tolist()
        return red, green, blue


def _exposure(image: Floats, plate: Floats) -> _Exposure:
    """Return the factor, of code or of light, that explains the largest piece of the picture."""
    factor = max(1.0, (image[..., 0].size / LOOKED_AT) ** 0.5)
    size = tuple(max(1, round(side / factor)) for side in image.shape[1::-1])
    image, plate = (reduced(each, size[::-1]) for each in (image, plate))
    usable = (np.minimum(image, plate) > DARKEST).all(-1) & (np.maximum(image, plate) < BRIGHTEST).all(-1)
    same = _Exposure(np.ones(3, np.float32), 0.0)
    if not usable.any():
        return same
    weight = _nearness_to_border(usable.shape)[usable]
    image, plate = image[usable], plate[usable]
    tried = [each for offset in (0.0, LIGHT) for each in _candidates(image, plate, weight, offset)]
    if not any(np.abs(np.log(each.gain)).max() < ALIKE for each in tried):
        tried.append(same)  # a subject of many pixels may have made all candidates
    # A factor of light has to explain more than one of code: on plain ground both do.
    scores = [each.score(image, plate, weight) * (0.97 if each.offset else 1) for each in tried]
    return tried[int(np.argmax(scores))]


def _candidates(image: Floats, plate: Floats, weight: Floats, offset: float) -> list[_Exposure]:
    """Return the exposures for the most frequent ratios of picture to plate.

    The three ratios are counted together, (BINS, BINS, BINS), so that a peak is one material in one light.
    """
    from scipy.ndimage import uniform_filter  # takes longer to import than all of bgkit

    ratio = np.log((image + offset) / (plate + offset))
    step = 2 * WORST / BINS
    bins = np.floor((ratio + WORST) / step).astype(np.intp)
    inside = ((bins >= 0) & (bins < BINS)).all(-1)
    place = np.ravel_multi_index(tuple(bins[inside].T), (BINS,) * 3)
    counts = uniform_filter(np.bincount(place, weight[inside], BINS**3).reshape(BINS, BINS, BINS), 3)
    found = []
    for _ in range(PEAKS):
        top = np.unravel_index(np.argmax(counts), counts.shape)
        if counts[top] <= 0:
            break
        peak = (np.array(top) + 0.5) * step - WORST
        counts[tuple(slice(max(0, at - 2), at + 3) for at in top)] = 0
        for reach in (1.5 * step, step, 0.6 * step):
            near = np.abs(ratio - peak).max(-1) < reach * 1.001  # a heap at the very edge of the window counted, too
            if not near.any():
                break
            # Sums of codes, not means of ratios: dark codes are few steps, and would draw a mean of ratios to them.
            sums = [((each[near] + offset) * weight[near, None]).sum(0, dtype=np.float64) for each in (image, plate)]
            peak = np.log(sums[0] / sums[1])
        found.append(_Exposure(np.exp(peak).astype(np.float32), offset))
    return found


def _nearness_to_border(shape: tuple[int, ...]) -> Floats:
    """Return 4 at the border, down to 1 from a tenth of the picture inwards."""
    row, col = (np.minimum(np.arange(n), np.arange(n)[::-1]) / (0.1 * n) for n in shape)
    nearness: Floats = 4 - 3 * np.minimum(np.minimum.outer(row, col), 1)
    return nearness


def _shift(image: Floats, plate: Floats) -> tuple[float, float]:
    """Return by how many rows and columns the plate has to move, 0 where nothing shows it."""
    if min(image.shape) < 16:
        return 0.0, 0.0
    if image.size > LARGEST:
        down, right = _shift(cv2.pyrDown(image), cv2.pyrDown(plate))
        return 2 * down, 2 * right
    levels = [(image, plate)]
    while max(levels[-1][0].shape) > SHORTEST and min(levels[-1][0].shape) >= 32:
        levels.append((cv2.pyrDown(levels[-1][0]), cv2.pyrDown(levels[-1][1])))
    shift = np.zeros(2)
    for level, pair in reversed(list(enumerate(levels))):
        shift = _register(_texture(pair[0]), _texture(pair[1]), shift * 2 if level < len(levels) - 1 else shift)
    image, plate = _texture(image), _texture(plate)
    here, moved = np.abs(image - plate), np.abs(image - _move(plate, _translation(shift), cv2.INTER_LINEAR))
    common = np.minimum(here, moved) < _reach(moved)
    # A shift that explains less than a quarter of what differs is not worth following, and may be chance.
    if np.hypot(*shift) < 0.02 or (moved[common] ** 2).sum() > 0.75 * (here[common] ** 2).sum():
        return 0.0, 0.0
    return float(shift[0]), float(shift[1])


def _register(image: Floats, plate: Floats, shift: Floats) -> Floats:
    """Return ``shift`` improved by Gauss-Newton steps on the pixels where both already agree best."""
    furthest = 0.02 * np.hypot(*image.shape) + 1
    start = shift
    for _ in range(10):
        moved = _move(plate, _translation(shift), cv2.INTER_LINEAR)
        rest = image - moved
        inlier = np.abs(rest) < _reach(np.abs(rest))
        inlier[[0, 1, -2, -1]] = inlier[:, [0, 1, -2, -1]] = False
        down, right = np.gradient(moved)
        slope = np.stack([down[inlier], right[inlier]], -1).astype(np.float64)
        normal = slope.T @ slope
        if np.linalg.eigvalsh(normal)[0] < 1e-9 * slope.shape[0] + 1e-12:
            return start
        step = np.linalg.solve(normal, -slope.T @ rest[inlier])
        shift = shift + step
        if np.abs(shift).max() > furthest:
            return start
        if np.abs(step).max() < 0.005:
            break
    return shift


def _moved(motion: Floats, shape: tuple[int, ...]) -> tuple[tuple[float, float], float]:
    """Return by how many columns and rows the middle moves, and how far a corner at most without the turn, px."""
    rows, cols = shape
    middle = np.array([cols / 2, rows / 2])
    corners = np.array([[0, 0], [cols, 0], [0, rows], [cols, rows]]) - middle
    there = cv2.perspectiveTransform(np.vstack([corners, [[0, 0]]])[None] + middle, motion)[0] - middle
    turn = np.arctan2(motion[1, 0] - motion[0, 1], motion[0, 0] + motion[1, 1])
    back = np.array([[np.cos(turn), np.sin(turn)], [-np.sin(turn), np.cos(turn)]])
    shift = there[4]
    away = (there[:4] - shift) @ back.T + shift - corners
    return (float(shift[0]), float(shift[1])), float(np.linalg.norm(away, axis=-1).max())


def _translation(shift: Floats) -> Floats:
    return np.array([[1, 0, shift[1]], [0, 1, shift[0]], [0, 0, 1]], np.float64)


def _texture(gray: Floats) -> Floats:
    """Return what is neither noise nor light: a band of scales."""
    band: Floats = cv2.GaussianBlur(gray, (0, 0), 1) - cv2.GaussianBlur(gray, (0, 0), 4)
    return band


def _reach(rest: Floats) -> float:
    """Return the difference up to which a pixel is backdrop: the quietest fifth tells the noise."""
    return 12 * float(np.percentile(rest, 20)) + 1e-4


def _by_features(image: Floats, plate: Floats) -> Floats | None:
    """Return the homography from plate to picture on which matched features agree, None where too few do."""
    scale = min(1.0, WORKING / max(image.shape))
    finder = cv2.SIFT_create(FEATURES)  # type: ignore[attr-defined]
    there, of_plate = finder.detectAndCompute(_as_bytes(_shrunk(plate, scale)), None)
    if len(there) < 12:  # a blank wall
        return None
    here, of_image = finder.detectAndCompute(_as_bytes(_shrunk(image, scale)), None)
    if len(here) < 12:
        return None
    pairs = [pair for pair in cv2.BFMatcher().knnMatch(of_plate, of_image, k=2) if len(pair) == 2]
    clear = [one for one, other in pairs if one.distance < 0.8 * other.distance]
    if len(clear) < 12:
        return None
    origin = np.array([there[each.queryIdx].pt for each in clear], np.float32)
    target = np.array([here[each.trainIdx].pt for each in clear], np.float32)
    cv2.setRNGSeed(0)
    matrix, agree = cv2.findHomography(origin, target, cv2.RANSAC, 2.0, maxIters=2000, confidence=0.999)
    if matrix is None or agree.sum() < 12:
        return None
    # Eight numbers from features in one corner would bend the rest of the picture: those want features all around.
    spread = np.ptp(origin[agree.ravel() > 0], axis=0) / scale
    if (spread < 0.5 * np.array(image.shape[::-1])).any() or agree.sum() < 40:
        similar, _ = cv2.estimateAffinePartial2D(origin[agree.ravel() > 0], target[agree.ravel() > 0])
        if similar is None:
            return None
        matrix = np.vstack([similar, [0, 0, 1]])
    resized = np.diag([scale, scale, 1.0])
    matrix = np.linalg.inv(resized) @ matrix @ resized
    rows, cols = image.shape
    corners = np.array([[[0, 0], [cols, 0], [0, rows], [cols, rows]]], np.float64)
    away = np.linalg.norm(cv2.perspectiveTransform(corners, matrix) - corners, axis=-1).max()
    return None if away > FARTHEST * np.hypot(rows, cols) else matrix / matrix[2, 2]


def _shrunk(gray: Floats, scale: float) -> Floats:
    size = tuple(max(1, round(side * scale)) for side in gray.shape[::-1])
    shrunk: Floats = cv2.resize(gray, size, interpolation=cv2.INTER_AREA) if scale < 1 else gray
    return shrunk


def _as_bytes(gray: Floats) -> NDArray[np.uint8]:
    return np.rint(255 * np.clip(gray, 0, 1)).astype(np.uint8)


def _explains_more(image: Floats, plate: Floats, motion: Floats, other: Floats) -> bool:
    """Tell whether the second motion leaves less than three quarters of the texture that the first leaves."""
    scale = min(1.0, WORKING / max(image.shape))
    rests = [np.abs(_rest(image, plate, each, scale)) for each in (motion, other)]
    common = np.minimum(*rests) < _reach(rests[1])
    return bool((rests[1][common] ** 2).sum() < 0.75 * (rests[0][common] ** 2).sum())


def _rest(image: Floats, plate: Floats, motion: Floats, scale: float) -> Floats:
    resized = np.diag([scale, scale, 1.0])
    moved = _move(_shrunk(plate, scale), resized @ motion @ np.linalg.inv(resized), cv2.INTER_LINEAR)
    rest: Floats = _texture(_shrunk(image, scale)) - _texture(moved)
    return rest


def _parallax(image: Floats, plate: Floats, motion: Floats) -> Floats | None:
    """Return what is left to move at each pixel, columns and rows, px, (M, N, 2); None where nothing shows it.

    Found on a reduced picture. The flow is believed where it leads there and back again, is short, and the plate has
    texture; from there it is carried on smoothly, also behind the subject.
    """
    scale = min(1.0, WORKING / max(image.shape))
    if min(image.shape) * scale < 32:
        return None
    resized = np.diag([scale, scale, 1.0])
    here = _shrunk(image, scale)
    there = _move(_shrunk(plate, scale), resized @ motion @ np.linalg.inv(resized), cv2.INTER_LINEAR)
    one, other = _as_bytes(here), _as_bytes(there)
    search = cv2.DISOpticalFlow_create(cv2.DISOPTICAL_FLOW_PRESET_FAST)  # type: ignore[attr-defined]
    onwards, back = search.calc(one, other, None), search.calc(other, one, None)
    grid = _grid(here.shape)
    again = onwards + cv2.remap(back, grid + onwards, None, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    length = np.sqrt((onwards**2).sum(-1))
    texture = cv2.blur(np.abs(_texture(there)), (9, 9))
    rest = np.abs(_texture(here) - _texture(there))
    believed = (
        (np.sqrt((again**2).sum(-1)) < AGREEMENT)
        & (length < PARALLAX * np.hypot(*here.shape))
        & (texture > 4 * float(np.percentile(rest, 20)) + 2e-3)
    )
    if believed.mean() < 0.02:
        return None
    weight = cv2.GaussianBlur(believed.astype(np.float32), (0, 0), 3)
    mean = cv2.GaussianBlur(onwards * believed[..., None].astype(np.float32), (0, 0), 3)
    sure = weight > 0.3
    flow = push_pull(mean / np.maximum(weight, 1e-6)[..., None] * sure[..., None], sure.astype(np.float32))
    moved = cv2.remap(there, grid + flow, None, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    after = np.abs(_texture(here) - _texture(moved))
    common = np.minimum(rest, after) < _reach(after)
    if (after[common] ** 2).sum() > 0.75 * (rest[common] ** 2).sum():
        return None
    full: Floats = cv2.resize(flow / np.float32(scale), image.shape[::-1], interpolation=cv2.INTER_LINEAR)
    return full


def _grid(shape: tuple[int, ...]) -> Floats:
    """Return column and row of each pixel, float32 (M, N, 2)."""
    rows, cols = np.mgrid[: shape[0], : shape[1]].astype(np.float32)
    return np.stack([cols, rows], -1)


def _move(
    picture: Floats, motion: Floats, how: int, flow: Floats | None = None, border: int = cv2.BORDER_REPLICATE
) -> Floats:
    """Return the picture moved by a homography, and then by what ``flow`` says each pixel lies farther on."""
    rows, cols = picture.shape[:2]
    if flow is not None:
        target = _grid(picture.shape) + flow
        source = cv2.perspectiveTransform(target, np.linalg.inv(motion)).astype(np.float32)
        return cv2.remap(picture, source, None, how, borderMode=border)
    if (motion[2] == [0, 0, 1]).all():
        return cv2.warpAffine(picture, motion[:2], (cols, rows), flags=how, borderMode=border)
    return cv2.warpPerspective(picture, motion, (cols, rows), flags=how, borderMode=border)


def _misplaced(image: Floats, plate: Floats) -> float:
    """Return how many pixels off the plate still is, where it explains the picture and has edges: rest over slope."""
    gray, behind = mean_channel(image), mean_channel(plate)
    if min(gray.shape) < 3:
        return 0.0
    slope = np.hypot(*np.gradient(behind))
    rest = np.abs(gray - behind)
    edges = (slope > max(0.02, float(np.percentile(slope, 80)))) & (rest < 2 * slope)
    return float(np.clip(np.median(rest[edges] / slope[edges]), 0, 2)) if edges.sum() > 100 else 0.0


def _unexplained(image: Floats, plate: Floats, misplaced: float, seen: NDArray[np.bool_]) -> float:
    """Return the share of the border that is no plate: neither in its own light nor in a shadow of it."""
    where = np.argwhere(seen)
    if not len(where):
        return 1.0
    (top, left), (bottom, right) = where.min(0), where.max(0) + 1
    part = np.s_[top:bottom, left:right]
    return 1 - border_share(plate_explains(image[part], plate[part], misplaced))


def _burnt(image: Floats, plate: Floats, matched: Floats) -> NDArray[np.bool_]:
    """Return where the picture is brighter than the plate can show it, for the plate is overexposed there, (M, N)."""
    burnt: NDArray[np.bool_] = (plate >= BRIGHTEST) & (image > matched + 8 / 255)
    return np.asarray(burnt.any(-1))


def border_share(where: NDArray[np.bool_]) -> float:
    """Return the share of the picture's border that is marked, 0..1: the top counts most, the bottom least."""
    rows, cols = where.shape
    width = max(1, round(0.01 * min(rows, cols)))
    strips = where[:width].mean(0), where[:, :width].mean(1), where[:, -width:].mean(1), where[-width:].mean(0)
    side = np.linspace(1, 0.25, rows)
    weights = np.ones(cols), side, side, np.full(cols, 0.25)
    sum_of = sum(float((strip * weight).sum()) for strip, weight in zip(strips, weights, strict=True))
    return float(np.clip(sum_of / sum(float(weight.sum()) for weight in weights), 0, 1))


def plate_explains(image: Floats, plate: Floats, misplaced: float) -> NDArray[np.bool_]:
    """Return where the picture is the plate within 4 levels, its edges' wobble, and a shadow of a sixth, (M, N)."""
    picture, behind = cv2.blur(image, (3, 3)), cv2.blur(plate, (3, 3))
    light = np.clip(dot(picture, behind) / np.maximum(dot(behind, behind), 1e-4), 0.84, 1)
    rest = largest_channel(np.abs(picture - light[..., None] * behind))
    slope = np.hypot(*np.gradient(mean_channel(behind))) if min(rest.shape) > 1 else np.zeros_like(rest)
    explained: NDArray[np.bool_] = rest < 4 / 255 + (0.5 + 2 * misplaced) * slope
    return explained
