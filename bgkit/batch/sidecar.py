"""Beside a result, a JSON file of all that is needed to make the same pixels again: ``a.png.json`` for ``a.png``.

It holds what a line of the report holds (:mod:`bgkit.batch.report`): the findings are among the facts of its stages,
seconds by stage, the pipeline's digest. And beyond: the SHA-256 of the picture, of all that was brought with it and of
the result; the pipeline as YAML with every value; the networks that ran, each with its file's SHA-256 and provider;
the number of threads; the versions of what computed; the machine. It is written where the picture was done, by
the process that did it.

A sidecar serves as a pipeline file: ``bgkit remove a.jpg -p cut/a.png.json -o again.png`` gives the same pixels.
"""

from __future__ import annotations

import json
import platform
from collections.abc import Mapping
from io import BytesIO
from pathlib import Path
from typing import Any

from bgkit.batch.jobs import Job, Outcome, Work, shown
from bgkit.batch.places import Place, write_bytes
from bgkit.batch.report import as_record
from bgkit.errors import PipelineError
from bgkit.files import LINE_LIMIT, digest_of, read_text
from bgkit.machine import versions
from bgkit.pipeline import Pipeline
from bgkit.pipelinefile import read_pipeline
from bgkit.threads import threads

__all__ = ["digests", "metadata_of", "pipeline_of", "sidecar_of", "write_sidecar"]


def sidecar_of(output: Place) -> Place:
    """Return where the sidecar of a result stands."""
    return output.with_name(output.name + ".json")


def pipeline_of(sidecar: Path) -> Pipeline:
    """Return the pipeline that made the result of a sidecar, with every value as it was.

    Raises
    ------
    PipelineError
        If the file cannot be read or is no sidecar.
    """
    name, text, _ = _read(sidecar)
    return read_pipeline(text, str(sidecar), name)


def metadata_of(sidecar: Path) -> str:
    """Return what metadata went along into the result of a sidecar.

    Raises
    ------
    PipelineError
        If the file cannot be read or is no sidecar.
    """
    return _read(sidecar)[2]


def _read(sidecar: Path) -> tuple[str, str, str]:
    content = read_text(sidecar, "a sidecar in JSON", PipelineError, LINE_LIMIT)
    try:
        kept = json.loads(content)
        return str(kept["pipeline"]), str(kept["pipeline_yaml"]), str(kept.get("metadata", "none"))
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise PipelineError(f"{shown(sidecar)}: expected a sidecar, as --sidecar writes them") from error


def digests(job: Job, picture: Path | bytes | BytesIO, brought: Mapping[str, Path | BytesIO]) -> dict[str, Any]:
    """Return the SHA-256 of a job's picture, and of each layer that comes with it, from what was read of them."""
    layers = {name: {"file": str(job.brought[name]), "sha256": digest_of(source)} for name, source in brought.items()}
    return {"input_sha256": digest_of(picture), "brought": layers}


def write_sidecar(outcome: Outcome, work: Work, hashes: Mapping[str, Any]) -> None:
    """Write the sidecar of a result that is done, whole or not at all; OSError is not caught."""
    facts = outcome.facts.items()
    models = {stage: noted for stage, noted in facts if isinstance(noted, dict) and "sha256" in noted}
    record = {
        **as_record(outcome, work, work.pipeline.digest()),
        **hashes,
        "pipeline_yaml": work.pipeline.dump(),
        "models": models,
        "threads": threads(),
        "versions": versions(),
        "machine": f"{platform.system()} {platform.machine()}",
    }
    text = json.dumps(record, indent=1, ensure_ascii=True) + "\n"
    write_bytes(sidecar_of(outcome.job.output), text.encode("ascii"))
