"""From records to the page: tables, and sentences that say no more than the tables do.

Everything here is a pure function of what :mod:`benchmarks.study.measuring` noted, so that the figures of
``docs/explanation/study.md`` can be made anew from ``figures.json`` and compared, which a test does.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from benchmarks.study.chains import ALONE, BEST, CHAINS, DEEP, JOINED, KEY, MDF, RCNN, SHIPPED, STEPS
from benchmarks.study.modes import GOOD, MODES
from bgkit.comparison.ranking import RESAMPLES, rank

__all__ = ["BINS", "Difference", "blocks", "difference", "plain_bins", "units"]

Record = Mapping[str, Any]
Table = list[list[str]]

KINDS = ("white", "falloff", "grey", "green")
CLEAR = 0.05  # of IoU, by which one result is clearly better than another
BINS = ((0.0, 0.5), (0.5, 0.7), (0.7, 0.9), (0.9, 1.01))  # share of the border that shows the backdrop
SHOWN = (*ALONE, BEST, *SHIPPED)  # in the table of failures


class Difference(NamedTuple):
    """The mean of paired differences and its 95 % interval."""

    mean: float
    low: float
    high: float

    @property
    def sure(self) -> bool:
        return self.low > 0 or self.high < 0

    def text(self, digits: int) -> str:
        return f"{_sign(self.mean, digits)} [{_sign(self.low, digits)}, {_sign(self.high, digits)}]"


def difference(first: Sequence[float], second: Sequence[float]) -> Difference:
    """Return how much larger ``first`` is than ``second``, in pairs, by bootstrap.

    >>> difference([2.0, 3.0, 4.0], [1.0, 2.0, 3.0])
    Difference(mean=1.0, low=1.0, high=1.0)
    """
    lead, other = rank({"first": first, "second": second}, "lower")
    found = Difference(other.behind, other.behind_low, other.behind_high)
    return found if lead.name == "second" else Difference(-found.mean, -found.high, -found.low)


def units(records: Sequence[Record], name: str, metric: str) -> list[float]:
    """Return a chain's figure for every picture of ECSSD, and every subject of the studio shots, its shots averaged."""
    by_unit: dict[str, list[float]] = {}
    for record in records:
        shot = record["set"] == "studio"
        unit = f"{record['set']} {record['name'].rpartition('-')[0] if shot else record['name']}"
        by_unit.setdefault(unit, []).append(record["chains"][name][metric])
    return [float(np.mean(held)) for _, held in sorted(by_unit.items())]


def values(records: Sequence[Record], name: str, metric: str) -> list[float]:
    return [record["chains"][name][metric] for record in records]


def mean(records: Sequence[Record], name: str, metric: str) -> float:
    return float(np.mean(values(records, name, metric)))


def plain_bins(records: Sequence[Record]) -> list[list[Record]]:
    """Return the pictures by how plain their border is, as :data:`BINS` has it."""
    return [[record for record in records if low <= record["plain"] < high] for low, high in BINS]


def blocks(kept: Mapping[str, Any]) -> dict[str, str]:
    """Return the generated parts of the page by name."""
    ecssd, studio = ([one for one in kept["pictures"] if one["set"] == name] for name in ("ecssd", "studio"))
    return {
        "setting": _setting(kept, ecssd, studio),
        "chains": _chains(ecssd, studio),
        "wins": _wins(ecssd, studio),
        "joining": _joining(ecssd, studio),
        "steps": _steps(ecssd, studio),
        "modes": _modes(ecssd, studio),
        "rules": "\n".join(f"- **{mode.title}**: {mode.rule}." for mode in MODES.values()),
        "scenes": _scenes(kept["scenes"]),
    }


