"""Each data set is found in a tiny folder laid out like it."""

from __future__ import annotations

import json

import numpy as np
import pytest

from bgkit.errors import ImageError, ParamError
from bgkit.evaluate import coco
from bgkit.evaluate.datasets import LAYOUTS, open_dataset
from bgkit.imagefile import write_picture

COLORS = np.random.default_rng(0).random((6, 8, 3)).astype(np.float32)
MASK = np.zeros((6, 8), np.float32)
MASK[1:4, 2:5] = 1

# set -> picture and truth of one sample, as the set is unpacked
FILES = {
    "duts-te": ("DUTS-TE/DUTS-TE-Image/ILSVRC_1.jpg", "DUTS-TE/DUTS-TE-Mask/ILSVRC_1.png"),
    "duts-tr": ("DUTS-TR/DUTS-TR-Image/n01.jpg", "DUTS-TR/DUTS-TR-Mask/n01.png"),
    "ecssd": ("images/0001.jpg", "ground_truth_mask/0001.png"),
    "dut-omron": ("DUT-OMRON-image/im001.jpg", "pixelwiseGT-new-PNG/im001.png"),
    "hku-is": ("imgs/0004.png", "gt/0004.png"),
    "pascal-s": ("datasets/imgs/pascal/1.jpg", "datasets/masks/pascal/1.png"),
    "sod": ("Imgs/2018.jpg", "GT/2018.png"),
    "msra10k": ("MSRA10K_Imgs_GT/Imgs/77.jpg", "MSRA10K_Imgs_GT/Imgs/77.png"),
    "soc": ("TestSet/Imgs/COCO_1.jpg", "TestSet/gt/COCO_1.png"),
    "xpie": ("Imgs/0A.jpg", "gt/0A.png"),
    "hrsod": ("HRSOD_test/10.jpg", "HRSOD_test_mask/10.png"),
    "davis": ("JPEGImages/480p/bear/00000.jpg", "Annotations/480p/bear/00000.png"),
    "alphamatting": ("input_training_lowres/GT01.png", "gt_training_lowres/GT01.png"),
    "ppm-100": ("image/1.jpg", "matte/1.jpg"),
    "studio": ("images/cup-white.jpg", "alphas/cup-white.png"),
    "pairs": ("images/a.jpg", "masks/a.png"),
}


def put(path, array):
    path.parent.mkdir(parents=True, exist_ok=True)
    write_picture(path, array)


@pytest.fixture
def lay(tmp_path):
    """Lay out one sample of a set; returns the set's folder."""

    def lay(name):
        for place, array in zip(FILES[name], (COLORS, MASK), strict=True):
            put(tmp_path / place, array)
        return tmp_path

    return lay


def test_every_set_is_tested():
    """No layout without a made folder here (COCO has tests of its own)."""
    assert set(FILES) | {"coco-person"} == set(LAYOUTS)


@pytest.mark.parametrize("name", FILES)
def test_layout(name, lay):
    """The one sample is found, and its picture and truth read."""
    found = open_dataset(name, lay(name))
    assert len(found) == 1
    assert not found.unmatched
    (sample,) = found
    assert sample.read_image().shape == (6, 8, 3)
    assert np.abs(sample.read_truth() - MASK).max() < 0.1  # PPM-100's mattes are JPEG


@pytest.mark.parametrize("name", sorted(set(LAYOUTS) - {"studio", "pairs"}))
def test_absent_set_says_where_to_get_it(name, tmp_path):
    """An empty folder, and none at all, are errors with the set's address."""
    for folder in (tmp_path, tmp_path / "none"):
        with pytest.raises(ImageError, match="http"):
            open_dataset(name, folder)


def test_unknown_set():
    """A wrong name is refused with the nearest."""
    with pytest.raises(ParamError, match="did you mean 'ecssd'"):
        open_dataset("ecsd", ".")


def test_plain_folders_serve_any_set(tmp_path):
    """ECSSD in folders called Images and Masks is ECSSD."""
    put(tmp_path / "Images" / "1.jpg", COLORS)
    put(tmp_path / "Masks" / "1.png", MASK)
    assert [sample.name for sample in open_dataset("ecssd", tmp_path)] == ["1"]


