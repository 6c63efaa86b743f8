"""Who made a picture, when, and what else its file says beside the pixels: EXIF, XMP and IPTC.

Reading gathers the blocks without what would be wrong of any other picture: thumbnail, orientation, sizes, color
space, maker's notes (whose offsets hold only where they stood). Writing chooses: ``credit`` makes new blocks of artist,
copyright, description and time of capture, from whichever block has each; ``all`` keeps what was gathered.

References
----------
EXIF 2.32 (CIPA DC-008); XMP, part 1 and 2 (Adobe); IPTC-IIM 4.2; Photoshop File Formats, "Image resources".
"""

from __future__ import annotations

import io
import re
import struct
from collections.abc import Mapping
from typing import Any, NamedTuple

from bgkit.errors import ParamError
from bgkit.files import METADATA
from bgkit.imagefile._stored import Stored
from bgkit.imagefile._tiff import EXIF, GPS, SIZES, Tags, tags_of_block

__all__ = ["Blocks", "choose", "directory", "gather"]

_DESCRIPTION, _ARTIST, _COPYRIGHT, _CAPTURED, _OFFSET, _FRACTION = 0x010E, 0x013B, 0x8298, 0x9003, 0x9011, 0x9291
_COLOR_SPACE, _VERSION = 0xA001, 0x9000
_ASCII, _SHORT, _LONG, _RATIONAL, _UNDEFINED = 2, 3, 4, 5, 7
_CREDIT = {0: (_DESCRIPTION, _ARTIST, _COPYRIGHT), EXIF: (_CAPTURED, _OFFSET, _FRACTION)}
# Of the first directory: names of document, camera, software and computer, times, rating, Windows' texts.
_FIRST = {
    0x010D,
    0x010E,
    0x010F,
    0x0110,
    0x0131,
    0x0132,
    0x013B,
    0x013C,
    0x4746,
    0x4749,
    0x8298,
    *range(0x9C9B, 0x9CA0),
}
# Of EXIF's own: components, compression, the maker's notes, color space, size, interoperability, gamma.
_NOT_OF_EXIF = {0x9101, 0x9102, 0x927C, 0xA001, 0xA002, 0xA003, 0xA005, 0xA500}
_MOST = 65_000  # bytes: a JPEG's segment holds 65,533

_RDF, _DC = "http://www.w3.org/1999/02/22-rdf-syntax-ns#", "http://purl.org/dc/elements/1.1/"
_XMP, _EXIF_XMP = "http://ns.adobe.com/xap/1.0/", "http://ns.adobe.com/exif/1.0/"
_TIFF_XMP, _PHOTOSHOP = "http://ns.adobe.com/tiff/1.0/", "http://ns.adobe.com/photoshop/1.0/"
_PREFIXES = {
    "x": "adobe:ns:meta/",
    "rdf": _RDF,
    "dc": _DC,
    "xmp": _XMP,
    "exif": _EXIF_XMP,
    "tiff": _TIFF_XMP,
    "photoshop": _PHOTOSHOP,
    "xmpRights": "http://ns.adobe.com/xap/1.0/rights/",
    "xmpMM": "http://ns.adobe.com/xap/1.0/mm/",
    "Iptc4xmpCore": "http://iptc.org/std/Iptc4xmpCore/1.0/xmlns/",
    "plus": "http://ns.useplus.org/ldf/xmp/1.0/",
}
_NOT_OF_XMP = {
    f"{{{_XMP}}}Thumbnails",
    "{http://ns.adobe.com/xmp/note/}HasExtendedXMP",
    f"{{{_PHOTOSHOP}}}ICCProfile",
    *(f"{{{_TIFF_XMP}}}{name}" for name in ("Orientation", "ImageWidth", "ImageLength", "BitsPerSample")),
    *(f"{{{_EXIF_XMP}}}{name}" for name in ("ColorSpace", "PixelXDimension", "PixelYDimension")),
}
# What describes a film or a gain map behind the pixels, which the result lacks.
_NOT_SPACES = ("{http://ns.google.com/photos/", "{http://ns.adobe.com/hdr-gain-map/")


class Blocks(NamedTuple):
    """What is written: EXIF's directories, the whole of EXIF, XMP and IPTC; empty where there is nothing."""

    tags: Tags
    exif: bytes = b""
    xmp: bytes = b""
    iptc: bytes = b""