def _setting(kept: Mapping[str, Any], ecssd: Sequence[Record], studio: Sequence[Record]) -> str:
    people = len({one["name"].rpartition("-")[0] for one in studio})
    return _lines(
        f"- `ecssd`: {len(ecssd)} pictures of ECSSD, a subject among anything; a yes-or-no truth. "
        "Judged by IoU (larger is better).",
        f"- `studio`: {len(studio)} shots composed from {people} subjects with known alpha, on white, on white with "
        "uneven light, on gray and on green, with shadow, noise and JPEG. Judged by SAD/1000 (smaller is better).",
        f"- bgkit {kept['bgkit']}, embedded network sha256 `{kept['network'][:16]}`; "
        "CPU seconds are medians over both sets.",
        f"- Brackets hold 95 % intervals of a paired bootstrap ({RESAMPLES} draws): over pictures of ECSSD, and over "
        f"the {people} subjects of the studio shots, since shots of one subject are no separate witnesses.",
        "- Nothing but the picture is given to any chain, and no map is stretched.",
    )


def _chains(ecssd: Sequence[Record], studio: Sequence[Record]) -> str:
    rows = [["chain", "ECSSD IoU", "boundary IoU", "MAD", "studio SAD", *KINDS, "CPU s"]]
    for name in CHAINS:
        kinds = [mean([one for one in studio if one["kind"] == kind], name, "sad") for kind in KINDS]
        cpu = float(np.median(values([*ecssd, *studio], name, "cpu")))
        figures = [f"{mean(ecssd, name, metric):.3f}" for metric in ("iou", "boundary_iou", "mad")]
        rows.append(
            [
                _shown(name),
                *figures,
                f"{mean(studio, name, 'sad'):.2f}",
                *(f"{kind:.2f}" for kind in kinds),
                f"{cpu:.3f}",
            ]
        )
    best_iou = max(CHAINS, key=lambda name: mean(ecssd, name, "iou"))
    best_sad = min(CHAINS, key=lambda name: mean(studio, name, "sad"))
    classics = ("grabcut", "saliency", KEY)
    best_old = max(classics, key=lambda name: mean(ecssd, name, "iou"))
    gap = difference(values(ecssd, DEEP, "iou"), values(ecssd, best_old, "iou"))
    regions = {
        name: difference(values(ecssd, MDF, "iou"), values(ecssd, name, "iou")) for name in ("saliency", best_old, DEEP)
    }
    rcnn = difference(values(ecssd, RCNN, "iou"), values(ecssd, MDF, "iou"))
    return _lines(
        _table(rows),
        "",
        f"On ECSSD {_shown(best_iou)} has the highest IoU, {mean(ecssd, best_iou, 'iou'):.3f}; on studio shots "
        f"{_shown(best_sad)} the smallest SAD, {mean(studio, best_sad, 'sad'):.2f}.",
        f"Of the methods without a network {_shown(best_old)} does best on ECSSD; the network alone "
        f"{_verdict(gap, 'larger', 3, 'IoU')}",
        f"Of the two that score regions, R-CNN {_verdict(rcnn, 'larger', 3, 'IoU', 'than MDF')}",
        *(f"There MDF {_verdict(by, 'larger', 3, 'IoU', f'than {_shown(name)}')}" for name, by in regions.items()),
    )


def _wins(ecssd: Sequence[Record], studio: Sequence[Record]) -> str:
    rows = [["pictures", "number", "IoU of the key", "IoU of the network", f"key ahead by {CLEAR}", "network ahead"]]
    groups = {"ECSSD": ecssd} | {f"studio {kind}": [one for one in studio if one["kind"] == kind] for kind in KINDS}
    both = [*ecssd, *studio]
    for (low, high), group in zip(BINS, plain_bins(both), strict=True):
        groups[f"border plain {low:.0%} to {min(high, 1):.0%}"] = group
    sentences = []
    for title, group in groups.items():
        if not group:
            continue
        apart = np.array(values(group, KEY, "iou")) - values(group, DEEP, "iou")
        key, network = int((apart > CLEAR).sum()), int((apart < -CLEAR).sum())
        rows.append(
            [
                title,
                str(len(group)),
                *(f"{mean(group, name, 'iou'):.3f}" for name in (KEY, DEEP)),
                str(key),
                str(network),
            ]
        )
        if title == "ECSSD":
            sentences.append(
                f"Among anything, the network is clearly ahead in {network} of {len(group)} pictures "
                f"and the key in {key}."
            )
    gap = difference(units(studio, KEY, "sad"), units(studio, DEEP, "sad"))
    sentences.append(f"On studio shots the key alone {_verdict(gap, 'smaller', 2, 'SAD', 'than the network alone')}")
    sentences.append(
        "What decides is the border: "
        + "; ".join(
            f"where {low:.0%} to {min(high, 1):.0%} of it shows one backdrop, the {_ahead(group)}"
            for (low, high), group in zip(BINS, plain_bins(both), strict=True)
            if group
        )
        + "."
    )
    return _lines(_table(rows), "", *sentences)


