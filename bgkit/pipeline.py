"""Pipelines: a list of stages, checked before the first pixel and run by a loop."""

from __future__ import annotations

import ctypes
import hashlib
import logging
import sys
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from typing import Any

import cv2
import numpy as np
from numpy.typing import ArrayLike

from bgkit import deadline, evidence, findings, stages
from bgkit.backdrop import Backdrop, estimate_backdrop
from bgkit.backdrop.photograph import Photograph, find_photograph, shows_subject
from bgkit.backdrop.window import subject_window
from bgkit.borders import at_edges, shadowed, with_gaps
from bgkit.color import from_bytes
from bgkit.deadline import limited
from bgkit.errors import BgkitError, ParamError, PipelineError, did_you_mean
from bgkit.layers import LAYERS, Array, Layers, check_layer
from bgkit.params import as_text
from bgkit.stage import Stage, collect_notes
from bgkit.yamlfile import dump

__all__ = ["FORMAT", "OnStep", "Pipeline", "Step", "build"]

log = logging.getLogger("bgkit")
log.addHandler(logging.NullHandler())  # who listens is the program's choice

FORMAT = 1  # the version of the file format
INPUTS = ("image", "plate", "second", "next", "strokes", "opacity")  # made by no stage from something else


def _odds(new: Array, old: Array) -> Array:
    """Multiply the odds of two independent witnesses (Bayes): 0.5 has no effect, contradiction gives 0.5."""
    a, b = np.clip(new, 0.001, 0.999), np.clip(old, 0.001, 0.999)
    yes = a * b
    return yes / (yes + (1 - a) * (1 - b))


MERGES: Mapping[str, Callable[[Array, Array], Array]] = {
    "min": np.minimum,
    "max": np.maximum,
    "mean": lambda new, old: (new + old) * np.float32(0.5),
    "product": np.multiply,
    "odds": _odds,
}
COARSE = 3_000_000  # pixels of the copy on which a larger picture's mask and trimap are found
CUT = 0.1  # opacity on the edge of a window around a subject, from which on there is more of it beyond
# The merges that look at the picture, too: the new mask is a key, the one so far a network's.
WEIGHED: Mapping[str, Callable[[Array, Array, float], Array]] = {"evidence": evidence.pool, "core": evidence.core}


def _disagreement(new: Array, old: Array) -> float:
    """Return how much of what either calls subject (above 3/4) the other calls background (below 1/4), 0..1."""
    either = float(np.count_nonzero((new > 0.75) | (old > 0.75)))
    against = np.count_nonzero((new > 0.75) & (old < 0.25)) + np.count_nonzero((new < 0.25) & (old > 0.75))
    return against / either if either else 0.0


