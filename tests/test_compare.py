"""``bgkit compare``: runs that go on, rankings that know noise, a report that needs nothing but itself."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from conftest import CHROMIUM, CHROMIUM_FLAGS, disk_scene

from bgkit.batch import running
from bgkit.cli import app
from bgkit.cli import compare as comparing_command
from bgkit.comparison import compare
from bgkit.comparison.agreement import boundary_distance, consensus
from bgkit.comparison.pictures import gather
from bgkit.comparison.ranking import rank
from bgkit.comparison.runs import make_variants
from bgkit.errors import ImageError, ParamError, PipelineError, PlanError
from bgkit.evaluate import open_dataset
from bgkit.imagefile import read_gray, write_picture

KEY = "bgkit: 1\nstages:\n  - luv_threshold: {tolerance: 12}\n  - composite: {background: none}\n"
COARSE = "bgkit: 1\nstages:\n  - luv_threshold: {tolerance: 60}\n"
NASTY = "a</script><b>&'#%"


def make_set(folder: Path, count: int = 3) -> None:
    """Draw scenes with truth below ``folder``, and two pipelines."""
    for kind in ("images", "truth"):
        (folder / kind).mkdir(parents=True)
    for number in range(count):
        image, alpha = disk_scene(40, 60 + number, seed=number)
        write_picture(folder / f"images/{number}.png", image)
        write_picture(folder / f"truth/{number}.png", alpha)
    (folder / "key.yaml").write_text(KEY)
    (folder / "coarse.yaml").write_text(COARSE)


@pytest.fixture
def here(tmp_path, monkeypatch):
    """An empty folder with pictures, truths and pipelines."""
    make_set(tmp_path)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture(scope="module")
def flawed(tmp_path_factory):
    """A comparison with an unreadable, two unmatched, a wrongly sized and an oddly named file, by the command."""
    folder = tmp_path_factory.mktemp("flawed")
    make_set(folder)
    (folder / "images/broken.png").write_bytes(b"no picture")
    (folder / "truth/broken.png").write_bytes((folder / "truth/0.png").read_bytes())
    shutil.copy(folder / "images/0.png", folder / "images/lonely.png")
    shutil.copy(folder / "truth/0.png", folder / "truth/orphan.png")
    shutil.copy(folder / "images/0.png", folder / "images/large.png")
    shutil.copy(folder / "truth/2.png", folder / "truth/large.png")
    for kind in ("images", "truth"):
        shutil.copy(folder / kind / "1.png", folder / kind / f"{NASTY}.png".replace("/", "∕"))
    args = ["-p", str(folder / "key.yaml"), "-p", str(folder / "coarse.yaml"), "--images", str(folder / "images")]
    args += ["--truth", str(folder / "truth"), "-o", str(folder / "report"), "--workers", "1"]
    return folder, CliRunner().invoke(app, ["compare", *args])


def told_of(folder: Path) -> dict:
    return json.loads((folder / "report/scores.json").read_text())


# The command and what it leaves


def test_flaws_are_reported_and_the_rest_done(flawed):
    """Each flawed file is named with its reason, the status is 1, and the other pictures are ranked."""
    folder, result = flawed
    assert result.exit_code == 1, result.stderr
    reasons = {(Path(each["file"]).name, each["reason"]) for each in told_of(folder)["problems"]}
    assert ("lonely.png", "no truth of this name") in reasons
    assert ("orphan.png", "truth without a picture") in reasons
    assert ("large.png", "its truth: expected the picture's 40 x 60 (rows x columns), got 40 x 62") in reasons
    assert any(name == "broken.png" and "is not a picture" in reason for name, reason in reasons)
    assert len(reasons) == 4
    assert told_of(folder)["ranking"]["mad"][0]["pictures"] == 4


def test_better_pipeline_comes_first(flawed):
    """The key with a sensible tolerance wins, and the verdict says so."""
    message = told_of(flawed[0])
    names = {each["id"]: each["name"] for each in message["pipelines"]}
    assert [names[each["name"]] for each in message["ranking"]["mad"]] == ["key", "coarse"]
    assert message["verdict"].startswith("key comes first by MAD")


def test_cost_is_told(flawed):
    """Of each pipeline the median time, by stage too, the memory, and how many pictures failed."""
    cost = next(iter(told_of(flawed[0])["cost"].values()))
    assert set(cost["stages"]) == {"luv_threshold", "composite"}
    assert cost["seconds"] > 0
    assert 20e6 < cost["memory"] < 20e9
    assert (cost["done"], cost["failed"]) == (6, 1)


def test_layers_and_thumbnails_are_there(flawed):
    """Of each result stand there alpha, cutout and, where the chain composes, the result; and thumbnails."""
    folder, _ = flawed
    key = next(each["id"] for each in told_of(folder)["pipelines"] if each["name"] == "key")
    files = {path.name for path in (folder / "report/layers" / key / "0").iterdir()}
    assert files == {"alpha.png", "cutout.png", "result.png"}
    assert (folder / "report/thumbnails/disagreement/0.webp").is_file()


def test_csv_has_a_line_for_each_result(flawed):
    """Pictures times pipelines, failed ones included."""
    lines = (flawed[0] / "report/scores.csv").read_text().splitlines()
    assert lines[0].startswith("pipeline,picture,status,mad,")
    assert len(lines) == 1 + 2 * 7


def test_page_asks_for_nothing_from_elsewhere(flawed):
    """No address in the page leads out, and its own policy forbids any request."""
    page = (flawed[0] / "report/report.html").read_text()
    assert not re.findall(r"(?:src|href|url|@import)\s*[=(]?\s*[\"']?(?:https?:)?//", page)
    assert "default-src 'none'" in page


def test_names_never_become_markup(flawed):
    """A picture's name with tags in it ends no script."""
    page = (flawed[0] / "report/report.html").read_text()
    assert page.count("</script>") == 3
    assert "<b>&" not in page


