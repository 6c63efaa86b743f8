"""Where networks lie: the cards and weights that ship with bgkit, and those brought or fetched.

``BGKIT_HOME`` (default ``~/.local/share/bgkit``) holds one folder for each network under
``models/``: the ONNX file, the card where the user brought one, and the consent where one was
asked for. Nothing here touches the net but :func:`fetch`, and that not while ``BGKIT_OFFLINE`` is set.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from bgkit.errors import MissingModelError, ModelError, did_you_mean
from bgkit.files import digest_of, home, mismatch, replacing, write_whole
from bgkit.models.card import Card, parse_card, read_card
from bgkit.models.fitting import check_card
from bgkit.models.graph import Graph, read_graph

__all__ = [
    "add",
    "check_external_data",
    "fetch",
    "how_to_get",
    "list_cards",
    "locate",
    "path_of",
    "remove",
    "resolve",
    "shipped_cards",
    "show",
    "verify",
]

CARDS = Path(__file__).parent / "cards"
WEIGHTS = Path(__file__).parent / "weights"
CONSENT = "license-accepted"
EXTERNAL_DATA = "apart.sha256"  # checksums of files of weights that were added with an ONNX file


def list_cards(on_broken: Callable[[ModelError], None] | None = None) -> list[Card]:
    """Return the cards of all known networks, those that ship first, each group by name.

    Parameters
    ----------
    on_broken : callable, optional
        Receives the error of each card that was added and cannot be read; such a card is left out.

    Raises
    ------
    ModelError
        If a card that was added cannot be read, and nothing takes the error.
    """
    shipped = shipped_cards()
    names = {card.name for card in shipped}
    added = []
    for path in sorted((home() / "models").glob("*/card.toml")):
        try:
            added.append(read_card(path))
        except ModelError as error:
            if on_broken is None:
                raise
            on_broken(error)
    return shipped + [card for card in added if card.name not in names]


def shipped_cards() -> list[Card]:
    """Return the cards that come with bgkit, by name."""
    return [read_card(path) for path in sorted(CARDS.glob("*.toml"))]


def show(name: str) -> Card:
    """Return the card of the network ``name``.

    Raises
    ------
    ModelError
        If there is none; the message names the nearest.
    """
    shipped, added = CARDS / f"{name}.toml", home() / "models" / name / "card.toml"
    if name == Path(name).name and _is_file(shipped):
        return replace(read_card(shipped), place="")  # nothing for a user to mend
    if name == Path(name).name and _is_file(added):
        return read_card(added)
    # By the files' names: an added card that cannot be read is no reason to hide this message.
    known = [path.stem for path in CARDS.glob("*.toml")]
    known += [path.parent.name for path in (home() / "models").glob("*/card.toml")]
    raise MissingModelError(
        f"no network named {name!r}{did_you_mean(name, known)} (bgkit models list shows them; a file of yours: "
        "give its path, or bgkit models add FILE --card CARD)"
    )


def _is_file(path: Path) -> bool:
    return os.path.isfile(path)  # noqa: PTH113 (Path.is_file raises where a name is too long)


def path_of(card: Card) -> Path:
    """Return where the file of ``card`` lies, or will when it is fetched."""
    own = WEIGHTS / card.file.name
    shipped = (CARDS / f"{card.name}.toml").is_file()  # another's file may have the same name
    return own if shipped and own.is_file() else home() / "models" / card.name / card.file.name


def resolve(model: str) -> tuple[Card, Path]:
    """Return card and file of a network by its name or by the path of an ONNX file.

    A file's card is the TOML file of the same name beside it; without one, what the graph says is
    taken from it and the rest assumed (:attr:`Card.inferred` says what).

    Raises
    ------
    ModelError
        If it is unknown or not here; the message says how to get it.
    """
    card, path = locate(model)
    if is_path(model):
        return card, path
    if not path.is_file():
        size = f" ({card.file.bytes / 1e6:.0f} MB)" if card.file.url and card.file.bytes else ""
        raise MissingModelError(
            f"the network {model!r} is not here yet: {how_to_get(card, path)}{size}{_terms_of(card)}"
        )
    _check_consent(card, path.parent, how_to_get(card, path), accept=False)
    return card, path


def is_path(model: str) -> bool:
    """Whether ``model`` means a file and not a network's name."""
    return model.endswith(".onnx") or "/" in model or os.sep in model


def locate(model: str) -> tuple[Card, Path]:
    """Return card and file of a network by its name or path; by its name the file need not be here yet."""
    if is_path(model):
        return _find_file(Path(model))
    card = show(model)
    path = path_of(card)
    return _with_checksum(card, path), path


def _find_file(path: Path) -> tuple[Card, Path]:
    from bgkit.models.inferring import infer_card

    if not _is_file(path):
        folder = "" if path.is_absolute() else f" in {Path.cwd()}"
        raise ModelError(
            f"{path}: no such ONNX file{folder}; expected a path, or the name of a network (bgkit models list)"
        )
    beside = path.with_suffix(".toml")
    return (read_card(beside) if beside.is_file() else infer_card(path)), path.resolve()


