"""The store of networks, against a server with every fault and a folder with every kind of damage."""

from __future__ import annotations

import gzip
import hashlib
import os
import socket
import struct
import subprocess
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
import pytest
from conftest import ROOT
from onnx import helper
from onnx_files import card_text, red_channel, value, write

from bgkit.errors import ModelError
from bgkit.models import add, fetch, fetching, list_cards, remove, resolve, show, store, verify
from bgkit.stages import cnn_mask

DATA = bytes(range(256)) * 1200  # 307,200 bytes
SIZE = len(DATA)
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"


class Server(ThreadingHTTPServer):
    """Serves DATA at any path; ``faults`` holds what to do wrong to each request in turn."""

    daemon_threads = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.faults, self.requests, self.data = [], [], DATA

    @property
    def url(self):
        return f"http://127.0.0.1:{self.server_port}/net.onnx"


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        server = self.server
        wanted = self.headers.get("Range")
        server.requests.append((self.path, wanted))
        fault = server.faults.pop(0) if server.faults else ""
        start = int(wanted[6:].rstrip("-")) if wanted and fault != "no ranges" else 0
        body = server.data[start:]
        self.close_connection = True
        if fault == "slow":
            time.sleep(0.5)
        if fault.startswith("status"):
            return self.answer(int(fault.split()[1]), b"no")
        if fault.startswith("redirect"):
            return self.answer(302, b"", {"Location": fault.split()[1]})
        if wanted and start >= len(server.data):
            return self.answer(416, b"")
        if fault == "wrong piece":
            return self.answer(206, server.data[7:], {"Content-Range": f"bytes 7-{len(server.data) - 1}/*"})
        if fault == "short length":
            return self.answer(206 if start else 200, body[: len(body) // 2], self.piece(start))
        if fault == "gzip":
            return self.answer(200, gzip.compress(server.data), {"Content-Encoding": "gzip"})
        if fault == "garbage":
            return self.raw(b"220 mail.example.org ESMTP\r\n")
        if fault == "bad chunk":
            return self.raw(CHUNKED + b"10000\r\n" + body[:0x10000] + b"\r\nXYZ\r\n")
        if fault == "chunks cut":
            return self.raw(CHUNKED + b"20000\r\n" + body[:0x10000])
        if fault == "reset":
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.raw(b"HTTP/1.1 200 OK\r\nContent-Length: 307200\r\n\r\n")
            return self.connection.close()
        head = {**self.piece(start), "Content-Length": str(len(body))}
        if fault == "long length":
            head["Content-Length"] = str(len(body) + 5000)
        if fault == "no length":
            del head["Content-Length"]
        self.send_response(206 if start else 200)
        for name, text in head.items():
            self.send_header(name, text)
        self.end_headers()
        if fault == "cut":
            body = body[:100_000]
        if fault in ("stall", "trickle"):
            self.wfile.write(body[:100_000])
            self.wfile.flush()
            for _ in range(100):
                time.sleep(0.03)
                if fault == "trickle":
                    try:
                        self.wfile.write(b"x")
                        self.wfile.flush()
                    except OSError:
                        return None
            return None
        self.wfile.write(body)
        return None

    def raw(self, data):
        self.wfile.write(data)
        self.wfile.flush()

    def piece(self, start):
        total = len(self.server.data)
        return {"Content-Range": f"bytes {start}-{total - 1}/{total}"} if start else {}

    def answer(self, status, body, head=None):
        self.send_response(status)
        for name, text in {**(head or {}), "Content-Length": str(len(body))}.items():
            self.send_header(name, text)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args):
        pass


@pytest.fixture
def server():
    with Server() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    """A store of its own, no proxy, and little patience."""
    monkeypatch.setenv("BGKIT_HOME", str(tmp_path / "home"))
    monkeypatch.delenv("BGKIT_OFFLINE", raising=False)
    for name in list(os.environ):
        if name.lower().endswith("_proxy"):
            monkeypatch.delenv(name)
    monkeypatch.setattr(fetching, "STALL", 0.3)
    monkeypatch.setattr(fetching, "SLOWEST", 10_000)
    monkeypatch.setattr(fetching, "PAUSES", (0.0, 0.01))
    return tmp_path / "home"


@pytest.fixture
def known(tmp_path, monkeypatch, server):
    """Make the network ``net`` known, its file on the server; returns a function that rewrites its card."""
    folder = tmp_path / "cards"
    folder.mkdir()

    def write(*, url=None, sha256=None, size=SIZE, commercial="true", extra=""):
        digest = hashlib.sha256(DATA).hexdigest() if sha256 is None else sha256
        lines = [f'url = "{server.url if url is None else url}"', f'sha256 = "{digest}"' if digest else "", extra]
        lines += [f"bytes = {size}"] if size else []
        text = card_text().replace('name = "drawn.onnx"', "\n".join(['name = "net.onnx"', *lines]))
        text = text.replace("commercial = true", f'commercial = {commercial}\nterms = "Only for study."')
        (folder / "net.toml").write_text(text.replace('"drawn"', '"net"'))

    write()
    monkeypatch.setattr(store, "CARDS", folder)
    return write


def leftovers(home):
    return [path.name for path in (home / "models" / "net").iterdir() if path.name not in (".lock", "net.onnx")]


def test_fetch_brings_the_file(known, home):
    """A fetched file has the server's bytes and lies in BGKIT_HOME, with nothing left beside it."""
    path = fetch("net")
    assert path == home / "models" / "net" / "net.onnx"
    assert path.read_bytes() == DATA
    assert leftovers(home) == []


def test_progress_ends_at_the_whole(known):
    """Progress never falls and ends at all bytes."""
    seen = []
    fetch("net", lambda done, total: seen.append((done, total)))
    assert [done for done, _ in seen] == sorted(done for done, _ in seen)
    assert seen[-1] == (len(DATA), len(DATA))


def test_second_fetch_asks_nobody(known, server):
    """A file that is here and whole is not fetched again."""
    fetch("net")
    fetch("net")
    assert len(server.requests) == 1


def test_damaged_file_is_fetched_again(known):
    """A file that was damaged in the store is replaced."""
    path = fetch("net")
    path.write_bytes(DATA[:-1] + b"!")
    assert fetch("net").read_bytes() == DATA


@pytest.mark.parametrize(
    "fault",
    [
        *("cut", "stall", "trickle", "short length", "long length", "status 503", "status 429"),
        *("garbage", "bad chunk", "chunks cut", "reset"),
    ],
)
def test_faults_are_outlived(known, server, fault):
    """A cut, a stall, a trickle, a lie about length, no HTTP at all or a busy server only costs another attempt."""
    server.faults = [fault]
    if fault == "trickle":
        server.data = DATA[:100_000] + b"x" * 200 + DATA[100_200:]
        known(sha256=hashlib.sha256(server.data).hexdigest())
    assert fetch("net").read_bytes() == server.data
    assert len(server.requests) >= (1 if fault == "long length" else 2)


def test_cut_is_resumed(known, server):
    """After a cut the rest is asked for, not the whole."""
    server.faults = ["cut"]
    fetch("net")
    assert [wanted for _, wanted in server.requests] == [None, "bytes=100000-"]


def test_server_without_ranges_starts_over(known, server):
    """Where a server ignores what was asked and sends the whole, the file is still right."""
    server.faults = ["cut", "no ranges"]
    assert fetch("net").read_bytes() == DATA


def test_server_that_says_nothing_is_left_starts_over(known, server):
    """Where a server refuses the rest with 416 before the end, the whole is fetched anew."""
    server.faults = ["cut", "status 416"]
    assert fetch("net").read_bytes() == DATA


def test_compressed_answer_is_refused(known, server, home):
    """A server that compresses though it was asked not to never spoils the file."""
    server.faults = ["gzip"] * 10
    with pytest.raises(ModelError, match="the server compresses what"):
        fetch("net")
    assert not (home / "models" / "net" / "net.onnx").exists()


def test_compressed_rest_is_not_stitched_in(known, server):
    """Nor where only one of several answers is compressed."""
    server.faults = ["cut", "gzip"]
    assert fetch("net").read_bytes() == DATA


def test_wrong_piece_is_not_stitched_in(known, server):
    """A server that sends another piece than asked for does no harm."""
    server.faults = ["cut", "wrong piece"]
    assert fetch("net").read_bytes() == DATA


def test_unknown_length_is_fine(known, server):
    """Neither the card nor the server needs to tell a length."""
    known(size=None)
    server.faults = ["no length"]
    assert fetch("net").read_bytes() == DATA


def test_resumes_after_an_interrupted_call(known, server, home):
    """The next call resumes what a stopped one left."""

    class StopError(Exception):
        pass

    def stop(done, total):
        raise StopError

    with pytest.raises(StopError):
        fetch("net", stop)
    assert not (home / "models" / "net" / "net.onnx").exists()
    assert fetch("net").read_bytes() == DATA
    assert server.requests[1][1].startswith("bytes=")


def test_spoiled_leftover_is_dropped(known, home):
    """A left part with wrong bytes is found out by the checksum, and the file fetched from its start."""
    folder = home / "models" / "net"
    folder.mkdir(parents=True)
    digest = hashlib.sha256(DATA).hexdigest()
    (folder / f"net.onnx.{digest[:8]}.part").write_bytes(b"?" * 1000)
    assert fetch("net").read_bytes() == DATA


def test_wrong_bytes_are_refused(known, server, home):
    """Another file than the card's is refused, with both checksums, and nothing is kept."""
    server.data = DATA[::-1]
    with pytest.raises(ModelError, match=r"expected sha256 \w+, got \w+; the file there is not the one"):
        fetch("net")
    assert leftovers(home) == []
    assert not (home / "models" / "net" / "net.onnx").exists()


def test_no_more_than_the_cards_bytes_are_fetched(known, server, home):
    """A server cannot fill the disk: the card's size is the limit."""
    server.data = DATA + b"more" * 100_000
    seen = []
    fetch("net", lambda done, total: seen.append(done))
    assert max(seen) == len(DATA)


def test_missing_page_is_told_at_once(known, server):
    """404 is no fault that waiting mends."""
    server.faults = ["status 404"]
    with pytest.raises(ModelError, match="the server answered 404"):
        fetch("net")
    assert len(server.requests) == 1


def test_server_that_never_recovers_is_given_up(known, server):
    """After a few attempts without headway the fetch ends, and says what is here and what to check."""
    server.faults = ["status 500"] * 20
    with pytest.raises(ModelError, match=r"3 times in a row.*check the connection and the proxy"):
        fetch("net")


def test_redirects_are_followed(known, server):
    """Release pages answer with redirects."""
    server.faults = [f"redirect {server.url}?elsewhere"]
    assert fetch("net").read_bytes() == DATA
    assert server.requests[1][0] == "/net.onnx?elsewhere"


@pytest.mark.parametrize("place", ["file:///etc/hostname", "ftp://example.org/net.onnx"])
def test_redirects_off_the_web_are_refused(known, server, place):
    """A redirect to a local file or to FTP is not followed."""
    server.faults = [f"redirect {place}"]
    with pytest.raises(ModelError, match="not allowed"):
        fetch("net")


def test_endless_redirects_end(known, server):
    """A circle of redirects is an error."""
    server.faults = [f"redirect {server.url}"] * 30
    with pytest.raises(ModelError, match="redirect"):
        fetch("net")


def test_proxy_of_the_environment_is_used(known, server, monkeypatch):
    """http_proxy is honored: the proxy is asked for the full address."""
    known(url="http://models.example/net.onnx")
    monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{server.server_port}")
    assert fetch("net").read_bytes() == DATA
    assert server.requests[0][0] == "http://models.example/net.onnx"


def test_offline_switch_forbids(known, server, monkeypatch):
    """With BGKIT_OFFLINE set nothing is asked of the net."""
    monkeypatch.setenv("BGKIT_OFFLINE", "1")
    with pytest.raises(ModelError, match="BGKIT_OFFLINE"):
        fetch("net")
    assert server.requests == []


def test_offline_is_no_hindrance_to_what_is_here(known, monkeypatch):
    """With BGKIT_OFFLINE set, a network that is here is still found."""
    fetch("net")
    monkeypatch.setenv("BGKIT_OFFLINE", "1")
    assert fetch("net").is_file()


FETCH = """
import sys; sys.path.insert(0, {tests!r})
from pathlib import Path
from bgkit.models import fetch, store
store.CARDS = Path({cards!r})
print(fetch("net").stat().st_size)
"""


def test_two_processes_fetch_once(known, server, tmp_path):
    """Of two processes that want the same network one fetches, the other waits and finds it."""
    server.faults = ["slow"]
    code = FETCH.format(tests=str(ROOT), cards=str(tmp_path / "cards"))
    runs = [subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) for _ in range(2)]
    assert [run.communicate(timeout=60)[0].strip() for run in runs] == [str(len(DATA))] * 2
    assert len(server.requests) == 1


