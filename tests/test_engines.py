"""Engines: one protocol, found by name; the work travels to them whole."""

from __future__ import annotations

import pickle
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from importlib.metadata import EntryPoint, EntryPoints
from pathlib import Path

import cv2
import numpy as np
import pytest

import bgkit
import bgkit.imagefile
from bgkit.batch import engines
from bgkit.batch.engines import engine_names, open_engine
from bgkit.batch.engines.local import Local
from bgkit.batch.events import Events
from bgkit.batch.jobs import Work
from bgkit.batch.planning import plan
from bgkit.batch.running import run_job
from bgkit.errors import ModelError, PlanError
from bgkit.pipelinefile import load_pipeline, read_pipeline

KEY = "bgkit: 1\nstages: [luv_threshold, composite]\nchecks: {subjects: 1}\n"


class InThreads:
    """An engine of another package, in full."""

    def __init__(self, workers: int | None = None) -> None:
        self.workers = workers or 2

    def run(self, jobs, work, events):
        with ThreadPoolExecutor(self.workers) as pool:
            yield from pool.map(lambda job: run_job(job, work), jobs)


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    """Each test works in an empty folder with three pictures and a pipeline that takes no time."""
    monkeypatch.chdir(tmp_path)
    Path("in").mkdir()
    for name in "abc":
        picture = np.full((24, 32, 3), 240, np.uint8)
        picture[6:18, 8:24] = (40, 30, 200)
        cv2.imwrite(f"in/{name}.png", picture)
    Path("key.yaml").write_text(KEY)


@pytest.fixture
def third(monkeypatch):
    """Another package brings the engine ``threads``."""
    point = EntryPoint("threads", f"{__name__}:InThreads", "bgkit.engines")
    monkeypatch.setattr("importlib.metadata.entry_points", lambda **wanted: EntryPoints([point]).select(**wanted))


def test_a_third_engine_is_a_class_and_an_entry_point(third):
    """It is found by its name, takes its settings, and does what the local engine does."""
    assert engine_names() == ["local", "dask", "threads"]
    for name in ("local", "threads"):
        done = bgkit.remove_many("in", name, "key.yaml", engine=name, workers=1)
        assert done.counts == {"done": 3} and done.ok
    for name in "abc":
        assert Path(f"local/{name}.png").read_bytes() == Path(f"threads/{name}.png").read_bytes()


def test_settings_that_an_engine_does_not_have_are_refused(third):
    """With those that it has; and an unknown engine with the nearest name."""
    with pytest.raises(PlanError, match=r"^memory: the engine 'threads' has no such setting \(it has: workers\)"):
        bgkit.remove_many("in", "out", "key.yaml", engine="threads", memory=1)
    with pytest.raises(PlanError, match=r"^no engine named 'thread'; did you mean 'threads'\?"), open_engine("thread"):
        pass
    assert not Path("out").exists()


@dataclass(frozen=True)
class MoreWork(Work):
    """Work with a field that nobody has heard of."""

    extra: str = ""


def _extra(job, layers):
    return {"subjects": layers.facts["findings"]["subjects"]["value"]}


def test_work_travels_whole():
    """Every field of the work arrives in another process, also one that is added, and every value of its pipeline."""
    pipeline = load_pipeline("studio-white", {"composite.background": "#eee"})
    work = MoreWork(pipeline, "alpha", Path("steps"), _extra, sidecar=True, extra="kept")
    again = pickle.loads(pickle.dumps(work))
    assert again == work and again.extra == "kept"
    assert again.pipeline.dump() == pipeline.dump() and again.pipeline.name == "studio-white"


def test_work_arrives_in_worker_processes():
    """What examine finds there comes back."""
    work = Work(read_pipeline(KEY), examine=_extra)
    outcomes = list(Local(2).run(plan(["in"], "out").jobs, work))
    assert [outcome.found for outcome in outcomes] == [{"subjects": 1.0}] * 3


def test_remove_many_does_what_the_command_does():
    """Journal, report, zip and review; the same call again skips what is done; events are heard in order."""
    heard = []

    class Heard(Events):
        def begin(self, count, steps):
            heard.append((count, list(steps)))

        def add(self, outcome):
            heard.append(outcome.job.name)

    Path("in/broken.png").write_bytes(b"no picture")
    wanted = {"report": "r.jsonl", "archive": "cut.zip", "workers": 1}
    done = bgkit.remove_many("in", "out", "key.yaml", values={"composite.background": "#222"}, events=Heard(), **wanted)
    assert done.counts == {"done": 3, "failed": 1} and not done.ok
    assert [outcome.job.name for outcome in done.failed] == ["in/broken.png"]
    assert heard == [(4, ["read", "luv_threshold", "composite", "write"]), *sorted(heard[1:])]
    assert (
        Path("out/a.png").is_file() and Path("cut.zip").is_file() and len(Path("r.jsonl").read_text().split("\n")) == 5
    )
    again = bgkit.remove_many(["in"], Path("out"), bgkit.load_pipeline("key.yaml"), **wanted)
    assert again.counts == {"skipped": 3, "failed": 1}
    assert any("made with another pipeline or other values: 3" in note for note in again.notes)