@dataclass(frozen=True)
class Step:
    """One stage of a pipeline with a value for each of its parameters."""

    stage: Stage
    values: Mapping[str, Any]
    place: str = ""  # file:line:column, for messages

    def __reduce__(self) -> tuple[Any, ...]:
        """Go to another process by the stage's name: its function cannot be pickled."""
        return _named_step, (self.stage.name, dict(self.values), self.place)

    @property
    def name(self) -> str:
        return self.stage.name

    @property
    def makes_from_nothing(self) -> bool:
        """Whether the step gives its layer without having needed it: a source, not a refinement."""
        return self.stage.gives not in self.stage.needs

    @property
    def merges(self) -> bool:
        """Whether the step's mask meets the mask so far."""
        return bool(self.values.get("merge", "replace") != "replace")

    def apply(self, layers: Layers) -> Layers:
        """Run the stage and return the layers with what it gave."""
        info = self.stage
        given = {name: getattr(layers, name) for name in (*info.needs, *info.uses)}
        values = {name: value for name, value in self.values.items() if name != "merge"}
        with collect_notes() as facts:
            try:
                array = info.function(**given, **values)
                deadline.check()
                check_layer(info.gives, array, layers.image)  # before a merge, which would get the blame
                if self.merges and layers.mask is not None:
                    facts["disagreement"] = _disagreement(array, layers.mask)
                    array = self._merged(array, layers, facts)
                # A stage that refines alpha has the opacity in it already: twice would be its square.
                if info.gives == "alpha" and "alpha" not in info.needs and layers.opacity is not None:
                    array = array * layers.opacity
                made = layers.put(info.gives, array)
                if info.gives == "image":
                    for name in ("plate", "second", "next"):
                        other = getattr(layers, name)
                        made = made if other is None else made.put(name, self._same_scene(name, other, values))
            except BgkitError as error:
                raise error.at(self.name) from None
        return replace(made, facts={**made.facts, info.name: facts}) if facts else made

    def _merged(self, array: Array, layers: Layers, facts: dict[str, Any]) -> Array:
        """Let a mask meet the mask so far; by evidence, note what may be lost or wrongly kept, too."""
        assert layers.mask is not None
        way = self.values["merge"]
        if way in MERGES:
            return MERGES[way](array, layers.mask)
        backdrop = estimate_backdrop(layers.image)
        merged = self._weighed(array, layers, facts, backdrop)
        facts["dropped"] = evidence.dropped(merged, layers.mask)
        facts["shade"] = shadowed(layers.image, merged, layers.mask, backdrop)
        return merged

    def _weighed(self, array: Array, layers: Layers, facts: dict[str, Any], backdrop: Backdrop) -> Array:
        """Return the mask of a key and of a network, as the signs speak for either."""
        assert layers.mask is not None
        way = self.values["merge"]
        answers = [each["sure"] for each in layers.facts.values() if "sure" in each]  # of networks, before refinement
        signs = evidence.read_signs(layers.image, array, layers.mask, *answers[-1:])
        facts["evidence"] = signs
        # A painted backdrop is known to the pixel, and its squares mislead the network.
        sure = way == "core" and backdrop.painted
        facts["chance"] = 1.0 if sure else evidence.chance_of_key(signs)
        if facts.get("moved"):  # no key that sees every gap: where near things moved, gaps and debris are the plate's
            way = "evidence"
        if layers.plate is None:  # a plate shows the light, and tells by itself, however busy it is
            lost = evidence.is_lost(signs, facts["chance"])
            if way == "core":
                facts["overruled"] = lost
            if lost:
                return layers.mask
            array = at_edges(layers.image, array, layers.mask, backdrop)
            if way == "core" and not evidence.sees_gaps(signs, facts["chance"]):
                return array
        network = with_gaps(layers.image, array, layers.mask, backdrop, prevailing=layers.plate is not None)
        return WEIGHED[way](array, network, facts["chance"])

    def _same_scene(self, name: str, other: Array, values: Mapping[str, Any]) -> Array:
        """Do to another shot of the scene what was done to the picture, so that both can still be compared."""
        given = {each: other if each in ("image", "plate") else None for each in (*self.stage.needs, *self.stage.uses)}
        with collect_notes():
            same = self.stage.function(**given, **values)
        check_layer(name, same, other)
        return same


def _named_step(name: str, values: Mapping[str, Any], place: str) -> Step:
    return Step(stages.find(name), values, place)


OnStep = Callable[[Step, Layers, float], None]