def test_md5_is_enough(known):
    """A card may know an MD5 only."""
    known(sha256="", extra=f'md5 = "{hashlib.md5(DATA).hexdigest()}"')
    assert fetch("net").read_bytes() == DATA


def test_too_little_room_is_told_before(known, server, monkeypatch):
    """A disk without room is told before anything is fetched."""
    monkeypatch.setattr(fetching.shutil, "disk_usage", lambda path: type("Usage", (), {"free": 10}))
    with pytest.raises(ModelError, match=r"of free space, got 0 MB; .*BGKIT_HOME"):
        fetch("net")
    assert server.requests == []


@pytest.mark.skipif(os.name == "nt" or os.geteuid() == 0, reason="root may write anywhere")
def test_home_that_cannot_be_written(known, home):
    """A read-only home says so and names BGKIT_HOME."""
    home.mkdir()
    home.chmod(0o500)
    with pytest.raises(ModelError, match="BGKIT_HOME"):
        fetch("net")


def test_terms_are_asked_for_once(known):
    """A network that may not be used commercially wants consent, once, and shows its terms."""
    known(commercial="false")
    with pytest.raises(ModelError, match=r"not for commercial use\. Only for study\..*--accept-license"):
        fetch("net")
    fetch("net", accept_license=True)
    assert fetch("net").is_file()


