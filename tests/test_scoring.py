"""Predictions of any tool against truth: matching, reading, reporting."""

from __future__ import annotations

import csv
import io
import json
import re

import numpy as np
import pytest
from click.testing import CliRunner
from conftest import ROOT

from bgkit.cli import app
from bgkit.errors import ImageError, ParamError
from bgkit.evaluate import evaluate, open_dataset
from bgkit.imagefile import write_picture

MASK = np.zeros((12, 16), np.float32)
MASK[3:9, 4:12] = 1
COLORS = np.random.default_rng(0).random((12, 16, 3)).astype(np.float32)


@pytest.fixture
def folders(tmp_path):
    """Two empty folders, and what writes a picture into one of them."""
    for name in ("predictions", "truth", "trimaps"):
        (tmp_path / name).mkdir()

    def put(where, array):
        (tmp_path / where).parent.mkdir(parents=True, exist_ok=True)
        write_picture(tmp_path / where, np.ascontiguousarray(array, np.float32))

    return tmp_path, put


def score_folders(folder, **options):
    return evaluate(folder / "predictions", folder / "truth", **options)


def reasons(table):
    return {problem.name: problem.reason for problem in table.problems}


def test_perfect(folders):
    """The truth itself gets the best of every metric."""
    folder, put = folders
    put("predictions/a.png", MASK)
    put("truth/a.png", MASK)
    figures = score_folders(folder).figures
    lowest = {name: figures[name] for name in ("mae", "sad", "mse", "mad", "grad", "conn")}
    assert set(lowest.values()) == {0}
    assert [figures[name] for name in ("f_max", "weighted_f", "iou", "boundary_iou", "mba")] == pytest.approx([1] * 5)


def test_inverted(folders):
    """The complement gets the worst."""
    folder, put = folders
    put("predictions/a.png", 1 - MASK)
    put("truth/a.png", MASK)
    figures = score_folders(folder).figures
    assert (figures["mae"], figures["iou"], figures["mba"], figures["sad"]) == (1, 0, 0, MASK.size / 1000)


def test_average_over_pictures(folders):
    """One picture fully wrong, one right: the mean of both."""
    folder, put = folders
    for name, prediction in (("a", MASK), ("b", 1 - MASK)):
        put(f"predictions/{name}.png", prediction)
        put(f"truth/{name}.png", MASK)
    table = score_folders(folder, metrics=["mae"])
    assert [row.name for row in table.rows] == ["a", "b"]
    assert table.figures == {"mae": 0.5}


def test_endings_may_differ(folders):
    """A JPEG truth belongs to the PNG prediction of the same name."""
    folder, put = folders
    put("predictions/a.png", MASK)
    put("truth/a.jpg", MASK)
    assert score_folders(folder, metrics=["iou"]).figures["iou"] > 0.98


def test_cutout_counts_by_its_alpha(folders):
    """Of an RGBA file the alpha channel is the prediction, whatever its colors."""
    folder, put = folders
    put("predictions/a.png", np.dstack([COLORS, MASK]))
    put("truth/a.png", MASK)
    assert score_folders(folder, metrics=["sad"]).figures["sad"] == 0


def test_cutout_of_a_gray_picture(folders):
    """The colors of a black-and-white photograph's cutout are not taken for its mask."""
    folder, put = folders
    gray = COLORS[:, :, 0]
    put("predictions/a.png", np.dstack([gray, gray, gray, MASK]))
    put("truth/a.png", MASK)
    assert score_folders(folder, metrics=["sad"]).figures["sad"] == 0


@pytest.mark.parametrize("value", [0, 1])
def test_cutout_of_nothing_or_all(folders, value):
    """A cutout that is empty, or full, throughout means that, and not its colors."""
    folder, put = folders
    put("predictions/a.png", np.dstack([COLORS, np.full_like(MASK, value)]))
    put("truth/a.png", MASK)
    wrong = np.abs(MASK - value).sum() / 1000
    assert score_folders(folder, metrics=["sad"]).figures["sad"] == pytest.approx(wrong)


def test_mask_saved_as_opaque_rgba(folders):
    """Gray with a full alpha channel is a mask: its gray counts."""
    folder, put = folders
    put("predictions/a.png", np.dstack([MASK, MASK, MASK, np.ones_like(MASK)]))
    put("truth/a.png", MASK)
    assert score_folders(folder, metrics=["sad"]).figures["sad"] == 0


@pytest.mark.parametrize("where", ["predictions", "truth"])
def test_mask_whose_alpha_is_not_quite_full(folders, where):
    """One pixel that is not quite opaque makes no cutout of a mask: its gray counts."""
    folder, put = folders
    alpha = np.ones_like(MASK)
    alpha[0, 0] = 254 / 255
    put("predictions/a.png", MASK)
    put("truth/a.png", MASK)
    put(f"{where}/a.png", np.dstack([MASK, MASK, MASK, alpha]))
    assert score_folders(folder, metrics=["sad"]).figures["sad"] == 0


