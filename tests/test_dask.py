"""The Dask engine with a real scheduler and real worker processes on this machine, some of which are killed."""

from __future__ import annotations

import functools
import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import cv2
import pytest
from conftest import ROOT
from minefield import DIES, PIPELINE, REFUSES, draw, install

from bgkit.batch.engines.dask import Dask
from bgkit.batch.jobs import Job, Outcome, Work
from bgkit.pipelinefile import load_pipeline

pytest.importorskip("distributed", reason='needs Dask: pip install "bgkit[dask]"')

OURS = (".bgkit.jsonl", ".bgkit.lock")


@pytest.fixture(scope="module")
def environment(tmp_path_factory):
    """What every process needs to find bgkit, the stage ``minefield`` and the store ``shop://``."""
    site = tmp_path_factory.mktemp("site")
    install(site)
    path = os.pathsep.join([str(ROOT), str(site), str(ROOT / "tests")])
    shop, home = (str(tmp_path_factory.mktemp(name)) for name in ("shop", "home"))
    return {**os.environ, "PYTHONPATH": path, "SHOP_ROOT": shop, "BGKIT_HOME": home, "PYTHONWARNINGS": "ignore"}


def schedule(environment, folder: Path) -> tuple[subprocess.Popen, str]:
    """Start ``dask scheduler`` and return it with its address."""
    file = folder / "scheduler.json"
    args = ["scheduler", "--host", "127.0.0.1", "--port", "0", "--no-dashboard", "--scheduler-file", str(file)]
    running = start("dask", *args, environment=environment)
    limit = time.monotonic() + 90
    while not file.exists() and time.monotonic() < limit:
        time.sleep(0.1)
    time.sleep(0.1)
    return running, json.loads(file.read_text())["address"]


@pytest.fixture(scope="module")
def scheduler(environment, tmp_path_factory):
    """``dask scheduler``: its address."""
    running, address = schedule(environment, tmp_path_factory.mktemp("dask"))
    yield address
    end(running)


@pytest.fixture(scope="module")
def crew():
    """The workers of all tests; those that a test killed are replaced for the next."""
    crew: list[subprocess.Popen] = []
    yield crew
    for each in crew:
        end(each)


@pytest.fixture
def workers(scheduler, crew, environment, tmp_path_factory):
    """Three times ``dask worker``."""
    crew[:] = [each for each in crew if each.poll() is None]
    while len(crew) < 3:
        place = str(tmp_path_factory.mktemp("worker"))
        args = ["worker", scheduler, "--nthreads", "1", "--no-dashboard", "--local-directory", place]
        crew.append(start("dask", *args, environment=environment))
    wait_for(scheduler, 3)
    return crew


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    """Each test works in an empty folder."""
    monkeypatch.chdir(tmp_path)
    Path("mine.yaml").write_text(PIPELINE)


def start(module: str, *args: str, environment: dict[str, str], **options) -> subprocess.Popen:
    hear = functools.partial(signal.signal, signal.SIGINT, signal.SIG_DFL)
    streams = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, **options}
    command = [sys.executable, "-m", module, *args]
    return subprocess.Popen(command, env=environment, start_new_session=True, preexec_fn=hear, **streams)


def end(running: subprocess.Popen) -> None:
    if running.poll() is None:
        os.killpg(running.pid, signal.SIGKILL)
    running.wait()


def wait_for(scheduler: str, count: int) -> None:
    code = f"from distributed import Client; Client({scheduler!r}).wait_for_workers({count}, timeout=90)"
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)


def remove(environment, *args: str) -> subprocess.Popen:
    command = ["remove", "-p", "mine.yaml", *args, "--engine", "dask"]
    return start("bgkit", *command, environment=environment, stderr=subprocess.PIPE)


def outcome(running: subprocess.Popen) -> tuple[int, str]:
    _, errors = running.communicate(timeout=150)
    return running.returncode, errors.decode()


def results(folder: str = "out") -> list[Path]:
    return sorted(path for path in Path(folder).rglob("*") if path.is_file() and path.name not in OURS)


