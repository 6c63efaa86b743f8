"""Planning: which pictures an argument means, where each result goes, and what comes with it.

Everything is settled here before the first pixel. The rules:

- Below an output folder the tree of the input folder (or of the fixed part of a glob) is kept; of several
  folders, their common parent counts. Pictures given by name land side by side.
- Without an output folder a picture's result stands beside it as ``photo-cutout.png``, those of the
  folder ``shots`` in ``shots-cutout``.
- Where two results would share a name, each keeps its picture's full old name (``a.jpg.png``,
  ``a.tif.png``); where those are equal, too, they get the folders below their common parent.
- No result may fall on an input.
"""

from __future__ import annotations

import os
import tempfile
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePath
from typing import Literal

from bgkit.batch.discovery import Found, find_pictures, walk
from bgkit.batch.jobs import Job, shown
from bgkit.batch.journal import Journal
from bgkit.batch.places import (
    Place,
    Url,
    common_parent,
    delete,
    exists,
    identity,
    inner_path,
    is_folder,
    list_files,
    place_of,
    size_of,
    write_bytes,
)
from bgkit.batch.sidecar import sidecar_of
from bgkit.errors import PlanError
from bgkit.files import READABLE, WRITABLE, part_name
from bgkit.imagefile import count_pages
from bgkit.pairing import name_of

__all__ = ["Plan", "find_brought", "part", "plan", "prepare"]


@dataclass(frozen=True)
class Plan:
    """The jobs in order, and what there is to say of how they were chosen."""

    jobs: tuple[Job, ...]
    notes: tuple[str, ...] = ()
    folder: Place | None = None  # the output folder, where there is one for all


def plan(
    inputs: Sequence[str],
    out: str | None = None,
    *,
    ending: str | None = None,
    suffix: str = "-cutout",
    brought: Mapping[str, str] | None = None,
    page: int | Literal["all"] | None = None,
) -> Plan:
    """Settle what is done.

    Parameters
    ----------
    inputs : sequence of str
        Files, folders and globs; paths or URLs.
    out : str, optional
        A folder, or a file's name with a picture's ending for one input.
    ending : str, optional
        The ending of results, as in ``png``; by default that of ``out``, else png.
    suffix : str
        Put behind the name of a result that stands beside its picture.
    brought : mapping, optional
        Layer to file, or to a folder of files with the pictures' names.
    page : int or "all", optional
        Of files that hold several pictures the one to take, from 1; ``all`` makes a job of each, and their results
        are numbered: ``scan-1-cutout.png``, ``scan-2-cutout.png``.

    Raises
    ------
    PlanError
        If an input is missing, nothing is found, or results would fall on inputs or one another.
    """
    one_file = _names_a_file(out)
    folder = None if out is None or one_file else place_of(out)
    if out is None and len(inputs) == 1 and _is_folder(place_of(inputs[0])):
        folder = _folder_beside(place_of(inputs[0]), suffix)
    pictures, notes = find_pictures(inputs, folder)
    if one_file and out is not None:
        jobs = [_job_to(pictures, place_of(out), ending)]
    else:
        tail = "." + (ending or "png")
        outputs = _below(pictures, folder, tail) if folder else _beside(pictures, suffix, tail)
        outputs = _tell_apart(pictures, outputs, folder, "" if folder else suffix, notes)
        jobs = [Job(each.path, output, str(each.path)) for each, output in zip(pictures, outputs, strict=True)]
        if folder is None:
            jobs = _without_results(jobs, notes)
    if page == "all":
        jobs = _page_by_page(jobs, "" if folder or one_file else suffix)
    elif page is not None:
        jobs = [replace(job, page=page) for job in jobs]
    jobs = _with_keys(jobs, folder, "" if folder or one_file else suffix)
    jobs = [replace(job, brought=found) for job, found in zip(jobs, find_brought(jobs, brought or {}), strict=True)]
    _check_outputs(jobs)
    return Plan(tuple(jobs), tuple(notes), folder)


def _names_a_file(out: str | None) -> bool:
    return out is not None and place_of(out).suffix.lower() in READABLE and not _is_folder(place_of(out))


