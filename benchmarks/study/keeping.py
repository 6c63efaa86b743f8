"""The figures as they are kept: JSON with a line for each picture, so that changes can be read.

A chain's figures stand as a list in the order of ``metrics``.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from benchmarks.study.chains import CHAINS
from benchmarks.study.measuring import MEASURED

__all__ = ["join", "keep", "recall"]

METRICS = (*MEASURED, "cpu")
LISTS = ("pictures", "scenes")


def keep(path: Path, figures: dict[str, Any]) -> None:
    """Write the figures."""
    parts = [f'"{name}": {json.dumps(value)}' for name, value in figures.items() if name not in LISTS]
    parts.append(f'"metrics": {json.dumps(METRICS)}')
    for name in LISTS:
        lines = [json.dumps(_packed(record), separators=(",", ":")) for record in figures[name]]
        parts.append(f'"{name}": [\n' + ",\n".join(lines) + "\n]")
    path.write_text("{\n" + ",\n".join(parts) + "\n}\n", encoding="utf-8")


def recall(path: Path) -> dict[str, Any]:
    """Read what :func:`keep` wrote."""
    figures: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    metrics = figures.pop("metrics")
    for name in LISTS:
        for record in figures[name]:
            record["chains"] = {
                chain: dict(zip(metrics, held, strict=True)) for chain, held in record["chains"].items()
            }
    return figures


def join(figures: dict[str, Any], new: dict[str, Any]) -> dict[str, Any]:
    """Put newly measured chains beside those that were measured on the same pictures before."""
    for name in LISTS:
        for record, other in zip(figures[name], new[name], strict=True):
            if record["name"] != other["name"]:
                raise ValueError(f"{name}: expected {record['name']}, got {other['name']}; measure all chains anew")
            fresh = other["chains"].keys()
            chains = record["chains"] | other["chains"]
            record["chains"] = {chain: chains[chain] for chain in CHAINS if chain in chains}
            lists = [(record, other, "poor"), *((record["modes"], other["modes"], mode) for mode in record["modes"])]
            for held, found, key in lists:  # of the chains that failed
                failed = {*(chain for chain in held[key] if chain not in fresh), *found[key]}
                held[key] = [chain for chain in CHAINS if chain in failed]
    return figures


def _packed(record: dict[str, Any]) -> dict[str, Any]:
    return record | {"chains": {name: [held[one] for one in METRICS] for name, held in record["chains"].items()}}