@dataclass(frozen=True)
class Pipeline:
    """A checked list of steps. Build one with :func:`load_pipeline`."""

    name: str
    steps: tuple[Step, ...]
    description: str = ""
    checks: Mapping[str, float] = field(default_factory=dict)  # finding -> threshold

    def run(
        self,
        image: ArrayLike | Layers,
        *,
        on_step: OnStep | None = None,
        timeout: float | None = None,
        keep: Iterable[str] | None = None,
        trail: list[tuple[Step, Layers]] | None = None,
        leave_last: bool = False,
        **brought: ArrayLike | None,
    ) -> Layers:
        """Run the stages over one picture.

        Parameters
        ----------
        image : array of shape (M, N), (M, N, 3) or (M, N, 4), or Layers
            sRGB-encoded; uint8, uint16 or float in 0..1. An alpha channel is respected: it
            multiplies into every alpha.
        on_step : callable(step, layers, seconds), optional
            Called after each step; what it raises ends the run.
        timeout : float, optional
            Seconds after which the run ends before its next step, or inside a network (:mod:`bgkit.deadline`).
        keep : names of layers, optional
            The layers that you need. Every other layer is freed as soon as no later step and no check reads it, which
            saves a third of the memory of a large picture. A changed image that is not among them makes room for the
            picture as it came, once the checks look at that. By default all are kept.
        trail : list of (step, layers), optional
            What each step of an earlier run on the same picture gave. The first steps are not run again as long as they
            are the same as then; afterwards the list holds the steps of this run. Not together with ``keep``.
        leave_last : bool
            Whether to leave out the last steps that can be made as they are written (:attr:`ends_in_rows`): all that
            they need is kept, and ``result`` stays None.
        **brought : array, optional
            Layers of your own: ``plate``, ``strokes``, ``mask``, ``trimap``, ``alpha``. Stages that would only
            make a layer that you bring are left out (:meth:`plan`).

        Returns
        -------
        Layers
            Every layer that was made, or the image and those to ``keep``. Without a matting stage ``alpha`` is the
            mask. If the pipeline has ``checks``, ``facts["findings"]`` holds their results (:mod:`bgkit.findings`).
            Steps up to the first matte see the picture without what was put around it, lines and margins
            (:mod:`bgkit.backdrop.photograph`), noted as ``facts["margin"]``, and of that only the window around a
            subject that is small on a plain backdrop (:mod:`bgkit.backdrop.window`); those up to a trimap see a copy of
            3 megapixels of what is larger. ``on_step`` and ``trail`` then get the layers of that part or copy.

        Raises
        ------
        LayerError
            If an array does not fit, or a stage refuses what it is given.
        PipelineError
            If a layer that is needed is neither made earlier nor brought.
        DeadlineError
            If it takes longer than ``timeout``; the message names the step.
        """
        held = [image]
        del image  # a chain that changes the picture lets go of it as it was, if its caller does
        with limited(timeout):
            return self._run(held.pop(), on_step, keep, brought, trail, self.ends_in_rows if leave_last else 0)

    def _run(
        self,
        image: ArrayLike | Layers,
        on_step: OnStep | None,
        keep: Iterable[str] | None,
        brought: Mapping[str, ArrayLike | None],
        trail: list[tuple[Step, Layers]] | None,
        left: int,
    ) -> Layers:
        layers = image if isinstance(image, Layers) else Layers.of(image)
        del image
        for name, array in brought.items():
            if array is not None:
                layers = layers.bring(name, array)
        steps = self.plan(layers.given())
        done = _in_common(trail or [], steps)
        if trail is not None:
            del trail[done:]
        kept = {*(keep or ()), *(("alpha",) if self.checks else ())}
        coarse, near = _on_a_copy(steps), _near_the_subject(steps)
        window = whole = around = canvas = None
        small = near if _may_be_a_part(layers, steps[: near.stop]) else range(0)
        shown, part = find_photograph(layers.image) if small else None, None
        if shown is not None:
            kind = "perhaps_margin"
            if _is_within(layers, shown.part) and _is_photograph(layers, shown, steps[near.start]):
                kind, part = "margin", shown.part
            layers = replace(layers, facts={**layers.facts, kind: _around(shown.part, layers.image)})
        if part is not None:
            layers, canvas = layers.within(part), layers
        picture = layers.image if self.checks else None
        index = 0
        while index < len(steps):
            step = steps[index]
            if "alpha" in step.stage.needs:
                layers = _with_alpha(layers)
            started = time.perf_counter()
            if small and index == near.start:
                window = subject_window(layers.image, plate=layers.plate)
                if window is not None and not _is_within(layers, window):
                    window = None
                if window is not None:
                    layers, around = layers.within(window), layers
            if coarse and index == coarse.start:
                whole, layers = layers, layers.reduced(COARSE)
            if index >= len(steps) - left:
                keep = None  # what they need
            elif trail is None:
                layers = step.apply(layers)
            elif index < done:
                layers = trail[index][1]
            else:
                layers = step.apply(layers)
                trail.append((step, layers))
            changes = step.stage.gives == "image" and part is None
            if keep is not None and picture is not None and changes and picture.dtype != np.uint8:
                picture = cv2.convertScaleAbs(picture, alpha=255)  # for the findings, a quarter of the memory
            if whole is not None and index == coarse.stop - 1:
                if layers.image.shape != whole.image.shape:
                    if keep is not None and window is part is None:  # what nobody reads is not enlarged
                        layers = _without_unread(layers, steps[index + 1 :], kept)
                    layers = layers.enlarged_to(whole)
                    _give_back()
                whole = None
            if window is not None and around is not None and index == near.stop - 1:
                if _is_cut(layers, window, around):
                    layers, index, small, window = around, near.start, range(0), None
                    if trail is not None:
                        done = min(done, index)
                        del trail[index:]
                    continue
                layers = layers.put_back(around, window)
                around = None
            if part is not None and canvas is not None and index == near.stop - 1:
                layers = layers.put_back(canvas, part, _changed(steps[: near.stop], canvas))
                canvas = None
            index += 1
            seconds = time.perf_counter() - started
            log.debug("%s: %s: %.3f s", self.name, step.name, seconds)
            if on_step is not None:
                on_step(step, layers, seconds)
            if keep is not None:
                layers = _without_unread(layers, steps[index:], kept)
        layers = _with_alpha(layers)
        if picture is not None:
            if picture.dtype == np.uint8:
                held = {each.name: getattr(layers, each.name) for each in fields(layers)}
                if keep is not None and "image" not in keep:
                    del layers, held["image"]  # before the other one takes memory
                picture = from_bytes(picture)
                picture.flags.writeable = False
                layers = Layers(**{"image": picture, **held})
            found = findings.measure(self.checks, picture, layers if part is None else _judged(layers, picture, part))
            layers = replace(layers, facts={**layers.facts, "findings": found})
        return layers

    @property
    def ends_in_rows(self) -> int:
        """How many of the last steps give rows each of which can be made by itself.

        A composite on a color or on nothing needs its own row alone, and an estimated foreground that it follows a few
        around it.
        """
        last, before = self.steps[-1], self.steps[-2:-1]
        in_rows = last.name == "composite" and _module_of(last).in_rows(last.values)
        return (2 if before and before[0].name == "estimate_foreground" else 1) if in_rows else 0

    def rows(self, layers: Layers) -> Any:
        """Return the result that was left out, as ``imagefile.Rows``: each row is made when it is asked for."""
        subject: Any = layers.image if layers.foreground is None else layers.foreground
        if self.ends_in_rows == 2:
            step = self.steps[-2]
            subject = _module_of(step).Foreground(layers.image, layers.alpha, **step.values)
        return _module_of(self.steps[-1]).rows_of(subject, layers.alpha, self.steps[-1].values)

    def plan(self, given: Iterable[str] = ("image",)) -> tuple[Step, ...]:
        """Return the steps to run when the layers ``given`` are brought.

        A mask, trimap or alpha that is brought replaces the steps that would have made it, and every earlier step
        that is needed only for them; steps that refine it are kept.

        Raises
        ------
        PipelineError
            If a step lacks a layer, or a layer that is brought is of no use to any step.
        """
        given = set(given)
        made = given - set(INPUTS)
        kept: list[Step] = []
        wanted = {step.stage.gives for step in self.steps[-1:]}
        for index, step in reversed(list(enumerate(self.steps))):
            gives = step.stage.gives
            replaced = gives in made and step.makes_from_nothing
            if replaced or (made and gives not in wanted):
                continue
            kept.append(step)
            wanted |= {*step.stage.needs, *step.stage.uses}
            matted = "alpha" in made or any(earlier.stage.gives == "alpha" for earlier in self.steps[:index])
            if step.merges or ("alpha" in step.stage.needs and not matted):
                wanted.add("mask")
        kept.reverse()
        self.check_chain(kept, given)
        return tuple(kept)

    def needs(self) -> tuple[str, ...]:
        """Return the inputs beside the image that some stage cannot do without (``plate``, ``second``, ``strokes``)."""
        required = {name for step in self.steps for name in step.stage.needs}
        return tuple(name for name in ("plate", "second", "strokes") if name in required)

    def with_values(self, values: Mapping[str, Any]) -> Pipeline:
        """Return the pipeline with values changed: ``{"luv_threshold.tolerance": 20}``, or as text, ``"20"``.

        A stage that stands in the chain more than once is named ``opening#2`` for its second place; thresholds are
        ``checks.NAME``.
        """
        if not isinstance(values, Mapping):
            raise ParamError(f"values: expected a mapping as {{'make_trimap.width': 8}}, got {type(values).__name__}")
        steps, checks = list(self.steps), dict(self.checks)
        for key, value in values.items():
            place, dot, word = key.rpartition(".") if isinstance(key, str) else ("", "", "")
            if place == "checks":
                checks |= findings.read_threshold(word, value)
                continue
            name, _, number = place.partition("#")
            if not dot or (number and not number.isdecimal()):
                raise PipelineError(f"{key!r}: expected STAGE.PARAM")
            found = [index for index, step in enumerate(steps) if step.name == name]
            if not found:
                has = [step.name for step in steps]
                hint = did_you_mean(name, has) or f" (it has: {', '.join(has)})"
                raise PipelineError(f"{key}: the pipeline {self.name!r} has no stage {name!r}{hint}")
            which = int(number or 1)
            if not 1 <= which <= len(found):
                raise PipelineError(f"{key}: {name!r} stands {len(found)} time(s) in the pipeline {self.name!r}")
            index = found[which - 1]
            changed = {**steps[index].values, word: steps[index].stage.read(word, value)}
            steps[index] = replace(steps[index], values=changed)
        return replace(self, steps=tuple(steps), checks=checks)

    def on_device(self, provider: str) -> Pipeline:
        """Return the pipeline with all its networks run by one of ONNX Runtime's providers (``cpu``, ``cuda``, ...).

        Raises
        ------
        PipelineError
            If no stage runs a network.
        ParamError
            If there is no such provider. One that this machine lacks is an error when networks are loaded.
        """
        steps = [
            replace(step, values={**step.values, "provider": step.stage.read("provider", provider)})
            if "provider" in step.values
            else step
            for step in self.steps
        ]
        if not any("provider" in step.values for step in steps):
            raise PipelineError(f"the pipeline {self.name!r} runs no network, so {provider!r} has nothing to do")
        return replace(self, steps=tuple(steps))

    def giving(self, layer: str) -> Pipeline:
        """Return the pipeline with ``drop_subject`` at its end where ``layer`` is background and no step gives it."""
        if layer != "background" or any(step.stage.gives == layer for step in self.steps):
            return self
        info = stages.find("drop_subject")
        return replace(self, steps=(*self.steps, Step(info, info.check({}))))

    def steadied(self) -> Pipeline:
        """Return the pipeline with ``steady`` behind its last alpha, or its last mask where it has none."""
        if any(step.name == "steady" for step in self.steps):
            return self
        for layer in ("alpha", "mask"):
            found = [index for index, step in enumerate(self.steps) if step.stage.gives == layer]
            if found:
                info = stages.find("steady")
                at = found[-1] + 1
                return replace(self, steps=(*self.steps[:at], Step(info, info.check({})), *self.steps[at:]))
        return self

    def dump(self) -> str:
        """Return the pipeline as YAML with every value written out, so that it outlives changed defaults."""
        entries = []
        for step in self.steps:
            values = {name: list(value) if isinstance(value, tuple) else value for name, value in step.values.items()}
            entries.append({step.name: values} if values else step.name)
        document = {"bgkit": FORMAT, "description": self.description, "stages": entries}
        return dump({**document, "checks": dict(self.checks)} if self.checks else document)

    def describe(self) -> dict[str, Any]:
        """Return all that a pipeline file says, and its checksum, as plain values."""
        return {
            "name": self.name,
            "description": self.description,
            "needs": list(self.needs()),
            "stages": [{"stage": step.name, "values": {**step.values}} for step in self.steps],
            "checks": dict(self.checks),
            "sha256": self.digest(),
            "yaml": self.dump(),
        }

    def digest(self) -> str:
        """Return the SHA-256 of :meth:`dump`: equal for pipelines that do the same."""
        return hashlib.sha256(self.dump().encode()).hexdigest()

    def __str__(self) -> str:
        lines = [f"{self.name}: {self.description}"]
        for step in self.steps:
            values = ", ".join(f"{name}={as_text(value)}" for name, value in step.values.items())
            lines.append(f"  {step.name}  {values}".rstrip())
        for name, threshold in self.checks.items():
            finding = findings.FINDINGS[name]
            lines.append(f"  check: {name} {finding.limit} {threshold:g} {finding.range.unit}".rstrip())
        return "\n".join(lines)

    def check_chain(self, steps: Sequence[Step], given: set[str]) -> None:
        """Check that each of ``steps`` finds its layers, and that each layer ``given`` finds a use."""
        there = given | {"image"}
        for step in steps:
            if "mask" in there:
                there.add("alpha")  # an unmatted mask is an opacity
            for name in step.stage.needs:
                if name not in there:
                    raise PipelineError(f"{step.place or self.name}: {step.name}: {_remedy(name)}")
            there.add(step.stage.gives)
        used = {name for step in steps for name in (*step.stage.needs, *step.stage.uses)}
        used |= {"mask"} if "alpha" in used or any(step.merges for step in steps) else set()
        used |= {"image", "opacity", "alpha"}
        for name in sorted(given - used):
            takers = [taker for taker in stages.names() if name in _takes(taker)]
            raise PipelineError(
                f"{name}: brought, but no stage of the pipeline {self.name!r} uses it (these do: {', '.join(takers)})"
            )


