"""What a film's output has so far: a folder beside it, by which a run that was stopped is resumed.

``.NAME.bgkit/`` holds the pieces that are whole, a journal of JSON lines, and what the next frame is told of the last
one. Its first line says what all of it depends on; where that differs, everything is done anew. The folder goes when
the film is whole.
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from bgkit.batch.jobs import shown
from bgkit.errors import PlanError
from bgkit.files import LEFT_BEHIND, JsonLines, Lock, open_regular, read_lines, replacing
from bgkit.layers import Layers, check_layer

__all__ = ["Record"]

JOURNAL, LOCK = "journal.jsonl", "lock"


class Record:
    """The journal of an output and its pieces.

    ``frames`` are done, up to the tick ``end``; ``pieces`` are the files that hold them, each with the tick at which it
    begins; ``previous`` is the last frame.
    """

    @staticmethod
    def is_begun(output: Path) -> bool:
        """Whether a run that was stopped left something for this output."""
        return (_folder(output) / JOURNAL).is_file()

    def __init__(self, output: Path, key: Mapping[str, Any]) -> None:
        self.folder = _folder(output)
        self.frames, self.end = 0, 0
        self.pieces: list[tuple[Path, int]] = []
        self.previous: Layers | None = None
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            self.lock = Lock(self.folder / LOCK)
            if self.lock.state == "taken":
                raise PlanError(f"{shown(output)}: another run is writing it")
            for path in self.folder.glob(LEFT_BEHIND):
                path.unlink(missing_ok=True)
            lines = read_lines(self.folder / JOURNAL)
            if not lines or lines[0] != key:
                self._forget()
            else:
                self._resume(lines[1:])
            self.file = JsonLines(self.folder / JOURNAL)
            if not self.frames:
                self.file.append(dict(key))
        except OSError as error:
            raise PlanError(f"{shown(self.folder)}: cannot be written: {error.strerror}") from error

    def _forget(self) -> None:
        for path in self.folder.iterdir():
            if path.name != LOCK:
                path.unlink()

    def _resume(self, lines: list[Any]) -> None:
        """Take what is whole: pieces that are there, up to the last state that is there."""
        for line in lines:
            if not _is_line(line):
                break
            piece = self.folder / line["piece"] if line["piece"] else None
            if line["frames"] != self.frames or (piece is not None and not piece.is_file()):
                break
            self.frames, self.end = line["frames"] + line["count"], line["end"]
            self.pieces += [(piece, line["start"])] if piece is not None else []
        self.previous = _last_frame(self.folder / f"{self.frames}.npz") if self.frames else None
        if self.previous is None:
            self.frames, self.end, self.pieces = 0, 0, []
            self._forget()

    def add(self, count: int, start: int, end: int, piece: Path | None, last: Layers) -> None:
        """Take in that ``count`` more frames are done, in a file of the folder or elsewhere."""
        arrays: dict[str, Any] = {"image": last.image} | ({} if last.alpha is None else {"alpha": last.alpha})
        with replacing(self.folder / f"{self.frames + count}.npz") as part, part.open("wb") as file:
            np.savez(file, **arrays)
        name = piece.name if piece else ""
        self.file.append({"frames": self.frames, "count": count, "start": start, "end": end, "piece": name})
        if self.frames:
            (self.folder / f"{self.frames}.npz").unlink(missing_ok=True)
        self.frames, self.end, self.previous = self.frames + count, end, last
        self.pieces += [(piece, start)] if piece is not None else []

    def close(self, *, whole: bool) -> None:
        """Leave the folder for the next run, or delete it where the film is ``whole``."""
        self.file.close()
        self.lock.close()
        if whole or not self.frames:
            shutil.rmtree(self.folder, ignore_errors=True)


def _last_frame(path: Path) -> Layers | None:
    """Return the frame that :meth:`Record.add` kept, or None where it is absent or broken."""
    try:
        with open_regular(path) as file, np.load(file) as arrays:
            frame = Layers(arrays["image"], alpha=arrays.get("alpha"))
        for name in ("image", *frame.given()):
            check_layer(name, getattr(frame, name), frame.image)
    except Exception:  # a broken archive makes NumPy raise nearly anything: BadZipFile, zlib.error, KeyError, ...
        return None
    return frame


def _is_line(value: Any) -> bool:
    """Tell a line of :meth:`Record.add` from one that somebody else wrote, or broke."""
    numbers = ("frames", "count", "start", "end")
    return (
        isinstance(value, dict)
        and all(isinstance(value.get(name), int) for name in numbers)
        and isinstance(value.get("piece"), str)
        and value["piece"].isprintable()
        and Path(value["piece"]).name == value["piece"]
    )


def _folder(output: Path) -> Path:
    return output.with_name(f".{output.name}.bgkit")