def test_case_does_not_matter(tmp_path):
    """DUT-OMRON's folders are found in lower case too."""
    put(tmp_path / "dut-omron-image" / "1.jpg", COLORS)
    put(tmp_path / "pixelwisegt-new-png" / "1.png", MASK)
    assert len(open_dataset("dut-omron", tmp_path)) == 1


def test_unmatched_files(tmp_path):
    """A picture without truth and a truth without picture are listed."""
    for name in ("images/1.jpg", "images/2.jpg"):
        put(tmp_path / name, COLORS)
    for name in ("masks/1.png", "masks/3.png"):
        put(tmp_path / name, MASK)
    found = open_dataset("ecssd", tmp_path)
    assert [sample.name for sample in found] == ["1"]
    assert sorted(path.name for path in found.unmatched) == ["2.jpg", "3.png"]


def test_no_common_name(tmp_path):
    """Folders that share no name are an error, not an empty set."""
    put(tmp_path / "images" / "1.jpg", COLORS)
    put(tmp_path / "masks" / "2.png", MASK)
    with pytest.raises(ImageError, match="same name"):
        open_dataset("ecssd", tmp_path)


def test_samples_are_sorted(tmp_path):
    """The order is that of the names, on any file system."""
    for name in "cab":
        put(tmp_path / "images" / f"{name}.jpg", COLORS)
        put(tmp_path / "masks" / f"{name}.png", MASK)
    assert [sample.name for sample in open_dataset("pairs", tmp_path)] == ["a", "b", "c"]


def test_davis_names_and_instances(tmp_path):
    """Frames are named by sequence, and every object counts, also in a palette's dark red."""
    put(tmp_path / "JPEGImages/480p/bear/00000.jpg", COLORS)
    dark_red = MASK[:, :, None] * np.float32([128 / 255, 0, 0])
    put(tmp_path / "Annotations/480p/bear/00000.png", dark_red)
    (sample,) = open_dataset("davis", tmp_path)
    assert (sample.name, sample.kind) == ("bear/00000", "bear")
    np.testing.assert_array_equal(sample.read_truth(), MASK)


def test_alphamatting_trimaps(lay):
    """Both trimaps are found, the narrower first, with 0, 128 and 255 only."""
    folder = lay("alphamatting")
    trimap = MASK.copy()
    trimap[0] = 128 / 255
    for number in (1, 2):
        put(folder / f"trimap_training_lowres/Trimap{number}/GT01.png", trimap)
    (sample,) = open_dataset("alphamatting", folder)
    assert [path.parent.name for path in sample.trimaps] == ["Trimap1", "Trimap2"]
    assert set(np.unique(sample.read_trimap())) == {0, 128, 255}
    assert sample.read_trimap(2) is None


def test_studio_extras(lay):
    """A shot has its plate; the color of the subject is shared by its shots; the kind is its name's end."""
    folder = lay("studio")
    put(folder / "plates/cup-white.jpg", COLORS)
    put(folder / "foregrounds/cup.png", COLORS)
    (sample,) = open_dataset("studio", folder)
    assert sample.kind == "white"
    assert sample.read_plate().shape == sample.read_foreground().shape == (6, 8, 3)


def test_studio_without_extras(lay):
    """Plates and colors may be absent."""
    (sample,) = open_dataset("studio", lay("studio"))
    assert sample.read_plate() is None
    assert sample.read_foreground() is None


def lay_coco(folder, segmentations, category="person"):
    put(folder / "val2017/000000000001.jpg", COLORS)
    (folder / "annotations").mkdir()
    notes = {
        "images": [{"id": 1, "file_name": "000000000001.jpg", "height": 6, "width": 8}],
        "categories": [{"id": 1, "name": category}],
        "annotations": [{"image_id": 1, "category_id": 1, "segmentation": drawn} for drawn in segmentations],
    }
    (folder / "annotations/instances_val2017.json").write_text(json.dumps(notes))
    return folder


RUNS = [13, 3, 3, 3, 3, 3, 20]  # MASK, down its columns