def build(name: str, steps: Iterable[tuple[str, Mapping[str, Any]]]) -> Pipeline:
    """Return a pipeline of stages by name with their values, checked.

    Raises
    ------
    PipelineError, ParamError
        If there is no such stage, or a value is wrong.
    """
    found = [(stages.find(stage), values) for stage, values in steps]
    return Pipeline(name, tuple(Step(stage, stage.check(values)) for stage, values in found))


def _takes(name: str) -> tuple[str, ...]:
    info = stages.find(name)
    return info.needs + info.uses


def _remedy(name: str) -> str:
    if name in INPUTS:
        return f"needs the layer {name!r} ({LAYERS[name].meaning}); bring one with --{name} or {name}=..."
    givers = [giver for giver in stages.names() if stages.find(giver).gives == name not in stages.find(giver).needs]
    earlier = f"put {' or '.join(givers)} earlier, or bring one"
    return f"needs the layer {name!r}, and no stage before it gives one; {earlier}"


def _module_of(step: Step) -> Any:
    """Return the module of a step's stage, which is loaded already."""
    return sys.modules[step.stage.function.__module__]


def _in_common(trail: Sequence[tuple[Step, Layers]], steps: Sequence[Step]) -> int:
    """Return at how many steps from the beginning an earlier run did the same."""
    count = 0
    for (earlier, _), step in zip(trail, steps, strict=False):
        if (earlier.name, earlier.values) != (step.name, step.values):
            break
        count += 1
    return count


