"""Films in evaluation and comparison: folders of frames, dtSSD, and the frame before for pipelines that use it."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from film_files import draw_frame

from bgkit.comparison import compare
from bgkit.errors import ParamError
from bgkit.evaluate import evaluate
from bgkit.evaluate.matting import dtssd
from bgkit.evaluate.metrics import score
from bgkit.pipeline import build


def write(path, array):
    path.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(path), np.rint(255 * (array[..., ::-1] if array.ndim == 3 else array)).astype(np.uint8))


def test_dtssd_is_the_error_of_the_change():
    """By the definition, in percent; a constant error has none."""
    rng = np.random.default_rng(0)
    now, true, last, last_true = rng.random((4, 6, 7))
    expected = 100 * np.sqrt(np.mean(((now - last) - (true - last_true)) ** 2))
    assert dtssd(now, true, before=(last, last_true)) == pytest.approx(expected)
    assert dtssd(true / 2 + 0.1, true / 2, before=(last / 2 + 0.1, last / 2)) == pytest.approx(0)
    assert score(now, true, before=(last, last_true), names=["dtssd"]).values["dtssd"] == pytest.approx(expected)
    assert np.isnan(dtssd(now, true))


def test_evaluate_takes_films(tmp_path):
    """Frames by number, 10 after 9; none before the first of a film, nor after a gap."""
    for film, numbers in (("a", (8, 9, 10, 12)), ("b", (1,))):
        for number in numbers:
            truth = np.zeros((8, 8), np.float32)
            truth[:4] = 1
            write(tmp_path / "truth" / film / f"f{number}.png", truth)
            write(tmp_path / "cut" / film / f"f{number}.png", np.maximum(truth, 0.2 * (number == 10)))
    table = evaluate(tmp_path / "cut", tmp_path / "truth", sequences=True, metrics=["sad", "dtssd"])
    found = {row.name: row.score.values["dtssd"] for row in table.rows}
    assert found["a/f9"] == 0 and found["a/f10"] == pytest.approx(100 * 0.2 * 0.5**0.5)
    assert all(np.isnan(found[name]) for name in ("a/f8", "a/f12", "b/f1"))
    assert table.figures["dtssd"] == pytest.approx(found["a/f10"] / 2)


def test_dtssd_needs_films(tmp_path):
    """Pictures have no frame before."""
    write(tmp_path / "a.png", np.eye(8))
    with pytest.raises(ParamError, match="say that folders are films, by --sequences"):
        evaluate(tmp_path, tmp_path, metrics=["dtssd"])


def test_compare_brings_the_frame_before(tmp_path):
    """With steady, frames are done in order; a film that lost a result is done anew from its start."""
    rng = np.random.default_rng(0)
    for number in range(8, 12):
        image = draw_frame(3)
        write(tmp_path / "films" / "a" / f"{number}.png", np.clip(image + rng.normal(0, 0.04, image.shape), 0, 1))
        row, col = np.mgrid[:48, :64]
        write(tmp_path / "truth" / "a" / f"{number}.png", np.clip(0.5 - (np.hypot(row - 22, col - 26) - 9), 0, 1))
    chain = build("alone", [("luv_threshold", {"tolerance": 4.0}), ("composite", {})])
    (tmp_path / "alone.yaml").write_text(chain.dump())
    (tmp_path / "steadied.yaml").write_text(chain.steadied().dump())
    pipelines = [str(tmp_path / "alone.yaml"), str(tmp_path / "steadied.yaml")]

    def run():
        made = compare(
            pipelines, tmp_path / "films", tmp_path / "report", truth=tmp_path / "truth", sequences=True, workers=1
        )
        records = [record for record in made["results"] if record["variant"].startswith("steadied")]
        assert all(record["status"] == "done" for record in made["results"])
        return made, records

    made, records = run()
    assert [record["picture"] for record in records] == ["a/8", "a/9", "a/10", "a/11"]
    assert [("steady" in record["facts"]) for record in records] == [False, True, True, True]
    figures = {
        name: [record["scores"]["dtssd"] for record in made["results"] if record["variant"].startswith(name)]
        for name in ("alone", "steadied")
    }
    assert figures["alone"][0] is None and np.mean(figures["steadied"][1:]) < 0.8 * np.mean(figures["alone"][1:])
    (tmp_path / "report" / "layers" / records[0]["variant"] / "a" / "9" / "alpha.png").unlink()
    again = run()[1]
    assert [record["scores"]["dtssd"] for record in again] == figures["steadied"]
