"""What is fuzzed: each target reads bytes as bgkit reads a file that somebody sent, and may raise BgkitError only.

``python tests/fuzz.py`` runs them for minutes, guided by coverage; ``test_fuzz.py`` for seconds, without.
"""

from __future__ import annotations

import gc
import importlib.util
import json
import tempfile
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
import pytest
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
            _is_line(error)


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


def _read_picture(data: bytes) -> None:
    """Through the main door, with a small limit: a mutated header must not cost the time of 200 million pixels."""
    from bgkit.imagefile import header_size, read_picture

    header_size(data)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        picture = read_picture(data, max_pixels=1_000_000)
    arrays = [picture.image] + ([] if picture.alpha is None else [picture.alpha])
    for array in arrays:
        assert array.dtype == np.float32 and array.shape[:2] == picture.image.shape[:2]
        assert np.isfinite(array).all() and array.min() >= 0 and array.max() <= 1
    assert all(note.isprintable() for note in (*picture.notes, picture.profile or ""))


def _pictures() -> list[bytes]:
    from picture_files import samples_of_formats, samples_of_other_formats

    return [*samples_of_formats().values(), *samples_of_other_formats().values()]


def _read_numbers(data: bytes) -> None:
    """As a mask, a trimap, strokes and gray, as ``remove`` takes them beside a picture."""
    from bgkit.imagefile import read_gray, read_mask, read_strokes, read_trimap

    for reader in (read_mask, read_trimap, read_strokes, read_gray):
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                samples = reader(data, max_pixels=1_000_000)
        except BgkitError:
            continue
        assert samples.ndim == 2 and np.isfinite(samples).all()
        assert set(np.unique(samples)) <= {0, 128, 255} or reader is not read_strokes


def _numbers() -> list[bytes]:
    from picture_files import png, saved, tiff, veil, wide
    from PIL import Image

    gray = np.repeat(np.uint8([[0, 128, 255]]), 9, 0)
    palette = Image.fromarray(gray // 127)
    palette.putpalette([0, 0, 0, 128, 128, 128, 255, 255, 255])
    return [
        saved(gray, "PNG"), saved(np.dstack([veil(), veil()]), "PNG"), saved(palette, "PNG", transparency=1),
        saved(palette.convert("1"), "PNG"), png(wide(1), 0), tiff(gray / np.float32(255)),
    ]  # fmt: skip


def _read_color(data: bytes) -> None:
    from bgkit.color import parse_color
    from bgkit.dialects import rembg, removebg

    text = data.decode("utf-8", "surrogateescape")
    color = parse_color(text)
    assert color is None or all(0 <= channel <= 1 for channel in color)
    for dialect in (rembg, removebg):
        try:
            background = dialect.background_of(text)
        except BgkitError:
            continue
        assert background == "none" or parse_color(background) is not None


def _colors() -> list[bytes]:
    return [b"#f00", b"#81d4fa", b"81d4faff", b"white", b"255, 0, 0, 255", b"0,0,0,0"]


def _read_fields(data: bytes) -> None:
    """As the server reads a form of its own dialect, remove.bg's and rembg's, down to the pipeline."""
    from urllib.parse import parse_qsl

    from bgkit.dialects import removebg as dialect
    from bgkit.pipelinefile import load_pipeline
    from bgkit.serve import native, rembg, removebg

    try:
        given = parse_qsl(data.decode("utf-8", "surrogateescape"), keep_blank_values=True)
    except ValueError:  # more fields than a form may have, before bgkit sees them
        return
    for form in (native.One, rembg.Form, removebg.Form):
        try:
            fields = form.read(given)
        except BgkitError as error:
            _is_line(error)
            continue
        if form is removebg.Form:
            names = ("roi", "crop", "crop_margin", "scale", "position", "add_shadow")
            values = {name: getattr(fields, name) for name in names}
            try:
                dialect.pipeline_of(load_pipeline("classical"), size=(24, 40), **values).dump()
            except BgkitError as error:
                _is_line(error)


def _fields() -> list[bytes]:
    return [
        b"pipeline=product&layer=alpha,mask&format=webp&background=%23fff&preview=9&seconds=1.5",
        b"model=u2net&a=true&af=240&ab=10&ae=10&bgc=255,0,0,255&extras=%7B%7D",
        b"roi=10%25+10%25+90%25+90%25&crop=true&crop_margin=10px+5%25&scale=80%25&position=center&bg_color=81d4fa",
    ]


def _read_upload(data: bytes) -> None:
    """As the server takes a request whose picture may be a text: the first line is its type, the rest its body."""
    import asyncio

    pytest.importorskip("fastapi", reason="serving needs bgkit[serve]")
    kind, _, body = data.partition(b"\n")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)  # Starlette leaves the file of a part without its end open
        try:
            asyncio.run(_upload(kind, body))
        finally:
            if kind.startswith(b"multipart"):
                gc.collect()


