"""Pictures and results in stores: found, read and written by URL, whole or not at all, and resumed."""

from __future__ import annotations

import io
import json
import os
import sys
from pathlib import Path

import cv2
import fsspec
import numpy as np
import pytest
from click.testing import CliRunner
from fsspec.registry import _registry
from minefield import PIPELINE, draw, install
from shop_store import Shop

from bgkit.batch import places
from bgkit.batch.places import Url, exists, list_files, place_of, read_bytes, write_bytes
from bgkit.batch.planning import plan
from bgkit.cli import app
from bgkit.errors import MissingPartError, PlanError


@pytest.fixture(autouse=True)
def here(tmp_path_factory, tmp_path, monkeypatch):
    """Each test works in an empty folder, with the stage ``minefield``, the store ``shop://`` and a home of its own."""
    site = tmp_path_factory.mktemp("site")
    install(site)
    monkeypatch.syspath_prepend(site)
    path = os.pathsep.join([str(Path(__file__).parent.parent), str(site), str(Path(__file__).parent)])
    monkeypatch.setenv("PYTHONPATH", path)
    monkeypatch.setenv("SHOP_ROOT", str(tmp_path / "store"))
    monkeypatch.setenv("BGKIT_HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)
    Path("mine.yaml").write_text(PIPELINE)
    fsspec.register_implementation("shop", Shop, clobber=True)
    memory = fsspec.filesystem("memory")
    memory.store.clear()
    memory.pseudo_dirs[:] = [""]


def remove(*args: str, status: int = 0):
    result = CliRunner().invoke(app, ["remove", "-p", "mine.yaml", *args])
    assert result.exit_code == status, result.stderr
    assert "Traceback" not in result.stderr
    return result


def upload(url: str) -> None:
    write_bytes(place_of(url), draw(Path("drawn.png")).read_bytes())


def files(folder: str) -> dict[str, bytes]:
    return {url.text: read_bytes(url) for url in list_files(Url(folder))}


def is_cutout(data: bytes) -> bool:
    picture = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    return picture is not None and picture.shape == (12, 16, 4)


def test_urls_have_the_manners_of_paths():
    """Parent, name, ending and joining are as of paths; ``file://`` is a path, and so is a name with a colon."""
    url = place_of("s3://shop/x/a.b.jpg")
    assert (url.name, url.stem, url.suffix, str(url.parent)) == ("a.b.jpg", "a.b", ".jpg", "s3://shop/x")
    assert str(url.parent / Path("y/c.png")) == "s3://shop/x/y/c.png"
    assert str(url.relative_to(Url("s3://shop"))) == "x/a.b.jpg"
    assert place_of("https://h/a.jpg?sign=x/y.z").parts[0] == "https://h"
    assert Url("https://h/a.jpg?sign=x").suffix == ".jpg"
    assert place_of("file:///x/a.jpg") == place_of("file:/x/a.jpg") == place_of("FILE://localhost/x/a.jpg")
    assert place_of("file:///x/a%20b.jpg") == Path("/x/a b.jpg")
    assert place_of("C:a.jpg") == Path("C:a.jpg")


def test_a_picture_over_http_is_not_read_for_links(monkeypatch):
    """To ask fsspec whether it is a folder would read it whole, however long it goes on."""
    monkeypatch.setattr(places, "_store", lambda url: pytest.fail("asked"))
    assert not places.is_folder(Url("http://h/a.jpg")) and not places.is_folder(Url("https://h/a.jpg?in=x/"))
    with pytest.raises(pytest.fail.Exception, match="asked"):
        places.is_folder(Url("https://h/shots/?all=1"))


class Web:
    """HTTP as fsspec has it, with one answer to everything; an endless index page where there is none."""

    def __init__(self, answer: BaseException | None = None):
        self.answer = answer

    def info(self, path):
        raise FileNotFoundError(path) from self.answer

    def isdir(self, path):
        pytest.fail("read whole")

    def open(self, path, mode):
        return open("/dev/zero", "rb")  # noqa: PTH123


@pytest.mark.skipif(not Path("/dev/zero").exists(), reason="no /dev/zero")
def test_an_index_page_without_an_end_is_refused(monkeypatch):
    """fsspec would read it whole before it looks for links."""
    monkeypatch.setattr(places, "_store", lambda url: (Web(), url.text))
    for ask in (places.is_folder, places.list_files):
        with pytest.raises(OSError, match="index page of at most 16 MiB"):
            ask(Url("http://h/shots/"))


def test_a_web_server_that_does_not_answer_is_no_missing_file(monkeypatch):
    """fsspec says of both that nothing is there."""
    monkeypatch.setattr(places, "_store", lambda url: (Web(TimeoutError()), url.text))
    with pytest.raises(OSError, match=r"cannot be reached \(TimeoutError\)"):
        places.stat_of(Url("http://h/a.jpg"))
    monkeypatch.setattr(places, "_store", lambda url: (Web(FileNotFoundError()), url.text))
    assert places.stat_of(Url("http://h/a.jpg")) is None


@pytest.mark.parametrize("store", ["memory://", "shop://"])
def test_a_folder_of_a_store(store):
    """The tree is kept, hidden names and other files are left out, and results are pictures with transparency."""
    for name in ("a.png", "x/y/b.png", ".hidden/c.png", "notes.txt"):
        upload(f"{store}in/{name}")
    reply = remove(f"{store}in", "-o", f"{store}out", "--workers", "1").stderr
    assert "left out what is no picture by its ending: 1 .txt" in reply and "2 done" in reply
    found = files(f"{store}out")
    assert sorted(found) == [f"{store}out/a.png", f"{store}out/x/y/b.png"]
    assert all(map(is_cutout, found.values()))


def test_between_stores_and_folders():
    """From a store to a folder, from a folder to a store, and by ``file://``."""
    upload("memory://in/x/a.png")
    remove("memory://in", "-o", "out", "--workers", "1")
    assert is_cutout(Path("out/x/a.png").read_bytes())
    remove("drawn.png", "-o", "memory://cuts/b.webp", "--workers", "1")
    assert files("memory://cuts")["memory://cuts/b.webp"][:4] == b"RIFF"
    remove(Path("drawn.png").absolute().as_uri(), "-o", Path("cut.png").absolute().as_uri())
    assert is_cutout(Path("cut.png").read_bytes())


def test_one_picture_by_its_file_url_is_done_again():
    """As a picture that is given by its path: the result of another picture does not stay in its place."""
    Path("cut.png").write_bytes(b"of another")
    remove(draw(Path("drawn.png")).absolute().as_uri(), "-o", "cut.png")
    assert is_cutout(Path("cut.png").read_bytes())


@pytest.mark.parametrize("url", ["file://", "file:///", "file://localhost"])
def test_file_url_without_a_path(url):
    """It does not stand for the folder that one happens to be in."""
    with pytest.raises(PlanError, match=f"^{url}: names no file"):
        place_of(url)


def test_file_urls_of_all_options(tmp_path):
    """Also of those that name a folder or a report, and of a pipeline."""
    folder = tmp_path / "a b"
    folder.mkdir()
    urls = {name: (folder / name).as_uri() for name in ("report.jsonl", "steps", "own.yaml", "cut.zip")}
    (folder / "own.yaml").write_text(PIPELINE)
    options = ["--report", urls["report.jsonl"], f"--save-steps={urls['steps']}", "--zip", urls["cut.zip"]]
    draw(Path("drawn.png"))
    remove("drawn.png", "-o", "cut.png", "-p", urls["own.yaml"], *options)
    assert {path.name for path in folder.iterdir()} == {"report.jsonl", "steps", "own.yaml", "cut.zip"}
    assert not Path("file:").exists()


def test_one_url_beside_itself_and_globs():
    """Without an output the result stands beside the picture; a glob keeps the tree below its fixed part."""
    upload("memory://in/a.png")
    upload("memory://in/x/b.png")
    upload("memory://in/y/c.png")
    remove("memory://in/a.png")
    assert exists(Url("memory://in/a-cutout.png"))
    remove("memory://in/*/*.png", "-o", "memory://out", "--workers", "1")
    assert sorted(files("memory://out")) == ["memory://out/x/b.png", "memory://out/y/c.png"]


def test_masks_from_a_store():
    """Layers that are brought may lie in a store, too."""
    upload("memory://in/a.png")
    mask = cv2.imencode(".png", 255 * np.eye(12, 16, dtype=np.uint8))[1].tobytes()
    write_bytes(place_of("memory://masks/a.png"), mask)
    remove("memory://in", "-o", "memory://out", "--mask", "memory://masks", "--workers", "1")
    assert exists(Url("memory://out/a.png"))


def test_a_batch_in_a_store_goes_on():
    """The journal lies on this machine: what stands is skipped, what was changed since or is damaged is done again."""
    for name in "abc":
        upload(f"shop://in/{name}.png")
    command = ["shop://in", "-o", "shop://out", "--workers", "1"]
    remove(*command)
    (journal,) = Path("home/journals").glob("*.jsonl")
    assert {json.loads(line)["output"] for line in journal.read_text().splitlines() if line} == {
        "a.png", "b.png", "c.png",
    }  # fmt: skip
    assert "3 skipped" in remove(*command).stderr
    draw(Path("drawn.png"), rows=30)
    write_bytes(Url("shop://in/a.png"), Path("drawn.png").read_bytes())
    write_bytes(Url("shop://out/b.png"), b"damaged")
    assert "2 done, 1 skipped" in remove(*command).stderr
    assert all(data[:4] == b"\x89PNG" for data in files("shop://out").values())


def test_workers_share_a_store():
    """Worker processes read and write by URL."""
    for number in range(4):
        upload(f"shop://in/{number}.png")
    remove("shop://in", "-o", "shop://out", "--workers", "2")
    assert len(files("shop://out")) == 4


def test_nothing_half_written_is_seen(monkeypatch):
    """Where uploads are seen while under way, a result has a temporary name until it is whole; a kill's rest goes."""
    upload("shop://in/a.png")
    names = []
    real = Shop.pipe_file

    def spy(self, path, *rest, **options):
        names.append(path)
        real(self, path, *rest, **options)

    monkeypatch.setattr(Shop, "pipe_file", spy)
    write_bytes(Url("shop://out/.bgkit-0123456789ab.part"), b"of a run that was killed")
    remove("shop://in", "-o", "shop://out", "--workers", "1")
    assert names and all(Path(name).name.startswith(".bgkit-") for name in names)
    assert list(files("shop://out")) == ["shop://out/a.png"]


def test_a_store_that_fails_on_the_way(monkeypatch):
    """A picture that cannot be read, or a result that cannot be written, fails alone, with the store's reason."""
    for name in "ab":
        upload(f"shop://in/{name}.png")
    real = Shop.open

    def refuse(self, path, *rest, **options):
        if path.endswith("b.png"):
            raise RuntimeError("503: slow\ndown")
        return real(self, path, *rest, **options)

    monkeypatch.setattr(Shop, "open", refuse)
    reply = remove("shop://in", "-o", "out", "--workers", "1", status=1).stderr
    assert "error: shop://in/b.png: cannot be read: 503: slow down" in reply and "1 done, 1 failed" in reply


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (["shop://gone", "-o", "out"], "shop://gone: no such file or folder"),
        (["shop://in/*.tif", "-o", "out"], "shop://in/*.tif: no picture has such a name"),
        (["nope://in", "-o", "out"], "nope://in: fsspec knows no store nope://"),
        (["shop://in", "-o", "shop://in"], "shop://in: is the input folder too"),
        (["shop://in/a.png", "-o", "shop://in/a.png"], "shop://in/a.png: is an input; choose another output"),
        (["shop://in", "in2", "-o", "out"], "shop://in, in2: are in different stores"),
        (["shop://in", "-o", "shop://out", "--zip", "a.zip"], "--zip a.zip: takes results from a local folder"),
        (["memory://in", "-o", "out", "--workers", "2"], "memory://in/a.png: is in the memory of this process"),
        (["zip://a.png::a.zip", "-o", "out"], "zip://a.png::a.zip: expected a plain URL"),
    ],
)
def test_wrong_urls(args, message):
    """Each is told before the first picture."""
    upload("shop://in/a.png")
    upload("memory://in/a.png")
    upload("memory://in/b.png")  # a single picture would be done in this process
    draw(Path("in2/a.png"))
    assert remove(*args, status=2).stderr.startswith(f"error: {message}")