def dom(page: Path, tmp_path: Path, address: str = "") -> str:
    """The page's elements after its script has run in a browser."""
    flags = [*CHROMIUM_FLAGS, "--virtual-time-budget=3000", "--dump-dom", f"--user-data-dir={tmp_path / 'chrome'}"]
    command = [str(CHROMIUM), *flags, page.as_uri() + address]
    return subprocess.run(command, capture_output=True, text=True, timeout=100, check=True).stdout


@pytest.mark.skipif(CHROMIUM is None, reason="no Chromium to open the report with")
def test_slider_moves_in_a_browser(flawed, tmp_path):
    """An address opens the slider on its picture, at its place; all of the page is drawn."""
    folder, _ = flawed
    key = next(each["id"] for each in told_of(folder)["pipelines"] if each["name"] == "key")
    page = dom(folder / "report/report.html", tmp_path, f"#look=1|{key}|pink|30|picture")
    assert re.search(r"<dialog[^>]* open", page)
    assert "inset(0px 0px 0px 30%)" in page
    assert '<h3 id="looktitle">1</h3>' in page
    assert len(re.findall(r'<section class="picture"', page)) == 6
    assert ">tied<" in page or ">worse<" in page


ACTS = """<script>{
const hand = (kind, part) => {
  const box = $("stage").getBoundingClientRect(), at = {clientX: box.left + box.width * part, clientY: box.top + 5};
  $("stage").dispatchEvent(new PointerEvent(kind, {...at, buttons: 1, bubbles: true, pointerId: 1}));
};
$("stage").setPointerCapture = () => {};
document.querySelector("#sheet button.view").click();
setTimeout(() => {  // when the pictures are there, and with them the stage's width
  const first = $("looktitle").textContent;
  hand("pointerdown", 0.5); hand("pointermove", 0.2);
  document.body.dataset.dragged = $("after").style.clipPath;
  $("look").dispatchEvent(new KeyboardEvent("keydown", {key: "n"}));
  document.body.dataset.moved = $("looktitle").textContent !== first;
}, 500)}</script>"""