def fetch(
    name: str, on_progress: Callable[[int, int | None], None] | None = None, *, accept_license: bool = False
) -> Path:
    """Download the file of the network ``name`` unless it is here, and return where it lies.

    Parameters
    ----------
    name : str
        A known network.
    on_progress : callable, optional
        Called with the bytes so far and the bytes in all (None where nobody knows).
    accept_license : bool
        Consent to terms that forbid commercial use. Asked for once and remembered.

    Raises
    ------
    ModelError
        If it is unknown, has no address, or cannot be fetched whole and right; if its terms forbid commercial
        use and nobody consented; while ``BGKIT_OFFLINE`` is set.
    """
    from bgkit.models.fetching import download

    card = show(name)
    path = path_of(card)
    if path.parent == WEIGHTS:
        return path
    with _locked(home() / "models" / card.name) as folder:
        _check_consent(card, folder, f"bgkit models fetch {card.name}", accept=accept_license)
        if path.is_file() and not _wrong(card, path):
            return path
        if not card.file.url:
            raise ModelError(
                f"the network {name!r} has no address to fetch from; get {card.file.name} yourself "
                f"({card.sources[0]}), then: {how_to_get(card, path)}"
            )
        if os.environ.get("BGKIT_OFFLINE", "0") not in ("", "0"):
            raise ModelError(f"the network {name!r} is not here, and BGKIT_OFFLINE forbids to fetch it; unset it first")
        file = card.file
        download(file.url, path, sha256=file.sha256, md5=file.md5, size=file.bytes, on_progress=on_progress)
    return path


def how_to_get(card: Card, path: Path) -> str:
    """Return what brings the file of a network, or brings it once more."""
    if path.parent == WEIGHTS:
        return "install bgkit again"
    if path.parent != home() / "models" / card.name:
        return "get the file again, or mend the card beside it"
    if card.file.url:
        return f"bgkit models fetch {card.name}"
    added = (path.parent / "card.toml").is_file()
    return f"bgkit models add {'FILE --card CARD --replace' if added else f'{card.file.name} --card {card.name}'}"


def add(
    file: str | Path, card: str | Path | None = None, *, accept_license: bool = False, replace_old: bool = False
) -> Card:
    """Copy an ONNX file into the store under the name its card gives it, and return the card.

    Files of weights beside it that the graph names ("external data") are copied with it.

    Parameters
    ----------
    file : path
        The ONNX file; it is checked against the card, and against the card's checksum where there is one.
    card : path or str, optional
        A card of yours, or the name of a known network whose file you have; else the TOML file of the same name
        beside ``file``.
    accept_license : bool
        Consent to terms that forbid commercial use.
    replace_old : bool
        Replace a network of that name that was added before.

    Raises
    ------
    ModelError
        If there is no card, if it is wrong or does not fit the file, or if its name is taken.
    """
    file = Path(file)
    if card is None and not file.with_suffix(".toml").is_file():
        raise ModelError(f"{file}: expected its card beside it ({file.with_suffix('.toml')}), or --card CARD, got none")
    card = card or file.with_suffix(".toml")
    card_file = Path(card)
    known = (CARDS / f"{card}.toml").is_file() and not card_file.is_file()
    text = "" if known else _card_text(card_file)
    described = show(str(card)) if known else parse_card(text, str(card_file))
    if not known and (CARDS / f"{described.name}.toml").is_file():
        raise ModelError(f"{card_file}: name: {described.name!r} is a network that bgkit knows; choose another name")
    wrong = _wrong(described, file)
    if wrong:
        raise ModelError(f"{file}: {wrong}, as its card says; this is another file, or a damaged one")
    graph = read_graph(file)
    check_card(described, graph, str(file))
    check_external_data(file, graph)
    with _locked(home() / "models" / described.name) as folder:
        if (folder / "card.toml").is_file() and not replace_old:
            raise ModelError(
                f"a network named {described.name!r} was added before: --replace puts this one in its place; "
                f"or choose another name in {card_file}"
            )
        _check_consent(described, folder, f"bgkit models add {file} --card {card}", accept=accept_license)
        _copy_external_data(file, graph, folder)
        with replacing(folder / described.file.name) as part:
            shutil.copyfile(file, part)
            if not known:
                write_whole(folder / "card.toml", text)
            write_whole(folder / "sha256", digest_of(part))
        _clear(folder, {"card.toml", "sha256", CONSENT, EXTERNAL_DATA, described.file.name, *graph.external_data})
    return described


def remove(name: str) -> None:
    """Remove the network ``name`` from the store: what was fetched or added, and a consent to its terms.

    Raises
    ------
    ModelError
        If it is unknown, ships with bgkit, or is not here.
    """
    folder, known = home() / "models" / name, (CARDS / f"{name}.toml").is_file()
    if name != Path(name).name or not (known or (folder / "card.toml").is_file()):
        show(name)  # for its message
    if known and path_of(show(name)).parent == WEIGHTS:
        raise ModelError(f"the network {name!r} ships with bgkit and cannot be removed")
    if not [path for path in folder.glob("*") if path.name != ".lock"]:
        raise ModelError(f"the network {name!r} is not here; there is nothing to remove")
    with _locked(folder):
        # A network is there for as long as its card is, a known one for as long as its file is: these go first.
        (folder / "card.toml").unlink(missing_ok=True)
        if known:
            path_of(show(name)).unlink(missing_ok=True)
        _clear(folder)


