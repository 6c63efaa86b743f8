"""Files that belong together by name."""

from __future__ import annotations

import pytest

from bgkit.errors import ImageError
from bgkit.pairing import by_name, partners, pictures_in


def touch(folder, *names):
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()


def test_names_hold_folders_and_no_endings(tmp_path):
    """Hidden files are left out, what is no picture is kept apart, folders below count only where they are meant."""
    touch(tmp_path, "clip/1.png", "2.v2.jpg", "notes.txt", ".hidden/3.png", ".4.png")
    named, others = by_name(tmp_path, deep=True)
    assert list(named) == ["2.v2", "clip/1"]
    assert others == [tmp_path / "notes.txt"]
    assert list(by_name(tmp_path)[0]) == ["2.v2"]


def test_a_name_of_several_files_means_none(tmp_path):
    """They are reported as doubled, and a folder that holds nothing else is an error."""
    touch(tmp_path, "1.png", "1.jpg")
    with pytest.raises(ImageError, match=r"^truth: expected pictures .* found only files of one name, as 1\.jpg and"):
        pictures_in(tmp_path, "truth")
    touch(tmp_path, "2.png", "report/3.png")
    given = pictures_in(tmp_path, "truth", tmp_path / "report")
    assert given.files == {"2": tmp_path / "2.png"}
    assert given.doubled == {"1": [tmp_path / "1.jpg", tmp_path / "1.png"]}


@pytest.mark.parametrize(
    ("names", "wanted", "expected"),
    [
        (["a/1"], ["a/1", "b/1"], {"a/1": "a/1"}),  # the same name goes before the same last part
        (["1"], ["b/1"], {"1": "b/1"}),
        (["1"], ["a/1", "b/1"], {}),  # which of both?
        (["a/1", "b/1"], ["1"], {}),
        (["a/1", "b/1"], ["a/1", "c/1"], {"a/1": "a/1", "b/1": "c/1"}),  # what is left belongs together
    ],
)
def test_partners(names, wanted, expected):
    """The same name, else the same last part where one alone is left."""
    assert partners(names, wanted) == expected
