"""Deadlines: work on a picture ends when it has taken long enough, and the step is named."""

from __future__ import annotations

import os
import textwrap
import time

import cv2
import numpy as np
import pytest
from click.testing import CliRunner
from conftest import ROOT
from onnx import TensorProto, helper
from onnx_files import value, with_card, write

import bgkit
from bgkit.batch.engines.local import Lasting
from bgkit.batch.jobs import Job, Work
from bgkit.cli import app
from bgkit.deadline import check, limited
from bgkit.errors import DeadlineError, ParamError
from bgkit.pipelinefile import load_pipeline, read_pipeline


@pytest.fixture
def endless(tmp_path) -> str:
    """A network that goes round a loop 2^62 times."""
    flag, number = (
        helper.make_tensor_value_info(name, kind, []) for name, kind in (("go", TensorProto.BOOL), ("n", 7))
    )
    body = helper.make_graph(
        [
            helper.make_node("Identity", ["go"], ["on"]),
            helper.make_node("Mul", ["state", "state"], ["next"]),
        ],
        "body",
        [number, flag, value("state", [1, 1, 8, 8])],
        [helper.make_tensor_value_info("on", TensorProto.BOOL, []), value("next", [1, 1, 8, 8])],
    )
    nodes = [
        helper.make_node("Gather", ["image", "zero"], ["first"], axis=1),
        helper.make_node("Loop", ["count", "yes", "first"], ["mask"], body=body),
    ]
    weights = {"zero": np.array([0], np.int64), "count": np.array(1 << 62, np.int64), "yes": np.array(True)}
    path = write(
        tmp_path / "endless.onnx", nodes, [value("image", [1, 3, 8, 8])], [value("mask", [1, 1, 8, 8])], weights
    )
    return with_card(path, "size = 8")


def picture(folder, name="a.png"):
    path = folder / name
    path.parent.mkdir(exist_ok=True)
    cv2.imwrite(str(path), np.full((16, 16, 3), 200, np.uint8))
    return path


def test_an_endless_network_is_stopped(endless, capfd):
    """The library's deadline reaches into ONNX Runtime, which says nothing on its own; the error names the step."""
    chain = read_pipeline(f"bgkit: 1\nstages: [cnn_mask: {{model: '{endless}'}}, composite]\n")
    with pytest.raises(DeadlineError, match=r"^cnn_mask: stopped, because the picture took longer than 0.5 s"):
        bgkit.remove(np.zeros((16, 16, 3)), chain, timeout=0.5)
    assert capfd.readouterr().err == ""


def test_a_film_with_an_endless_network(endless, tmp_path):
    """The process that does its frames has stopped by itself, and has not died; the step is named, exit status 1."""
    picture(tmp_path / "in", "0.png")
    (tmp_path / "p.yaml").write_text(f"bgkit: 1\nstages: [cnn_mask: {{model: '{endless}'}}, composite]\n")
    args = ["video", str(tmp_path / "in"), "-o", str(tmp_path / "out"), "-p", str(tmp_path / "p.yaml")]
    result = CliRunner().invoke(app, [*args, "--timeout", "0.5"])
    assert result.exit_code == 1, result.output
    assert "frame 1 (0:00.00): cnn_mask: stopped, because the picture took longer than 0.5 s" in result.stderr


def test_the_session_is_good_after_a_stop(endless):
    """Stopping one run does not stop the next: it runs into its own deadline."""
    chain = read_pipeline(f"bgkit: 1\nstages: [cnn_mask: {{model: '{endless}'}}]\n")
    for seconds in (0.3, 0.6):
        with pytest.raises(TimeoutError, match=f"{seconds} s"):
            chain.run(np.zeros((16, 16, 3)), timeout=seconds)


def test_a_slow_stage_is_named(scene):
    """A stage that cannot be stopped is named when it is done; no stage after it begins."""
    seen = []
    chain = read_pipeline("bgkit: 1\nstages: [luv_threshold, opening, composite]\n")
    with pytest.raises(DeadlineError, match=r"^opening: stopped"):
        chain.run(
            scene[0], timeout=4.0, on_step=lambda step, layers, seconds: (seen.append(step.name), time.sleep(4.0))
        )
    assert seen == ["luv_threshold"]


def test_of_two_deadlines_the_earlier_counts():
    """A longer deadline inside a shorter one gives no more time; outside of both there is none."""
    with limited(0.01), limited(60):
        time.sleep(0.02)
        with pytest.raises(DeadlineError, match=r"0.01 s"):
            check()
    check()


