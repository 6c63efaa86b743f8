"""Data sets with ground truth, by name: point at the folder, get its pictures and truths.

Each set of the field has a layout of its own; the table below knows where pictures and truths lie in
each. Any set may also lie in one of the usual plain pairs of folders (``images`` and ``masks``, ...).
Nothing is downloaded; an absent set says where to get it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from os import PathLike
from pathlib import Path
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from bgkit.errors import ImageError, ParamError, did_you_mean
from bgkit.evaluate.coco import open_persons
from bgkit.evaluate.samples import Dataset, Sample
from bgkit.files import READABLE
from bgkit.pairing import by_name

__all__ = ["LAYOUTS", "Layout", "open_dataset"]

Array = NDArray[np.float32]


@dataclass(frozen=True)
class Layout:
    """Where the pictures and truths of a set lie, relative to its folder; the first pair that exists counts."""

    title: str
    where: str
    folders: tuple[tuple[str, str], ...] = ()
    trimaps: tuple[tuple[str, ...], ...] = field(default=())
    nested: bool = False  # pictures lie one folder deeper, by sequence
    instances: bool = False


USUAL = (
    ("images", "masks"),
    ("images", "alphas"),
    ("images", "gt"),
    ("image", "mask"),
    ("image", "gt"),
    ("imgs", "gt"),
    ("imgs", "masks"),
    ("img", "gt"),
    ("imgs", "imgs"),
)

LAYOUTS: Mapping[str, Layout] = MappingProxyType(
    {
        "duts-te": Layout(
            "DUTS, test part (5,019 pictures)",
            "http://saliencydetection.net/duts/",
            (("DUTS-TE/DUTS-TE-Image", "DUTS-TE/DUTS-TE-Mask"), ("DUTS-TE-Image", "DUTS-TE-Mask")),
        ),
        "duts-tr": Layout(
            "DUTS, training part (10,553 pictures)",
            "http://saliencydetection.net/duts/",
            (("DUTS-TR/DUTS-TR-Image", "DUTS-TR/DUTS-TR-Mask"), ("DUTS-TR-Image", "DUTS-TR-Mask")),
        ),
        "ecssd": Layout(
            "ECSSD (1,000 pictures)",
            "https://www.cse.cuhk.edu.hk/leojia/projects/hsaliency/dataset.html",
            (("images", "ground_truth_mask"), ("ECSSD/images", "ECSSD/ground_truth_mask")),
        ),
        "dut-omron": Layout(
            "DUT-OMRON (5,168 pictures)",
            "http://saliencydetection.net/dut-omron/",
            (("DUT-OMRON-image", "pixelwiseGT-new-PNG"), ("DUT-OMRON-image/DUT-OMRON-image", "pixelwiseGT-new-PNG")),
        ),
        "hku-is": Layout(
            "HKU-IS (4,447 pictures)",
            "https://i.cs.hku.hk/~gbli/deep_saliency.html",
            (("imgs", "gt"), ("HKU-IS/imgs", "HKU-IS/gt")),
        ),
        "pascal-s": Layout(
            "PASCAL-S (850 pictures)",
            "http://cbs.ic.gatech.edu/salobj/",
            (("datasets/imgs/pascal", "datasets/masks/pascal"), ("imgs/pascal", "masks/pascal")),
        ),
        "sod": Layout("SOD (300 pictures)", "https://elderlab.yorku.ca/SOD/", (("Imgs", "GT"), ("SOD/Imgs", "SOD/GT"))),
        "msra10k": Layout(
            "MSRA10K (10,000 pictures)",
            "https://mmcheng.net/msra10k/",
            (("MSRA10K_Imgs_GT/Imgs", "MSRA10K_Imgs_GT/Imgs"), ("Imgs", "Imgs")),
        ),
        "soc": Layout(
            "SOC, with pictures that have no subject (6,000 pictures)",
            "https://mmcheng.net/socbenchmark/",
            tuple((f"{part}/Imgs", f"{part}/gt") for part in ("TestSet", "ValSet", "TrainSet")),
        ),
        "xpie": Layout("XPIE (10,000 pictures)", "http://cvteam.net/projects/CVPR17-ELE/ELE.html", (("Imgs", "gt"),)),
        "hrsod": Layout(
            "HRSOD, high resolution (400 test pictures)",
            "https://github.com/yi94code/HRSOD",
            (("HRSOD_test", "HRSOD_test_mask"), ("HRSOD_train", "HRSOD_train_mask")),
        ),
        "davis": Layout(
            "DAVIS and video sets laid out like it",
            "https://davischallenge.org/",
            tuple(
                (f"{top}JPEGImages{size}", f"{top}Annotations{size}")
                for top in ("", "DAVIS/")
                for size in ("/Full-Resolution", "/1080p", "/480p", "")
            ),
            nested=True,
            instances=True,
        ),
        "alphamatting": Layout(
            "alphamatting.com, training pictures (27)",
            "http://www.alphamatting.com/datasets.php",
            (("input_training_lowres", "gt_training_lowres"), ("input_training_highres", "gt_training_highres")),
            (
                ("trimap_training_lowres/Trimap1", "trimap_training_highres/Trimap1", "trimaps"),
                ("trimap_training_lowres/Trimap2", "trimap_training_highres/Trimap2", "trimaps2"),
            ),
        ),
        "ppm-100": Layout(
            "PPM-100, portraits with mattes (100 pictures)",
            "https://github.com/ZHKKKe/PPM",
            (("image", "matte"), ("PPM-100/image", "PPM-100/matte"), ("val/fg", "val/alpha")),
        ),
        "coco-person": Layout(
            "COCO, pictures with persons and the union of their masks",
            "https://cocodataset.org/#download",
        ),
        "studio": Layout(
            "Studio shots: pictures, empty plates, true alphas and colors",
            "your own: folders images, alphas, and if there are any plates, foregrounds, trimaps, by equal names",
            (("images", "alphas"),),
            (("trimaps",), ("trimaps2",)),
        ),
        "pairs": Layout(
            "Any pictures with truths",
            "your own: folders images and masks (or alphas, or gt), by equal names",
        ),
    }
)


def open_dataset(name: str, folder: str | PathLike[str]) -> Dataset:
    """Find the pictures and truths of a set.

    Parameters
    ----------
    name : str
        One of ``LAYOUTS``: ``"ecssd"``, ``"duts-te"``, ``"studio"``, ...
    folder : path
        Where the set was unpacked.

    Raises
    ------
    ParamError
        If there is no such set.
    ImageError
        If the folder does not hold it; the message says what was looked for, and where to get it.
    """
    if name not in LAYOUTS:
        raise ParamError(f"data set: expected one of {', '.join(LAYOUTS)}, got {name!r}{did_you_mean(name, LAYOUTS)}")
    layout, root = LAYOUTS[name], Path(folder)
    if not root.is_dir():
        raise ImageError(f"{name}: expected a folder, got {root}; get {layout.title} from {layout.where}")
    if name == "coco-person":
        return open_persons(root, layout.where)
    pairs = (*layout.folders, *(() if layout.nested else USUAL))
    for pictures, truths in pairs:
        images, truth = _under(root, pictures), _under(root, truths)
        if images and truth:
            return _pair_up(name, layout, root, images, truth)
    if name == "pairs":
        raise ImageError(f"{root}: expected the folders images and masks (or alphas, or gt), with equal names in both")
    looked = "; ".join(f"{pictures} + {truths}" for pictures, truths in pairs)
    raise ImageError(
        f"{name}: {root} holds none of the folders it comes in ({looked}); get {layout.title} from {layout.where}"
    )


def _under(root: Path, wanted: str) -> Path | None:
    """Return ``root/wanted``, in whatever case it is written."""
    for part in wanted.split("/"):
        exact = root / part
        if exact.is_dir():
            root = exact
            continue
        near = [path for path in sorted(root.iterdir()) if path.name.lower() == part.lower() and path.is_dir()]
        if not near:
            return None
        root = near[0]
    return root


def _pair_up(name: str, layout: Layout, root: Path, images: Path, truths: Path) -> Dataset:
    found: list[Sample] = []
    alone: list[Path] = []
    for images_here, truths_here, kind in _places(layout, images, truths):
        if images_here == truths_here:  # MSRA10K: photographs are JPEG, truths PNG, in one folder
            pictures, true = _named(images_here, (".jpg", ".jpeg")), _named(truths_here, (".png",))
        else:
            pictures, true = _named(images_here), _named(truths_here)
        for stem, paths in pictures.items():
            alone += paths[1:] + true.get(stem, [])[1:]
            if stem in true:
                label = f"{kind}/{stem}" if kind else stem
                found.append(Sample(label, paths[0], true[stem][0], kind=kind, instances=layout.instances))
            else:
                alone.append(paths[0])
        alone += [path for stem, paths in true.items() if stem not in pictures for path in paths]
    if not found:
        raise ImageError(f"{name}: no picture of {images} has a truth of the same name in {truths}")
    return Dataset(name, tuple(_with_extras(name, layout, root, found)), tuple(alone))


def _places(layout: Layout, images: Path, truths: Path) -> list[tuple[Path, Path, str]]:
    if not layout.nested:
        return [(images, truths, "")]
    return [(folder, truths / folder.name, folder.name) for folder in sorted(images.iterdir()) if folder.is_dir()]


def _with_extras(name: str, layout: Layout, root: Path, samples: list[Sample]) -> Iterator[Sample]:
    """Add trimaps, and a studio's plates and colors, where they lie."""
    trimaps = []
    for places in layout.trimaps:
        there = [folder for folder in (_under(root, place) for place in places) if folder]
        if there:
            trimaps.append(_named(there[0]))
    plates, colors = _named(_under(root, "plates")), _named(_under(root, "foregrounds"))
    for sample in samples:
        given = tuple(files[sample.name][0] for files in trimaps if sample.name in files)
        if name != "studio":
            yield replace(sample, trimaps=given)
            continue
        subject, _, kind = sample.name.rpartition("-")
        color = colors.get(sample.name) or colors.get(subject)
        plate = plates.get(sample.name)
        yield replace(
            sample,
            trimaps=given,
            plate=plate[0] if plate else None,
            foreground=color[0] if color else None,
            kind=kind if subject else "",
        )


def _named(folder: Path | None, endings: tuple[str, ...] = READABLE) -> dict[str, list[Path]]:
    return by_name(folder, endings)[0] if folder and folder.is_dir() else {}
