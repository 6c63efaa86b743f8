"""Networks: what one is (card), where it lies (store), how it runs (session).

Listing cards and checking names loads neither ONNX Runtime nor OpenCV.
"""

from bgkit.models.card import Card, parse_card, read_card
from bgkit.models.known import KnownModel
from bgkit.models.store import add, fetch, list_cards, remove, resolve, show, verify

__all__ = [
    "Card",
    "KnownModel",
    "add",
    "fetch",
    "list_cards",
    "parse_card",
    "read_card",
    "remove",
    "resolve",
    "show",
    "verify",
]