def test_a_store_that_cannot_be_written(monkeypatch):
    """Found out with a file of no bytes, before the first picture."""
    draw(Path("in/a.png"))

    def refuse(*args, **options):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Shop, "pipe_file", refuse)
    assert "shop://out: cannot be written: Permission denied" in remove("in", "-o", "shop://out", status=2).stderr


@pytest.mark.parametrize(
    ("url", "package", "module"), [("s3://a/b.png", "s3fs", "s3fs"), ("smb://h/b.png", "smbprotocol", "smbclient")]
)
def test_a_missing_driver_is_told(url, package, module, monkeypatch):
    """With what pip must install."""
    monkeypatch.setitem(sys.modules, module, None)
    monkeypatch.delitem(sys.modules, "fsspec.implementations.smb", raising=False)
    monkeypatch.delitem(_registry, url.partition(":")[0], raising=False)
    with pytest.raises(MissingPartError, match=rf"needs a driver: pip install {package}$"):
        plan([url], "out")


def test_names_that_lead_out_of_the_folder(monkeypatch):
    """An object named ``../../x.png`` is passed over: nothing is written outside of the output folder."""
    found = {"in/../../x.png": {"size": 1}, "in/a.png": {"size": 1}}
    monkeypatch.setattr(Shop, "find", lambda *args, **options: found)
    assert [url.text for url in list_files(Url("shop://in"))] == ["shop://in/a.png"]