class _Credit(NamedTuple):
    artist: str = ""
    copyright: str = ""
    description: str = ""
    captured: str = ""  # as EXIF has it: 2026:05:01 12:30:00
    offset: str = ""  # from UTC: +02:00


def gather(stored: Stored) -> dict[str, bytes]:
    """Return ``exif``, ``xmp`` and ``iptc`` of a file, as far as they are there and hold for another picture.

    A block that cannot be read costs only itself.
    """
    tags = stored.tags
    if tags is None and isinstance(stored.exif, bytes):
        tags = tags_of_block(stored.exif.removeprefix(b"Exif\0\0"))
    tags = tags or {}
    kept = {
        0: {tag: value for tag, value in tags.get(0, {}).items() if tag in _FIRST},
        EXIF: {tag: value for tag, value in tags.get(EXIF, {}).items() if tag not in _NOT_OF_EXIF},
        GPS: tags.get(GPS, {}),
    }
    xmp = stored.xmp.encode() if isinstance(stored.xmp, str) else stored.xmp
    found = {
        "exif": _block(kept) if any(kept.values()) else b"",
        "xmp": xmp or b"",
        "iptc": _records(stored.iptc or b""),
    }
    return {name: content for name, content in found.items() if content}


def choose(gathered: Mapping[str, bytes], choice: str, dpi: tuple[float, float] | None, resolution: bool) -> Blocks:
    """Return what is written; with ``resolution`` EXIF is where the format keeps its dots per inch.

    Raises
    ------
    ParamError
        If the choice is none of ``none``, ``credit`` and ``all``.
    """
    if choice not in METADATA:
        raise ParamError(f"metadata: expected one of {', '.join(METADATA)}, got {choice!r}")
    tags: Tags = {0: {}, EXIF: {}, GPS: {}}
    xmp = iptc = b""
    if choice != "none" and gathered:
        there = tags_of_block(gathered.get("exif", b""))
        names = {name: there.get(name, {}) for name in tags}
        if choice == "credit":
            names = {
                name: {tag: names[name][tag] for tag in wanted if tag in names[name]}
                for name, wanted in _CREDIT.items()
            }
        tags |= names
        tree = _tree(gathered.get("xmp", b""))
        credit = _merged(_of_tags(there), _of_xmp(tree), _of_iptc(gathered.get("iptc", b"")))
        _complete(tags, credit)
        xmp = _cleaned(tree) if choice == "all" and tree is not None else b""
        xmp = xmp or _packet(credit)
        iptc = gathered.get("iptc", b"") if choice == "all" else b""
    if dpi is not None and (resolution or any(tags.values())):
        tags[0] |= {0x011A: _ratio(dpi[0]), 0x011B: _ratio(dpi[1]), 0x0128: (_SHORT, b"\2\0")}
    if tags[EXIF]:
        tags[EXIF] |= {_VERSION: (_UNDEFINED, b"0232"), _COLOR_SPACE: (_SHORT, b"\1\0")}
    exif = _block(tags) if any(tags.values()) else b""
    return Blocks(tags, exif, xmp, iptc)


def fitting(blocks: Blocks) -> Blocks:
    """Return what fits into the segments of a JPEG."""
    exif, xmp, iptc = (each if len(each) <= _MOST else b"" for each in blocks[1:])
    return Blocks(blocks.tags, exif, xmp, iptc)


def app13(records: bytes) -> bytes:
    """Return the segment of a JPEG that holds IPTC's records."""
    body = (
        b"Photoshop 3.0\0"
        + b"8BIM\x04\x04\0\0"
        + struct.pack(">I", len(records))
        + records
        + b"\0" * (len(records) % 2)
    )
    return b"\xff\xed" + struct.pack(">H", 2 + len(body)) + body


