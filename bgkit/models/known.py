"""The constraint of a stage's ``model`` parameter: a network that is here and fits the stage."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from bgkit.errors import ModelError
from bgkit.files import files_allowed
from bgkit.models.fitting import check_card
from bgkit.models.graph import read_graph
from bgkit.models.store import check_external_data, is_path, resolve, shipped_cards, verify

__all__ = ["KnownModel"]

STAGE_OF = {"mask": "cnn_mask", "refinement": "cascade_refine", "matting": "cnn_matting", "regions": "region_saliency"}


@dataclass(frozen=True)
class KnownModel:
    """A network by name, or the path of an ONNX file; ``task`` is what its card must be for.

    ``accepts`` raises :class:`~bgkit.errors.ModelError` with the remedy, so that a pipeline stops
    before its first picture when a network is unknown, not fetched yet, lacks its weights, or is not what its card
    says.
    """

    task: str = "mask"

    def accepts(self, value: str) -> bool:
        if not value or (is_path(value) and not files_allowed()):
            return False
        card, path = resolve(value)
        try:
            graph = read_graph(path)
            check_card(card, graph, str(path))
            check_external_data(path, graph, whole=False)
        except ModelError:
            verify(value)  # that it is another file than the card's says more
            raise
        if card.task != self.task:
            raise ModelError(
                f"model: expected a network for {STAGE_OF[self.task]}, got {value!r}, "
                f"which needs {', '.join(card.layers)}: use it in {STAGE_OF[card.task]}"
            )
        return True

    def __str__(self) -> str:
        name = "the name of a network (bgkit models list)"
        return f"{name} or the path of an ONNX file" if files_allowed() else name

    def schema(self) -> dict[str, Any]:
        return {"examples": [card.name for card in shipped_cards() if card.task == self.task]}

    def bad_values(self) -> list[Any]:
        return [""]