@pytest.mark.parametrize("where", ["predictions", "truth"])
def test_labels_are_reported(folders, where):
    """Classes by number would count as background throughout."""
    folder, put = folders
    put("predictions/a.png", MASK)
    put("truth/a.png", MASK)
    put(f"{where}/a.png", MASK / 255)
    assert "got 0, 1: labels" in reasons(score_folders(folder))["a"]


def test_dark_prediction_is_scored(folders):
    """A network that is sure of nothing gives dark grays, which are no labels."""
    folder, put = folders
    put("predictions/a.png", MASK * np.linspace(0, 0.05, 16, dtype=np.float32))
    put("truth/a.png", MASK)
    assert reasons(score_folders(folder)) == {}


def test_trimap_with_clear_parts(folders):
    """Where a trimap is clear, it is unknown: of the wrong pixels, those in the clear part count alone."""
    folder, put = folders
    put("predictions/a.png", 1 - MASK)
    put("truth/a.png", MASK)
    clear = np.zeros_like(MASK)
    clear[:, :2] = 1
    put("trimaps/a.png", np.dstack([MASK, MASK, MASK, 1 - clear]))
    table = score_folders(folder, metrics=["sad"], trimaps=folder / "trimaps")
    assert table.figures["sad"] == pytest.approx(clear.sum() / 1000)


def test_names_steer_no_terminal(folders):
    """What a file's name has of a terminal's orders is written out, in the table and by the command."""
    folder, put = folders
    put("predictions/a\x1b[31m.png", COLORS)
    put("truth/a\x1b[31m.png", MASK)
    assert "\x1b" not in score_folders(folder).text()
    arguments = [
        "compare",
        "-p",
        "classical",
        "--images",
        str(folder / "truth"),
        "--truth",
        str(folder / "predictions"),
    ]
    reply = CliRunner().invoke(app, [*arguments, "-o", str(folder / "report"), "--workers", "1"])
    assert "error: " in reply.stderr and "\x1b" not in reply.output + reply.stderr


def test_color_picture_is_no_prediction(folders):
    """Colors without alpha hold no mask: reported, not guessed at."""
    folder, put = folders
    put("predictions/a.png", COLORS)
    put("truth/a.png", MASK)
    table = score_folders(folder)
    assert not table.rows
    assert "colors without alpha" in reasons(table)["a"]


def test_unmatched_files_are_reported(folders):
    """A prediction without truth, a truth without prediction and a stray text file are each named."""
    folder, put = folders
    put("predictions/both.png", MASK)
    put("truth/both.png", MASK)
    put("predictions/extra.png", MASK)
    put("truth/missing.png", MASK)
    (folder / "predictions" / "notes.txt").write_text("hello")
    table = score_folders(folder, metrics=["mae"])
    assert [row.name for row in table.rows] == ["both"]
    assert reasons(table) == {
        "extra": "prediction without a truth",
        "missing": "truth without a prediction",
        "notes": "not a picture, by its ending",
    }


def test_unreadable_file_is_reported(folders):
    """A damaged file is named with the reason, and the rest is scored."""
    folder, put = folders
    for name in ("a", "b", "c"):
        put(f"predictions/{name}.png", MASK)
        put(f"truth/{name}.png", MASK)
    (folder / "predictions" / "a.png").write_bytes(b"not a picture")
    (folder / "truth" / "b.png").write_bytes((folder / "truth" / "b.png").read_bytes()[:40])
    table = score_folders(folder, metrics=["mae"])
    assert [row.name for row in table.rows] == ["c"]
    assert [problem.file.split("/")[-2:] for problem in table.problems] == [
        ["predictions", "a.png"],
        ["truth", "b.png"],
    ]


def test_wrong_size_is_reported(folders):
    """A prediction of another size is not scored; one that is turned is called so."""
    folder, put = folders
    put("truth/a.png", MASK)
    put("truth/b.png", MASK)
    put("predictions/a.png", MASK[:-1])
    put("predictions/b.png", MASK.T)
    found = reasons(score_folders(folder))
    assert found["a"] == "expected the truth's 12 x 16 (rows x columns), got 11 x 16"
    assert found["b"].endswith("got 16 x 12; turned by 90 degrees?")


def test_same_name_twice_is_reported(folders):
    """Two predictions of one name: neither is chosen."""
    folder, put = folders
    put("truth/a.png", MASK)
    put("truth/b.png", MASK)
    for name in ("a.png", "a.webp", "b.png"):
        put(f"predictions/{name}", MASK)
    table = score_folders(folder, metrics=["mae"])
    assert [row.name for row in table.rows] == ["b"]
    assert {problem.reason for problem in table.problems} == {
        "one of 2 predictions of this name",
        "truth without a prediction",
    }


