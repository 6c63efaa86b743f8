"""``bgkit serve`` under load and under attack: full queues, clients that go away, workers that die, hostile uploads."""

from __future__ import annotations

import concurrent.futures
import io
import json
import os
import signal
import socket
import struct
import subprocess
import sys
import time
import zlib
from pathlib import Path
from urllib.parse import quote

import numpy as np
import pytest
from conftest import ROOT

pytest.importorskip("fastapi", reason="the extra serve is not installed")

import httpx
from serving import Server, picture_file

from bgkit.batch import crew
from bgkit.batch.jobs import NOTHING, Job, Work
from bgkit.errors import EngineError
from bgkit.imagefile import read_gray
from bgkit.pipelinefile import load_pipeline

SLOW = "pipeline=slow"  # about a second of work, in many short stages
KEY = "a-key-of-more-than-sixteen-characters"


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Pipelines of the operator's: one that takes a while."""
    folder = tmp_path_factory.mktemp("pipelines")
    steps = "\n".join(["  - opening: {radius: 60}"] * 30)
    (folder / "slow.yaml").write_text(f"bgkit: 1\nstages:\n  - luv_threshold\n{steps}\n")
    return folder


@pytest.fixture(scope="module")
def server(folder):
    options = ["--queue", "1", "--max-mb", "2", "--seconds", "300"]  # a busy machine may take that long
    with Server("--pipelines", str(folder), "-p", "classical", *options) as running:
        yield running


@pytest.fixture
def client(server):
    with httpx.Client(base_url=server.url, timeout=300) as client:
        yield client
        for _ in range(200):  # the next test finds it idle
            if client.get("/ready").json()["busy"] == 0:
                break
            time.sleep(0.05)


@pytest.fixture(scope="module")
def large():
    """A picture of many pixels and few bytes."""
    array = np.ones((1200, 1200, 3), np.float32)
    array[300:900, 300:900] = (0.8, 0.1, 0.15)
    return picture_file(array)


def children(server) -> list[int]:
    """The server's worker processes."""
    message = subprocess.check_output(["ps", "-ww", "--ppid", str(server.process.pid), "-o", "pid=,args="], text=True)
    return [int(line.split()[0]) for line in message.splitlines() if "spawn_main" in line]


def until(condition, seconds=300.0):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.02)


def busy(client) -> int:
    return client.get("/ready").json()["busy"]


def send(server, text: str | bytes, buffer: int = 0) -> socket.socket:
    """Open a connection, with a receive buffer of some bytes, and send what a client of httpx's manners would not."""
    host, port = server.url.removeprefix("http://").rstrip("/").split(":")
    line = socket.socket()
    line.settimeout(300)
    if buffer:
        line.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer)
    line.connect((host, int(port)))
    line.sendall(text.encode() if isinstance(text, str) else text)
    return line


def post_head(path: str, length: int, more: str = "") -> str:
    return f"POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {length}\r\n{more}\r\n"


def test_full_queue(server, client, large):
    """One picture is at work, one waits; of the others each is answered 429 with Retry-After, and none is lost."""
    with concurrent.futures.ThreadPoolExecutor(5) as pool:

        def post(number):
            return httpx.post(f"{server.url}v1/remove?{SLOW}&layer=mask", content=large, timeout=300)

        answers = list(pool.map(post, range(5)))
    statuses = sorted(answer.status_code for answer in answers)
    assert set(statuses) == {200, 429} and statuses.count(200) >= 2
    assert all(int(answer.headers["retry-after"]) > 0 for answer in answers if answer.status_code == 429)


def test_client_that_goes_away(server, client, large):
    """A client that hangs up takes its work with it, long before it would be done, and the process stays."""
    before = children(server)
    line = send(server, post_head(f"/v1/remove?{SLOW}&layer=mask", len(large)).encode() + large)
    until(lambda: busy(client) == 1)
    line.close()
    until(lambda: busy(client) == 0)
    assert children(server) == before
    until(lambda: any('"status": 499' in text for text in server.log))


def test_client_that_goes_away_in_its_upload(server, client):
    """It is a line of the log as any other request, and no internal error."""
    for path in ("/v1/remove", "/v1/check"):
        before = len(server.log)
        send(server, post_head(path, 1000) + "x").close()
        until(lambda start=before: any('"status": 499' in text for text in server.log[start:]))
        assert not [text for text in server.log[before:] if '"level": "error"' in text]


def test_time_limit(client, large):
    """Work that takes longer than the request allows is given up."""
    answer = client.post(f"/v1/remove?{SLOW}&layer=mask&seconds=0.1", content=large)
    assert (answer.status_code, "longer than 0.1 s" in answer.json()["detail"]) == (408, True)


def test_worker_that_dies_at_work(server, client, large):
    """A worker that is killed costs its own request one 500, and another takes its place."""
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        url = f"{server.url}v1/remove?{SLOW}&layer=mask"
        answer = pool.submit(httpx.post, url, content=large, timeout=300)
        until(lambda: busy(client) == 1)
        os.kill(children(server)[0], signal.SIGKILL)
        assert answer.result().status_code == 500
        assert "the worker process died (signal 9)" in answer.result().json()["detail"]
    assert client.post("/v1/remove", content=picture_file()).status_code == 200


