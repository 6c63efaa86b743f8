"""Where a recipe's pictures come from: pairs, shards, COCO, and the split."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

pytest.importorskip("torch", reason="training needs bgkit[train]")

from train_pictures import COUNT, draw_coco, draw_folder, draw_shards, scenes

from bgkit.errors import BgkitError, RecipeError
from bgkit.train.pictures import layout_of, read_grounds, read_pictures, split
from bgkit.train.recipe import Data, Split

DRAW = {"pairs": draw_folder, "shards": draw_shards}


@pytest.mark.parametrize("layout", DRAW)
def test_pairs_come_in_color_with_their_masks(layout, tmp_path):
    """Pictures are RGB, in the order of their names, each with its own mask."""
    data = Data(folder=str(DRAW[layout](tmp_path / "set")))
    assert layout_of(data) == layout
    pictures = read_pictures(data)
    for (name, image, mask), read, true, called in zip(
        scenes(), pictures.images, pictures.masks, pictures.names, strict=True
    ):
        assert called == name
        assert np.abs(read.astype(int) - image).mean() < 6  # JPEG and WebP lose some
        assert (true == mask).all()


def test_pictures_are_shrunk_to_the_long_side(tmp_path):
    """What is held in memory is no larger than asked for."""
    folder = draw_folder(tmp_path / "set")
    pictures = read_pictures(Data(folder=str(folder), long_side=32))
    assert {image.shape for image in pictures.images} == {(23, 32, 3)}
    assert {mask.shape for mask in pictures.masks} == {(23, 32)}


def test_fingerprint_tells_one_changed_picture(tmp_path):
    """Equal files have equal fingerprints; a picture that was touched changes it."""
    folder = draw_folder(tmp_path / "set")
    before = read_pictures(Data(folder=str(folder))).fingerprint
    assert read_pictures(Data(folder=str(folder))).fingerprint == before
    mask = cv2.imread(str(folder / "masks" / "disk-03.png"), cv2.IMREAD_GRAYSCALE)
    cv2.imwrite(str(folder / "masks" / "disk-03.png"), 255 - mask)
    assert read_pictures(Data(folder=str(folder))).fingerprint != before


def test_grounds_come_from_folder_or_not_at_all(tmp_path):
    """The folder backgrounds is found by itself; without one there are no textures; a wrong path is told."""
    folder = draw_folder(tmp_path / "set")
    assert len(read_grounds(Data(folder=str(folder)))) == 2
    assert read_grounds(Data(folder=str(draw_shards(tmp_path / "other")))) == []
    with pytest.raises(RecipeError, match=r"data.grounds: expected a folder or a tar file"):
        read_grounds(Data(folder=str(folder), grounds=str(tmp_path / "nowhere")))


def test_coco_filter_keeps_one_or_two_persons_of_fair_size(tmp_path):
    """Too small, too large, three persons, a crowd and a cat are left out; masks are the union of what is drawn."""
    folder = draw_coco(tmp_path / "coco")
    assert layout_of(Data(folder=str(folder))) == "coco"
    pictures = read_pictures(Data(folder=str(folder)))
    assert pictures.names == ["val2017/000", "val2017/001", "val2017/007"]
    shares = [float((mask > 127).mean()) for mask in pictures.masks]
    assert shares == pytest.approx([0.4, 0.4, 0.3], abs=0.01)
    assert "1 pictures for a crowd" in pictures.left_out
    assert [int(line.split()[0]) for line in pictures.left_out if "data." in line] == [2, 2]


def test_coco_filter_is_the_recipes(tmp_path):
    """Other counts, areas and categories let other pictures through; none at all says why."""
    folder = str(draw_coco(tmp_path / "coco"))
    three = read_pictures(Data(folder=folder, count=(3, 3)))
    assert three.names == ["val2017/004"]
    assert read_pictures(Data(folder=folder, category="cat")).names == ["val2017/006"]
    small = read_pictures(Data(folder=folder, area=(5.0, 15.0)))
    assert small.names == ["val2017/002"]
    with pytest.raises(RecipeError, match=r"data.category: .* 'persn'; did you mean 'person'\?"):
        read_pictures(Data(folder=folder, category="persn"))
    with pytest.raises(
        RecipeError, match=r"lets no picture through \(left out: .*1 for a crowd, 7 for count \(data.count\)"
    ):
        read_pictures(Data(folder=folder, count=(9, 9)))


@pytest.mark.parametrize(
    ("folder", "said"), [("", "expected a folder of pictures"), ("nowhere", "expected a folder, got")]
)
def test_absent_folder_is_told(folder, said):
    """No folder, or none there."""
    with pytest.raises(RecipeError, match=f"data.folder: {said}"):
        layout_of(Data(folder=folder))


def test_unfit_folder_is_told(tmp_path):
    """An empty folder, and a picture whose mask has another size."""
    (tmp_path / "empty").mkdir()
    with pytest.raises(BgkitError, match=r"empty: expected the folders images and masks"):
        read_pictures(Data(folder=str(tmp_path / "empty")))
    folder = draw_folder(tmp_path / "set")
    cv2.imwrite(str(folder / "masks" / "disk-00.png"), np.zeros((9, 9), np.uint8))
    with pytest.raises(RecipeError, match=r"disk-00.jpg: picture and mask differ in size"):
        read_pictures(Data(folder=str(folder)))


def test_masks_of_zero_and_one_are_told(tmp_path):
    """Labels in place of white would train a network that finds nothing."""
    folder = draw_folder(tmp_path / "set")
    for path in (folder / "masks").iterdir():
        cv2.imwrite(str(path), cv2.imread(str(path), cv2.IMREAD_GRAYSCALE) // 255)
    with pytest.raises(RecipeError, match=r"disk-\d\d\.png: mask: expected grays from 0 .* got 0, 1: labels"):
        read_pictures(Data(folder=str(folder)))
    for path in (folder / "masks").iterdir():  # nor do dark grays show a subject
        cv2.imwrite(str(path), cv2.imread(str(path), cv2.IMREAD_GRAYSCALE) * 100)
    with pytest.raises(RecipeError, match=r"expected masks of 0 \(background\) to 255 \(subject\)"):
        read_pictures(Data(folder=str(folder)))


def test_a_picture_that_cannot_be_read_is_a_recipes_mistake(tmp_path):
    """So that the command ends with the status of wrong input, as for every other thing about the pictures."""
    folder = draw_folder(tmp_path / "set")
    (folder / "images" / "disk-03.jpg").write_bytes(b"no picture")
    with pytest.raises(RecipeError, match=r"disk-03\.jpg"):
        read_pictures(Data(folder=str(folder)))


def test_split_is_a_partition_that_the_seed_decides():
    """Each picture is in one part; the same seed draws the same, another another; shares are as asked."""
    parts = split(50, Split(validation=20, test=10), seed=3)
    assert [len(part) for part in parts] == [35, 10, 5]
    assert sorted(np.concatenate(parts)) == list(range(50))
    assert all((one == two).all() for one, two in zip(parts, split(50, Split(), seed=3), strict=True))
    assert (parts[1] != split(50, Split(), seed=4)[1]).any()
    of_its_own = split(50, Split(seed=3), seed=4)
    assert all((one == two).all() for one, two in zip(parts, of_its_own, strict=True))
    with pytest.raises(RecipeError, match=r"split: 2 pictures are too few"):
        split(2, Split(), seed=0)


def test_all_drawn_pictures_are_there(tmp_path):
    """Two shards make one set."""
    assert len(read_pictures(Data(folder=str(draw_shards(tmp_path / "set"))))) == COUNT
