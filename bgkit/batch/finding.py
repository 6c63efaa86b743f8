"""Finding: which pictures a file, a folder or a glob means.

A folder is walked in the order of its names. Left out are hidden names, what is no picture by its
ending, folders that are links, and the output folder when it lies inside. A picture that is met
twice is found once.
"""

from __future__ import annotations

import glob
import os
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from bgkit.batch.jobs import shown
from bgkit.errors import PlanError

__all__ = ["ENDINGS", "Found", "common_parent", "find_pictures", "inner_path", "walk"]

ENDINGS = (".jpg", ".jpeg", ".jfif", ".png", ".webp", ".tif", ".tiff", ".bmp", ".gif", ".avif")


@dataclass(frozen=True)
class Found:
    """A picture file, the folder below which its path is kept, and the folder that was asked for."""

    path: Path
    root: Path | None = None  # None where the picture was given by name
    folder: Path | None = None  # None where no folder was given


def find_pictures(inputs: Sequence[str], leave_out: Path | None = None) -> tuple[list[Found], list[str]]:
    """Return the pictures that ``inputs`` mean, each once, and notes on what was left out."""
    notes: list[str] = []
    found: list[Found] = []
    folders = [Path(text) for text in inputs if Path(text).is_dir()]
    top = common_parent(folders) if len(folders) > 1 else None
    for text in inputs:
        path = Path(text)
        if "://" in text:
            raise PlanError(f"{shown(text)}: expected a file, folder or glob; URLs are not read yet")
        if path.is_dir():
            found += walk(path, top or path, leave_out, notes)
        elif path.exists():
            found.append(Found(path))
        elif glob.has_magic(text):
            found += _glob(text, leave_out)
        else:
            raise PlanError(f"{shown(text)}: no such file or folder")
    once = {os.path.realpath(each.path): each for each in reversed(found)}
    return [each for each in found if once[os.path.realpath(each.path)] is each], notes


def walk(folder: Path, root: Path, leave_out: Path | None, notes: list[str]) -> list[Found]:
    """Return the pictures below ``folder``; what was passed over is added to ``notes``."""
    if leave_out is not None and os.path.realpath(leave_out) == os.path.realpath(folder):
        raise PlanError(f"{shown(leave_out)}: is the input folder too; results among originals would be taken for them")
    skip = os.path.realpath(leave_out) if leave_out is not None else None
    found: list[Found] = []
    others: Counter[str] = Counter()
    for place, folders, files in os.walk(folder, onerror=_cannot_list):
        links = [name for name in folders if Path(place, name).is_symlink()]
        notes += [f"{shown(Path(place, name))}: not followed, a folder that is a link" for name in sorted(links)]
        folders[:] = sorted(
            name
            for name in set(folders) - set(links)
            if not name.startswith(".") and os.path.realpath(Path(place, name)) != skip
        )
        for name in sorted(files):
            path = Path(place, name)
            if path.suffix.lower() in ENDINGS and not name.startswith(".") and _is_file(path):
                found.append(Found(path, root, folder))
            elif not name.startswith("."):
                others[path.suffix.lower() or "no ending"] += 1
    if others:
        kinds = ", ".join(f"{count} {shown(kind)}" for kind, count in sorted(others.items()))
        notes.append(f"{shown(folder)}: left out what is no picture by its ending: {kinds}")
    if not found:
        raise PlanError(f"{shown(folder)}: no pictures in this folder (looked for {', '.join(ENDINGS)})")
    return sorted(found, key=lambda each: each.path.parts)


def _is_file(path: Path) -> bool:
    """Tell a file, or a link that leads nowhere: that one is to fail by its name, not to be passed over."""
    return path.is_file() or (path.is_symlink() and not path.exists())


def _cannot_list(error: OSError) -> None:
    raise PlanError(f"{shown(error.filename)}: cannot be listed: {error.strerror}") from error


def _glob(pattern: str, leave_out: Path | None) -> list[Found]:
    parts = Path(pattern).parts
    fixed = next(index for index, part in enumerate(parts) if glob.has_magic(part))
    root = Path(*parts[:fixed])
    real_root = Path(os.path.realpath(root))
    skip = Path(os.path.realpath(leave_out)) if leave_out is not None else None
    inside = skip if skip is not None and real_root in skip.parents else None
    paths = (Path(name) for name in glob.iglob(pattern, recursive=True))  # noqa: PTH207
    found = [
        Found(path, root)
        for path in paths
        if path.suffix.lower() in ENDINGS
        and _is_file(path)
        and (inside is None or inside not in Path(os.path.realpath(path)).parents)
    ]
    if not found:
        raise PlanError(f"{shown(pattern)}: no picture has such a name")
    return sorted(found, key=lambda each: each.path.parts)


def inner_path(path: Path, folder: Path) -> Path:
    """Return where ``path`` stands below ``folder``; links are left as they are."""
    return Path(os.path.abspath(path)).relative_to(os.path.abspath(folder))  # noqa: PTH100


def common_parent(folders: Sequence[Path]) -> Path:
    """Return the deepest folder that holds all ``folders``."""
    return Path(os.path.commonpath([os.path.abspath(folder) for folder in folders]))  # noqa: PTH100