def test_worker_that_dies_idle(server, client):
    """A worker that is killed while it waits is replaced, and costs nobody anything."""
    (pid,) = children(server)
    os.kill(pid, signal.SIGKILL)
    until(lambda: children(server) not in ([pid], []) and client.get("/ready").status_code == 200)
    assert client.post("/v1/remove", content=picture_file()).status_code == 200


def test_workers_that_cannot_be_started(monkeypatch, caplog, capfd):
    """Where no process can be started, what waits is refused with the reason, and the log says it once."""
    monkeypatch.setattr(crew, "PAUSE", 0.01)
    none = crew.Crew(1, 4, warm="no such pipeline")
    none.start()
    work = Work(load_pipeline("fast"), NOTHING)
    waiting = [none.submit(work, Job(picture_file(), Path(), "picture"), 60).future for _ in range(2)]
    for future in waiting:
        with pytest.raises(EngineError, match=r"a worker process died at its start \(exit status 1\)"):
            future.result(300)
    none.close()
    assert none.queued == 0
    assert [record.message.partition(",")[2] for record in caplog.records] == [" 3 times; still trying"]
    assert "no such pipeline" in capfd.readouterr().err  # what the process itself said


def test_slow_uploads_cost_no_worker(server, client):
    """Clients that send their pictures a byte at a time leave the worker to others."""
    lines = [send(server, post_head("/v1/remove", 1000) + "x") for _ in range(20)]
    started = client.get("/ready").json()
    assert (started["busy"], started["queued"]) == (0, 0)
    assert client.post("/v1/remove", content=picture_file()).status_code == 200
    for line in lines:
        line.close()


def test_slow_readers_cost_no_worker(server, client, large):
    """Clients that begin to read an answer of megabytes and stop leave the worker to others."""
    yaml = quote("bgkit: 1\nstages:\n  - luv_threshold\n")
    lines = []
    for _ in range(3):
        lines.append(send(server, post_head(f"/v1/remove?layer=image&format=bmp&yaml={yaml}", len(large)), 4096))
        lines[-1].sendall(large)
        assert lines[-1].recv(12) == b"HTTP/1.1 200"
    assert busy(client) == 0
    assert client.post("/v1/remove", content=picture_file()).status_code == 200
    for line in lines:
        line.close()


def test_end_in_good_order(folder, large):
    """SIGTERM: what runs is finished and answered, new requests are refused, the exit status is 0."""
    with (
        Server("--pipelines", str(folder)) as server,
        httpx.Client(base_url=server.url, timeout=300) as client,
        concurrent.futures.ThreadPoolExecutor(1) as pool,
    ):
        answer = pool.submit(httpx.post, f"{server.url}v1/remove?{SLOW}&layer=mask", content=large, timeout=300)
        until(lambda: busy(client) == 1)
        os.kill(server.process.pid, signal.SIGTERM)
        assert read_gray(io.BytesIO(answer.result().content)).shape == (1200, 1200)
        with pytest.raises(httpx.TransportError):
            httpx.get(f"{server.url}health")
        assert server.process.wait(300) == 0