def test_find_names_the_remedy(known):
    """A network that is not here says how to get it, and how large it is."""
    with pytest.raises(ModelError, match=r"not here yet: bgkit models fetch net \(0 MB\)"):
        resolve("net")


def test_show_names_the_nearest(known):
    """A misspelled name is met with the nearest."""
    with pytest.raises(ModelError, match="did you mean 'net'"):
        show("nett")


@pytest.fixture
def own(tmp_path):
    """An ONNX file and a card that fits it."""
    file, card = red_channel(tmp_path / "mine.onnx"), tmp_path / "mine.toml"
    card.write_text(card_text("size = 8").replace('"drawn"', '"mine"'))
    return file, card


def test_added_network_is_found_by_name(own):
    """After add, the network runs by its name, and its card is listed."""
    add(*own)
    card, path = resolve("mine")
    assert path.read_bytes() == own[0].read_bytes()
    assert card.file.sha256 == hashlib.sha256(own[0].read_bytes()).hexdigest()
    assert "mine" in [card.name for card in list_cards()]


def test_add_refuses_a_taken_name(own):
    """A second network of the same name is refused, unless it is to replace the first."""
    add(*own)
    with pytest.raises(ModelError, match=r"added before: --replace puts .*; or choose another name in .*mine.toml"):
        add(*own)
    assert add(*own, replace_old=True).name == "mine"