def _on_a_copy(steps: Sequence[Step]) -> range:
    """Return which steps find a mask and draw a trimap from it: all they have to know is where the contour lies.

    Matting decides inside the trimap's band, at the picture's own pixels. Where no trimap follows, the mask itself is
    what is wanted, and no step is among them.
    """
    for end, step in enumerate(steps):
        if step.stage.gives == "trimap" and "mask" in step.stage.needs:
            start = end
            while start and steps[start - 1].stage.gives == "mask":
                start -= 1
            return range(start, end + 1) if start < end else range(0)
    return range(0)


def _near_the_subject(steps: Sequence[Step]) -> range:
    """Return which steps, one after another, find mask, trimap and matte, and may see a part of the picture alone."""

    def finds(step: Step) -> bool:
        return step.stage.gives in ("mask", "trimap") or "trimap" in step.stage.needs

    start = next((index for index, step in enumerate(steps) if finds(step)), len(steps))
    end = next((index for index in range(start, len(steps)) if not finds(steps[index])), len(steps))
    return range(start, end)


def _may_be_a_part(layers: Layers, steps: Sequence[Step]) -> bool:
    """Return whether ``steps`` may see a part of the picture alone: what they read of what was brought can be cut."""
    read = {name for step in steps for name in (*step.stage.needs, *step.stage.uses)}
    return not read & set(layers.given()) - {"image", "plate", "opacity", "mask", "trimap"}