@pytest.mark.skipif(CHROMIUM is None, reason="no Chromium to open the report with")
def test_slider_obeys_mouse_and_keys(flawed, tmp_path):
    """A click on a result opens the slider, a drag moves it, a key goes on to the next picture."""
    page = (flawed[0] / "report/report.html").read_text()
    acted = tmp_path / "acted.html"
    acted.write_text(page.replace("</body>", ACTS + "</body>"))
    message = dom(acted, tmp_path)
    assert re.search(r'data-dragged="inset\(0px 0px 0px (19\.5|20|20\.5)%\)"', message)
    assert 'data-moved="true"' in message


def test_without_truth_it_says_so(here):
    """The ranking is by confidence, and the verdict calls it a prediction."""
    message = compare(["key.yaml", "coarse.yaml"], "images", "report", workers=1)
    assert message["metric"] == "confidence"
    assert "no truth" in message["verdict"]
    assert set(message["agreement"]["pictures"]) == {"0", "1", "2"}
    assert not message["problems"]


def test_consensus_is_written_at_full_size(here):
    """The consensus mask of two results, and where they differ."""
    compare(["key.yaml", "coarse.yaml"], "images", "report", workers=1)
    assert read_gray("report/layers/consensus/1/mask.png").shape == (40, 61)


def test_bar_tells_rate_and_time_left():
    """On a terminal each result moves a bar that says how quick it is and how long it will be."""
    bar = comparing_command._Bar()
    for number in (1, 2):
        bar.done(number, 4, "key: a")
    task = bar.bar.tasks[0]
    assert (task.completed, task.total) == (2, 4)
    assert re.fullmatch(r"[\d.]+(/s| s each), 0:00:0\d left", task.fields["pace"])


# Going on


def count_runs(monkeypatch) -> list[str]:
    """Note the name of each picture that is really done."""
    runs: list[str] = []
    honest = running.run_job

    def noted(job, *args):
        runs.append(job.key)
        return honest(job, *args)

    monkeypatch.setattr(running, "run_job", noted)
    return runs


def test_stopped_run_goes_on(here, monkeypatch):
    """After a stop in the middle, the same call does what is left, and only that."""
    runs = count_runs(monkeypatch)

    def stop(number, total, text):
        if number == 4:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        compare(["key.yaml", "coarse.yaml"], "images", "report", truth="truth", workers=1, on_done=stop)
    assert runs == ["0", "1", "2", "0"]
    message = compare(["key.yaml", "coarse.yaml"], "images", "report", truth="truth", workers=1)
    assert runs == ["0", "1", "2", "0", "1", "2"]
    assert len(message["results"]) == 6