def test_add_refuses_a_shipped_name(own):
    """The name of a network that bgkit knows is not taken over."""
    own[1].write_text(own[1].read_text().replace('"mine"', '"coarse"'))
    with pytest.raises(ModelError, match="choose another name"):
        add(*own)


def test_add_checks_card_against_file(own):
    """A card that does not fit the graph is refused before anything is stored."""
    own[1].write_text(own[1].read_text().replace("size = 8", 'size = 8\nname = "picture"'))
    with pytest.raises(ModelError, match=r"input.name: expected one of the graph's inputs \(image"):
        add(*own)
    assert "mine" not in [card.name for card in list_cards()]


def test_add_takes_a_known_card_by_name(known, tmp_path):
    """The file of a known network that has no address is added under its name."""
    file = red_channel(tmp_path / "download.onnx")
    known(sha256=hashlib.sha256(file.read_bytes()).hexdigest(), size=None)
    add(file, "net")
    assert resolve("net")[1].name == "net.onnx"


def test_added_file_keeps_its_checksum_where_the_card_has_none(known, tmp_path):
    """A known network without a published checksum is held to the file that the user brought."""
    file = red_channel(tmp_path / "download.onnx")
    known(url="", sha256="", size=None)
    text = (store.CARDS / "net.toml").read_text()
    (store.CARDS / "net.toml").write_text(text.replace('url = ""', ""))
    add(file, "net")
    assert resolve("net")[0].file.sha256 == hashlib.sha256(file.read_bytes()).hexdigest()


