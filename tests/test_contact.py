"""The contact sheet of a batch: everything on one page, what went wrong first, nothing lost when a batch resumes."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest
from conftest import CHROMIUM, CHROMIUM_FLAGS

import bgkit
from bgkit.batch.contact import DATA
from bgkit.batch.jobs import Work
from bgkit.batch.report import open_report
from bgkit.errors import PlanError
from bgkit.pipelinefile import load_pipeline, read_pipeline

CHAIN = """
bgkit: 1
stages:
  - luv_threshold
  - composite: {background: white}
checks: {subject: 5}
"""


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    """Each test works in an empty folder of its own."""
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def chain():
    """A key on white that flags what takes less than 5 % of the picture."""
    return read_pipeline(CHAIN, name="key")


def draw(name: str, radius: int) -> None:
    picture = np.full((90, 120, 3), 240, np.uint8)
    cv2.circle(picture, (60, 45), radius, (30, 30, 200), -1)
    Path(name).parent.mkdir(exist_ok=True)
    cv2.imwrite(name, picture)


def read_sheet(path: str) -> dict[str, dict]:
    """The pictures of a page by name, as a browser's script reads them."""
    found = DATA.search(Path(path).read_text(encoding="utf-8"))
    assert found is not None
    return {each["name"]: each for each in json.loads(found[1])["pictures"]}


def test_every_picture_is_there_with_what_was_said_of_it(chain):
    """Done, flagged and failed pictures, each with its link, small copies and reasons."""
    draw("in/good <b>.png", 35)
    draw("in/small.png", 6)
    Path("in/torn.png").write_bytes(Path("in/small.png").read_bytes()[:80])
    bgkit.remove_many("in", "out", chain, report="run.html", workers=1)
    shots = read_sheet("run.html")
    good, small, torn = (shots[f"in/{name}.png"] for name in ("good <b>", "small", "torn"))
    assert (good["status"], good["reasons"], good["output"]) == ("done", [], "out/good <b>.png")
    assert small["reasons"] == ["subject"] and "look" not in small["flags"][0]
    assert torn["status"] == "failed" and "torn.png" in torn["error"] and not torn["result"]
    assert all(
        shot[side].startswith("data:image/webp;base64,") for shot in (good, small) for side in ("picture", "result")
    )
    assert "<b>" not in Path("run.html").read_text(encoding="utf-8")


def test_a_resumed_batch_keeps_what_the_page_showed(chain):
    """Skipped pictures keep their entries of the run before; new ones are added."""
    draw("in/a.png", 35)
    bgkit.remove_many("in", "out", chain, report="run.html", workers=1)
    first = read_sheet("run.html")["in/a.png"]
    draw("in/b.png", 35)
    bgkit.remove_many("in", "out", chain, report="run.html", workers=1)
    shots = read_sheet("run.html")
    assert shots["in/a.png"] == first
    assert shots["in/b.png"]["status"] == "done"


def test_a_stopped_batch_has_its_page(chain):
    """The page is written with what was done until then, and says that pictures are missing."""
    with pytest.raises(KeyboardInterrupt), open_report(Path("run.html"), Work(chain)):
        raise KeyboardInterrupt
    assert read_sheet("run.html") == {}
    assert "stopped before its end" in Path("run.html").read_text(encoding="utf-8")
    with open_report(Path("run.html"), Work(chain)):
        pass
    assert "stopped before its end" not in Path("run.html").read_text(encoding="utf-8")


def test_a_page_that_cannot_be_written_is_told_before_the_first_picture(chain):
    """A missing folder ends the batch before it begins."""
    draw("in/a.png", 35)
    with pytest.raises(PlanError, match=r"no/run\.html: the report cannot be written"):
        bgkit.remove_many("in", "out", chain, report="no/run.html", workers=1)
    assert not Path("out").exists()


def test_an_older_page_of_another_kind_is_replaced(chain):
    """What is no contact sheet has no pictures to keep."""
    Path("run.html").write_text("<p>mine</p>")
    with open_report(Path("run.html"), Work(load_pipeline("fast"))):
        pass
    assert read_sheet("run.html") == {}


@pytest.mark.skipif(CHROMIUM is None, reason="no Chromium to open the page with")
def test_the_page_in_a_browser(chain):
    """Groups in order, the filter, and no overflow at 420 px; nothing is asked of the network."""
    playwright = pytest.importorskip("playwright.sync_api")
    draw("in/good.png", 35)
    draw("in/small.png", 6)
    bgkit.remove_many("in", "out", chain, report="run.html", workers=1)
    with playwright.sync_playwright() as player:
        browser = player.chromium.launch(executable_path=CHROMIUM, args=CHROMIUM_FLAGS)
        page = browser.new_page(viewport={"width": 420, "height": 800})
        asked: list[str] = []
        page.on("request", lambda request: asked.append(request.url))
        page.on("pageerror", lambda error: pytest.fail(str(error)))
        page.goto(Path("run.html").absolute().as_uri())
        assert page.locator("h2").all_inner_texts() == ["Flagged: subject", "Nothing flagged"]
        assert page.locator("h1").inner_text() == "2 pictures: 0 failed, 1 flagged"
        page.fill("#filter", "good")
        assert page.locator(".shot").count() == 1
        page.select_option("#ground", "black")
        assert page.locator(".view.black img").count() == 1
        assert page.evaluate("document.documentElement.scrollWidth") <= 420
        browser.close()
    assert [url for url in asked if not url.startswith(("file:", "data:"))] == []
