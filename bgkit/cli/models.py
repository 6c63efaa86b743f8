"""``bgkit models``: the networks that are known, here, fetched, added, removed."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

import click

from bgkit.errors import ModelError, printable
from bgkit.params import as_text

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
    """List, fetch, add, verify and remove networks.

    What is fetched or added lies below BGKIT_HOME (default: the system's place for such data). Only `bgkit models
    fetch` downloads anything.
    """


@command.command("list")
def list_networks() -> int:
    """List the networks.

    Shows name, version, size, and what it may be used for. A network is here already, can be fetched (bgkit models
    fetch NAME), or has to come from you (bgkit models show NAME says how).
    """
    from bgkit.models import list_cards
    from bgkit.models.store import path_of

    broken: list[ModelError] = []
    cards = list_cards(broken.append)
    titles = [f"{card.name} {printable(card.version)}".rstrip() for card in cards]
    width, terms = (max(map(len, column), default=0) for column in (titles, [card.use for card in cards]))
    for title, card in zip(titles, cards, strict=True):
        here = "here" if path_of(card).is_file() else "fetch" if card.file.url else "bring"
        count = path_of(card).stat().st_size if here == "here" else card.file.bytes
        size = f"{count / 1e6:.1f} MB" if count else "?"
        click.echo(f"{title:{width}}  {here:5}  {size:>9}  {card.use:{terms}}  {printable(card.summary)}")
    for error in broken:
        click.echo(f"error: {error}", err=True)
    return int(bool(broken))


@command.command("show")
@click.argument("name", metavar="NAME|FILE")
def show_network(name: str) -> int:
    """Show what is known of a network, or of an ONNX file with its card beside it.

    License and terms, sources, checksum, what it needs, how it is fed and read, where its file lies.
    """
    from bgkit.files import digest_of
    from bgkit.models.store import how_to_get, locate

    card, path = locate(name)
    here = path.is_file()
    facts = {
        "version": printable(card.version),
        "for": f"{card.task} (needs {', '.join(card.layers)})",
        "license": f"{card.license.name}: {card.use}",
        "terms": card.license.terms,
        "sources": ", ".join(card.sources),
        "url": card.file.url
        or (not here and f"none; get {card.file.name} yourself (see sources), then: {how_to_get(card, path)}"),
        "bytes": path.stat().st_size if here else card.file.bytes,
        "sha256": card.file.sha256 or (here and digest_of(path)),
        "md5": card.file.md5,
        **_input(card),
        "output": _output(card),
        "file": f"{path} ({'here' if here else 'not here yet'})",
    }
    facts |= dict(text.split(": ", 1) for text in card.inferred)
    click.echo(f"{card.name}: {printable(card.summary)}")
    for key, value in facts.items():
        if value:
            click.echo(f"  {key:8} {printable(str(value))}")
    return 0


def _input(card: Card) -> dict[str, str]:
    """Return the input's fields in words."""
    rule = card.input
    sides = [f"{rule.fixed[0]} rows, {rule.fixed[1]} columns, fit {rule.fit}"] if rule.fixed else []
    sides += [f"short side {rule.short_side}"] if rule.short_side else []
    sides += [f"long side {rule.long_side}"] if rule.long_side else []
    sides = sides or ["the graph's or the picture's own"]
    sides += [f"multiples of {rule.multiple}, rounding {rule.rounding}"] if rule.multiple > 1 else []
    facts = {
        "size": f"{', '.join(sides)}, interpolation {rule.interpolation}",
        "order": rule.order,
        "layout": rule.layout,
        "mirror": "yes" if rule.mirror else "no",
        "closer": f"where its window covers less than {rule.closer:.0%} of the picture" if rule.closer else "",
        "tile": str(rule.tile or ""),
    }
    for layer, values in card.normalizations.items():
        facts[layer] = f"scale {values.scale:g}, mean {as_text(values.mean)}, deviation {as_text(values.deviation)}"
    return facts


def _output(card: Card) -> str:
    """Return the output's fields in words."""
    rule = card.output
    which = rule.name or (f"index {rule.index}" if rule.index is not None else "the only one")
    if rule.instances is not None:
        return f"objects of the classes {', '.join(map(str, rule.instances.classes))}"
    if rule.regions is not None:
        return "scores of regions"
    classes = f"classes {', '.join(map(str, rule.classes))}, " if rule.classes else ""
    stretch = ", stretched" if rule.stretch else ""
    return f"{which}, activation {rule.activation}, {classes}layout {card.output_layout}{stretch}"


@command.command("fetch")
@click.argument("names", metavar="NAME...", nargs=-1, required=True)
@CONSENT
def fetch_networks(names: tuple[str, ...], accept_license: bool) -> int:
    """Download networks.

    A download that was cut off is resumed; the checksum decides whether a file is right.
    """
    from bgkit.models import fetch, show

    for name in names:  # all names are right before the first byte
        show(name)

    def bring(name: str) -> str:
        with _download_bar(name) as on_progress:
            return str(fetch(name, on_progress, accept_license=accept_license))

    return _each(names, bring)


@command.command("add")
@click.argument("file", type=click.Path(exists=True, dir_okay=False))
@click.option(
    "--card",
    help="A card (TOML) of yours, or a known network's name whose file this is; default: FILE's name with .toml.",
)
@click.option("--replace", "replace_old", is_flag=True, help="Replace a network of that name that was added before.")
@CONSENT
def add_network(file: str, card: str | None, replace_old: bool, accept_license: bool) -> int:
    """Copy an ONNX file into the store.

    Its name is then the one in its card.
    """
    from bgkit.models import add
    from bgkit.models.store import path_of

    added = add(file, card, accept_license=accept_license, replace_old=replace_old)
    click.echo(f"{added.name}: added, {path_of(added)}")
    return 0


@command.command("remove")
@click.argument("names", metavar="NAME...", nargs=-1, required=True)
def remove_networks(names: tuple[str, ...]) -> int:
    """Remove networks that were fetched or added.

    A consent to terms goes with its network. Networks that ship with bgkit stay.
    """
    from bgkit.models import remove

    def take(name: str) -> str:
        remove(name)
        return "removed"

    return _each(names, take)


@command.command("verify")
@click.argument("names", metavar="[NAME|FILE]...", nargs=-1)
def verify_networks(names: tuple[str, ...]) -> int:
    """Check networks against their cards, or ONNX files against the cards beside them.

    Without a name, all that are here.
    """
    from bgkit.models import list_cards, verify
    from bgkit.models.store import locate, path_of

    for name in names:
        locate(name)
    broken: list[ModelError] = []
    names = names or tuple(card.name for card in list_cards(broken.append) if path_of(card).is_file())
    for error in broken:
        click.echo(f"error: {error}", err=True)

    def check(name: str) -> str:
        facts = verify(name)
        return f"good (checked: {facts['checked']}), {facts['path']}"

    return max(_each(names, check), int(bool(broken)))


def _each(names: Sequence[str], action: Callable[[str], str]) -> int:
    """Do something with each network; a failure does not stop the others."""
    status = 0
    for name in names:
        try:
            click.echo(f"{name}: {action(name)}")
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