def _is_folder(place: Place) -> bool:
    try:
        return is_folder(place)
    except OSError as error:
        raise PlanError(f"{shown(place)}: cannot be read: {error.strerror}") from error


def _job_to(pictures: list[Found], out: Place, ending: str | None) -> Job:
    if len(pictures) != 1:
        raise PlanError(f"{shown(out)}: names one picture, but there are {len(pictures)} inputs; give a folder")
    if out.suffix.lower() not in WRITABLE:
        raise PlanError(f"{shown(out)}: results are written as {', '.join(WRITABLE)}")
    if ending is not None and out.suffix.lower() != f".{ending}":
        raise PlanError(f"{shown(out)}: its ending and the format {ending} contradict each other; leave one out")
    return Job(pictures[0].path, out, str(pictures[0].path))


def _below(pictures: Iterable[Found], folder: Place, tail: str) -> list[Place]:
    """Return outputs below a folder, the tree kept."""
    names = (
        inner_path(each.path, each.root) if each.root is not None else PurePath(each.path.name) for each in pictures
    )
    return [folder / name.parent / (name.stem + tail) for name in names]


def _beside(pictures: Iterable[Found], suffix: str, tail: str) -> list[Place]:
    """Return outputs beside the pictures, or in a folder beside a folder."""
    outputs: list[Place] = []
    for each in pictures:
        place: Place
        if each.folder is None:
            place, name = each.path.parent, each.path.stem + suffix
        else:
            inner = inner_path(each.path, each.folder)
            place, name = _folder_beside(each.folder, suffix) / inner.parent, inner.stem
        outputs.append(place / (name + tail))
    return outputs


def _folder_beside(folder: Place, suffix: str) -> Place:
    if isinstance(folder, Url):
        if not folder.name:
            raise PlanError(f"{shown(folder)}: has no folder beside it; give an output folder")
        return folder.with_name(folder.name + suffix)
    absolute = Path(os.path.abspath(folder))  # noqa: PTH100 (resolve() would follow links)
    if not absolute.name:
        raise PlanError(f"{shown(folder)}: has no folder beside it; give an output folder")
    root = folder if folder.name not in ("", "..") else absolute
    return root.with_name(root.name + suffix)


def _tell_apart(
    pictures: list[Found], outputs: list[Place], folder: Place | None, suffix: str, notes: list[str]
) -> list[Place]:
    """Give outputs that share a path the full old name, then the folders below the common parent."""
    final = list(outputs)
    renamed: set[int] = set()
    while groups := [group for group in _groups(final) if not renamed.issuperset(group)]:
        for group in groups:
            notes.append(f"{len(group)} pictures want the name {shown(final[group[0]])}: each keeps its full old name")
            for index in group:
                cut = suffix if suffix and final[index].stem.endswith(suffix) else ""
                final[index] = final[index].with_name(pictures[index].path.name + cut + final[index].suffix)
            renamed.update(group)
    for group in _groups(final):
        parent = common_parent([pictures[index].path.parent for index in group])
        for index in group:
            inner = inner_path(pictures[index].path, parent).parent
            final[index] = (folder or final[index].parent) / inner / final[index].name
    for group in _groups(final):
        both = " and ".join(shown(pictures[index].path) for index in group)
        raise PlanError(f"{shown(final[group[0]])}: would be the result of {both}; do them apart")
    return final


def _groups(paths: Sequence[Place]) -> list[list[int]]:
    """Return the indices of equal paths, where there are two or more."""
    places = defaultdict(list)
    for index, path in enumerate(paths):
        name = identity(path) if isinstance(path, Url) else os.path.normcase(os.path.abspath(path))  # noqa: PTH100
        places[name].append(index)
    return [group for group in places.values() if len(group) > 1]


def _without_results(jobs: list[Job], notes: list[str]) -> list[Job]:
    """Leave out inputs that are results of other inputs: a second run over ``*.png`` meets those of the first."""
    inputs = {identity(job.sources()[0]) for job in jobs}
    results = {identity(job.output) for job in jobs} & inputs
    kept = [job for job in jobs if identity(job.sources()[0]) not in results]
    if results and kept:
        notes.append(f"left out {len(jobs) - len(kept)} inputs that are results of the others")
    return kept or jobs