@pytest.mark.parametrize("seconds", [0, -1, float("nan")])
def test_wrong_deadlines(seconds, scene):
    """No time at all is a mistake."""
    with pytest.raises(ParamError, match="timeout: expected seconds above 0"):
        bgkit.remove(scene[0], "fast", timeout=seconds)
    with pytest.raises(ParamError, match="timeout: expected seconds above 0"):
        Work(load_pipeline("fast"), timeout=seconds).check()


STAGE = """
    import time
    from bgkit.stage import stage

    @stage(gives="mask")
    def sleepy(image):
        "Sleep where the picture is dark."
        if image.mean() < 0.2:
            time.sleep(1000)
        return image[..., 0].copy()
"""


@pytest.fixture
def sleepy(tmp_path, monkeypatch):
    """Another package's stage that never comes back from some pictures."""
    site = tmp_path / "site"
    (site / "sleepy-1.dist-info").mkdir(parents=True)
    (site / "sleepy-1.dist-info" / "METADATA").write_text("Metadata-Version: 2.1\nName: sleepy\nVersion: 1\n")
    (site / "sleepy-1.dist-info" / "entry_points.txt").write_text("[bgkit.stages]\nsleepy = sleepy_stage:sleepy\n")
    (site / "sleepy_stage.py").write_text(textwrap.dedent(STAGE))
    monkeypatch.syspath_prepend(str(site))
    path = os.pathsep.join([str(site), str(ROOT), os.environ.get("PYTHONPATH", "")])
    monkeypatch.setenv("PYTHONPATH", path)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "p.yaml").write_text("bgkit: 1\nstages: [sleepy, composite: {background: white}]\n")


@pytest.mark.parametrize("workers", ["1", "2"])
def test_a_worker_that_hangs_is_ended(sleepy, tmp_path, workers):
    """The picture fails with the step's name, once; the others are done."""
    for name in ("a", "b", "c"):
        picture(tmp_path / "in", f"{name}.png")
    cv2.imwrite(str(tmp_path / "in" / "b.png"), np.zeros((16, 16, 3), np.uint8))
    args = ["remove", "in", "-o", "out", "-p", "p.yaml", "--timeout", "6", "--workers", workers]
    result = CliRunner().invoke(app, args)
    assert result.exit_code == 1, result.output
    assert "in/b.png: sleepy: stopped, because the picture took longer than 6 s" in result.stderr
    assert sorted(path.name for path in (tmp_path / "out").glob("*.png")) == ["a.png", "c.png"]


def test_a_watch_does_not_hang(sleepy, tmp_path):
    """A picture that takes too long fails with the step's name, and those before and after it are done."""
    for name in ("a", "b", "c"):
        picture(tmp_path / "in", f"{name}.png")
    cv2.imwrite(str(tmp_path / "in" / "b.png"), np.zeros((16, 16, 3), np.uint8))
    args = ["watch", "in", "-o", "out", "-p", "p.yaml", "--timeout", "5", "--once", "--settle", "0", "--every", "0.02"]
    result = CliRunner().invoke(app, args)
    assert result.exit_code == 1, result.output
    assert "FAILED  b.png: sleepy: stopped, because the picture took longer than 5 s" in result.stderr
    assert sorted(path.name for path in (tmp_path / "out").glob("*.png")) == ["a.png", "c.png"]


def test_a_comparison_does_not_hang(sleepy, tmp_path):
    """A picture that takes too long is listed among the problems with the step's name."""
    picture(tmp_path / "in", "a.png")
    cv2.imwrite(str(tmp_path / "in" / "b.png"), np.zeros((16, 16, 3), np.uint8))
    args = ["compare", "-p", "p.yaml", "--images", "in", "-o", "report", "--timeout", "5", "--workers", "1"]
    result = CliRunner().invoke(app, args)
    assert result.exit_code == 1, result.output
    assert "in/b.png: sleepy: stopped, because the picture took longer than 5 s" in result.stderr
    assert (tmp_path / "report/report.html").exists()


def test_a_worker_that_dies_twice(sleepy, tmp_path):
    """A lasting worker is started anew for a picture that killed it, once; the next picture finds another."""
    (tmp_path / "site/sleepy_stage.py").write_text(
        textwrap.dedent(STAGE).replace("time.sleep(1000)", "__import__('os')._exit(3)")
    )
    good = picture(tmp_path / "in", "a.png")
    cv2.imwrite(str(tmp_path / "in/b.png"), np.zeros((16, 16, 3), np.uint8))
    work = Work(load_pipeline("p.yaml"), timeout=60)
    with Lasting() as worker:
        dead = worker.run(Job(tmp_path / "in/b.png", tmp_path / "b.png", "b.png"), work)
        done = worker.run(Job(good, tmp_path / "a.png", "a.png"), work)
    assert "the worker process died twice (exit status 3)" in dead.error
    assert done.status == "done"
