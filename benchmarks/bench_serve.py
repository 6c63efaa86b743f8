"""The server under load: requests a second and latency by number of clients, beside the bare pipeline and rembg's.

    python -m benchmarks.bench_serve rates [--seconds N] [--rembg VENV] [--write]
    python -m benchmarks.bench_serve memory [--requests N] [--write]

Clients are threads that post one photograph (0.26 MP, JPEG) again and again to a server in a process of its own on
the loopback address. "Bare" is the same pipeline on the same bytes, read, run and written in this process with all
threads, half of it before and half after each of the server's rows: the last column is the share of its rate that is
left. `--rembg` names a virtual environment with `rembg[cpu,cli]`; its server runs bgkit's embedded network in its
custom-model session, and each of its rows comes right after bgkit's. `memory` sends a small picture (0.01 MP), each
hundredth to `fast` and the others with a mask to a pipeline of milliseconds, and looks at the resident memory of server
and worker in between.
`--write` puts the table into docs/how-to/serving.md.
"""

from __future__ import annotations

import argparse
import concurrent.futures
import io
import itertools
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from urllib.parse import urlencode

import cv2
import httpx
import numpy as np
from skimage import data

import bgkit
from benchmarks.pages import write
from bgkit.imagefile import write_picture
from bgkit.machine import machine

ROOT = Path(__file__).resolve().parents[1]
PIPELINE = "fast"
RARE = 100  # of so many requests of the look at the memory one goes to the pipeline, which takes many times as long


def photograph() -> bytes:
    """A JPEG of 512 x 512."""
    return bytes(cv2.imencode(".jpg", cv2.cvtColor(data.astronaut(), cv2.COLOR_RGB2BGR))[1])


def bare(picture: bytes, seconds: float) -> float:
    """Return pictures a second of the pipeline alone."""
    pipeline = bgkit.load_pipeline(PIPELINE)
    count, started = 0, time.perf_counter()
    while time.perf_counter() - started < seconds:
        write_picture(io.BytesIO(), bgkit.remove(picture, pipeline).result)
        count += 1
    return count / (time.perf_counter() - started)


def load(url: str, picture: bytes, clients: int, seconds: float, fields: dict[str, str]) -> tuple[list[float], float]:
    """Let ``clients`` post for some seconds; return how long each answer took, and all of it till the last.

    A full queue is tried again.
    """
    began = time.perf_counter()
    end = time.perf_counter() + seconds

    def post(_: int) -> list[float]:
        took = []
        with httpx.Client(timeout=300) as client:
            while not took or time.perf_counter() < end:
                started = time.perf_counter()
                answer = client.post(url, files={"file": ("a.jpg", picture)}, data=fields)
                while answer.status_code == 429:
                    time.sleep(0.05)
                    answer = client.post(url, files={"file": ("a.jpg", picture)}, data=fields)
                answer.raise_for_status()
                took.append(time.perf_counter() - started)
        return took

    with concurrent.futures.ThreadPoolExecutor(clients) as pool:
        answers = [each for took in pool.map(post, range(clients)) for each in took]
    return answers, time.perf_counter() - began


def row(name: str, clients: int, answers: tuple[list[float], float], rate: float | None) -> str:
    """Return one line of the table."""
    took, seconds = answers
    p50, p95, p99 = (1000 * float(np.percentile(took, each)) for each in (50, 95, 99))
    share = f"{len(took) / seconds / rate:.0%}" if rate else ""
    return f"| {name} | {clients} | {len(took) / seconds:.1f} | {p50:.0f} | {p95:.0f} | {p99:.0f} | {share} |"


@contextmanager
def serving(command: list[str], port: int, path: str) -> Iterator[subprocess.Popen[str]]:
    """Start a server and wait until it answers."""
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, text=True) as server:
        try:
            while True:
                try:
                    httpx.get(f"http://127.0.0.1:{port}{path}", timeout=60)
                    break
                except httpx.TransportError:
                    if server.poll() is not None:
                        raise SystemExit(f"{' '.join(command)}: ended with {server.returncode}") from None
                    time.sleep(0.05)
            yield server
        finally:
            server.send_signal(signal.SIGTERM)