def _page_by_page(jobs: Sequence[Job], suffix: str) -> list[Job]:
    """Make a job of each picture in each file; a file of one picture keeps its result's name."""
    pages: list[Job] = []
    for job in jobs:
        if not isinstance(job.picture, Path):
            raise PlanError(
                f"{shown(job.name)}: --page all counts the pictures in a file on this machine; fetch it first"
            )
        count = count_pages(job.picture)
        output = job.output
        stem = output.stem.removesuffix(suffix)
        for number in range(1, count + 1):
            name = f"{stem}-{number:0{len(str(count))}d}{output.stem[len(stem) :]}{output.suffix}"
            pages.append(replace(job, page=number, output=output.with_name(name)) if count > 1 else job)
    for group in _groups([job.output for job in pages]):
        both = " and ".join(f"{shown(pages[index].name)} (page {pages[index].page or 1})" for index in group)
        raise PlanError(f"{shown(pages[group[0]].output)}: would be the result of {both}; do them apart")
    return pages


def _with_keys(jobs: list[Job], folder: Place | None, suffix: str) -> list[Job]:
    top = folder or common_parent([job.output.parent for job in jobs])
    inner = [inner_path(job.output, top).with_suffix("") for job in jobs]
    return [
        replace(job, key=str(name.with_name(name.name.removesuffix(suffix) or name.name)))
        for job, name in zip(jobs, inner, strict=True)
    ]


def find_brought(jobs: Sequence[Job], brought: Mapping[str, str]) -> list[dict[str, Place]]:
    """Return the files that come with each job: one for all, or by name from a folder.

    In a folder, the file for ``sub/photo.jpg`` is ``sub/photo.*``, else ``photo.*``, which may serve several pictures.
    """
    found: list[dict[str, Place]] = [{} for _ in jobs]
    for layer, text in brought.items():
        source = place_of(text)
        folder = _is_folder(source)
        if not folder and not exists(source):
            raise PlanError(f"--{layer} {shown(text)}: no such file or folder")
        matches: Sequence[Place | None] = _matches(jobs, source, layer) if folder else [source] * len(jobs)
        missing = [job.name for job, match in zip(jobs, matches, strict=True) if match is None]
        if missing:
            some = ", ".join(map(shown, missing[:3])) + (", ..." if len(missing) > 3 else "")
            raise PlanError(f"--{layer} {shown(text)}: nothing there for {len(missing)} of {len(jobs)} inputs: {some}")
        for own, match in zip(found, matches, strict=True):
            if match is not None:
                own[layer] = match
    return found


def _matches(jobs: Sequence[Job], folder: Place, layer: str) -> list[Place | None]:
    """Return the file of ``folder`` for each job; its ending may be part of the name, as in ``photo.jpg.png``."""
    named: dict[str, list[Place]] = {}
    for each in walk(folder, folder, None, []):
        inner = inner_path(each.path, folder)
        for name in (inner.as_posix(), name_of(inner)):
            named.setdefault(name, []).append(each.path)
    matches: list[Place | None] = []
    for job in jobs:
        key, stem = PurePath(job.key), Path(job.name).stem
        names = (key.as_posix(), key.with_name(stem).as_posix(), stem)
        files = next((named[name] for name in names if name in named), [])
        if len(files) > 1:
            both = " and ".join(map(shown, files[:2]))
            raise PlanError(f"--{layer} {shown(folder)}: expected one file for {shown(job.name)}, got {both}")
        matches.append(files[0] if files else None)
    return matches


def _check_outputs(jobs: Sequence[Job]) -> None:
    """Refuse outputs that are inputs or folders."""
    sources = {identity(place) for job in jobs for place in job.sources()}
    for job in jobs:
        if identity(job.output) in sources:
            raise PlanError(f"{shown(job.output)}: is an input; choose another output")
        if isinstance(job.output, Path) and job.output.is_dir():
            raise PlanError(f"{shown(job.output)}: is a folder; a picture was to be written there")


