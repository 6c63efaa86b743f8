"""``bgkit serve``: its own interface."""

from __future__ import annotations

import base64
import functools
import io
import json
import signal
import subprocess
import sys
import threading

import numpy as np
import pytest

pytest.importorskip("fastapi", reason="the extra serve is not installed")

import httpx
from PIL import Image
from serving import Server, picture_file

from bgkit.imagefile import read_gray, read_picture


@pytest.fixture(scope="module")
def server():
    with Server() as running:
        yield running


@pytest.fixture(scope="module")
def client(server):
    with httpx.Client(base_url=server.url, timeout=300) as client:
        yield client


def test_picture_as_the_body(client):
    """A picture sent as the body comes back as a PNG with transparency, and the headers say what was done."""
    answer = client.post("/v1/remove?pipeline=classical", content=picture_file())
    assert (answer.status_code, answer.headers["content-type"]) == (200, "image/png")
    alpha = read_picture(io.BytesIO(answer.content)).alpha
    assert alpha[24, 24] == 1 and alpha[2, 2] == 0
    assert answer.headers["x-bgkit-pipeline"] == "classical"
    assert answer.headers["x-bgkit-size"] == "48x48"


def test_warnings_in_a_header(client):
    """That a file holds further pictures is said; nothing is where there is nothing to say."""
    file = io.BytesIO()
    one, two = (Image.new("RGB", (48, 48), color) for color in ("white", "red"))
    one.save(file, "TIFF", save_all=True, append_images=[two])
    said, silent = (
        client.post("/v1/remove?pipeline=classical", content=content).headers["x-bgkit-warnings"]
        for content in (file.getvalue(), picture_file())
    )
    assert "holds 2 pictures" in json.loads(said)[0] and json.loads(silent) == []


def test_form_with_parameters(client):
    """A form's fields change values as --set does."""
    data = {"pipeline": "classical", "background": "#0000ff"}
    answer = client.post("/v1/remove", files={"file": picture_file()}, data=data)
    assert read_picture(io.BytesIO(answer.content)).image[2, 2] == pytest.approx([0, 0, 1])


def test_layers_as_json(client):
    """JSON brings several layers at once, and what is known of the run."""
    answer = client.post(
        "/v1/remove?pipeline=classical&layer=alpha,mask&preview=576",
        content=picture_file(),
        headers={"Accept": "application/json"},
    ).json()
    assert answer["size"] == [24, 24]
    alpha = read_gray(io.BytesIO(base64.b64decode(answer["layers"]["alpha"]["base64"])))
    assert alpha.shape == (24, 24)
    assert {"read", "write"} < set(answer["seconds"])


def test_preview_begins_at_what_has_changed(client):
    """A second preview of a picture runs its pipeline from the changed step on, and gives what a first one gives."""

    def preview(width, picture):
        query = f"pipeline=classical&preview=1000&layer=alpha&make_trimap.width={width}"
        answer = client.post(f"/v1/remove?{query}", content=picture)
        timing = dict(part.split(";dur=") for part in answer.headers["server-timing"].split(", "))
        return answer.content, float(timing["luv_threshold"]), float(timing["closed_form_matting"])

    picture, another = picture_file(), picture_file(np.ones((48, 48, 3), np.float32))
    first = preview(8, picture)
    second = preview(20, picture)
    preview(20, another)
    alone = preview(20, picture)
    assert min(first[1], alone[1]) > second[1] == 0
    assert second[2] > 0
    assert second[0] == alone[0]


@pytest.mark.parametrize(
    ("query", "status", "sentence"),
    [
        ("pipeline=clasical", 404, "did you mean 'classical'?"),
        ("pipeline=classical&make_trimap.width=900", 422, "make_trimap.width: expected 0..200"),
        ("pipeline=classical&pipelin=x", 422, "pipelin: no such field; did you mean 'pipeline'?"),
        ("pipeline=classical&layer=&layer=", 422, "layer: expected result or alpha"),
        ("pipeline=classical&layer=all", 422, "layer: expected result or alpha"),
        ("pipeline=classical&preview=0.5", 422, "preview: expected a whole number from 0, got '0.5'"),
        ("pipeline=classical&format=jpg", 409, "a jpg has no transparency"),
        ("pipeline=classical&composite.background=/etc/hostname", 422, "expected a color"),
        ("pipeline=deep&cnn_mask.model=/etc/hostname", 422, "expected the name of a network"),
        ("pipeline=deep&cnn_mask.model=corse", 404, "did you mean 'coarse'?"),
        ("pipeline=deep&cnn_mask.model=birefnet-general", 404, "is not here yet: bgkit models fetch"),
        ("pipeline=deep&cnn_mask.model=rmbg-2", 404, "is not here"),
        ("pipeline=clean-plate", 409, "needs the layer 'plate'"),
        ("pipeline=two-grounds", 409, "needs the layer 'second'"),
    ],
)
def test_wrong_fields(client, query, status, sentence):
    """What is wrong is told in the sentences of the command line, before any work."""
    answer = client.post(f"/v1/remove?{query}", content=picture_file())
    assert answer.status_code == status
    assert sentence in answer.json()["detail"]


def test_two_pipelines(client):
    """Two pipelines on one picture: a value holds for the one that has the stage."""
    query = "pipeline=classical&pipeline=fast&layer=alpha&make_trimap.width=20"
    results = client.post(f"/v1/compare?{query}", content=picture_file()).json()["results"]
    assert [each["pipeline"]["name"] for each in results] == ["classical", "fast"]
    assert all(each["layers"]["alpha"]["base64"] for each in results)