def directory(entries: Mapping[int, tuple[int, bytes]], at: int) -> bytes:
    """Return a little-endian directory that stands at ``at``, its values behind it (TIFF 6.0, section 2)."""
    head, values = struct.pack("<H", len(entries)), b""
    behind = at + 2 + 12 * len(entries) + 4
    for tag, (kind, content) in sorted(entries.items()):
        head += struct.pack("<HHI", tag, kind, len(content) // SIZES[kind])
        if len(content) <= 4:
            head += content.ljust(4, b"\0")
        else:
            head += struct.pack("<I", behind + len(values))
            values += content + b"\0" * (len(content) % 2)
    return head + bytes(4) + values


def _block(tags: Tags) -> bytes:
    """Return EXIF as a whole: its header, the first directory, those below it."""
    first, below = dict(tags.get(0, {})), [(pointer, tags[pointer]) for pointer in (EXIF, GPS) if tags.get(pointer)]
    for pointer, _ in below:
        first[pointer] = (_LONG, bytes(4))
    at = 8 + len(directory(first, 8))
    parts = []
    for pointer, entries in below:
        first[pointer] = (_LONG, struct.pack("<I", at))
        parts.append(directory(entries, at))
        at += len(parts[-1])
    return b"II*\0\x08\0\0\0" + directory(first, 8) + b"".join(parts)


def _ratio(value: float) -> tuple[int, bytes]:
    return _RATIONAL, struct.pack("<II", round(value * 100), 100)


def _text(content: bytes) -> str:
    """Return text that should be ASCII, is UTF-8 more often, and Latin-1 in old files."""
    content = content.partition(b"\0")[0]
    try:
        return content.decode().strip()
    except UnicodeDecodeError:
        return content.decode("latin-1").strip()


def _of_tags(tags: Tags) -> _Credit:
    def text(name: int, tag: int) -> str:
        kind, content = tags.get(name, {}).get(tag, (0, b""))
        return _text(content) if kind == _ASCII else ""

    captured, offset = text(EXIF, _CAPTURED), text(EXIF, _OFFSET)
    return _Credit(text(0, _ARTIST), text(0, _COPYRIGHT), text(0, _DESCRIPTION), captured, offset)


def _of_xmp(tree: Any) -> _Credit:
    if tree is None:
        return _Credit()

    def text(*names: str) -> str:
        for name in names:
            for node in tree.iter(f"{{{_RDF}}}Description"):
                found = node.get(name)
                child = node.find(name)
                if found is None and child is not None:
                    items = [item.text or "" for item in child.iter(f"{{{_RDF}}}li")]
                    items = items if name.endswith("creator") else items[:1]
                    found = "; ".join(items) if items else child.text
                if found and found.strip():
                    return found.strip()
        return ""

    captured, offset = _time(text(f"{{{_EXIF_XMP}}}DateTimeOriginal", f"{{{_PHOTOSHOP}}}DateCreated"))
    artist, rights, description = (text(f"{{{_DC}}}{name}") for name in ("creator", "rights", "description"))
    return _Credit(artist, rights, description, captured, offset)


def _of_iptc(records: bytes) -> _Credit:
    texts: dict[int, list[str]] = {}
    at = 0
    while at + 5 <= len(records) and records[at] == 0x1C:
        record, name = records[at + 1], records[at + 2]
        (size,) = struct.unpack_from(">H", records, at + 3)
        if size & 0x8000:  # longer than 32 kB: no text of ours
            break
        if record == 2:
            texts.setdefault(name, []).append(_text(records[at + 5 : at + 5 + size]))
        at += 5 + size
    artist, copyright, description = ("; ".join(texts.get(name, [])) for name in (80, 116, 120))
    day, hour = (texts.get(name, [""])[0] for name in (55, 60))
    iso = re.sub(r"^(\d{4})(\d\d)(\d\d)$", r"\1-\2-\3", day)
    iso += re.sub(r"^(\d\d)(\d\d)(\d\d)(?:([+-]\d\d)(\d\d))?$", r"T\1:\2:\3\4:\5", hour).rstrip(":")
    return _Credit(artist, copyright, description, *_time(iso))


def _time(iso: str) -> tuple[str, str]:
    """Return a time of ISO 8601 as EXIF has it, and its offset from UTC; nothing where there is a day alone."""
    found = re.match(r"(\d{4})-(\d\d)-(\d\d)T(\d\d):(\d\d)(?::(\d\d))?(?:\.\d+)?(Z|[+-]\d\d:\d\d)?$", iso)
    if found is None:
        return "", ""
    year, month, day, hour, minute, second, offset = found.groups()
    return f"{year}:{month}:{day} {hour}:{minute}:{second or '00'}", {None: "", "Z": "+00:00"}.get(offset, offset)


def _merged(*credits: _Credit) -> _Credit:
    """Return each field by the first block that has it; the offset goes with its time."""
    texts = [next((each[k] for each in credits if each[k]), "") for k in range(3)]
    captured, offset = next((each[3:] for each in credits if each.captured), ("", ""))
    return _Credit(texts[0], texts[1], texts[2], captured, offset)


def _complete(tags: Tags, credit: _Credit) -> None:
    """Put into EXIF what only XMP or IPTC has, in UTF-8."""
    fields = [(0, _ARTIST, credit.artist), (0, _COPYRIGHT, credit.copyright), (0, _DESCRIPTION, credit.description)]
    if _CAPTURED not in tags[EXIF]:
        fields += [(EXIF, _CAPTURED, credit.captured), (EXIF, _OFFSET, credit.offset)]
    for name, tag, text in fields:
        if text and (tag not in tags[name] or not _text(tags[name][tag][1])):
            tags[name][tag] = (_ASCII, text.encode("utf-8", "replace") + b"\0")


def _tree(packet: bytes) -> Any:
    """Return XMP as a tree, or None where there is none that can be read; entities are none of XMP's."""
    from xml.etree import ElementTree

    if not packet or b"<!DOCTYPE" in packet or b"<!ENTITY" in packet:
        return None
    try:
        return ElementTree.parse(io.BytesIO(packet.strip(b"\0 \r\n\t"))).getroot()
    except (ElementTree.ParseError, ValueError, LookupError):
        return None


def _cleaned(tree: Any) -> bytes:
    """Return XMP without what holds for the input's pixels alone."""
    from xml.etree import ElementTree

    def is_wrong(name: str) -> bool:
        return name in _NOT_OF_XMP or name.startswith(_NOT_SPACES)

    for node in tree.iter(f"{{{_RDF}}}Description"):
        for name in [name for name in node.attrib if is_wrong(name)]:
            del node.attrib[name]
        for child in [child for child in node if is_wrong(child.tag)]:
            node.remove(child)
    for prefix, space in _PREFIXES.items():
        ElementTree.register_namespace(prefix, space)
    try:
        return _wrapped(ElementTree.tostring(tree, "unicode"))
    except RecursionError:
        return b""


def _packet(credit: _Credit) -> bytes:
    """Return XMP of the credit alone, or nothing."""
    artist, rights, description = (_xml(text) for text in credit[:3])
    inner = ""
    if artist:
        inner += f"<dc:creator><rdf:Seq><rdf:li>{artist}</rdf:li></rdf:Seq></dc:creator>"
    for name, text in (("rights", rights), ("description", description)):
        if text:
            inner += f'<dc:{name}><rdf:Alt><rdf:li xml:lang="x-default">{text}</rdf:li></rdf:Alt></dc:{name}>'
    if credit.captured:
        day, _, hour = credit.captured.partition(" ")
        time = _xml(f"{day.replace(':', '-')}T{hour}{credit.offset}")
        inner += f"<photoshop:DateCreated>{time}</photoshop:DateCreated>"
    if not inner:
        return b""
    spaces = " ".join(f'xmlns:{prefix}="{_PREFIXES[prefix]}"' for prefix in ("rdf", "dc", "photoshop"))
    return _wrapped(
        f'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF {spaces}><rdf:Description rdf:about="">{inner}'
        "</rdf:Description></rdf:RDF></x:xmpmeta>"
    )


def _xml(text: str) -> str:
    """Return text for XML, which has no control characters."""
    text = re.sub(r"[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]", "", text)
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _wrapped(text: str) -> bytes:
    begin = '<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?>'
    return f'{begin}\n{text}\n<?xpacket end="w"?>'.encode("utf-8", "replace")


def _records(content: bytes) -> bytes:
    """Return IPTC's records: as TIFF has them, or out of Photoshop's resources in a JPEG."""
    if not content.startswith(b"Photoshop 3.0\0"):
        return content if content[:1] == b"\x1c" else b""
    at = 14
    while content[at : at + 4] == b"8BIM" and at + 12 <= len(content):
        named = 1 + content[at + 6]
        start = at + 6 + named + named % 2
        size = int.from_bytes(content[start : start + 4], "big")
        if content[at + 4 : at + 6] == b"\x04\x04":
            return content[start + 4 : start + 4 + size]
        at = start + 4 + size + size % 2
    return b""