def _is_within(layers: Layers, part: tuple[slice, slice]) -> bool:
    """Return whether rows and columns of a picture hold all that was brought of a subject."""
    brought = [array for array in (layers.mask, layers.trimap) if array is not None]
    return all(np.count_nonzero(each[part]) == np.count_nonzero(each) for each in brought)


def _is_photograph(layers: Layers, shown: Photograph, first: Step) -> bool:
    """Return whether what margins surround is a photograph; where that is not sure, by what a network finds in it."""
    if shown.sure:
        return True
    mask = layers.mask
    if mask is None and first.stage.name == "cnn_mask":
        mask = first.apply(layers).mask
    return mask is not None and shows_subject(mask, shown.part)


def _around(part: tuple[slice, slice], image: Array) -> dict[str, int]:
    """Return how much of a picture is beyond a part of it on each side, px."""
    (rows, cols), shape = part, image.shape
    return {"top": rows.start, "bottom": shape[0] - rows.stop, "left": cols.start, "right": shape[1] - cols.stop}


def _changed(steps: Sequence[Step], layers: Layers) -> tuple[str, ...]:
    """Return which inputs ``steps`` change."""
    given = layers.given()
    changes = any(step.stage.gives == "image" for step in steps)
    return tuple(name for name in ("image", "plate", "second", "next") if name in given) if changes else ()