def test_folders_within(folders):
    """Pictures in folders within match by their place, so that equal names in two folders stay apart."""
    folder, put = folders
    for place, prediction in (("x/1", MASK), ("y/1", 1 - MASK)):
        put(f"predictions/{place}.png", prediction)
        put(f"truth/{place}.png", MASK)
    table = score_folders(folder, metrics=["mae"])
    assert {row.name: row.score.values["mae"] for row in table.rows} == {"x/1": 0, "y/1": 1}


def test_other_folder_same_name(folders):
    """A prediction one folder deeper still finds its truth, if no other could be meant."""
    folder, put = folders
    put("predictions/out/a.png", MASK)
    put("truth/a.png", MASK)
    table = score_folders(folder, metrics=["mae"])
    assert [row.name for row in table.rows] == ["a"]
    assert not table.problems


def test_other_folder_two_could_be_meant(folders):
    """Two predictions of the truth's name in other folders: neither is chosen."""
    folder, put = folders
    for place in ("x/a", "y/a", "b"):
        put(f"predictions/{place}.png", MASK)
    for name in "ab":
        put(f"truth/{name}.png", MASK)
    table = score_folders(folder, metrics=["mae"])
    assert [row.name for row in table.rows] == ["b"]
    assert [problem.name for problem in table.problems] == ["a", "x/a", "y/a"]


def test_trimaps(folders):
    """The matting metrics look at the unknown pixels alone; a truth without a trimap is reported."""
    folder, put = folders
    trimap = MASK.copy()
    trimap[0, :4] = 128 / 255
    put("trimaps/a.png", trimap)
    for name in ("a", "b"):
        put(f"predictions/{name}.png", np.zeros_like(MASK))
        put(f"truth/{name}.png", np.ones_like(MASK))
    table = score_folders(folder, trimaps=folder / "trimaps", metrics=["sad", "mse"])
    assert table.figures == {"sad": 0.004, "mse": 1}
    assert reasons(table) == {"b": "its truth has no trimap"}


def test_trimaps_of_the_set(folders):
    """A data set's own trimaps are used when asked for, and only then."""
    folder, put = folders
    put("set/images/a.png", COLORS)
    put("set/alphas/a.png", np.ones_like(MASK))
    put("set/trimaps/a.png", np.where(MASK > 0, np.float32(128 / 255), 0))
    put("predictions/a.png", np.zeros_like(MASK))
    truth = open_dataset("alphamatting", folder / "set")
    sums = [
        evaluate(folder / "predictions", truth, trimaps=asked, metrics=["sad"]).figures["sad"]
        for asked in (False, True)
    ]
    assert sums == [MASK.size / 1000, MASK.sum() / 1000]


def test_trimap_of_another_size(folders):
    """It is named as the file at fault."""
    folder, put = folders
    put("trimaps/a.png", MASK[1:])
    put("predictions/a.png", MASK)
    put("truth/a.png", MASK)
    table = score_folders(folder, trimaps=folder / "trimaps")
    assert table.problems[0].file.endswith("trimaps/a.png")


def test_colors_of_cutouts(folders):
    """Where the truth is opaque, a cutout 0.2 too dark in each channel has a color error of 0.04; a mask has none."""
    folder, put = folders
    for name in ("cutout", "mask"):
        put(f"truth/{name}.png", MASK)
        put(f"foregrounds/{name}.png", np.full((12, 16, 3), 0.8))
    put("predictions/cutout.png", np.dstack([np.full((12, 16, 3), 0.6), MASK]))
    put("predictions/mask.png", MASK)
    table = score_folders(folder, foregrounds=folder / "foregrounds")
    values = {row.name: row.score.values["foreground_mse"] for row in table.rows}
    assert values["cutout"] == pytest.approx(0.04)
    assert np.isnan(values["mask"])
    assert table.figures["foreground_mse"] == pytest.approx(0.04)


def test_colors_of_another_size(folders):
    """A true foreground of another size is named as the file at fault."""
    folder, put = folders
    put("truth/a.png", MASK)
    put("foregrounds/a.png", COLORS[1:])
    put("predictions/a.png", np.dstack([COLORS, MASK]))
    table = score_folders(folder, foregrounds=folder / "foregrounds")
    assert [problem.file.split("/")[-2] for problem in table.problems] == ["foregrounds"]


def test_no_colors_no_column(folders):
    """Without true colors the color error is left out."""
    folder, put = folders
    put("truth/a.png", MASK)
    put("predictions/a.png", MASK)
    assert "foreground_mse" not in score_folders(folder).metrics