def _clear(folder: Path, keep: Collection[str] = ()) -> None:
    """Remove the files in a network's folder but those to keep; the lock stays for who waits for it."""
    for path in folder.iterdir():
        if path.name not in (*keep, ".lock"):
            path.unlink()


def verify(name: str) -> dict[str, str]:
    """Check that the file of the network ``name`` (or a path) is whole and what its card says; return its facts.

    Raises
    ------
    ModelError
        If it is absent, damaged, or another than the card describes.
    """
    card, path = resolve(name)
    wrong = _wrong(card, path)
    if wrong:
        raise ModelError(f"{path}: {wrong}; the file is damaged or another: {how_to_get(card, path)}")
    graph = read_graph(path)
    check_card(card, graph, str(path))
    check_external_data(path, graph)
    kind = "sha256" if card.file.sha256 else "md5" if card.file.md5 else ""
    why = "there is no card" if card.inferred else "the card has no checksum"
    checked = f"{kind} and the graph" if kind else f"the graph alone; {why}"
    return {
        "model": card.name,
        "path": str(path),
        "sha256": digest_of(path),
        "checked": checked,
        "license": card.license.name,
        "use": card.use,
    }


def check_external_data(path: Path, graph: Graph, *, whole: bool = True) -> None:
    """Check the files of weights beside an ONNX file ("external data"): there, and as they were when it was added.

    With ``whole=False`` only that they are there, which takes no time.

    Raises
    ------
    ModelError
        If one is absent, damaged, or named so that it cannot lie beside the file.
    """
    kept = path.parent / EXTERNAL_DATA
    digests = dict(line.split("  ", 1)[::-1] for line in kept.read_text("utf-8").splitlines()) if kept.is_file() else {}
    for name in graph.external_data:
        if name != Path(name).name or "\\" in name or name in (path.name, EXTERNAL_DATA, "card.toml", "sha256"):
            raise ModelError(
                f"{path}: expected weights in files beside it, got {name!r}; save it as one file, in Python: "
                f"import onnx; onnx.save(onnx.load({path.name!r}), 'one.onnx')"
            )
        beside = path.parent / name
        if not beside.is_file():
            raise ModelError(f"{path}: expected its weights in {beside}, got no such file; bring both into one folder")
        wrong = whole and mismatch(beside, sha256=digests.get(name, ""), md5="")
        if wrong:
            raise ModelError(f"{beside}: {wrong}; the file is damaged: add {path.name} again, with --replace")


def _copy_external_data(file: Path, graph: Graph, folder: Path) -> None:
    lines = []
    for name in graph.external_data:
        with replacing(folder / name) as part:
            shutil.copyfile(file.parent / name, part)
            lines.append(f"{digest_of(part)}  {name}\n")
    if lines:
        write_whole(folder / EXTERNAL_DATA, "".join(lines))
    else:
        (folder / EXTERNAL_DATA).unlink(missing_ok=True)


def _card_text(path: Path) -> str:
    read_card(path)  # for its messages
    return path.read_text("utf-8-sig")


def _wrong(card: Card, path: Path) -> str:
    return mismatch(path, sha256=card.file.sha256, md5=card.file.md5, size=card.file.bytes)


def _with_checksum(card: Card, path: Path) -> Card:
    """A card without checksum has the one its file had when it was added."""
    kept = path.parent / "sha256"
    if card.file.sha256 or card.file.md5 or not kept.is_file():
        return card
    return replace(card, file=replace(card.file, sha256=kept.read_text("utf-8").strip()))


def _terms_of(card: Card) -> str:
    return f"; {card.license.name}: {card.use}, needs --accept-license" if card.license.commercial is False else ""


def _check_consent(card: Card, folder: Path, command: str, *, accept: bool) -> None:
    """Remember a consent, or ask for it where the terms forbid commercial use."""
    kept = folder / CONSENT
    if card.license.commercial is not False or kept.is_file():
        return
    if not accept:
        terms = f"{card.license.terms} " if card.license.terms else ""
        raise MissingModelError(
            f"the network {card.name!r} is under {card.license.name}: {card.use}. {terms}"
            f"To use it for what its terms allow: {command} --accept-license"
        )
    kept.write_text(f"{card.license.name}\n{card.license.terms}\n", "utf-8")


@contextmanager
def _locked(folder: Path) -> Iterator[Path]:
    """Hold the folder's lock: a second process waits, then finds what the first one fetched."""
    from filelock import FileLock

    try:
        folder.mkdir(parents=True, exist_ok=True)
        with FileLock(folder / ".lock"):
            yield folder
    except OSError as error:
        raise ModelError(f"{folder}: cannot be written: {error.strerror}; set BGKIT_HOME to another folder") from None
