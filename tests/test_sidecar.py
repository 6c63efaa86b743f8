"""The sidecar of a result: what made it, and that the same is made again from it."""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path

import cv2
import numpy as np
import pytest
from click.testing import CliRunner
from conftest import disk_scene

import bgkit
from bgkit.batch import running
from bgkit.batch.jobs import Job, Work
from bgkit.batch.running import run_job
from bgkit.cli import app
from bgkit.pipelinefile import load_pipeline, read_pipeline


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    """Each test works in an empty folder with two pictures of 16 bits and a plate."""
    monkeypatch.chdir(tmp_path)
    for number in range(2):
        image, _ = disk_scene(90, 120, seed=number)
        path = Path(f"in/{number}.png")
        path.parent.mkdir(exist_ok=True)
        cv2.imwrite(str(path), np.rint(image[..., ::-1] * 65535).astype(np.uint16))
    cv2.imwrite("plate.png", np.full((90, 120, 3), 230, np.uint8))


def remove(*args: str, status: int = 0) -> str:
    result = CliRunner().invoke(app, ["remove", *args])
    assert result.exit_code == status, result.stderr
    return result.stderr


def digest(path: str) -> str:
    return hashlib.sha256(Path(path).read_bytes()).hexdigest()


def test_all_that_a_repeat_needs():
    """Hashes of picture, plate and result, the pipeline, its networks, versions, provider, seconds and findings."""
    values = ["--set", "make_trimap.width=9", "--plate", "plate.png"]
    remove(
        "in", "-o", "out", "-p", "auto", *values, "--sidecar", "--workers", "1", "--set", "luv_threshold.tolerance=14"
    )
    message = json.loads(Path("out/0.png.json").read_text())
    assert (message["input"], message["output"], message["status"]) == ("in/0.png", "out/0.png", "done")
    assert message["input_sha256"] == digest("in/0.png") and message["output_sha256"] == digest("out/0.png")
    assert message["brought"] == {"plate": {"file": "plate.png", "sha256": digest("plate.png")}}
    pipeline = load_pipeline("auto", {"make_trimap.width": "9", "luv_threshold.tolerance": "14"})
    assert message["digest"] == pipeline.digest() == read_pipeline(message["pipeline_yaml"]).digest()
    (model,) = message["models"].values()
    assert model["sha256"] and model["provider"] == "cpu"
    assert {"python", "numpy", "opencv-python-headless", "onnxruntime"} <= set(message["versions"])
    assert message["bgkit"] == bgkit.__version__ and message["threads"] >= 1
    assert set(message["seconds"]) >= {"read", "cnn_mask", "composite", "write"}


@pytest.mark.parametrize("pipeline", ["auto", "product"])
def test_a_result_is_repeated_bit_for_bit(pipeline, monkeypatch):
    """From its sidecar alone, in another process's stead, with another number of threads, whatever defaults are now."""
    remove("in", "-o", "out", "-p", pipeline, "--set", "composite.shadow_strength=0.8", "--sidecar", "--workers", "2")
    for name in ("0.png", "1.png"):
        message = json.loads(Path(f"out/{name}.json").read_text())
        monkeypatch.setenv("BGKIT_THREADS", "3")
        remove(message["input"], "-p", f"out/{name}.json", "-o", f"again/{name}")
        assert message["output_sha256"] == digest(f"out/{name}")
        # Pixels, not bytes: among some hundreds of large PNGs the compressor chose another equal match once.
        again, first = (cv2.imread(f"{where}/{name}", cv2.IMREAD_UNCHANGED) for where in ("again", "out"))
        assert again.dtype == np.uint16 and np.array_equal(again, first)


def test_a_result_without_its_sidecar_is_made_again():
    """A kill came between the two; without --sidecar such a result is complete."""
    remove("in", "-o", "out", "-p", "fast", "--sidecar", "--workers", "1")
    Path("out/1.png.json").unlink()
    assert "2 skipped" in remove("in", "-o", "out", "-p", "fast")
    message = remove("in", "-o", "out", "-p", "fast", "--sidecar")
    assert "because their sidecar is missing: 1" in message and "1 done, 1 skipped" in message
    assert Path("out/1.png.json").exists()


def test_a_file_that_is_no_sidecar():
    """Told before the first picture."""
    Path("report.json").write_text("[]")
    for name, why in (("report.json", "expected a sidecar"), ("no.json", "cannot be read: No such file")):
        assert remove("in", "-o", "out", "-p", name, status=2).startswith(f"error: {name}: {why}")


def test_a_picture_that_changes_while_it_is_read(monkeypatch):
    """It fails: its hash would be of another picture than was done."""
    real = running.read_layers

    def slow(picture, **brought):
        layers = real(picture, **brought)
        os.utime("in/0.png", (1, 1))
        return layers

    monkeypatch.setattr(running, "read_layers", slow)
    job = Job(Path("in/0.png"), Path("a.png"), "in/0.png")
    work = Work(read_pipeline("bgkit: 1\nstages: [luv_threshold, composite]\n"), sidecar=True)
    outcome = run_job(job, work)
    assert (outcome.status, outcome.error) == ("failed", "in/0.png: changed while it was read")
    assert not Path("a.png").exists()