def _ahead(group: Sequence[Record]) -> str:
    gap = difference(units(group, KEY, "iou"), units(group, DEEP, "iou"))
    if not gap.sure:
        return f"two cannot be told apart ({gap.text(3)} for the key)"
    return f"{'key' if gap.mean > 0 else 'network'} is ahead by {abs(gap.mean):.3f}"


def _joining(ecssd: Sequence[Record], studio: Sequence[Record]) -> str:
    rows = [["joined by", "ECSSD IoU", "less the network's", "studio SAD", "less the network's", "less the key's"]]
    for name in JOINED:
        iou, sad = values(ecssd, name, "iou"), units(studio, name, "sad")
        rows.append(
            [
                _shown(name),
                f"{np.mean(iou):.3f}",
                difference(iou, values(ecssd, DEEP, "iou")).text(3),
                f"{np.mean(sad):.2f}",
                *(difference(sad, units(studio, alone, "sad")).text(2) for alone in (DEEP, KEY)),
            ]
        )
    chosen = np.maximum(values(ecssd, KEY, "iou"), values(ecssd, DEEP, "iou")).mean()
    busy = difference(values(ecssd, BEST, "iou"), values(ecssd, DEEP, "iou"))
    plain = difference(units(studio, BEST, "sad"), units(studio, DEEP, "sad"))
    key = difference(units(studio, BEST, "sad"), units(studio, KEY, "sad"))
    always = difference(values(ecssd, "odds", "iou"), values(ecssd, BEST, "iou"))
    best = max(JOINED, key=lambda name: mean(ecssd, name, "iou"))
    return _lines(
        _table(rows),
        "",
        f"Joined by odds, with a key that abstains where the border is not plain, the two together "
        f"{_plural(_verdict(plain, 'smaller', 2, 'SAD', 'on studio shots than the network alone'))}",
        f"Against the key alone, which is made for such pictures, they {_plural(_verdict(key, 'smaller', 2, 'SAD'))}",
        f"On ECSSD they {_plural(_verdict(busy, 'larger', 3, 'IoU', 'than the network alone'))}",
        f"A key that never abstains instead {_verdict(always, 'larger', 3, 'IoU', 'there')}",
        f"Of all ways to join, {_shown(best)} has the highest IoU on ECSSD, {mean(ecssd, best, 'iou'):.3f}; choosing "
        f"for each picture the better of key and network, which needs the truth, would give {chosen:.3f}.",
    )


def _steps(ecssd: Sequence[Record], studio: Sequence[Record]) -> str:
    rows = [["after joining by odds", "ECSSD IoU", "gain", "ECSSD boundary IoU", "gain", "studio SAD", "change"]]
    for name in STEPS:
        cells = [_shown(name)]
        for metric in ("iou", "boundary_iou"):
            gain = difference(values(ecssd, name, metric), values(ecssd, BEST, metric))
            cells += [f"{mean(ecssd, name, metric):.3f}", gain.text(3)]
        change = difference(units(studio, name, "sad"), units(studio, BEST, "sad"))
        rows.append([*cells, f"{mean(studio, name, 'sad'):.2f}", change.text(2)])
    crf, matting, both = STEPS
    edges = difference(values(ecssd, crf, "boundary_iou"), values(ecssd, BEST, "boundary_iou"))
    hair = difference(units(studio, matting, "sad"), units(studio, BEST, "sad"))
    more = difference(units(studio, both, "sad"), units(studio, matting, "sad"))
    return _lines(
        _table(rows),
        "",
        f"Adding a dense CRF {_verdict(edges, 'larger', 3, 'boundary IoU', 'on ECSSD')}",
        f"Adding matting {_verdict(hair, 'smaller', 2, 'SAD', 'on studio shots')}",
        f"Both, against matting without the CRF, {_plural(_verdict(more, 'smaller', 2, 'SAD', 'on studio shots'))}",
    )