async def _upload(kind: bytes, body: bytes) -> None:
    from fastapi import Request
    from starlette.datastructures import State
    from starlette.exceptions import HTTPException

    from bgkit.imagefile import header_size
    from bgkit.serve import removebg
    from bgkit.serve.intake import reading
    from bgkit.serve.settings import Settings

    async def receive() -> dict[str, object]:
        return {"type": "http.request", "body": body, "more_body": False}

    app = type("App", (), {"state": State({"settings": Settings()})})
    headers = [(b"content-type", kind), (b"content-length", str(len(body)).encode())]
    scope = {"type": "http", "method": "POST", "path": "/", "headers": headers, "query_string": b"", "app": app}
    request = Request(scope, receive)
    try:
        async with reading(request, texts=True) as intake:
            form = removebg.Form.read(intake.fields)
            picture = await removebg._picture(request, intake, form)
            header_size(picture)
            await removebg._ground(request, intake, form)
    except HTTPException as error:
        answer = removebg.answer_error(error.status_code, str(error.detail), getattr(error, "code", ""))
        json.loads(bytes(answer.body))
        return
    _read_picture(picture)


def _uploads() -> list[bytes]:
    import base64

    from picture_files import saved, scene

    picture = saved(scene(), "PNG")
    text = base64.b64encode(picture)
    part = b'--b\r\nContent-Disposition: form-data; name="image_file"; filename="a.png"\r\n\r\n'
    return [
        b'application/json\n{"image_file_b64": "' + text + b'", "size": "auto", "bg_color": "81d4faff"}',
        b'application/json\n{"image_file_b64": "data:image/png;base64,' + text + b'"}',
        b"application/x-www-form-urlencoded\nformat=png&image_file_b64=" + text.replace(b"+", b"%2B"),
        b"multipart/form-data; boundary=b\n" + part + picture + b"\r\n--b--\r\n",
        b'application/json\n{"image_url": "https://example.org:8443/a.png"}',
    ]


def _read_film(data: bytes) -> None:
    """As a film that was stopped is resumed: two pieces and a state are there, and the journal is what was sent."""
    from bgkit.video.record import Record

    folder = _folder() / ".film.webm.bgkit"
    folder.mkdir(exist_ok=True)
    for name in ("0.mkv", "9.mkv"):
        (folder / name).touch()
    (folder / "12.npz").write_bytes(_state())
    (folder / "journal.jsonl").write_bytes(data)
    record = Record(_folder() / "film.webm", FILM)
    assert record.frames >= 0 and len(record.pieces) <= 2 and (record.previous is not None) == bool(record.frames)
    record.close(whole=False)


def _read_state(data: bytes) -> None:
    """The same, where the journal is sound and the last frame is what was sent."""
    from bgkit.video.record import Record

    folder = _folder() / ".film.webm.bgkit"
    folder.mkdir(exist_ok=True)
    for name in ("0.mkv", "9.mkv"):
        (folder / name).touch()
    (folder / "journal.jsonl").write_bytes(_films()[0])
    (folder / "12.npz").write_bytes(data)
    record = Record(_folder() / "film.webm", FILM)
    assert (record.previous is not None) == bool(record.frames)
    record.close(whole=False)