def test_data_set_as_truth(folders):
    """A data set by name brings its truths, and figures by kind."""
    folder, put = folders
    for name in ("cup-white", "cup-grey"):
        put(f"set/images/{name}.jpg", COLORS)
        put(f"set/alphas/{name}.png", MASK)
        put(f"predictions/{name}.png", MASK if "white" in name else 1 - MASK)
    table = evaluate(folder / "predictions", open_dataset("studio", folder / "set"), metrics=["mae"])
    assert table.kinds == {"grey": {"mae": 1}, "white": {"mae": 0}}


def test_same_for_any_number_of_workers(folders):
    """Threads change nothing but the time."""
    folder, put = folders
    noise = np.random.default_rng(1)
    for name in range(6):
        put(f"predictions/{name}.png", noise.random(MASK.shape))
        put(f"truth/{name}.png", MASK)
    assert score_folders(folder, workers=1).json() == score_folders(folder, workers=4).json()


def test_progress(folders):
    """``on_done`` hears of every picture, in order."""
    folder, put = folders
    for name in "ab":
        put(f"predictions/{name}.png", MASK)
        put(f"truth/{name}.png", MASK)
    heard = []
    score_folders(folder, on_done=lambda done, total: heard.append((done, total)))
    assert heard == [(1, 2), (2, 2)]


def test_forms_of_the_table(folders):
    """JSON, CSV and text hold the same figure; a number that is not defined is null, and empty."""
    folder, put = folders
    put("predictions/a.png", np.zeros_like(MASK))
    put("truth/a.png", np.ones_like(MASK))
    table = score_folders(folder, metrics=["mae", "mba"])
    message = json.loads(table.json())
    assert message["figures"] == {"mae": 1, "mba": None}
    assert list(csv.DictReader(io.StringIO(table.csv()))) == [
        {"name": "a", "kind": "", "mae": "1.0", "mba": "", "problem": ""}
    ]
    assert "MAE - 1.0000" in " ".join(table.text().split())


def test_save_by_ending(folders):
    """The ending chooses the form; an unknown one is refused before anything is written."""
    folder, put = folders
    put("predictions/a.png", MASK)
    put("truth/a.png", MASK)
    table = score_folders(folder, metrics=["mae"])
    table.save(folder / "scores.csv")
    assert (folder / "scores.csv").read_text() == table.csv()
    with pytest.raises(ParamError, match="xlsx"):
        table.save(folder / "scores.xlsx")
    assert not (folder / "scores.xlsx").exists()


def test_absent_folder(tmp_path):
    """An absent folder, and one without pictures, are errors that say which."""
    with pytest.raises(ImageError, match="predictions: expected a folder"):
        evaluate(tmp_path / "none", tmp_path)
    with pytest.raises(ImageError, match="predictions: expected pictures"):
        evaluate(tmp_path, tmp_path)


def test_wrong_workers(folders):
    """Fewer than one worker is refused."""
    with pytest.raises(ParamError, match="workers"):
        score_folders(folders[0], workers=0)


def test_documentation_runs(tmp_path, monkeypatch, capsys):
    """The code of the page on metrics runs, block after block, and prints what it is about."""
    monkeypatch.chdir(tmp_path)
    blocks = re.findall(r"```python\n(.*?)```", (ROOT / "docs" / "reference" / "metrics.md").read_text(), re.DOTALL)
    names: dict = {}
    for block in blocks:
        exec(block, names)
    printed = capsys.readouterr().out
    assert "ECSSD" in printed
    assert "SAD - 0.0800" in " ".join(printed.split())


def test_command_takes_true_colors_and_the_sets_trimaps(tmp_path):
    """``--foregrounds`` measures the colors of cutouts; ``--trimaps set`` looks where the set's trimaps say unknown."""
    truth = np.zeros((20, 30), np.float32)
    truth[5:15, 8:20] = 1
    trimap = np.where(np.arange(30) < 10, 128, 0).astype(np.uint8) * np.ones((20, 1), np.uint8)
    color = np.full((20, 30, 3), 0.25, np.float32)
    cutout = np.dstack([color + 0.5, truth])
    cutout[0, 25, 3] = 1  # outside of the unknown region
    arrays = {"set/images": color, "set/alphas": truth, "set/trimaps": trimap, "colors": color, "cut": cutout}
    for name, array in arrays.items():
        (tmp_path / name).mkdir(parents=True)
        write_picture(tmp_path / name / "a.png", array)
    options = ["--predictions", tmp_path / "cut", "--truth", tmp_path / "set", "--dataset", "studio", "--json"]
    options += ["--trimaps", "set", "--foregrounds", tmp_path / "colors", "--metrics", "sad,foreground_mse"]
    result = CliRunner().invoke(app, ["evaluate", *map(str, options)])
    figures = json.loads(result.stdout)["figures"]
    assert figures["sad"] == 0
    assert figures["foreground_mse"] == pytest.approx(0.25, abs=0.01)