def wait_until(count: int, running: subprocess.Popen) -> None:
    limit = time.monotonic() + 90
    while len(results()) < count and running.poll() is None and time.monotonic() < limit:
        time.sleep(0.01)


def are_whole(paths, count: int, rows: int) -> bool:
    names = sorted(path.name for path in paths)
    shapes = {cv2.imread(str(path), cv2.IMREAD_UNCHANGED).shape for path in paths}
    return names == sorted(f"{number}.png" for number in range(count)) and shapes == {(rows, rows, 4)}


def test_a_scheduler_that_is_gone_or_has_no_workers(scheduler, environment):
    """Told with what to do; nothing was touched. (The first test: no worker has been started yet.)"""
    draw(Path("in/a.png"))
    short = {**environment, "BGKIT_DASK_PATIENCE": "1"}
    status, errors = outcome(remove(short, "in", "-o", "out", "--scheduler", "tcp://127.0.0.1:9"))
    assert status == 2 and errors.startswith("error: --scheduler tcp://127.0.0.1:9: no Dask scheduler answers there")
    status, errors = outcome(remove(short, "in", "-o", "out", "--scheduler", scheduler))
    assert status == 2 and f"has no workers; start some: dask worker {scheduler}" in errors
    assert not Path("out").exists()


def test_a_worker_is_killed_midway(scheduler, workers, environment):
    """Its pictures are done by the others: every output once, none half-written; the local engine knows the journal."""
    for number in range(60):
        draw(Path(f"in/{number % 3}/{number}.png"), rows=400, cols=400)
    running = remove(environment, "in", "-o", "out", "--report", "r.jsonl", "--scheduler", scheduler)
    wait_until(12, running)
    os.killpg(workers[1].pid, signal.SIGKILL)
    assert running.poll() is None, "the batch was done before the kill"
    status, errors = outcome(running)
    assert status == 0, errors
    assert are_whole(results(), 60, 400)
    message = Counter(json.loads(line)["input"] for line in Path("r.jsonl").read_text().splitlines())
    assert len(message) == 60 and set(message.values()) == {1}
    lines = [json.loads(line) for line in Path("out/.bgkit.jsonl").read_text().splitlines() if line]
    assert Counter(line["output"] for line in lines) == {str(path.relative_to("out")): 1 for path in results()}
    local = start(
        "bgkit", "remove", "-p", "mine.yaml", "in", "-o", "out", environment=environment, stderr=subprocess.PIPE
    )
    assert "60 skipped" in outcome(local)[1]


def test_networks_stay_loaded(scheduler, workers, environment):
    """Each worker process loads a network once, and uses as many threads as its --nthreads."""
    for number in range(12):
        draw(Path(f"in/{number}.png"), rows=64, cols=64)
    Path("mine.yaml").write_text("bgkit: 1\nstages: [cnn_mask: {model: coarse}, minefield, composite]\n")
    running = remove(environment, "in", "-o", "out", "--report", "r.jsonl", "--scheduler", scheduler)
    assert outcome(running)[0] == 0
    facts = [json.loads(line)["facts"]["minefield"] for line in Path("r.jsonl").read_text().splitlines()]
    loaded = {(each["pid"], *each["networks"]) for each in facts}
    assert len(loaded) == len({each["pid"] for each in facts}) > 1
    assert {each["threads"] for each in facts} == {1}


def test_ctrl_c_leaves_a_journal_to_go_on_with(scheduler, workers, environment):
    """Status 130, no half file; the same command does the rest; with results in a store, too."""
    for number in range(40):
        draw(Path(f"in/{number}.png"), rows=400, cols=400)
    running = remove(environment, "in", "-o", "out", "--scheduler", scheduler)
    wait_until(5, running)
    os.killpg(running.pid, signal.SIGINT)
    status, errors = outcome(running)
    assert status == 130 and "the same command resumes" in errors and "Traceback" not in errors
    status, errors = outcome(remove(environment, "in", "-o", "out", "--scheduler", scheduler))
    assert status == 0 and "skipped" in errors, errors
    assert are_whole(results(), 40, 400)
    status, errors = outcome(remove(environment, "in", "-o", "shop://cuts", "--scheduler", scheduler))
    assert status == 0 and are_whole(results(environment["SHOP_ROOT"] + "/cuts"), 40, 400)