def test_a_file_of_the_folder_is_an_engine(tmp_path, monkeypatch):
    """Its name, written as a class is, is all that there is to declare."""
    lines = [
        "class OneByOne:",
        "    def run(self, jobs, work, events):",
        "        from bgkit.batch.running import run_job",
        "        yield from (run_job(job, work) for job in jobs)",
    ]
    (tmp_path / "one_by_one.py").write_text("\n".join(lines))
    monkeypatch.setattr(engines, "__path__", [*engines.__path__, str(tmp_path)])
    assert engine_names()[:3] == ["local", "dask", "one_by_one"]
    assert bgkit.remove_many("in", "out", "key.yaml", engine="one_by_one").counts["done"] == 3


@pytest.mark.parametrize(
    ("background", "ending"), [("none", "png"), ("none", "tif"), ("#c83", "jpg"), ("white", "webp")]
)
def test_composite_is_made_as_it_is_written(background, ending):
    """On a color or on nothing the result never takes memory as a whole, and the file is the same."""
    chain = load_pipeline("key.yaml", {"composite.background": background})
    written = bgkit.remove_many("in/a.png", f"rows.{ending}", chain)
    assert written.ok
    whole = chain.run(bgkit.imagefile.read_picture("in/a.png").image)
    whole.save(f"whole.{ending}")
    assert Path(f"rows.{ending}").read_bytes() == Path(f"whole.{ending}").read_bytes()
    left = chain.run(whole.image, keep=["result"], leave_last=True)
    assert left.result is None
    np.testing.assert_array_equal(chain.rows(left)[3:9], whole.result[3:9])


@pytest.mark.parametrize("ending", ["png", "webp"])
@pytest.mark.parametrize("background", ["none", "#c83"])
def test_foreground_is_made_as_it_is_written(background, ending):
    """Row by row of tiles, whose neighbors are fitted again, foreground and file are the same as of the whole."""
    rng = np.random.default_rng(5)
    picture = rng.random((210, 1400, 3), np.float32)
    alpha = np.clip(cv2.GaussianBlur(rng.random((210, 1400), np.float32), (0, 0), 3) * 8 - 3.6, 0, 1)
    alpha[:30] = alpha[:, 900:1000] = 0
    cv2.imwrite("in/a.png", np.rint(255 * picture[..., ::-1]))
    cv2.imwrite("alpha.png", np.rint(255 * alpha))
    Path("mixed.yaml").write_text(
        f"bgkit: 1\nstages: [luv_threshold, estimate_foreground, composite: {{background: '{background}'}}]\n"
    )
    chain = load_pipeline("mixed.yaml")
    assert bgkit.remove_many("in/a.png", f"rows.{ending}", chain, alpha="alpha.png").ok
    whole = bgkit.remove("in/a.png", chain, alpha="alpha.png")
    assert ((whole.alpha > 0.1) & (whole.alpha < 0.9)).mean() > 0.2
    whole.save(f"whole.{ending}")
    assert Path(f"rows.{ending}").read_bytes() == Path(f"whole.{ending}").read_bytes()
    left = chain.run(whole.image, alpha=whole.alpha, keep=["result"], leave_last=True)
    assert left.foreground is left.result is None
    rows = chain.rows(left)
    for top, end in ((0, 3), (60, 68), (64, 128), (5, 210), (209, 210)):
        np.testing.assert_array_equal(rows[top:end], whole.result[top:end])


@pytest.mark.parametrize("values", [{"background": "blur"}, {"shadow": "keep"}])
def test_composite_that_looks_around_is_made_whole(values):
    """A blurred ground and a shadow come from the whole picture."""
    chain = load_pipeline("key.yaml", {f"composite.{name}": value for name, value in values.items()})
    picture = bgkit.imagefile.read_picture("in/a.png").image
    assert not chain.ends_in_rows
    assert chain.run(picture, leave_last=True).result is not None


def test_own_networks_are_loaded_while_the_picture_is_read(monkeypatch):
    """Those that the pipeline runs, once; not where a mask is brought; what fails there fails when it is run."""
    asked = []

    def network(name, *, provider="cpu"):
        asked.append((name, threading.current_thread() is threading.main_thread()))
        raise ModelError("broken")

    monkeypatch.setattr("bgkit.models.session.network", network)
    monkeypatch.setattr("bgkit.batch.jobs.threads", lambda: 2)
    work = Work(load_pipeline("fast"))
    work.load_networks({"mask"})
    work.load_networks()
    for thread in set(threading.enumerate()) - {threading.main_thread()}:
        thread.join(5)
    assert asked == [("coarse", False)]