def _judged(layers: Layers, picture: Array, part: tuple[slice, slice]) -> Layers:
    """Return what findings see of a picture within a margin."""
    alpha = None if layers.alpha is None else np.ascontiguousarray(layers.alpha[part])
    return Layers(picture, alpha=alpha, facts=layers.facts)


def _is_cut(layers: Layers, window: tuple[slice, slice], around: Layers) -> bool:
    """Return whether a subject reaches the edge of its window where the picture goes on: then there is more of it."""
    found = layers.mask if layers.alpha is None else layers.alpha
    if found is None:
        return False
    edges = ((window[0], 0, found), (window[1], 1, found.T))
    return any(
        (side.start > 0 and bool((array[0] > CUT).any()))
        or (side.stop < around.image.shape[axis] and bool((array[-1] > CUT).any()))
        for side, axis, array in edges
    )


def _give_back() -> None:
    """Give memory that was freed back to the system: glibc would keep some 60 MB of a copy's layers for later ones."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None) if sys.platform == "linux" else None
    if trim is not None:
        trim(0)


def _without_unread(layers: Layers, steps: Sequence[Step], kept: set[str]) -> Layers:
    """Let go what neither is to be kept nor is read by one of the ``steps`` to come before it is made anew."""
    read = set(kept)
    for step in reversed(steps):
        if step.makes_from_nothing and not step.merges:
            read.discard(step.stage.gives)
        read |= {*step.stage.needs, *step.stage.uses} | ({"mask"} if step.merges else set())
    if "alpha" in read and layers.alpha is None:
        read.add("mask")  # in alpha's place
    gone: dict[str, Any] = dict.fromkeys(set(layers.given()) - read - {"image", "opacity"})
    return replace(layers, **gone) if gone else layers


def _with_alpha(layers: Layers) -> Layers:
    """Let the mask serve as alpha where no stage made one."""
    if layers.alpha is not None or layers.mask is None:
        return layers
    return layers.put("alpha", layers.mask if layers.opacity is None else layers.mask * layers.opacity)
