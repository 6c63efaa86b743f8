"""What is fuzzed: each target reads bytes as bgkit reads a file that somebody sent, and may raise BgkitError only.

``python tests/fuzz.py`` runs them for minutes, guided by coverage; ``test_fuzz.py`` for seconds, without.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from onnx_files import card_text, red_channel

from bgkit.errors import BgkitError

ROOT = Path(__file__).parent.parent


@dataclass(frozen=True)
class Target:
    """A reader, files to begin with, and words that their format is made of."""

    name: str
    read: Callable[[bytes], None]
    seeds: Callable[[], list[bytes]]
    words: tuple[bytes, ...]

    def run(self, data: bytes) -> None:
        """Read ``data``; what comes out, if anything, is a fault."""
        try:
            self.read(data)
        except BgkitError as error:
            message = str(error)
            assert message.isprintable() and len(message) <= 2000, f"no line for a terminal: {message!r}"


@cache
def _folder() -> Path:
    """Return a folder of this process for targets that read files."""
    folder = tempfile.TemporaryDirectory(prefix="bgkit-fuzz-")
    _kept.append(folder)
    return Path(folder.name)


_kept: list[tempfile.TemporaryDirectory[str]] = []


def _file(name: str, data: bytes) -> Path:
    path = _folder() / name
    path.write_bytes(data)
    return path


def _read_pipeline(data: bytes) -> None:
    from bgkit.pipelinefile import load_pipeline, read_pipeline

    pipeline = load_pipeline(_file("p.yaml", data))
    assert read_pipeline(pipeline.dump()).digest() == pipeline.digest()


def _pipelines() -> list[bytes]:
    chain = b"bgkit: 1\ndescription: no\nstages:\n  - luv_threshold: {tolerance: 1e1, colors: ['#fff', red]}\n"
    return [chain + b"checks: {touching: 0}\n", (ROOT / "bgkit/pipelines/product.yaml").read_bytes()]


def _read_recipe(data: bytes) -> None:
    from bgkit.train.recipefile import load_recipe

    load_recipe(_file("r.yaml", data))


def _recipes() -> list[bytes]:
    network = b"bgkit: 1\nnetwork: {coarse: {widths: [8, 16, 16, 24, 24]}}\nsizes: [64, 96]\nsplit: {validation: 9}\n"
    return [network, (ROOT / "bgkit/train/recipes/small.yaml").read_bytes()]


def _read_card(data: bytes) -> None:
    from bgkit.models.fitting import check_card
    from bgkit.models.graph import read_graph
    from bgkit.models.store import resolve

    path = _drawn()
    path.with_suffix(".toml").write_bytes(data)
    card, path = resolve(str(path))
    check_card(card, read_graph(path), str(path))


@cache
def _drawn() -> Path:
    return red_channel(_folder() / "drawn.onnx", (1, 3, 8, 8))


def _cards() -> list[bytes]:
    cards = sorted((ROOT / "bgkit/models/cards").glob("*.toml"), key=lambda path: path.stat().st_size)
    return [card_text("mean = [1, 2, 3]\nsize = 8\nmirror = true", 'name = "mask"').encode()] + [
        path.read_bytes() for path in cards[-2:]
    ]


def _read_graph(data: bytes) -> None:
    from bgkit.models.inferring import infer_card

    infer_card(_file("g.onnx", data))


def _graphs() -> list[bytes]:
    return [_drawn().read_bytes(), red_channel(_folder() / "other.onnx", (1, 8, 8, 3), last="Sigmoid").read_bytes()]


def _read_journal(data: bytes) -> None:
    from bgkit.batch.jobs import Job
    from bgkit.batch.journal import NAME, Journal

    output = _file("a.png", b"12345")
    _file(NAME, data)
    journal = Journal(_folder(), "digest", "result")
    journal.judge(Job(_file("a.jpg", b"123"), output, "a.jpg"))


def _journals() -> list[bytes]:
    record = {"output": "a.png", "bytes": 5, "input": "a.jpg", "stamp": [3, 4], "digest": "digest", "layer": "result"}
    return [json.dumps(record).encode() + b"\n" + json.dumps({**record, "output": "b.png"}).encode()]


def _read_sidecar(data: bytes) -> None:
    from bgkit.batch.sidecar import pipeline_of

    pipeline_of(_file("a.png.json", data))


def _sidecars() -> list[bytes]:
    return [json.dumps({"pipeline": "p", "pipeline_yaml": "bgkit: 1\nstages: [opening]\n"}).encode()]


def _read_values(data: bytes) -> None:
    from bgkit.pipelinefile import load_pipeline

    for line in data.decode("utf-8", "surrogateescape").splitlines():
        key, _, value = line.partition("=")
        load_pipeline("product", {key: value})


def _values() -> list[bytes]:
    return [
        b"luv_threshold.tolerance=20\ndense_crf#1.iterations=3\nchecks.blur=0.5\ncomposite.background=red\nframe.size=9"
    ]


HOSTILE = (
    b"\0", b"\n", b"\t", b"-", b"1", b"0", b"9" * 30, b"9" * 5000, b"1e999", b"1e-999", b"\xff", b"\xed\xa0\x80",
    b"\x1b[31m", b"\xe2\x80\xae", b"[" * 2000, b"{" * 300, b"a" * 5000, b"\\", b'"', b"'", b"null", b"true",
    b"/dev/zero", b"../",
)  # fmt: skip
YAML = (
    b"&a ", b"*a", b"<<: ", b"!!int ", b"!!python/object:os.system ", b".inf", b"-.inf", b".nan", b"2020-99-99", b"? ",
    b"- ", b": ", b"---\n", b"...\n", b"%YAML 1.1\n", b"|\n", b">\n", b"[[1], [2, 3]]", b"{}", b"[]", b"0x", b"# ",
    b'"\\ud800"', b'"\\UFFFFFFFF"', b'"\\0"', b"bgkit", b"stages", b"checks", b"@", b"`", b"\r",
    b"\xc2\x85", b"\xef\xbb\xbf",
)  # fmt: skip
TOML = (b"= ", b"[[a]]\n", b"[a.b]\n", b"inf", b"nan", b"0x", b"1979-05-27T07:32:00Z", b"'''", b"#", b"{a = 1}", b"[]")
JSON = (b"{", b"}", b"[", b"]", b'":', b"NaN", b"Infinity", b"-1", b"[[]]", b"{}", b'"\\ud800"', b"null")
VARINT = (b"\x80", b"\x7f", b"\xff" * 9 + b"\x01", b"\x0a", b"\x12", b"\x22", b"\x3a", b"\x5a", b"\x62", b"\x00")

TARGETS = {
    target.name: target
    for target in (
        Target("pipeline", _read_pipeline, _pipelines, YAML),
        Target("recipe", _read_recipe, _recipes, YAML),
        Target("card", _read_card, _cards, TOML),
        Target("graph", _read_graph, _graphs, VARINT),
        Target("journal", _read_journal, _journals, JSON),
        Target("sidecar", _read_sidecar, _sidecars, (*JSON, *YAML)),
        Target("values", _read_values, _values, (b"=", b"#", b".", b",", b"nan", b"inf")),
    )
}