def test_yaml_with_its_mistake(client):
    """A mistake in a pipeline's YAML comes with line and column."""
    answer = client.post("/v1/check", content="bgkit: 1\nstages:\n  - opening: {radius: much}\n")
    assert (answer.status_code, answer.json()["line"]) == (422, 3)


def test_yaml_of_a_megabyte(client):
    """A pipeline longer than any is refused before it is read, which would take seconds."""
    answer = client.post("/v1/check", content="bgkit: 1\nstages:\n" + "  - opening\n" * 100_000)
    assert (answer.status_code, "at most 131072 characters" in answer.json()["detail"]) == (422, True)


def test_uploaded_background(client):
    """A background picture that is sent along lies behind the subject."""
    blue = picture_file(np.full((10, 10, 3), (0, 0, 1), np.float32))
    files = {"file": picture_file(), "background": blue}
    answer = client.post("/v1/remove?pipeline=classical", files=files)
    assert read_picture(io.BytesIO(answer.content)).image[2, 2] == pytest.approx([0, 0, 1])


def test_brought_mask(client):
    """A mask that is sent along stands in for the steps that would have made it."""
    mask = picture_file(np.zeros((48, 48), np.float32))
    answer = client.post("/v1/remove?pipeline=fast&layer=alpha", files={"file": picture_file(), "mask": mask})
    assert read_gray(io.BytesIO(answer.content)).max() == 0


def test_second_shot(client):
    """A second shot before another ground makes two-grounds run: alpha is that of the drawn disk."""
    row, col = np.mgrid[:64, :64]
    disk = np.clip(16.5 - np.hypot(row - 32, col - 32), 0, 1).astype(np.float32)
    grounds = np.float32([0.9, 0.9, 0.9]), np.float32([0.1, 0.4, 0.2])
    shots = [disk[..., None] * np.float32([0.7, 0.2, 0.1]) + (1 - disk[..., None]) * ground for ground in grounds]
    files = {"file": picture_file(shots[0]), "second": picture_file(shots[1])}
    answer = client.post("/v1/remove?pipeline=two-grounds&layer=alpha", files=files)
    assert answer.status_code == 200
    assert np.abs(read_gray(io.BytesIO(answer.content)) - disk).max() < 0.1  # the stage levels stretches the edge


def test_wrong_method(client):
    """The answer to a wrong method names all methods of the address, also where two functions share it."""
    answer = client.put("/api/remove")
    assert (answer.status_code, answer.headers["allow"]) == (405, "POST, GET")


@pytest.mark.parametrize(
    "path",
    ["/v1/stages", "/v1/pipelines", "/v1/models", "/v1/schema", "/health", "/metrics", "/", "/docs", "/openapi.json"],
)
def test_reading(client, path):
    """What can be read answers, with the security headers."""
    answer = client.get(path)
    assert answer.status_code == 200
    assert answer.headers["content-security-policy"].startswith("default-src 'none'")


def test_watched_folder(tmp_path):
    """A picture that arrives in a watched folder is done by the workers and told to the page, with its thumbnail."""
    arriving, done = tmp_path / "in", tmp_path / "out"
    arriving.mkdir()
    options = ["-p", "classical", "--watch", str(arriving), "-o", str(done)]
    with Server(*options) as running, httpx.Client(base_url=running.url, timeout=300) as client:
        (arriving / "shoe.png").write_bytes(picture_file())
        with client.stream("GET", "/v1/watch/events") as stream:
            lines = iter(stream.iter_lines())
            assert next(line for line in lines if line.startswith("event: picture"))
            message = json.loads(next(line for line in lines if line.startswith("data: "))[6:])
        assert (message["name"], message["status"], message["number"]) == ("shoe.png", "done", 1)
        assert max(read_picture(io.BytesIO(client.get(message["thumbnail"]).content)).image.shape) == 48
        assert client.get("/v1/watch").json()["counts"] == {"done": 1, "failed": 0, "flagged": 0}
        assert (done / "shoe.png").is_file()


def test_page_of_a_watch(tmp_path):
    """bgkit watch --page shows what is done, takes no pictures of others, and Ctrl-C ends both."""
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "shoe.png").write_bytes(picture_file())
    options = ["-o", "out", "-p", "classical", "--settle", "0", "--every", "0.1", "--page", "0"]
    command = [sys.executable, "-m", "bgkit", "watch", "in", *options]
    hear = functools.partial(signal.signal, signal.SIGINT, signal.SIG_DFL)  # a job in the background ignores it
    with subprocess.Popen(command, cwd=tmp_path, stderr=subprocess.PIPE, text=True, preexec_fn=hear) as process:
        late = threading.Timer(120, process.kill)  # ends the reading below, whatever happens
        late.start()
        try:
            url = next(line for line in process.stderr if "the page is at" in line).split()[-1]
            assert next(line for line in process.stderr if "shoe.png" in line)
            with httpx.Client(base_url=url.removesuffix("watch"), timeout=30) as client:
                assert client.get("/watch").status_code == 200
                assert client.get("/v1/watch").json()["pictures"][0]["name"] == "shoe.png"
                answer = client.post("/v1/remove", content=picture_file())
                assert (answer.status_code, "bgkit serve" in answer.text) == (503, True)
            process.send_signal(signal.SIGINT)
            assert "1 done" in process.stderr.read()
            assert process.wait(30) == 0
        finally:
            late.cancel()
            process.kill()


def test_nothing_watched(client):
    """Without a watched folder the wall is not there, and the answer says how to get it."""
    assert "--watch" in client.get("/v1/watch/events").json()["detail"]
