"""Files of several pictures on the command line: which one is taken, what is said, how results are named."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner
from picture_files import saved
from PIL import Image

import bgkit
from bgkit.cli import app

COLORS = ((200, 0, 0), (0, 200, 0), (0, 0, 200))


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    """Each test works in a folder with a document of three pages and a pipeline that shows the picture."""
    monkeypatch.chdir(tmp_path)
    pages = [Image.new("RGB", (24, 16), color) for color in COLORS]
    Path("scan.tif").write_bytes(saved(pages[0], "TIFF", save_all=True, append_images=pages[1:]))
    Path("show.yaml").write_text("bgkit: 1\nstages:\n  - luv_threshold\n  - composite: {background: white}\n")


def remove(*args: str, status: int = 0, **options):
    result = CliRunner().invoke(app, ["remove", "-p", "show.yaml", *args], **options)
    assert result.exit_code == status, result.stderr
    return result


def test_first_page_is_said():
    """The first page is taken; terminal and report say that two are left out."""
    said = remove("scan.tif", "--layer", "mask", "--report", "report.jsonl").stderr
    assert "holds 3 pictures; the first one is taken, 2 are left out" in said
    record = json.loads(Path("report.jsonl").read_text())
    assert "2 are left out" in record["warnings"][0]
    assert (record["facts"]["input"]["page"], record["facts"]["input"]["pages"]) == (1, 3)


def test_one_page():
    """A page that is asked for is taken, and nothing is said of the others."""
    said = remove("scan.tif", "--page", "2", "--report", "report.jsonl").stderr
    assert "left out" not in said
    record = json.loads(Path("report.jsonl").read_text())
    assert (record["page"], record["facts"]["input"]["page"]) == (2, 2)


def test_all_pages():
    """All pages go to numbered results; a file of one picture keeps its name."""
    Path("one.png").write_bytes(saved(Image.new("RGB", (24, 16), COLORS[0]), "PNG"))
    remove("scan.tif", "one.png", "--page", "all", "-o", "out", "--save-steps", "steps")
    assert sorted(path.name for path in Path("out").glob("*.png")) == [
        "one.png",
        "scan-1.png",
        "scan-2.png",
        "scan-3.png",
    ]
    remove("scan.tif", "--page", "all")
    assert Path("scan-3-cutout.png").exists()


def test_another_page_is_another_result():
    """A result of another page is not taken for this one: it is kept, and counted."""
    remove("scan.tif", "-o", "out")
    said = remove("scan.tif", "-o", "out", "--page", "2", "--if-exists", "skip").stderr
    assert "kept, though made with" in said


@pytest.mark.parametrize("page", ["0", "two", "-1"])
def test_no_number(page):
    """Anything but a number from 1 up, or all, is refused."""
    assert "--page: expected a number from 1 up, or all" in remove("scan.tif", "--page", page, status=2).stderr


def test_page_too_many():
    """A page that is not there fails its picture."""
    assert "has no page 4: it holds 3 pictures" in remove("scan.tif", "--page", "4", status=1).stderr


def test_all_pages_of_a_pipe():
    """A pipe takes one picture."""
    assert "a pipe takes one picture" in remove("-", "--page", "all", "-o", "a.png", status=2).stderr


def test_page_in_python():
    """The same from Python, with a warning where no page is named."""
    assert bgkit.remove("scan.tif", "show.yaml", page=3).image[8, 12, 2] > 0.7
    with pytest.warns(UserWarning, match="holds 3 pictures"):
        assert bgkit.remove("scan.tif", "show.yaml").image[8, 12, 0] > 0.7


def test_pipe_that_is_no_picture():
    """Standard input that does not begin as a picture is refused before it is read whole, in one line."""
    said = remove("-", "-o", "a.png", status=1, input=bytes(1000)).stderr
    assert "stdin: is not a picture that bgkit reads" in said


def test_raw_beside_its_picture(tmp_path):
    """In a folder a camera raw file is left out beside a developed picture of its name, and that is said."""
    Path("shots").mkdir()
    Path("shots/a.jpg").write_bytes(saved(Image.new("RGB", (24, 16)), "JPEG"))
    Path("shots/a.NEF").write_bytes(b"II*\0")
    said = remove("shots", "-o", "out").stderr
    assert "left out camera raw files beside a picture of the same name: 1" in said