def test_verify_tells_what_was_checked(own):
    """A whole file verifies, by its checksum."""
    add(*own)
    assert verify("mine")["checked"] == "sha256 and the graph"
    assert verify(str(own[0]))["checked"] == "the graph alone; the card has no checksum"


def test_verify_finds_damage(own):
    """One flipped byte is found."""
    add(*own)
    path = resolve("mine")[1]
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)
    for act in (verify, lambda name: cnn_mask(np.ones((5, 6, 3), np.float32), model=name)):
        with pytest.raises(ModelError, match=r"expected sha256 .*: bgkit models add FILE --card CARD --replace"):
            act("mine")


def test_another_file_is_told_by_its_checksum_first(known, tmp_path):
    """A file that is not the card's is said to be another, not to have a wrong layout or to be no network."""
    other = red_channel(tmp_path / "other.onnx", (1, 8, 8, 3))
    known(size=None)
    with pytest.raises(ModelError, match=r"other.onnx: expected sha256 .* this is another file, or a damaged one"):
        add(other, "net")
    with pytest.raises(ModelError, match="expected sha256"):
        add(ROOT / "README.md", "net")


def test_another_file_in_the_store_is_told_before_a_run(own):
    """Nor does the check of a pipeline speak of a graph that is another file's."""
    add(*own)
    red_channel(resolve("mine")[1], (1, 3, 9, 9))
    with pytest.raises(ModelError, match="expected sha256"):
        cnn_mask.stage.check({"model": "mine"})


def test_consent_to_the_terms_of_an_added_network(own):
    """The message says the command that works, and that one does."""
    own[1].write_text(own[1].read_text().replace("commercial = true", "commercial = false"))
    with pytest.raises(ModelError, match=r"allow: bgkit models add \S+mine.onnx --card \S+mine.toml --accept-license"):
        add(*own)
    add(*own, accept_license=True)
    assert resolve("mine")[1].is_file()


def test_the_card_beside_a_file_is_its_card(own):
    """Without a word about the card it is the TOML file of the same name; none is an error."""
    assert add(own[0]).name == "mine"
    own[1].unlink()
    with pytest.raises(ModelError, match=r"expected its card beside it \(.*mine.toml\), or --card CARD, got none"):
        add(own[0], replace_old=True)


def test_a_card_with_a_byte_order_mark_is_added(own):
    """What lies in the store is plain UTF-8."""
    own[1].write_text(own[1].read_text(), "utf-8-sig")
    add(*own)
    assert not resolve("mine")[1].with_name("card.toml").read_bytes().startswith(b"\xef")


def test_replacing_leaves_nothing_of_the_old(parted, home):
    """A network that is replaced by one of another file name leaves neither its file nor its weights."""
    add(*parted)
    file = red_channel(parted[0].with_name("one.onnx"))
    parted[1].write_text(card_text().replace('"drawn"', '"parted"').replace("drawn.onnx", "one.onnx"))
    add(file, parted[1], replace_old=True)
    assert {path.name for path in (home / "models" / "parted").iterdir()} == {
        ".lock",
        "card.toml",
        "one.onnx",
        "sha256",
    }
    assert resolve("parted")[1].read_bytes() == file.read_bytes()


def test_removed_network_is_gone(own, home):
    """An added network is unknown after its removal, and may be added again."""
    add(*own)
    remove("mine")
    assert [path.name for path in (home / "models" / "mine").iterdir()] == [".lock"]
    with pytest.raises(ModelError, match="no network named 'mine'"):
        remove("mine")
    assert add(*own).name == "mine"


def test_fetched_network_is_removed_with_its_consent(known):
    """A known network may be fetched again, and asks again; what is not here cannot be removed."""
    known(commercial="false")
    path = fetch("net", accept_license=True)
    remove("net")
    assert not path.exists()
    with pytest.raises(ModelError, match="--accept-license"):
        fetch("net")
    with pytest.raises(ModelError, match="'net' is not here; there is nothing to remove"):
        remove("net")


def test_a_card_that_cannot_be_read_is_removed(own, home):
    """An added network whose card was spoiled does not stay for ever."""
    add(*own)
    (home / "models" / "mine" / "card.toml").write_text("spoiled")
    remove("mine")
    assert "mine" not in [card.name for card in list_cards()]


