"""Which pictures are compared: those of a folder, each with its truth and plate where folders of these are given."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from bgkit.evaluate.samples import Sample
from bgkit.evaluate.table import Problem
from bgkit.pairing import partners, pictures_in

__all__ = ["gather"]


def gather(
    images: Path, truth: Path | None = None, plates: Path | None = None, leave_out: Path | None = None
) -> tuple[list[Sample], list[Problem], list[str]]:
    """Match the pictures of ``images`` by name with truths and plates.

    A file that lies in another folder than its picture is matched by its last name, if only one can be
    meant. Files below ``leave_out`` are no pictures (a report of an earlier run).

    Returns
    -------
    samples
        In the order of names; those without a truth, too.
    problems
        Every file without a partner, and files that share a name.
    notes
        What lies in ``images`` and is no picture by its ending.

    Raises
    ------
    ImageError
        If a folder is absent or holds no picture.
    """
    problems: list[Problem] = []
    found, others = _named(images, "images", problems, leave_out)
    samples = {name: Sample(name, path) for name, path in found.items()}
    for folder, what in ((truth, "truth"), (plates, "plate")):
        if folder is None:
            continue
        given, odd = _named(folder, f"--{what}", problems, leave_out)
        problems += [Problem(path.stem, str(path), f"no picture by its ending, among the {what}s") for path in odd]
        picture_of = partners(given, samples)
        given = {picture_of.get(name, name): path for name, path in given.items()}
        problems += [Problem(name, str(given[name]), f"{what} without a picture") for name in given.keys() - samples]
        problems += [
            Problem(name, str(samples[name].image), f"no {what} of this name") for name in samples.keys() - given
        ]
        for name in samples.keys() & given.keys():
            sample = samples[name]
            truthful = replace(sample, truth=given[name])
            samples[name] = truthful if what == "truth" else replace(sample, plate=given[name])
    notes = [f"{path}: left out, no picture by its ending" for path in others]
    return [samples[name] for name in sorted(samples)], sorted(problems), notes


def _named(
    folder: Path, what: str, problems: list[Problem], leave_out: Path | None
) -> tuple[dict[str, Path], list[Path]]:
    """Return the pictures of a folder by name, and what is no picture; files that share a name are problems."""
    given = pictures_in(folder, what, leave_out)
    for name, paths in given.doubled.items():
        problems += [Problem(name, str(path), f"one of {len(paths)} files of this name") for path in paths]
    return given.files, given.others
