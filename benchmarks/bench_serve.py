"""The server under load: requests a second and latency by number of clients, beside the bare pipeline and rembg's.

    python -m benchmarks.bench_serve [--quick] [--seconds N] [--requests N] [--rembg VENV] [--write]

Clients are threads that post one photograph (0.26 MP, JPEG) again and again to a server in a process of its own on
the loopback address. "Bare" is the same pipeline on the same bytes, read, run and written in this process with all
threads, half of it before and half after each of the server's rows: the last column is the share of its rate that is
left. `--rembg` names a virtual environment with `rembg[cpu,cli]`; its server runs bgkit's embedded network in its
custom-model session, and each of its rows comes right after bgkit's. Then a small picture (0.01 MP) is sent again and
again, with the memory of server and worker between. `--write` puts both tables into docs/how-to/serving.md.
"""

from __future__ import annotations

import argparse
import concurrent.futures
import io
import os
import signal
import socket
import subprocess
import sys
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
from benchmarks.pages import fill
from bgkit.imagefile import write_picture
from bgkit.machine import machine

ROOT = Path(__file__).resolve().parents[1]
PIPELINE = "fast"


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


def remembered(url: str, server: int, count: int) -> list[str]:
    """Return the table of memory over many requests."""
    lines = ["| requests | MB of server and worker |", "|---|---|"]
    small = bytes(cv2.imencode(".jpg", cv2.resize(data.astronaut(), (100, 100), interpolation=cv2.INTER_AREA))[1])
    with httpx.Client(timeout=300) as client:
        for done in range(count + 1):
            if done in {count // 50, *(count * part // 5 for part in range(6))} - {0}:
                lines.append(f"| {done} | {resident(server)} |")
                print(lines[-1], flush=True)
            client.post(url, content=small).raise_for_status()
    return lines


def resident(process: int) -> int:
    """Return the resident megabytes of a process and its children."""
    told = subprocess.check_output(["ps", "-o", "rss=", "--pid", str(process), "--ppid", str(process)], text=True)
    return sum(map(int, told.split())) // 1024


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--seconds", type=float, default=0)
    parser.add_argument("--requests", type=int, default=0, help="of the look at the memory")
    parser.add_argument("--rembg", metavar="VENV", help="a virtual environment with rembg[cpu,cli]")
    parser.add_argument("--write", action="store_true", help="put the tables into docs/how-to/serving.md")
    options = parser.parse_args()
    seconds, count = (
        options.seconds or (4 if options.quick else 20),
        options.requests or (50 if options.quick else 5000),
    )
    loads = [os.getloadavg()[0]]
    port, other = free_port(), free_port()
    command = [sys.executable, "-m", "bgkit", "serve", "--port", str(port), "--queue", "64", "-p", PIPELINE]
    with ExitStack() as stack:
        began = time.perf_counter()
        server = stack.enter_context(serving(command, port, "/health"))
        start = f"`/health` answers {time.perf_counter() - began:.1f} s after the start"
        url, peer = f"http://127.0.0.1:{port}/v1/remove", ""
        if options.rembg:
            stack.enter_context(
                serving([f"{options.rembg}/bin/rembg", "s", "--host", "127.0.0.1", "--port", str(other)], other, "/api")
            )
            network = ROOT / "bgkit" / "models" / "weights" / "coarse.onnx"
            peer = f"http://127.0.0.1:{other}/api/remove?" + urlencode({"extras": f'{{"model_path": "{network}"}}'})
        table = compared(photograph(), url, peer, seconds)
        loads.append(os.getloadavg()[0])
        memory = remembered(url, server.pid, count)
    loads.append(os.getloadavg()[0])
    where = machine()
    busy = "Load averages before, between and after: " + ", ".join(f"{each:.1f}" for each in loads)
    how = f"Measured on {where['processor']}, {where['cores']} cores. {busy}"
    text = "\n".join([f"{how}; {start}.", "", *table, "", "Memory, one client with a picture of 0.01 MP:", "", *memory])
    print(text)
    if options.write:
        page = ROOT / "docs" / "how-to" / "serving.md"
        page.write_text(fill(page.read_text("utf-8"), {"serving": text}), "utf-8")


if __name__ == "__main__":
    main()
