"""Files are written whole, read though torn, and locked by one process at a time."""

from __future__ import annotations

import errno
from fnmatch import fnmatch
from pathlib import Path

import pytest

from bgkit.files import LEFT_BEHIND, JsonLines, Lock, digest_of, mismatch, part_name, read_lines, replacing, write_whole


def test_a_file_is_replaced_whole_or_not_at_all(tmp_path):
    """What fails on the way leaves the old file, and nothing beside it."""
    target = tmp_path / "a.txt"
    write_whole(target, "old")
    with pytest.raises(ValueError, match="half"), replacing(target) as part:
        part.write_text("ne")
        raise ValueError("half")
    assert target.read_text() == "old" and list(tmp_path.iterdir()) == [target]
    write_whole(target, b"new")
    assert target.read_bytes() == b"new" and list(tmp_path.iterdir()) == [target]


def test_a_link_stays_a_link(tmp_path):
    """The file that a link leads to is replaced."""
    (tmp_path / "real.txt").write_text("old")
    (tmp_path / "link.txt").symlink_to("real.txt")
    write_whole(tmp_path / "link.txt", "new")
    assert (tmp_path / "link.txt").is_symlink() and (tmp_path / "real.txt").read_text() == "new"


def test_every_temporary_name_is_known_as_a_leftover():
    """What a killed process leaves is found again by its name."""
    assert fnmatch(part_name(), LEFT_BEHIND) and part_name() != part_name()


def test_a_torn_last_line_costs_that_line_only(tmp_path):
    """The line after a torn one is whole, and the torn one is passed over."""
    path = tmp_path / "a.jsonl"
    with JsonLines(path) as lines:
        lines.append({"a": 1})
        lines.append({"b": "x" * 40})
    path.write_bytes(path.read_bytes()[:-20])
    with JsonLines(path) as lines:
        lines.append([3])
    assert read_lines(path) == [{"a": 1}, [3]]
    assert read_lines(tmp_path / "none.jsonl") == []


def test_a_line_that_a_full_disk_cut_is_an_error(tmp_path, monkeypatch):
    """Whoever appends learns of it, and the next line stands by itself."""
    path = tmp_path / "a.jsonl"
    with JsonLines(path) as lines:
        real = lines.file

        class Full:
            def write(self, data):
                return real.write(data[: len(data) // 2])

        monkeypatch.setattr(lines, "file", Full())
        with pytest.raises(OSError, match="space") as caught:
            lines.append({"a": 1})
        assert caught.value.errno == errno.ENOSPC
        monkeypatch.setattr(lines, "file", real)
        lines.append({"b": 2})
    assert read_lines(path) == [{"b": 2}]


def test_a_full_disk_names_the_file():
    """What Python says of it has no name: it wrote to an open file."""
    lines = JsonLines(Path("/dev/full"))
    with pytest.raises(OSError, match="space") as caught, lines:
        lines.append({"a": 1})
    assert caught.value.filename == "/dev/full"


def test_a_lock_is_held_once(tmp_path):
    """A second holder learns that it is taken; after the first let go it is free."""
    first = Lock(tmp_path / ".lock")
    assert (first.state, Lock(tmp_path / ".lock").state) == ("held", "taken")
    first.close()
    again = Lock(tmp_path / ".lock")
    assert again.state == "held"
    again.close()


def test_a_place_that_cannot_be_locked_is_not_taken(tmp_path, monkeypatch):
    """Where locks do not work, nobody is said to be at work there."""
    import filelock

    def refuse(*_, **__):
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(filelock.FileLock, "acquire", refuse)
    assert Lock(tmp_path / ".lock").state == "unknown"


def test_checksums(tmp_path):
    """Of a file and of its content the same; a mismatch says what was expected."""
    path = tmp_path / "a"
    path.write_bytes(b"abc")
    known = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"  # FIPS 180-2, B.1
    assert digest_of(path) == digest_of(b"abc") == known
    assert mismatch(path, sha256=known) == "" and mismatch(path, sha256=known, size=4) == "expected 4 bytes, got 3"
    assert mismatch(path, sha256="", md5="0" * 32).startswith("expected md5 000")


def test_lines_are_read_as_utf_8(tmp_path):
    """A line with a zero among its bytes is none, whether its end is there or not."""
    path = tmp_path / "a.jsonl"
    for end in (b"", b"\n"):
        path.write_bytes(b"1\n0\0" + end)
        assert read_lines(path) == [1]