def test_torn_journal_costs_one_line(here, monkeypatch):
    """A line that a kill tore is done again; the lines before and after count."""
    compare(["key.yaml"], "images", "report", workers=1)
    journal = Path("report/journal.jsonl")
    lines = journal.read_bytes().splitlines()
    journal.write_bytes(b"\n".join([*lines[:-1], lines[-1][: len(lines[-1]) // 2]]))
    runs = count_runs(monkeypatch)
    compare(["key.yaml"], "images", "report", workers=1)
    compare(["key.yaml"], "images", "report", workers=1)
    assert runs == ["2"]


def test_what_a_kill_left_behind_goes(here):
    """Files that are not whole are removed by the next run, not by one that runs at the same time."""
    left = Path("report/layers/.bgkit-1234.part")
    left.parent.mkdir(parents=True)
    left.write_bytes(b"half")
    kept = Path("report/layers/.bgkit-5678.part")

    def second(number, total, text):
        assert not left.exists()
        if not kept.exists():
            kept.write_bytes(b"at work")
            compare(["key.yaml"], "images", "report", workers=1)

    compare(["key.yaml"], "images", "report", workers=1, on_done=second)
    assert kept.exists()


def test_changed_truth_and_lost_layers_are_done_again(here, monkeypatch):
    """A result hangs on its picture, its truth and its files."""
    message = compare(["key.yaml"], "images", "report", truth="truth", workers=1)
    write_picture("truth/1.png", np.zeros((40, 61), np.float32))
    Path("report/layers", message["pipelines"][0]["id"], "2/alpha.png").unlink()
    runs = count_runs(monkeypatch)
    compare(["key.yaml"], "images", "report", truth="truth", workers=1)
    assert runs == ["1", "2"]


def test_workers_find_the_same(here):
    """Two processes give the scores that one gives."""
    one = compare(["key.yaml"], "images", "one", truth="truth", workers=1)
    two = compare(["key.yaml"], "images", "two", truth="truth", workers=2)
    by_name = [{each["picture"]: each["scores"] for each in message["results"]} for message in (one, two)]
    assert by_name[0] == by_name[1]


def test_report_inside_the_pictures_is_not_compared(here):
    """The thumbnails of an earlier run are not taken for pictures."""
    for _ in range(2):
        message = compare(["key.yaml"], "images", "images/report", workers=1)
    assert message["pictures"] == ["0", "1", "2"]


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({"output": "images"}, PlanError),
        ({"output": "key.yaml"}, PlanError),
        ({"images": "nothing"}, ImageError),
        ({"metrics": ["mat"]}, ParamError),
        ({"sweeps": ["opening.radius=1,2"]}, PipelineError),
        ({"pipelines": ["nothing.yaml"]}, PipelineError),
    ],
)
def test_wrong_wishes_stop_it_first(here, options, error):
    """Nothing is written before everything is checked."""
    given = {"pipelines": ["key.yaml"], "images": "images", "output": "report"} | options
    with pytest.raises(error):
        compare(given.pop("pipelines"), given.pop("images"), given.pop("output"), workers=1, **given)
    assert not Path("report").exists()


def test_many_problems_are_named_in_the_report(here):
    """Truths without a picture: twenty on the terminal, all of them in the report, which begins with the ranking."""
    for number in range(30):
        shutil.copy("truth/0.png", f"truth/more-{number}.png")
    options = ["-p", "key.yaml", "--images", "images", "--truth", "truth", "-o", "report", "--workers", "1"]
    result = CliRunner().invoke(app, ["compare", *options])
    assert result.exit_code == 1
    assert result.stderr.count("truth without a picture") == 20
    assert "and 10 more; the report names every one" in result.stderr
    page = Path("report/report.html").read_text("utf-8")
    assert page.count("truth without a picture") >= 30
    assert '<details><summary class="doubt">30 files with a problem' in page


# Data sets


def test_data_set_brings_its_truth(here):
    """Pictures of a known set are ranked by its own truths; a file without a partner is a problem."""
    Path("truth").rename("masks")
    shutil.copy("images/0.png", "images/alone.png")
    options = ["-p", "key.yaml", "--images", ".", "--dataset", "pairs", "-o", "report", "--workers", "1"]
    result = CliRunner().invoke(app, ["compare", *options])
    assert result.exit_code == 1
    message = told_of(here)
    assert message["scored"]
    assert message["pictures"] == ["0", "1", "2"]
    assert [Path(each["file"]).name for each in message["problems"]] == ["alone.png"]


def test_data_set_takes_no_second_truth(here):
    """A truth beside a set that has its own is refused."""
    Path("truth").rename("masks")
    with pytest.raises(PlanError, match="brings its own"):
        compare(["key.yaml"], open_dataset("pairs", "."), "report", truth="masks", workers=1)


# Variants


def test_sweeps_make_a_grid(here):
    """Two sweeps of two values give four variants; a pipeline without the stage stays as it is."""
    Path("plain.yaml").write_text("bgkit: 1\nstages:\n  - cnn_mask\n")
    variants, _ = make_variants(
        ["key.yaml", "plain.yaml"], ["luv_threshold.tolerance=5,9", "luv_threshold.softness=1,2"]
    )
    assert [variant.name for variant in variants] == [
        "key luv_threshold.tolerance=5 luv_threshold.softness=1",
        "key luv_threshold.tolerance=5 luv_threshold.softness=2",
        "key luv_threshold.tolerance=9 luv_threshold.softness=1",
        "key luv_threshold.tolerance=9 luv_threshold.softness=2",
        "plain",
    ]
    assert len({variant.id for variant in variants}) == 5


def test_equal_variants_run_once(here):
    """What does the same under another value's spelling is left out, and told."""
    variants, notes = make_variants(["key.yaml"], ["luv_threshold.tolerance=9,9.0"])
    assert len(variants) == 1
    assert "does the same" in notes[0]


@pytest.mark.parametrize("text", ["luv_threshold.tolerance", "tolerance=1", "luv_threshold.tolerance=1,,2"])
def test_sweep_that_cannot_be_read(here, text):
    """A malformed sweep says what is expected."""
    with pytest.raises(PipelineError, match=r"expected STAGE.PARAM=a,b,c"):
        make_variants(["key.yaml"], [text])


def test_variants_know_their_networks():
    """A variant names each network with checksum and license."""
    variants, _ = make_variants(["deep"])
    assert variants[0].models[0]["license"]
    assert len(variants[0].models[0]["sha256"]) == 64


# Matching


def test_gather_matches_across_folders(here):
    """A truth in another folder is matched by its last name; two pictures of one name are a problem."""
    Path("truth/deep").mkdir()
    Path("truth/0.png").rename("truth/deep/0.png")
    shutil.copy("images/1.png", "images/1.tif")
    Path("images/notes.txt").write_text("")
    samples, problems, notes = gather(Path("images"), Path("truth"))
    assert [(sample.name, sample.truth.name) for sample in samples] == [("0", "0.png"), ("2", "2.png")]
    assert sum("one of 2 files" in problem.reason for problem in problems) == 2
    assert notes == ["images/notes.txt: left out, no picture by its ending"]


# Ranking


def test_pairing_finds_what_spread_would_hide():
    """A small steady difference is told from chance though pictures differ a hundred times more."""
    hard = np.random.default_rng(0).uniform(0, 1, 40)
    steady = 0.01 + np.random.default_rng(1).normal(0, 0.002, 40)
    first, second = rank({"a": hard + steady, "b": hard}, "lower")
    assert (first.name, second.tied) == ("b", False)
    assert second.low < first.high
    assert 0.008 < second.behind_low < second.behind < second.behind_high < 0.012


def test_noise_is_not_merit():
    """Methods that differ by chance alone are tied, and share the wins."""
    rng = np.random.default_rng(2)
    first, second = rank({"a": rng.normal(0, 1, 30), "b": rng.normal(0, 1, 30)}, "higher")
    assert second.tied
    assert first.wins + second.wins == pytest.approx(1)
    assert second.wins > 0.03


def test_interval_holds_the_true_mean_as_often_as_it_says():
    """Of 200 samples of 50, about 95 % have the true mean in their interval."""
    rng = np.random.default_rng(3)
    held = 0
    for _ in range(200):
        one = rank({"a": rng.normal(5, 1, 50)}, "lower", resamples=400)[0]
        held += one.low <= 5 <= one.high
    assert 178 <= held <= 199


def test_equal_methods_share_first_place():
    """Equal values are behind by nothing and win half of the draws each."""
    first, second = rank({"a": [1, 2, 3], "b": [1, 2, 3]}, "lower")
    assert (first.wins, second.wins, second.behind, second.tied) == (0.5, 0.5, 0, True)


# Agreement


def test_outlines_three_pixels_apart():
    """A square grown by 3 px is about 3 px away, whichever comes first."""
    small, large = np.zeros((60, 80), bool), np.zeros((60, 80), bool)
    small[20:40, 30:50], large[17:43, 27:53] = True, True
    distance = boundary_distance(small, large)
    assert distance == pytest.approx(30, abs=1)  # 3 of a diagonal of 100, in per mille
    assert boundary_distance(large, small) == pytest.approx(distance)


def test_empty_masks_have_no_distance():
    """Two empty masks agree; an empty and a full outline are a diagonal apart."""
    none, some = np.zeros((5, 5), bool), np.eye(5, dtype=bool)
    assert (boundary_distance(none, none), boundary_distance(none, some)) == (0, 1000)


def test_consensus_follows_the_votes():
    """Two variants of one pipeline do not outvote another pipeline."""
    from bgkit.comparison.agreement import votes

    no, yes = np.zeros((1, 1), np.float32), np.ones((1, 1), np.float32)
    mean, _ = consensus([no, no, yes], votes(["a", "a", "b"]))
    assert mean[0, 0] == pytest.approx(0.5)
