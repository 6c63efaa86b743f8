"""Reading the pictures and masks that a recipe names: shards, folders of pairs, the field's sets, COCO.

All of them are held in memory, shrunk to the recipe's ``long_side``, as 8-bit arrays. Their bytes, as they lie in the
files, have a fingerprint, by which a run knows its pictures again.
"""

from __future__ import annotations

import hashlib
import tarfile
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import cv2
import numpy as np
from numpy.typing import NDArray

from bgkit.errors import BgkitError, ImageError, LayerError, RecipeError
from bgkit.evaluate.datasets import open_dataset
from bgkit.evaluate.samples import Sample
from bgkit.pairing import by_name, name_of
from bgkit.train.coco import open_filtered
from bgkit.train.recipe import Data, Split

__all__ = ["Bytes", "Pictures", "layout_of", "read_grounds", "read_pictures", "split"]

Bytes = NDArray[np.uint8]
PHOTOGRAPHS = (".webp", ".jpg", ".jpeg")  # in a shard; masks are PNG


@dataclass(frozen=True)
class Pictures:
    """Pictures (M, N, 3) RGB, their masks (M, N), their names in sorted order, and what identifies them all.

    ``left_out`` says what else lay there, a line for each kind.
    """

    images: Sequence[Bytes]
    masks: Sequence[Bytes]
    names: Sequence[str]
    fingerprint: str = ""
    left_out: Sequence[str] = ()

    def __len__(self) -> int:
        return len(self.images)

    def part(self, chosen: NDArray[np.intp]) -> Pictures:
        """Return some of them, by number."""
        return Pictures(
            [self.images[i] for i in chosen], [self.masks[i] for i in chosen], [self.names[i] for i in chosen]
        )


def read_pictures(data: Data) -> Pictures:
    """Read every pair that ``data`` names.

    Raises
    ------
    RecipeError
        If there is no folder, nothing in it, a file cannot be read, or all masks are black; the message says which.
    """
    layout = layout_of(data)
    folder = Path(data.folder)
    try:
        read = _read_shards(folder, data.long_side) if layout == "shards" else _read_files(layout, folder, data)
    except (ImageError, LayerError) as error:
        raise RecipeError(str(error)) from None
    if max(mask.max() for mask in read.masks) < 128:
        raise RecipeError(f"{folder}: expected masks of 0 (background) to 255 (subject); none here reaches 128")
    return read


def _read_files(layout: str, folder: Path, data: Data) -> Pictures:
    samples: Sequence[Sample]
    if layout == "coco":
        samples, left_out = open_filtered(folder, data)
    else:
        dataset = open_dataset(layout, folder)
        samples, left_out = tuple(dataset), _alone([str(path.relative_to(folder)) for path in dataset.unmatched])
    with ThreadPoolExecutor() as pool:
        read = list(pool.map(lambda sample: _read_sample(sample, data.long_side), samples))
    images, masks, digests = zip(*read, strict=True)
    names = [sample.name for sample in samples]
    return Pictures(images, masks, names, _fingerprint(names, digests), left_out)


def _alone(names: Sequence[str]) -> list[str]:
    """Say which pictures have no mask, or masks no picture."""
    if not names:
        return []
    shown = ", ".join(names[:5]) + (", ..." if len(names) > 5 else "")
    return [f"{len(names)} without a partner of the same name: {shown}"]


def layout_of(data: Data) -> str:
    """Return how the pictures lie, ``auto`` told apart by what is in the folder."""
    folder = Path(data.folder)
    if not data.folder:
        raise RecipeError("data.folder: expected a folder of pictures; name one in the recipe, or with --data FOLDER")
    if not folder.is_dir():
        raise RecipeError(f"data.folder: expected a folder, got {folder}")
    if data.layout != "auto":
        return data.layout
    if _shards(folder):
        return "shards"
    return "coco" if any(folder.glob("annotations/instances_*.json")) else "pairs"


def _shards(folder: Path) -> list[Path]:
    return [path for path in sorted(folder.glob("*.tar")) if path.name != "backgrounds.tar"]


def _read_shards(folder: Path, long_side: int) -> Pictures:
    """Read the pairs of all tar files of a folder; these are 8-bit and upright, so OpenCV decodes them."""
    files: dict[str, bytes] = {}
    for shard in _shards(folder):
        files |= _members(shard)
    pictures = {name_of(PurePosixPath(name)): name for name in sorted(files) if name.lower().endswith(PHOTOGRAPHS)}
    names = [name for name in pictures if f"{name}.png" in files]
    if not names:
        raise RecipeError(
            f"{folder}: expected tar files with NAME.webp or NAME.jpg and the mask NAME.png, found none such"
        )
    with ThreadPoolExecutor() as pool:
        images = list(pool.map(lambda name: _decode(files, pictures[name], long_side), names))
        masks = list(pool.map(lambda name: _decode(files, f"{name}.png", long_side, gray=True), names))
    for name, image, mask in zip(names, images, masks, strict=True):
        _check_shape(name, image, mask)
    digests = [_digest(files[pictures[name]], files[f"{name}.png"]) for name in names]
    paired = {file for name in names for file in (pictures[name], f"{name}.png")}
    return Pictures(images, masks, names, _fingerprint(names, digests), _alone(sorted(files.keys() - paired)))