FILM = {"key": "k", "frames": 1}


def _films() -> list[bytes]:
    lines = [FILM, {"frames": 0, "count": 9, "start": 0, "end": 90, "piece": "0.mkv"}]
    lines.append({"frames": 9, "count": 3, "start": 90, "end": 120, "piece": "9.mkv"})
    return [b"".join(json.dumps(line).encode() + b"\n" for line in lines)]


@cache
def _state() -> bytes:
    import io

    memory = io.BytesIO()
    image = np.zeros((2, 3, 3), np.float32)
    np.savez(memory, image=image, alpha=image[:, :, 0])
    return memory.getvalue()


def _read_lines(data: bytes) -> None:
    """A journal is read, goes on, and is read again; so is the log of a training run, where training is installed."""
    from bgkit.files import JsonLines, read_lines

    path = _file("log.jsonl", data)
    before = read_lines(path)
    with JsonLines(path) as file:
        file.append({"epoch": 3})
    after = read_lines(path)
    assert len(after) == len(before) + 1 and after[-1] == {"epoch": 3}
    if importlib.util.find_spec("torch"):
        from bgkit.train.record import read_log, write_line

        line = {"epoch": 2, "size": 9, "loss": 0.5, "iou": 0.5, "f_max": 0.5, "mae": 0.5}
        write_line(_folder(), line)
        assert read_log(_folder())[-1] == line


def _lines() -> list[bytes]:
    line = {"epoch": 0, "size": 9, "loss": 0.5, "iou": 0.9, "f_max": 0.9, "mae": 0.1}
    log = [line, {**line, "epoch": 1, "iou": float("nan")}]
    return [b"\n".join(json.dumps(each).encode() for each in log) + b'\n{"epoch": 2, "lo']


def _read_sheet(data: bytes) -> None:
    from bgkit.batch.contact import ContactSheet
    from bgkit.batch.jobs import Job, Outcome, Work
    from bgkit.pipelinefile import load_pipeline

    sheet = ContactSheet(_file("sheet.html", data), Work(load_pipeline("classical"), "result"))
    sheet.add(Outcome(Job(_folder() / "a.jpg", _folder() / "a.png", "a.jpg"), "skipped"))
    sheet.write()


def _sheets() -> list[bytes]:
    shot = {"name": "a", "output": "a.png", "status": "done", "error": "", "reasons": {}, "flags": [], "warnings": []}
    shot |= {"seconds": 1.5, "size": [4, 5], "picture": "", "result": ""}
    return [b'<script type="application/json" id="sheet">' + json.dumps({"pictures": [shot]}).encode() + b"</script>"]


def _read_comparison(data: bytes) -> None:
    from bgkit.comparison.judging import cost, rankings, rows_as_csv
    from bgkit.comparison.runs import _read_journal

    records = [{**each, "variant": "v"} for each in _read_journal(_file("journal.jsonl", data)).values()]
    rankings(["v"], records, ["iou"])
    cost(["v"], records)
    rows_as_csv({"v": "v"}, records, ["iou"])


def _comparisons() -> list[bytes]:
    record = dict.fromkeys(("variant", "picture", "file", "error", "problem"), "v") | {"status": "done"}
    record |= {"seconds": {"read": 0.5}, "scores": {"iou": 0.9}, "signs": {}, "confidence": 0.5, "memory": 9}
    return [json.dumps({"key": "k", "record": record}).encode()]


