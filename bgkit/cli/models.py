"""``bgkit models``: the networks that are known, here, fetched, added."""

from __future__ import annotations

import sys
from collections.abc import Callable
from contextlib import contextmanager
from typing import TYPE_CHECKING

import click

from bgkit.errors import ModelError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bgkit.models import Card

CONSENT = click.option("--accept-license", is_flag=True, help="Consent to terms that forbid commercial use.")


@click.group(
    epilog="""\b
Examples:
  bgkit models list
  bgkit models fetch u2net
  bgkit models add mine.onnx --card mine.toml
  bgkit remove photo.jpg --set cnn_mask.model=u2net"""
)
def command() -> None:
    """List, fetch, add and verify networks.

    What is fetched or added lies below BGKIT_HOME (default: the system's place for such data). Nothing is ever fetched
    but by `bgkit models fetch`.
    """


@command.command("list")
def list_networks() -> int:
    """List the networks.

    Name, whether it is here, is fetched (bgkit models fetch NAME) or brought by you (bgkit models show NAME says how),
    size, and what it may be used for.
    """
    from bgkit.models import list_cards
    from bgkit.models.store import path_of

    cards = list_cards()
    width, terms = (max(map(len, column), default=0) for column in zip(*((c.name, c.use) for c in cards), strict=True))
    for card in cards:
        here = "here" if path_of(card).is_file() else "fetch" if card.url else "bring"
        size = f"{card.bytes / 1e6:.1f} MB" if card.bytes else "?"
        click.echo(f"{card.name:{width}}  {here:5}  {size:>9}  {card.use:{terms}}  {card.summary}")
    return 0


@command.command("show")
@click.argument("name")
def show_network(name: str) -> int:
    """Show what is known of a network.

    License and terms, sources, checksum, what it needs, where its file lies.
    """
    from bgkit.models import show
    from bgkit.models.store import path_of

    card = show(name)
    path = path_of(card)
    here = path.is_file()
    facts = {
        "for": f"{card.task} (needs {', '.join(card.layers)})",
        "license": f"{card.license}: {card.use}",
        "terms": card.terms,
        "sources": ", ".join(card.sources),
        "url": card.url or (not here and f"none; get {card.file} yourself (see sources), then: {_add(card)}"),
        "bytes": card.bytes,
        "sha256": card.sha256,
        "md5": card.md5,
        "file": f"{path} ({'here' if here else 'not here yet'})",
    }
    click.echo(f"{card.name}: {card.summary}")
    for key, value in facts.items():
        if value:
            click.echo(f"  {key:8} {value}")
    return 0


def _add(card: Card) -> str:
    return f"bgkit models add {card.file} --card {card.name}"


@command.command("fetch")
@click.argument("names", metavar="NAME...", nargs=-1, required=True)
@CONSENT
def fetch_networks(names: tuple[str, ...], accept_license: bool) -> int:
    """Download networks.

    What an earlier try left is gone on with; the checksum decides whether a file is right.
    """
    from bgkit.models import fetch, show

    cards = [show(name) for name in names]  # all names are right before the first byte
    return _each(cards, lambda card: str(_fetch(fetch, card, accept_license)))


def _fetch(fetch: Callable[..., object], card: Card, accept_license: bool) -> object:
    with _download_bar(card.name) as on_progress:
        return fetch(card.name, on_progress, accept_license=accept_license)


@command.command("add")
@click.argument("file", type=click.Path(exists=True, dir_okay=False))
@click.option("--card", required=True, help="A card (TOML) of yours, or a known network's name whose file this is.")
@click.option("--replace", "replace_old", is_flag=True, help="Replace a network of that name that was added before.")
@CONSENT
def add_network(file: str, card: str, replace_old: bool, accept_license: bool) -> int:
    """Copy an ONNX file into the store.

    It is known from then on by the name that its card gives it.
    """
    from bgkit.models import add

    added = add(file, card, accept_license=accept_license, replace_old=replace_old)
    click.echo(f"{added.name}: added")
    return 0


@command.command("verify")
@click.argument("names", metavar="[NAME]...", nargs=-1)
def verify_networks(names: tuple[str, ...]) -> int:
    """Check networks against their cards.

    Without a name, all that are here.
    """
    from bgkit.models import list_cards, show, verify
    from bgkit.models.store import path_of

    cards = [show(name) for name in names] if names else [card for card in list_cards() if path_of(card).is_file()]

    def check(card: Card) -> str:
        facts = verify(card.name)
        return f"good (checked: {facts['checked']}), {facts['path']}"

    return _each(cards, check)


def _each(cards: list[Card], action: Callable[[Card], str]) -> int:
    """Do something with each network; a failure does not stop the others."""
    status = 0
    for card in cards:
        try:
            click.echo(f"{card.name}: {action(card)}")
        except ModelError as error:
            status = 1
            click.echo(f"error: {error}", err=True)
    return status


@contextmanager
def _download_bar(name: str) -> Iterator[Callable[[int, int | None], None] | None]:
    """Show how far a download is, on a terminal."""
    if not sys.stderr.isatty():
        yield None
        return
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn, TransferSpeedColumn

    columns = (TextColumn("{task.description}", markup=False), BarColumn(), DownloadColumn(), TransferSpeedColumn())
    with Progress(*columns, TimeRemainingColumn(), console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(name, total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)