def _modes(ecssd: Sequence[Record], studio: Sequence[Record]) -> str:
    both = [*ecssd, *studio]
    rows = [["failure", "cases", *(_shown(name) for name in SHOWN)]]
    sentences = []
    for key, mode in MODES.items():
        cases = [one for one in both if key in one["modes"]]
        counts = {name: sum(name in one["modes"][key] for one in cases) for name in SHOWN}
        rows.append([mode.title, str(len(cases)), *(str(count) for count in counts.values())])
        if cases:
            sentences.append(_told_of_mode(mode.title, len(cases), counts))
    others = [one for one in both if not {"dim", "noise"} & set(one["modes"])]
    counts = {name: sum(name in one["poor"] for one in others) for name in SHOWN}
    rows.append([f"*IoU below {GOOD} in all others*", str(len(others)), *(str(count) for count in counts.values())])
    return _lines(_table(rows), "", *sentences)


def _told_of_mode(title: str, cases: int, counts: Mapping[str, int]) -> str:
    key, network, joined = counts[KEY], counts[DEEP], counts["auto"]
    if joined < min(key, network):
        how = "fewer than either"
    elif joined < network:
        how = "fewer than the network alone"
    elif joined == network:
        how = "as many as the network alone"
    else:
        how = "more than the network alone"
    end = f"`auto`, which joins and refines them, in {joined}, {how}."
    return f"- {title[0].upper()}{title[1:]}: of {cases} cases the key fails in {key}, the network in {network}; {end}"


def _scenes(scenes: Sequence[Record]) -> str:
    shown = (*ALONE, "classical", "auto")
    rows = [["scene", *(_shown(name) for name in shown)]]
    for scene in scenes:
        title = MODES[scene["name"]].title if scene["name"] in MODES else "nothing hard"
        cells = []
        for name in shown:
            wrong = name in scene["modes"].get(scene["name"], ())
            cells.append(f"{scene['chains'][name]['iou']:.3f}{' ✗' if wrong else ''}")
        rows.append([title, *cells])
    return _lines(_table(rows), "", "IoU with the drawn alpha; ✗ where the rule of the scene's failure says failed.")


def _verdict(gap: Difference, better: str, digits: int, metric: str, than: str = "") -> str:
    """Return a claim about a difference, no surer than its interval."""
    less = f" {than}" if than else ""
    if not gap.sure:
        return f"cannot be told apart{less.replace(' than ', ' from ')}: {metric} {gap.text(digits)}."
    word = "better" if (gap.mean > 0) == (better == "larger") else "worse"
    return f"is {word}{less}: {metric} {gap.text(digits)}."


def _plural(text: str) -> str:
    return text.replace("is ", "are ", 1) if text.startswith("is ") else text


def _shown(name: str) -> str:
    return f"`{name}`" if name in ALONE or name in SHIPPED else f"*{name}*"


def _sign(value: float, digits: int) -> str:
    return f"{value:+.{digits}f}".replace("-", "−") if value else f"{0:.{digits}f}"


def _table(rows: Table) -> str:
    lines = ["| " + " | ".join(row) + " |" for row in rows]
    return "\n".join([lines[0], "|" + "---|" * len(rows[0]), *lines[1:]])


def _lines(*lines: str) -> str:
    return "\n".join(lines)