def part(
    plan: Plan,
    if_exists: Literal["skip", "overwrite", "fail"],
    journal: Journal | None = None,
    sidecars: bool = False,
) -> tuple[list[Job], list[Job], list[str]]:
    """Return the jobs to do, those to skip because their output stands, and notes on these.

    With ``sidecars`` an output without one (a kill came between the two) is made again.

    Raises
    ------
    PlanError
        If an output stands and ``if_exists`` is ``fail``.
    """
    if if_exists == "overwrite":
        return list(plan.jobs), [], []
    sizes = _sizes(plan)
    standing = [job for job in plan.jobs if job.output in sizes]
    if standing and if_exists == "fail":
        more = f", as do {len(standing) - 1} other outputs" if len(standing) > 1 else ""
        raise PlanError(f"{shown(standing[0].output)}: exists{more}; nothing was done")
    judged: dict[int, str] = {id(job): journal.judge(job, sizes[job.output]) if journal else "good" for job in standing}
    bare = {id(job) for job in standing if sidecars and not _has_sidecar(job, sizes)}
    judged |= {key: "stale" for key in bare if judged[key] == "good"}
    kinds = Counter(judged.values())
    notes = []
    changed = kinds["stale"] - sum(judged[key] == "stale" for key in bare)
    if changed:
        notes.append(f"done again, because the picture was changed since or the output is damaged: {changed}")
    if kinds["stale"] > changed:
        notes.append(f"done again, because their sidecar is missing: {kinds['stale'] - changed}")
    if kinds["other"]:
        notes.append(f"kept, though made with another pipeline or other values: {kinds['other']}")
    skipped = [job for job in standing if judged[id(job)] != "stale"]
    keep = set(map(id, skipped))
    return [job for job in plan.jobs if id(job) not in keep], skipped, notes


def _has_sidecar(job: Job, sizes: Mapping[Place, int]) -> bool:
    sidecar = sidecar_of(job.output)
    return sidecar in sizes or (isinstance(sidecar, Path) and sidecar.exists())


def _sizes(plan: Plan) -> dict[Place, int]:
    """Return the outputs that stand, with their bytes; of a store, by one listing."""
    if isinstance(plan.folder, Url):
        return {url: size for url, (size, _) in list_files(plan.folder).items()}
    found = ((job.output, size_of(job.output)) for job in plan.jobs)
    return {output: size for output, size in found if size is not None}


def prepare(folders: Iterable[Place], report: Path | None = None) -> None:
    """Make folders and see that files can be written there, and a report; nothing is made if any is wrong.

    Raises
    ------
    PlanError
        With the reason, if not.
    """
    everywhere = set(folders)
    wanted = sorted(folder for folder in everywhere if isinstance(folder, Path))
    if report is not None and not report.parent.is_dir() and report.parent not in wanted:
        raise PlanError(f"{shown(report)}: the report cannot be written: there is no folder {shown(report.parent)}")
    for folder in wanted:
        there = next(each for each in (folder, *folder.parents) if each.exists())
        if not there.is_dir():
            raise PlanError(f"{shown(folder)}: cannot be made: {shown(there)} is a file")
        if not os.access(there, os.W_OK | os.X_OK):
            raise PlanError(f"{shown(folder)}: cannot be written: no permission to write in {shown(there)}")
    for folder in wanted:
        try:
            folder.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryFile(dir=folder):
                pass
        except OSError as error:
            raise PlanError(f"{shown(folder)}: cannot be written: {error.strerror}") from error
        except RecursionError:  # pathlib makes the parents of a folder one within the other
            raise PlanError(f"{shown(folder)}: cannot be made: it is too many folders deep") from None
    for url in sorted((folder for folder in everywhere if isinstance(folder, Url)), key=str):
        probe = url / part_name()
        try:
            write_bytes(probe, b"")
            delete(probe)
        except (OSError, NotImplementedError) as error:
            why = getattr(error, "strerror", None) or error
            raise PlanError(f"{shown(url)}: cannot be written: {why}; choose another place with -o") from error