def test_an_embedded_cluster(environment):
    """Without a scheduler Dask runs here; pictures that fail or kill their worker cost no other."""
    for number in range(6):
        draw(Path(f"in/{number}.png"))
    draw(Path("in/dies.png"), DIES)
    draw(Path("in/red.png"), REFUSES)
    running = remove(environment, "in", "-o", "out", "--workers", "2", "--sidecar")
    status, errors = outcome(running)
    assert status == 1 and "6 done, 2 failed" in errors and "Traceback" not in errors, errors
    assert "failed: in/red.png: minefield: does not like red" in errors
    assert "failed: in/dies.png: the worker process died each time" in errors
    assert [path.name for path in results()] == sorted(f"{n}.png{end}" for n in range(6) for end in ("", ".json"))


def test_who_stands_beside_a_killer_is_done_all_the_same(environment):
    """Dask gives up all that waited at a process which died too often; here only the guilty are given up."""
    for number in range(4):
        draw(Path(f"in/{number}b.png"))
        draw(Path(f"in/{number}a.png"), DIES)
    status, errors = outcome(remove(environment, "in", "-o", "out", "--workers", "1"))
    assert status == 1 and "4 done, 4 failed" in errors and "Traceback" not in errors, errors
    assert [path.name for path in results()] == [f"{number}b.png" for number in range(4)]


def test_the_scheduler_is_killed_midway(environment, tmp_path):
    """Status 1 with what to do; the same command, with the local engine even, does the rest."""
    for number in range(40):
        draw(Path(f"in/{number}.png"), rows=400, cols=400)
    running, address = schedule(environment, tmp_path)
    worker = start("dask", "worker", address, "--nthreads", "1", "--no-dashboard", environment=environment)
    try:
        wait_for(address, 1)
        batch = remove({**environment, "BGKIT_DASK_PATIENCE": "8"}, "in", "-o", "out", "--scheduler", address)
        wait_until(5, batch)
        end(running)
        status, errors = outcome(batch)
        assert status == 1 and f"error: the scheduler {address} is gone; what is done is done" in errors, errors
        assert "Traceback" not in errors
    finally:
        end(worker)
        end(running)
    local = ["remove", "-p", "mine.yaml", "in", "-o", "out", "--workers", "1"]
    status, errors = outcome(start("bgkit", *local, environment=environment, stderr=subprocess.PIPE))
    assert status == 0 and are_whole(results(), 40, 400), errors


class Settled:
    """A future of Dask that says it is done; what is fetched, one try after the other, is another matter."""

    status = "finished"

    def __init__(self, *fetched):
        self.fetched = list(fetched)

    def result(self, timeout):
        if isinstance(self.fetched[0], Exception):
            raise self.fetched.pop(0)
        return self.fetched.pop(0)


def test_what_was_done_and_not_fetched_is_done_again(monkeypatch):
    """A picture is done, its worker dies before the outcome is fetched, and then so often that Dask accuses it."""
    import distributed

    job, calls = Job(Path("in/a.png"), Path("out/a.png"), "in/a.png"), []
    futures = [Settled(TimeoutError(), distributed.KilledWorker("a", None, 1)), Settled(Outcome(job, "done"))]

    class Client:
        def submit(self, function, *args, **options):
            calls.append(function.__name__)
            return futures.pop(0)

        def cancel(self, rest):
            assert not rest

    dask = Dask()
    dask.client = Client()
    for name, answer in (("_check_workers", None), ("_count", 1)):
        monkeypatch.setattr(dask, name, lambda *_, answer=answer: answer)
    monkeypatch.setattr(dask, "_next", list)
    outcomes = list(dask.run([job], Work(load_pipeline("fast"))))
    assert [each.status for each in outcomes] == ["done"]
    assert calls == ["_do", "_do_apart"]