def _members(path: Path) -> dict[str, bytes]:
    found = {}
    try:
        with tarfile.open(path) as archive:
            for member in archive:
                handle = archive.extractfile(member)
                if handle is not None:
                    found[member.name] = handle.read()
    except (tarfile.TarError, OSError, EOFError) as error:
        raise RecipeError(f"{path}: expected a tar file, which cannot be read: {error}") from None
    return found


def _decode(files: dict[str, bytes], name: str, long_side: int, *, gray: bool = False) -> Bytes:
    flags = cv2.IMREAD_GRAYSCALE if gray else cv2.IMREAD_COLOR_RGB
    picture = cv2.imdecode(np.frombuffer(files[name], np.uint8), flags) if files[name] else None
    if picture is None:
        raise RecipeError(f"{name}: a picture of the shards that cannot be decoded")
    return _shrink(picture, long_side)


def _read_sample(sample: Sample, long_side: int) -> tuple[Bytes, Bytes, str]:
    """Read a picture that a user brings: any orientation, profile and depth."""
    image, truth = sample.read_image(), sample.read_truth()
    _check_shape(str(sample.image), image, truth)
    digest = _digest(sample.image.read_bytes(), np.packbits(truth > 0.5).tobytes())
    small = [_shrink(np.rint(layer * 255).astype(np.uint8), long_side) for layer in (image, truth)]
    return small[0], small[1], digest


def _check_shape(name: str, image: NDArray, mask: NDArray) -> None:
    if image.shape[:2] != mask.shape[:2]:
        raise RecipeError(f"{name}: picture and mask differ in size: {image.shape[:2]} and {mask.shape[:2]}")


def _shrink(picture: Bytes, long_side: int) -> Bytes:
    scale = long_side / max(picture.shape[:2])
    if scale >= 1:
        return picture
    rows, cols = (max(1, round(side * scale)) for side in picture.shape[:2])
    return cv2.resize(picture, (cols, rows), interpolation=cv2.INTER_AREA)


def _digest(*parts: bytes) -> str:
    return hashlib.sha256(b"".join(hashlib.sha256(part).digest() for part in parts)).hexdigest()


def _fingerprint(names: Sequence[str], digests: Sequence[str]) -> str:
    lines = "".join(f"{name} {digest}\n" for name, digest in zip(names, digests, strict=True))
    return hashlib.sha256(lines.encode()).hexdigest()


def read_grounds(data: Data) -> list[Bytes]:
    """Read the pictures to paste on, each of shape (M, N, 3); none where there are none."""
    place = Path(data.grounds) if data.grounds else Path(data.folder) / "backgrounds.tar"
    if not data.grounds and not place.is_file():
        place = place.with_suffix("")
        if not place.is_dir():
            return []
    if place.is_file():
        files = _members(place)
        return [_decode(files, name, data.long_side) for name in sorted(files)]
    if not place.is_dir():
        raise RecipeError(f"data.grounds: expected a folder or a tar file of pictures, got {place}")
    found = [paths[0] for paths in by_name(place)[0].values()]
    if not found:
        raise RecipeError(f"data.grounds: expected pictures in {place}, found none")
    from bgkit.imagefile import read_picture

    read: Callable[[Path], Bytes] = lambda path: np.rint(read_picture(path).image * 255).astype(np.uint8)  # noqa: E731
    try:
        return [_shrink(read(path), data.long_side) for path in found]
    except BgkitError as error:
        raise error.at("data.grounds") from None


def split(count: int, shares: Split, seed: int) -> tuple[NDArray[np.intp], NDArray[np.intp], NDArray[np.intp]]:
    """Return the numbers of the pictures to train, to validate and to test with, by a draw that ``seed`` decides,
    or the split's own.

    Raises
    ------
    RecipeError
        If one of the parts that the recipe wants would be empty.

    Examples
    --------
    >>> [len(part) for part in split(100, Split(validation=20, test=10), seed=0)]
    [70, 20, 10]
    """
    order = np.random.default_rng(seed if shares.seed < 0 else shares.seed).permutation(count)
    held = max(1, round(count * shares.validation / 100))
    tested = max(1, round(count * shares.test / 100)) if shares.test else 0
    if held + tested >= count:
        raise RecipeError(
            f"split: {count} pictures are too few for {held} to validate, {tested} to test and some to train"
        )
    return order[held + tested :], order[:held], order[held : held + tested]