def free_port() -> int:
    """Return a port that nobody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as opened:
        return int(opened.getsockname()[1])


def command_of(port: int) -> list[str]:
    """Return the command that starts a server."""
    return [sys.executable, "-m", "bgkit", "serve", "--port", str(port), "--queue", "64", "-p", PIPELINE]


def compared(picture: bytes, url: str, rembg: str, seconds: float) -> list[str]:
    """Return the table of rates and latencies."""
    lines = ["| | clients | pictures/s | p50 ms | p95 ms | p99 ms | of bare |", "|---|---|---|---|---|---|---|"]
    fields = {"model": "u2net_custom"}
    load(url, picture, 1, 0.01, {})
    if rembg:
        load(rembg, picture, 1, 0.01, fields)
    bare(picture, 1)
    for clients in (1, 2, 8, 32):
        rate = bare(picture, seconds / 2)
        measured = load(url, picture, clients, seconds, {})
        rate = (rate + bare(picture, seconds / 2)) / 2
        lines.append(row("bgkit serve", clients, measured, rate))
        print(lines[-1], flush=True)
        if rembg:
            lines.append(row("rembg s", clients, load(rembg, picture, clients, seconds, fields), None))
            print(lines[-1], flush=True)
    return lines


def resident(process: int) -> int:
    """Return the resident megabytes of a process and its children."""
    found = subprocess.check_output(["ps", "-o", "rss=", "--pid", str(process), "--ppid", str(process)], text=True)
    return sum(map(int, found.split())) // 1024


def remembered(url: str, server: int, count: int) -> list[str]:
    """Return the table of memory over many requests of four clients."""
    lines = ["| requests | MB of server and worker |", "|---|---|"]
    small = bytes(cv2.imencode(".jpg", cv2.resize(data.astronaut(), (100, 100), interpolation=cv2.INTER_AREA))[1])
    mask = bytes(cv2.imencode(".png", np.pad(np.full((50, 50), 255, np.uint8), 25))[1])
    light = {"yaml": "bgkit: 1\nstages:\n  - luv_threshold\n  - opening\n  - composite\n"}
    with httpx.Client(timeout=300) as client, concurrent.futures.ThreadPoolExecutor(4) as pool:

        def post(number: int) -> None:
            files, fields = {"file": ("a.jpg", small)}, {}
            if number % RARE:
                files, fields = {**files, "mask": ("a.png", mask)}, light
            client.post(url, files=files, data=fields).raise_for_status()

        looks = sorted({count // 50, *(count * part // 5 for part in range(1, 6))})
        for first, last in itertools.pairwise([0, *looks]):
            list(pool.map(post, range(first, last)))
            lines.append(f"| {last} | {resident(server)} |")
            print(lines[-1], flush=True)
    return lines


def rates(seconds: float, rembg: str | None) -> list[str]:
    """Return how rates and latencies were measured, and their table."""
    port, other = free_port(), free_port()
    with ExitStack() as stack:
        began, before = time.perf_counter(), os.getloadavg()[0]
        stack.enter_context(serving(command_of(port), port, "/health"))
        start = f"`/health` answers {time.perf_counter() - began:.1f} s after the start"
        peer = ""
        if rembg:
            home = Path(stack.enter_context(tempfile.TemporaryDirectory()))  # rembg takes networks from there alone
            network = shutil.copy(ROOT / "bgkit" / "models" / "weights" / "coarse.onnx", home)
            os.environ |= {"U2NET_HOME": str(home), "BROWSER": "true"}  # or its server opens one
            command = [f"{rembg}/bin/rembg", "s", "--no-ui", "--host", "127.0.0.1", "--port", str(other)]
            stack.enter_context(serving(command, other, "/api"))
            peer = f"http://127.0.0.1:{other}/api/remove?" + urlencode({"extras": f'{{"model_path": "{network}"}}'})
        table = compared(photograph(), f"http://127.0.0.1:{port}/v1/remove", peer, seconds)
    return [f"{described(before)}; {start}.", "", *table]


def memory(count: int) -> list[str]:
    """Return how the memory was measured, and its table."""
    port, before = free_port(), os.getloadavg()[0]
    with serving(command_of(port), port, "/health") as server:
        table = remembered(f"http://127.0.0.1:{port}/v1/remove", server.pid, count)
    return [f"{described(before)}.", "", *table]


def described(before: float) -> str:
    """Return the machine, and how busy it was."""
    where = machine()
    busy = f"load average {before:.1f} before and {os.getloadavg()[0]:.1f} after"
    return f"{where['processor']}, {where['cores']} cores, {busy}"


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("what", choices=("rates", "memory"))
    parser.add_argument("--seconds", type=float, default=20, help="for each row of the rates")
    parser.add_argument("--requests", type=int, default=5000, help="of the look at the memory")
    parser.add_argument("--rembg", metavar="VENV", help="a virtual environment with rembg[cpu,cli]")
    parser.add_argument("--write", action="store_true", help="put the table into docs/how-to/serving.md")
    options = parser.parse_args()
    lines = rates(options.seconds, options.rembg) if options.what == "rates" else memory(options.requests)
    text = "\n".join(lines)
    print(text)
    if options.write:
        write(ROOT / "docs" / "how-to" / "serving.md", {options.what: text})


if __name__ == "__main__":
    main()
