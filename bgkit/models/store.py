"""Where networks lie: the cards and weights that ship with bgkit, and those brought or fetched.

``BGKIT_HOME`` (default ``~/.local/share/bgkit``) holds one folder for each network under
``models/``: the ONNX file, and the card where the user brought one.
"""

from __future__ import annotations

import hashlib
import os
import sys
from pathlib import Path

from bgkit.errors import ModelError, did_you_mean
from bgkit.models.card import Card, read_card

__all__ = ["find", "home", "list_cards", "path_of", "sha256_of", "show"]

CARDS = Path(__file__).parent / "cards"
WEIGHTS = Path(__file__).parent / "weights"


def home() -> Path:
    """Return the folder of fetched and added networks: ``BGKIT_HOME``, else the system's place for such data."""
    wish = os.environ.get("BGKIT_HOME", "")
    if wish:
        return Path(wish).expanduser()
    if sys.platform == "win32":
        base = Path(os.environ.get("LOCALAPPDATA", Path.home() / "AppData" / "Local"))
    elif sys.platform == "darwin":
        base = Path.home() / "Library" / "Application Support"
    else:
        base = Path(os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share")
    return base / "bgkit"


def list_cards() -> list[Card]:
    """Return the cards of all known networks, those that ship first, each group by name.

    Raises
    ------
    ModelError
        If a card that was added cannot be read.
    """
    shipped = [read_card(path) for path in sorted(CARDS.glob("*.toml"))]
    names = {card.name for card in shipped}
    added = [read_card(path) for path in sorted((home() / "models").glob("*/card.toml"))]
    return shipped + [card for card in added if card.name not in names]


def show(name: str) -> Card:
    """Return the card of the network ``name``.

    Raises
    ------
    ModelError
        If there is none; the message names the nearest.
    """
    for path in (CARDS / f"{name}.toml", home() / "models" / name / "card.toml"):
        if name == Path(name).name and path.is_file():
            return read_card(path)
    known = [card.name for card in list_cards()]
    raise ModelError(
        f"no network named {name!r}{did_you_mean(name, known)} (bgkit models list shows them; a file of yours: "
        "give its path, or bgkit models add FILE --card CARD)"
    )


def path_of(card: Card) -> Path:
    """Return where the file of ``card`` lies, or will when it is fetched."""
    own = WEIGHTS / card.file
    return own if own.is_file() else home() / "models" / card.name / card.file


def find(model: str) -> tuple[Card, Path]:
    """Return card and file of a network by its name or by the path of an ONNX file.

    A file's card is the TOML file of the same name beside it; without one, what the graph tells is
    taken from it and the rest assumed (:attr:`Card.inferred` says what).

    Raises
    ------
    ModelError
        If it is unknown or not here; the message says how to get it.
    """
    if model.endswith(".onnx") or "/" in model or os.sep in model:
        return _find_file(Path(model))
    card = show(model)
    path = path_of(card)
    if not path.is_file():
        size = f" ({card.bytes / 1e6:.0f} MB)" if card.bytes else ""
        how = f"bgkit models fetch {card.name}" if card.url else f"bgkit models add {card.file} --card {card.name}"
        raise ModelError(f"the network {model!r} is not here yet: {how}{size}")
    return card, path


def _find_file(path: Path) -> tuple[Card, Path]:
    from bgkit.models.inferring import infer_card

    if not path.is_file():
        raise ModelError(f"{path}: no such ONNX file; expected a path, or the name of a network (bgkit models list)")
    beside = path.with_suffix(".toml")
    return (read_card(beside) if beside.is_file() else infer_card(path)), path.resolve()


def sha256_of(path: Path) -> str:
    """Return the SHA-256 of a file in hexadecimal digits."""
    with path.open("rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()
