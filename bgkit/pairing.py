"""Files that belong together by their names: pictures with masks, trimaps, plates and truths.

A file's name is its path below its folder, with slashes and without the last ending: ``clip/0001`` for
``clip/0001.png``. Two files of the same name belong together. One that lies in another folder than its
partner is matched by the last part, if only one can be meant. Of several files of one name in a
folder none is taken: whoever asks reports them.
"""

from __future__ import annotations

import itertools
import re
from collections import Counter
from collections.abc import Collection, Iterable
from pathlib import Path, PurePath, PurePosixPath
from typing import NamedTuple

from bgkit.errors import ImageError
from bgkit.files import READABLE

__all__ = ["Pictures", "by_name", "frames_before", "name_of", "natural", "partners", "pictures_in"]


class Pictures(NamedTuple):
    """What lies in a folder."""

    files: dict[str, Path]  # the picture of each name
    doubled: dict[str, list[Path]]  # pictures that share their name with others
    others: list[Path]  # no pictures, by their ending


def name_of(path: PurePath) -> str:
    """Return the name that a path below a folder stands for.

    >>> name_of(PurePath("clip/0001.v2.png"))
    'clip/0001.v2'
    """
    return path.with_suffix("").as_posix()


def by_name(
    folder: Path, endings: tuple[str, ...] = READABLE, *, deep: bool = False
) -> tuple[dict[str, list[Path]], list[Path]]:
    """Return a folder's picture files by name, sorted, and the files that are none.

    With ``deep`` those in folders below count, too. Hidden files are left out.
    """
    named: dict[str, list[Path]] = {}
    others: list[Path] = []
    for path in sorted(folder.rglob("*") if deep else folder.iterdir()):
        within = path.relative_to(folder)
        if not path.is_file() or any(part.startswith(".") for part in within.parts):
            continue
        if path.suffix.lower() in endings:
            named.setdefault(name_of(within), []).append(path)
        else:
            others.append(path)
    return named, others


def pictures_in(folder: Path, what: str, leave_out: Path | None = None) -> Pictures:
    """Return the pictures of a folder and of those below it, but for what lies in ``leave_out``.

    Raises
    ------
    ImageError
        If there is no such folder, or no picture in it whose name is its own; ``what`` stands in front of the message.
    """
    if not folder.is_dir():
        raise ImageError(f"{what}: expected a folder, got {folder}")
    named, others = by_name(folder, deep=True)
    if leave_out is not None:
        top = leave_out.resolve()
        named = {name: [path for path in paths if top not in path.resolve().parents] for name, paths in named.items()}
        others = [path for path in others if top not in path.resolve().parents]
    files = {name: paths[0] for name, paths in named.items() if len(paths) == 1}
    doubled = {name: paths for name, paths in named.items() if len(paths) > 1}
    if not files:
        alike = next(iter(doubled.values()), None)
        given = f"only files of one name, as {alike[0].name} and {alike[1].name}" if alike else "none"
        raise ImageError(f"{what}: expected pictures ({', '.join(READABLE)}) in {folder}, found {given}")
    return Pictures(files, doubled, others)


def partners(names: Collection[str], wanted: Collection[str]) -> dict[str, str]:
    """Return the name in ``wanted`` that each of ``names`` belongs to; one that belongs to none is left out.

    >>> partners(["clip/1", "2", "a/3"], ["clip/1", "b/2", "b/3", "c/3"])
    {'clip/1': 'clip/1', '2': 'b/2'}
    """
    same = {name: name for name in names if name in wanted}
    free = _by_last_part(set(wanted).difference(names))
    homeless = _by_last_part(set(names).difference(wanted))
    moved = {name: free[last] for last, name in homeless.items() if last in free}
    return same | moved


def natural(name: str) -> list[tuple[int, int, str]]:
    """Return a key that sorts names as people count.

    >>> sorted(["shot10", "shot9"], key=natural)
    ['shot9', 'shot10']
    """
    return [(0, int(part), "") if part.isdecimal() else (1, 0, part) for part in re.split(r"(\d+)", name) if part]


def frames_before(names: Iterable[str]) -> dict[str, str]:
    """Return the name of the frame before, for the names of films whose frames lie in a folder each.

    Where the last numbers of two names do not follow each other as most in the folder do, a frame is missing between
    them, and the later one has none before it.

    >>> frames_before(["a/1", "a/2", "a/3", "a/5", "b/1"])
    {'a/2': 'a/1', 'a/3': 'a/2'}
    """
    films: dict[PurePosixPath, list[str]] = {}
    for name in sorted(names, key=natural):
        films.setdefault(PurePosixPath(name).parent, []).append(name)
    found: dict[str, str] = {}
    for frames in films.values():
        steps = [_number(later) - _number(one) for one, later in itertools.pairwise(frames)]
        usual = min(steps, default=0, key=lambda step: (-steps.count(step), step))
        pairs = zip(itertools.pairwise(frames), steps, strict=True)
        found |= {later: one for (one, later), step in pairs if step == usual}
    return found


def _number(name: str) -> int:
    """Return the last number in a name; 0 without one."""
    numbers = re.findall(r"\d+", PurePosixPath(name).name)
    return int(numbers[-1]) if numbers else 0


def _by_last_part(names: Iterable[str]) -> dict[str, str]:
    """Return names by their last part, where one name alone ends so."""
    last = [(PurePosixPath(name).name, name) for name in names]
    count = Counter(part for part, _ in last)
    return {part: name for part, name in last if count[part] == 1}