@pytest.mark.parametrize(
    ("name", "message"),
    [("coarse", "ships with bgkit and cannot be removed"), ("no-such", "no network named"), ("../home", "no network")],
)
def test_what_cannot_be_removed(name, message):
    """The embedded networks, unknown ones, and anything outside the store."""
    with pytest.raises(ModelError, match=message):
        remove(name)
    assert resolve("coarse")[1].is_file()


def test_listing_is_light():
    """Listing and checking networks imports neither ONNX Runtime nor OpenCV nor an HTTP client."""
    code = "import sys, bgkit.models as m; m.list_cards(); m.KnownModel().accepts('coarse');"
    code += "print([n for n in ('onnxruntime', 'cv2', 'scipy', 'numpy', 'urllib.request') if n in sys.modules])"
    assert subprocess.check_output([sys.executable, "-c", code], cwd=ROOT, text=True).strip() == "[]"


def test_a_file_of_the_users_own_may_be_called_like_ours(tmp_path, monkeypatch):
    """A card of the user's whose file has the embedded network's name does not run the embedded network."""
    from dataclasses import replace

    from bgkit.models import store

    monkeypatch.setenv("BGKIT_HOME", str(tmp_path))
    ours = store.show("coarse")
    assert store.path_of(ours).is_file()
    assert store.path_of(replace(ours, name="mine")) == tmp_path / "models" / "mine" / ours.file.name


# --- weights in files of their own -----------------------------------------------------------------


@pytest.fixture
def parted(tmp_path):
    """A network that gives 0.25 everywhere, its weights in another file, and a card."""
    from onnx import load, save

    file = write(
        tmp_path / "parted.onnx",
        [
            helper.make_node("Gather", ["image", "zero"], ["red"], axis=1),
            helper.make_node("Mul", ["red", "nothing"], ["black"]),
            helper.make_node("Add", ["black", "level"], ["mask"]),
        ],
        [value("image", (1, 3, 8, 8))],
        [value("mask", (1, 1, 8, 8))],
        {
            "zero": np.array([0], np.int64),
            "nothing": np.zeros((1, 1, 8, 8), np.float32),
            "level": np.full((1, 1, 8, 8), 0.25, np.float32),
        },
    )
    save(load(file), file, save_as_external_data=True, location="parted.data", size_threshold=100)
    card = tmp_path / "parted.toml"
    card.write_text(card_text("size = 8").replace('"drawn"', '"parted"'))
    return file, card


def test_weights_beside_the_file_are_added_with_it(parted):
    """The added network runs when the original files are gone."""
    add(*parted)
    parted[0].unlink()
    parted[0].with_name("parted.data").unlink()
    np.testing.assert_array_equal(cnn_mask(np.ones((5, 6, 3), np.float32), model="parted"), np.float32(0.25))


def test_missing_weights_are_told_before_anything_is_stored(parted):
    """Without the second file, add says which one it wants."""
    parted[0].with_name("parted.data").unlink()
    with pytest.raises(ModelError, match=r"expected its weights in .*parted.data, got no such file"):
        add(*parted)
    assert "parted" not in [card.name for card in list_cards()]


def test_damaged_weights_are_never_run(parted):
    """One flipped byte in the second file is found, by verify and by a run."""
    add(*parted)
    beside = resolve("parted")[1].with_name("parted.data")
    data = bytearray(beside.read_bytes())
    data[-1] ^= 1
    beside.write_bytes(data)
    with pytest.raises(ModelError, match="damaged"):
        verify("parted")
    with pytest.raises(ModelError, match="damaged"):
        cnn_mask(np.ones((5, 6, 3), np.float32), model="parted")


def test_weights_elsewhere_are_refused(parted):
    """A file that names another folder could reach anywhere; the message says how to mend it."""
    from onnx import load

    network = load(parted[0], load_external_data=False)
    for tensor in network.graph.initializer:
        for entry in tensor.external_data:
            entry.value = "../parted.data" if entry.key == "location" else entry.value
    parted[0].write_bytes(network.SerializeToString())
    with pytest.raises(ModelError, match=r"expected weights in files beside it, got '../parted.data'.*onnx.save"):
        add(*parted)


@pytest.mark.parametrize("name", ["x" * 10_000, "x" * 10_000 + ".onnx"])
def test_name_that_no_file_can_have(name):
    """It is one that is not there."""
    with pytest.raises(ModelError, match=r"no network named|no such ONNX file"):
        store.resolve(name)