def png(width: int, height: int, data: bytes) -> bytes:
    """A PNG that claims a size."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(data)) + chunk(b"IEND", b"")


@pytest.mark.parametrize(
    ("content", "statuses"),
    [
        (png(30000, 30000, b"\0" * 100_000), {413}),  # a decompression bomb: 900 megapixels
        (png(10, 10, b"\0" * 3_000_000), {422, 200}),  # more pixels than the head says
        (b"PK\x03\x04" + b"\0" * 100, {415}),
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", {415}),
        (picture_file()[:200], {422}),
        (picture_file() + b"PK\x03\x04<script>", {200, 422}),  # two kinds of file at once
        (b"x" * 2_100_000, {413}),  # more bytes than allowed
        (b"", {422}),
    ],
    ids=["bomb", "long", "zip", "svg", "cut", "polyglot", "bytes", "empty"],
)
def test_hostile_pictures(client, content, statuses):
    """What is no whole picture is refused with a sentence that holds no path and no traceback."""
    answer = client.post("/v1/remove", content=content)
    assert answer.status_code in statuses
    if answer.status_code != 200:
        assert "/" not in answer.json()["detail"].replace("and/or", "") and "Traceback" not in answer.text


def test_form_of_many_parts(client):
    """Ten thousand parts are refused before they are read to the end."""
    part = '--x\r\nContent-Disposition: form-data; name="a{}"\r\n\r\n1\r\n'
    body = "".join(part.format(number) for number in range(10_000)) + "--x--\r\n"
    headers = {"Content-Type": "multipart/form-data; boundary=x"}
    answer = client.post("/v1/remove", content=body.encode(), headers=headers)
    assert (answer.status_code, "Too many fields" in answer.json()["detail"]) == (400, True)


def test_chunks_without_end(server):
    """A body without a length is cut off at the limit."""

    def endless():
        for _ in range(100):
            yield b"x" * 100_000

    assert httpx.post(f"{server.url}v1/remove", content=endless()).status_code == 413


def test_flood_of_headers(server):
    """A head that does not end is refused in bounded memory."""
    line = send(server, "GET / HTTP/1.1\r\nHost: localhost\r\n")
    try:
        for number in range(2000):
            line.sendall(f"X-{number}: {'y' * 100}\r\n".encode())
        answer = line.recv(100)
    except (BrokenPipeError, ConnectionResetError):
        answer = b"HTTP/1.1 4"
    line.close()
    assert answer == b"" or answer.startswith(b"HTTP/1.1 4")


def test_policy_of_the_page(client):
    """The page compiles WASM and no text, takes scripts from here alone, and is isolated, so that WASM has threads."""
    headers = client.get("/").headers
    policy = headers["content-security-policy"]
    assert "script-src 'self' 'wasm-unsafe-eval';" in policy and "'unsafe-" not in policy
    assert headers["cross-origin-embedder-policy"] == "require-corp"
    assert headers["cross-origin-opener-policy"] == "same-origin"


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Host": "evil.example"}, 421),
        ({"Host": "localhost.evil.example"}, 421),
        ({"Host": "127.0.0.1:9"}, 200),
        ({"Origin": "https://evil.example"}, 403),
        ({"Origin": "null"}, 403),
    ],
)
def test_names_and_origins(client, headers, status):
    """Names that rebinding would use, and pages of other origins, are refused; no answer allows another origin."""
    answer = client.get("/v1/schema", headers=headers)
    assert answer.status_code == status
    assert "access-control-allow-origin" not in answer.headers


def test_background_that_names_a_file_is_refused_everywhere(client):
    """No interface reads a file of the server's by its name."""
    for url, name in (("/api/remove?bgc=/etc/passwd", "file"), ("/v1.0/removebg?bg_color=/etc/passwd", "image_file")):
        answer = client.post(url, files={name: picture_file()})
        assert answer.status_code in (400, 422) and "root:" not in answer.text
    yaml = "bgkit: 1\nstages:\n  - luv_threshold\n  - composite: {background: /etc/hostname}\n"
    assert client.post("/v1/check", content=yaml).status_code == 422


def test_log_is_json_without_pictures(server, client):
    """Each line of the log is JSON; a request's has what is needed and nothing of the picture or its name."""
    client.post("/v1/remove", files={"file": ("my-secret.png", picture_file())})
    until(lambda: any('"path": "/v1/remove"' in text for text in server.log))
    assert [text for text in server.log if not text.startswith("{")] == []
    lines = [json.loads(text) for text in server.log]
    message = [line for line in lines if line.get("path") == "/v1/remove"][-1]
    assert {"time", "request", "status", "seconds", "client"} <= set(message)
    assert not any("my-secret" in text for text in server.log)


def test_metrics(client):
    """Prometheus finds requests by route and status, and the workers."""
    client.post("/v1/remove", content=picture_file())
    text = client.get("/metrics").text
    assert 'bgkit_requests_total{route="/v1/remove",status="200"}' in text
    assert "bgkit_workers 1.0" in text
    assert 'bgkit_stage_seconds_total{stage="closed_form_matting"}' in text


@pytest.fixture(scope="module")
def locked(tmp_path_factory):
    """The address of a server that asks for a key."""
    keys = tmp_path_factory.mktemp("keys") / "keys.txt"
    keys.write_text(f"# the shop\n{KEY}\n")
    keys.chmod(0o600)
    with Server("--key", str(keys), "-p", "classical") as running:
        yield running.url


class TestKeys:
    @pytest.mark.parametrize(
        ("path", "headers", "status"),
        [
            ("v1/stages", {}, 401),
            ("v1/stages", {"X-Api-Key": "wrong"}, 401),
            ("v1/stages", {"X-Api-Key": KEY}, 200),
            ("v1/stages", {"Authorization": f"Bearer {KEY}"}, 200),
            ("metrics", {}, 401),
            ("v1.0/account", {}, 403),
            ("v1.0/account", {"X-Api-Key": KEY}, 200),
            ("", {}, 200),
            ("network.js", {}, 200),
            ("coarse.onnx", {}, 200),
            ("v1/stages", {"X-Api-Key": "\u00fc".encode()}, 401),
        ],
    )
    def test_who_may_pass(self, locked, path, headers, status):
        """What works asks for a key, in each interface's own way; page and health do not."""
        assert httpx.get(f"{locked}{path}", headers=headers).status_code == status

    def test_open_address_without_key(self):
        """An address that others reach is refused without a key, before anything listens."""
        command = [sys.executable, "-m", "bgkit", "serve", "--host", "0.0.0.0", "--port", "0"]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
        assert (done.returncode, "--no-key" in done.stderr) == (2, True)