def _read_coco(data: bytes) -> None:
    from bgkit.evaluate import coco
    from bgkit.train.coco import open_filtered
    from bgkit.train.recipe import Data

    notes, pictures = _folder() / "annotations" / "instances_val2017.json", _folder() / "val2017"
    notes.parent.mkdir(exist_ok=True)
    pictures.mkdir(exist_ok=True)
    (pictures / "a.jpg").touch()
    notes.write_bytes(data)
    try:
        open_filtered(_folder(), Data(folder=str(_folder())))
    except BgkitError as error:
        _is_line(error)
    for sample in coco.open_persons(_folder(), "here").samples:
        assert set(sample.read_truth().ravel()) <= {0, 1}


def _cocos() -> list[bytes]:
    content = {
        "images": [{"id": 1, "file_name": "a.jpg", "height": 6, "width": 8}],
        "categories": [{"id": 1, "name": "person"}],
    }
    return [
        json.dumps(content | {"annotations": [{"image_id": 1, "category_id": 1, "segmentation": drawn}]}).encode()
        for drawn in ([[2, 1, 5, 1, 5, 4, 2, 4]], {"counts": [13, 3, 3, 3, 3, 3, 20]}, {"counts": "=33000a0"})
    ]


def _read_run(data: bytes) -> None:
    from bgkit.train.exportcard import _figures_of, _made_of

    path = _file("run.json", data)
    for reader in (_made_of, _figures_of):
        try:
            reader(path)
        except BgkitError as error:
            _is_line(error)


def _runs() -> list[bytes]:
    facts = {"bgkit": "0.1.0", "torch": "2.13", "fingerprint": "0" * 64, "pictures": {"training": 9}}
    return [json.dumps(facts).encode(), json.dumps({"iou": 0.9, "mae": 0.1, "f_max": 0.9}).encode()]


def _is_line(error: BgkitError) -> None:
    message = str(error)
    assert message.isprintable() and len(message) <= 2000, f"no line for a terminal: {message!r}"


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

BINARY = (
    b"\xff" * 4,
    b"\0" * 4,
    b"\x80\0\0\0",
    b"\x7f\xff\xff\xff",
    b"IHDR",
    b"iCCP",
    b"eXIf",
    b"cICP",
    b"acsp",
    b"\xff\xd8",
)

TARGETS = {
    target.name: target
    for target in (
        Target("pipeline", _read_pipeline, _pipelines, YAML),
        Target("recipe", _read_recipe, _recipes, YAML),
        Target("card", _read_card, _cards, TOML),
        Target("graph", _read_graph, _graphs, VARINT),
        Target("journal", _read_journal, _journals, JSON),
        Target("sidecar", _read_sidecar, _sidecars, (*JSON, *YAML)),
        Target("picture", _read_picture, _pictures, BINARY),
        Target("numbers", _read_numbers, _numbers, BINARY),
        Target("color", _read_color, _colors, (b"#", b",", b" ", b"%", b"fff", b"none", b"\xd9\xa1")),
        Target("fields", _read_fields, _fields, (b"&", b"=", b"%25", b"px", b"true", b"nan", b"inf", b"%00", b"%7B")),
        Target("sheet", _read_sheet, _sheets, (*JSON, b"</script>", b'"pictures":')),
        Target("comparison", _read_comparison, _comparisons, JSON),
        Target("coco", _read_coco, _cocos, (*JSON, b'"counts"', b"1e400", b"[[1, 2, 3]]", b"-1", b"o" * 60)),
        Target("run", _read_run, _runs, JSON),
        Target("upload", _read_upload, _uploads, (*JSON, b"&", b"%2B", b"base64,", b"====", b"--b", b"\r\n", b"; ")),
        Target("film", _read_film, _films, (*JSON, b'"count"', b'"piece"', b"..", b"1e400")),
        Target(
            "state", _read_state, lambda: [_state()], (b"PK\1\2", b"PK\5\6", b"'descr': ", b"|O", b"<f4", b"image.npy")
        ),
        Target("lines", _read_lines, _lines, (*JSON, b'"epoch"', b"1e400", b"\r")),
        Target("values", _read_values, _values, (b"=", b"#", b".", b",", b"nan", b"inf")),
    )
}