def test_a_server_that_does_not_rename_onto_a_file(monkeypatch):
    """The old result goes first there."""
    real = Shop.mv

    def strict(self, one, other, **options):
        if self.exists(other):
            raise FileExistsError(other)
        return real(self, one, other, **options)

    monkeypatch.setattr(Shop, "mv", strict)
    url = Url("shop://out/a.bin")
    write_bytes(url, b"old")
    write_bytes(url, b"new")
    assert read_bytes(url) == b"new" and list(list_files(Url("shop://out"))) == [url]


class Zeros(io.RawIOBase):
    """Gives zeros for ever, and counts them."""

    taken = 0

    def read(self, count: int = -1) -> bytes:
        assert count > 0, "read whole"
        Zeros.taken += count
        return bytes(count)


@pytest.mark.parametrize("role", ["picture", "mask"])
def test_an_object_without_end(role, monkeypatch):
    """What a store sends is judged by its first bytes, as picture and as mask; the rest is left where it is."""
    upload("shop://in/a.png")
    real = Shop.open
    bad = {"picture": "in/", "mask": "masks/"}[role]
    write_bytes(Url("shop://masks/a.png"), Path("drawn.png").read_bytes())
    monkeypatch.setattr(Zeros, "taken", 0)
    monkeypatch.setattr(
        Shop, "open", lambda self, path, *rest, **named: Zeros() if bad in path else real(self, path, *rest, **named)
    )
    reply = remove("shop://in/a.png", "-o", "out", "--mask", "shop://masks/a.png", "--workers", "1", status=1).stderr
    assert "a.png: is not a picture that bgkit reads" in reply
    assert Zeros.taken == 64


def test_a_pipe_to_a_store():
    """A picture from standard input may go to a URL."""
    data = draw(Path("drawn.png")).read_bytes()
    result = CliRunner().invoke(app, ["remove", "-p", "mine.yaml", "-", "-o", "memory://cuts/a.png"], input=data)
    assert result.exit_code == 0, result.stderr
    assert is_cutout(io.BytesIO(read_bytes(Url("memory://cuts/a.png"))).read())


def test_drivers_load_late():
    """Local work loads no fsspec."""
    assert "fsspec" not in vars(places)
    with pytest.raises(PlanError, match="no such file"):
        plan(["no.png"], "out")
