"""Finding: which pictures a file, a folder, a glob or a URL means.

A folder is walked in the order of its names. Left out are hidden names, what is no picture by its
ending, folders that are links, the output folder when it lies inside, and camera raw files beside a
developed picture of the same name. A picture that is met twice is found once.
"""

from __future__ import annotations

import glob
import os
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from bgkit.batch.jobs import shown
from bgkit.batch.places import Place, Url, common_parent, identity, is_folder, list_files, match, place_of, stat_of
from bgkit.errors import PlanError
from bgkit.files import CAMERA_RAW, READABLE

__all__ = ["Found", "find_pictures", "walk"]


@dataclass(frozen=True)
class Found:
    """A picture file, the folder below which its path is kept, and the folder that was asked for."""

    path: Place
    root: Place | None = None  # None where the picture was given by name
    folder: Place | None = None  # None where no folder was given


def find_pictures(inputs: Sequence[str], leave_out: Place | None = None) -> tuple[list[Found], list[str]]:
    """Return the pictures that ``inputs`` mean, each once, and notes on what was left out."""
    notes: list[str] = []
    found: list[Found] = []
    places = [place_of(text) for text in inputs]
    kinds = [_kind(place) for place in places]
    folders = [place for place, kind in zip(places, kinds, strict=True) if kind == "folder"]
    top = common_parent(folders) if len(folders) > 1 else None
    for place, kind in zip(places, kinds, strict=True):
        if kind == "folder":
            found += walk(place, top or place, leave_out, notes)
        elif kind == "glob":
            found += _match(place, leave_out) if isinstance(place, Url) else _glob(str(place), leave_out)
        elif isinstance(place, Url):
            found.append(Found(Url(place.text, _stamp(place))))
        else:
            found.append(Found(place))
    once = {identity(each.path): each for each in reversed(found)}
    return [each for each in found if once[identity(each.path)] is each], notes


def _kind(place: Place) -> Literal["folder", "file", "glob"]:
    try:
        if is_folder(place):
            return "folder"
        there = place.exists() if isinstance(place, Path) else stat_of(place) is not None
    except OSError as error:
        raise PlanError(f"{shown(place)}: cannot be read: {error.strerror}") from error
    if there:
        return "file"
    if glob.has_magic(str(place)):
        return "glob"
    raise PlanError(f"{shown(place)}: no such file or folder")


def _stamp(url: Url) -> tuple[int, int] | None:
    return url.stamp or stat_of(url)


def walk(folder: Place, root: Place, leave_out: Place | None, notes: list[str]) -> list[Found]:
    """Return the pictures below ``folder``; what was passed over is added to ``notes``."""
    if isinstance(folder, Url):
        return _list(folder, root, leave_out, notes)
    if isinstance(leave_out, Url):
        leave_out = None
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
            if path.suffix.lower() in READABLE and not name.startswith(".") and _is_file(path):
                found.append(Found(path, root, folder))
            elif not name.startswith("."):
                others[path.suffix.lower() or "no ending"] += 1
    return _sorted(found, folder, others, notes)


def _sorted(found: list[Found], folder: Place, others: Counter[str], notes: list[str]) -> list[Found]:
    developed = {(each.path.parent, each.path.stem) for each in found if each.path.suffix.lower() not in CAMERA_RAW}
    twins = {
        each.path
        for each in found
        if each.path.suffix.lower() in CAMERA_RAW and (each.path.parent, each.path.stem) in developed
    }
    if twins:
        notes.append(f"{shown(folder)}: left out camera raw files beside a picture of the same name: {len(twins)}")
        found = [each for each in found if each.path not in twins]
    if others:
        kinds = ", ".join(f"{count} {shown(kind)}" for kind, count in sorted(others.items()))
        notes.append(f"{shown(folder)}: left out what is no picture by its ending: {kinds}")
    if not found:
        raise PlanError(f"{shown(folder)}: no pictures in this folder (looked for {', '.join(READABLE[:12])} and more)")
    return sorted(found, key=lambda each: each.path.parts)


def _list(folder: Url, root: Place, leave_out: Place | None, notes: list[str]) -> list[Found]:
    """The same in a store, by one listing."""
    if isinstance(leave_out, Url) and leave_out.parts == folder.parts:
        raise PlanError(f"{shown(leave_out)}: is the input folder too; results among originals would be taken for them")
    try:
        files = list_files(folder)
    except OSError as error:
        raise PlanError(f"{shown(folder)}: cannot be listed: {error.strerror}") from error
    found: list[Found] = []
    others: Counter[str] = Counter()
    for url in files:
        if any(name.startswith(".") for name in url.relative_to(folder).parts) or _is_below(url, leave_out):
            continue
        if url.suffix.lower() in READABLE:
            found.append(Found(url, root, folder))
        else:
            others[url.suffix.lower() or "no ending"] += 1
    return _sorted(found, folder, others, notes)


def _match(pattern: Url, leave_out: Place | None) -> list[Found]:
    fixed = next(index for index, part in enumerate(pattern.parts) if glob.has_magic(part))
    root = Url("/".join(pattern.parts[:fixed]))
    try:
        files = match(pattern, root)
    except OSError as error:
        raise PlanError(f"{shown(pattern)}: cannot be listed: {error.strerror}") from error
    found = [Found(url, root) for url in files if url.suffix.lower() in READABLE and not _is_below(url, leave_out)]
    if not found:
        raise PlanError(f"{shown(pattern)}: no picture has such a name")
    return sorted(found, key=lambda each: each.path.parts)


def _is_below(url: Url, folder: Place | None) -> bool:
    return isinstance(folder, Url) and url.parts[: len(folder.parts)] == folder.parts


def _is_file(path: Path) -> bool:
    """Tell a file, or a link that leads nowhere: that one is to fail by its name, not to be passed over."""
    return path.is_file() or (path.is_symlink() and not path.exists())


def _cannot_list(error: OSError) -> None:
    raise PlanError(f"{shown(error.filename)}: cannot be listed: {error.strerror}") from error


def _glob(pattern: str, leave_out: Place | None) -> list[Found]:
    parts = Path(pattern).parts
    fixed = next(index for index, part in enumerate(parts) if glob.has_magic(part))
    root = Path(*parts[:fixed])
    real_root = Path(os.path.realpath(root))
    skip = Path(os.path.realpath(leave_out)) if isinstance(leave_out, Path) else None
    inside = skip if skip is not None and real_root in skip.parents else None
    paths = (Path(name) for name in glob.iglob(pattern, recursive=True))  # noqa: PTH207
    found = [
        Found(path, root)
        for path in paths
        if path.suffix.lower() in READABLE
        and _is_file(path)
        and (inside is None or inside not in Path(os.path.realpath(path)).parents)
    ]
    if not found:
        raise PlanError(f"{shown(pattern)}: no picture has such a name")
    return sorted(found, key=lambda each: each.path.parts)