@pytest.mark.parametrize(
    "segmentation",
    [[[2, 1, 5, 1, 5, 4, 2, 4]], {"size": [6, 8], "counts": RUNS}, {"size": [6, 8], "counts": "=33000a0"}],
    ids=["polygon", "runs", "packed runs"],
)
def test_coco_person(tmp_path, segmentation):
    """The same 3 x 3 square as a polygon, as runs, and as COCO's own library packs them."""
    (sample,) = open_dataset("coco-person", lay_coco(tmp_path, [segmentation]))
    np.testing.assert_array_equal(sample.read_truth(), MASK)


def test_coco_persons_are_joined(tmp_path):
    """The truth is the union of all persons."""
    drawn = [[[0, 0, 1, 0, 1, 6, 0, 6]], {"size": [6, 8], "counts": RUNS}, [[1, 0, 2, 0, 2, 6, 1, 6]]]
    (sample,) = open_dataset("coco-person", lay_coco(tmp_path, drawn))
    assert sample.read_truth().sum() == 12 + 9


def test_coco_without_persons(tmp_path):
    """Pictures of other things are not in the set."""
    assert len(open_dataset("coco-person", lay_coco(tmp_path, [[[0, 0, 2, 0, 2, 2]]], category="dog"))) == 0


def test_coco_damaged_notes(tmp_path):
    """Annotations that are none are an error that names the file."""
    folder = lay_coco(tmp_path, [])
    (folder / "annotations/instances_val2017.json").write_text("{}")
    with pytest.raises(ImageError, match=r"instances_val2017\.json"):
        open_dataset("coco-person", folder)


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"images": [{"id": 1, "file_name": "../a.jpg", "height": 6, "width": 8}]}, "none of its folder"),
        ({"images": [{"id": 1, "file_name": "a.jpg", "height": 10**9, "width": 8}]}, "a picture of"),
        ({"images": 7}, "instance annotations"),
        ({"annotations": [3]}, "no object"),
        ({"categories": [{"id": [], "name": "person"}]}, "instance annotations"),
    ],
)
def test_coco_notes_of_another_kind(tmp_path, change, expected):
    """What is no annotation is refused, with the file and what is wrong, before a picture is read."""
    folder = lay_coco(tmp_path, [[[0, 0, 2, 0, 2, 2]]])
    notes = folder / "annotations/instances_val2017.json"
    notes.write_text(json.dumps(json.loads(notes.read_text()) | change))
    with pytest.raises(ImageError, match=rf"instances_val2017\.json: .*{expected}"):
        open_dataset("coco-person", folder)


def test_coco_notes_nested_deep(tmp_path):
    """Deep nesting is an error, not a crash of the parser."""
    folder = lay_coco(tmp_path, [])
    (folder / "annotations/instances_val2017.json").write_text("[" * 100_000)
    with pytest.raises(ImageError, match="nested too deep"):
        open_dataset("coco-person", folder)


@pytest.mark.parametrize(
    "segmentation",
    [
        [[2, 1, 5]],
        [[2, 1, 5, 1, float("nan"), 4]],
        [["a", "b"]],
        {"counts": "o" * 60},
        {"counts": [49, -1]},
        {"counts": [24.5, 23.5]},
        {"counts": None},
        {"size": [6, 8]},
        "x",
        None,
    ],
)
def test_coco_segmentation_of_another_kind(tmp_path, segmentation):
    """A drawing that is none is an error that names the picture."""
    (sample,) = open_dataset("coco-person", lay_coco(tmp_path, [segmentation]))
    with pytest.raises(ImageError, match=r"annotation of 000000000001\.jpg"):
        sample.read_truth()


def test_runs_must_fill_the_picture():
    """Runs that do not sum up to the picture are an error."""
    with pytest.raises(ImageError, match="sum of 4"):
        coco.runs_to_mask([1, 1], (2, 2))


def test_real_sets(data):
    """The sets at hand are found whole."""
    sizes = {"ecssd": 200, "studio": 64, "alphamatting": 13}
    places = {"ecssd": "ecssd", "studio": "studio", "alphamatting": "matting"}
    found = {name: open_dataset(name, data / "test" / places[name]) for name in sizes}
    assert {name: len(dataset) for name, dataset in found.items()} == sizes
    assert all(len(sample.trimaps) == 2 for sample in found["alphamatting"])
    assert all(sample.plate and sample.foreground for sample in found["studio"])
