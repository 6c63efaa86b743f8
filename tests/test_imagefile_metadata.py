"""EXIF, XMP and IPTC from file to file: who made a picture goes along, where it was taken only when asked."""

from __future__ import annotations

import io
import struct
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from picture_files import needs_avif, saved, scene
from PIL import ExifTags, Image, IptcImagePlugin
from PIL.PngImagePlugin import PngInfo

import bgkit
from bgkit.cli import app
from bgkit.errors import ParamError
from bgkit.imagefile import read_picture, write_picture

HOLDING = ["png", "jpg", "webp", "tif", pytest.param("avif", marks=needs_avif)]
ARTIST, COPYRIGHT, DESCRIPTION, MAKE, CAPTURED, PLACE = 0x013B, 0x8298, 0x010E, 0x010F, 0x9003, "exif:GPSLatitude"
XMP = (
    '<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
    '<rdf:Description rdf:about="" xmlns:dc="http://purl.org/dc/elements/1.1/" '
    'xmlns:exif="http://ns.adobe.com/exif/1.0/" xmlns:tiff="http://ns.adobe.com/tiff/1.0/" '
    'xmlns:xmp="http://ns.adobe.com/xap/1.0/" tiff:Orientation="6" exif:GPSLatitude="48,8N" '
    'exif:DateTimeOriginal="2025-04-03T02:01:00+02:00">'
    "<dc:creator><rdf:Seq><rdf:li>Zoë &amp; Ana</rdf:li></rdf:Seq></dc:creator>"
    "<xmp:Thumbnails>old</xmp:Thumbnails></rdf:Description></rdf:RDF></x:xmpmeta>"
).encode()


def exif(order: str = "<") -> bytes:
    """EXIF of a turned picture with a place, a maker's note, Adobe's color space and a thumbnail."""
    block = Image.Exif()
    block.endian = order
    block[ARTIST], block[COPYRIGHT], block[DESCRIPTION] = b"Zo\xc3\xab", "(c) Z", "a vase"
    block[MAKE], block[0x0112] = "Camera", 6
    block.get_ifd(ExifTags.IFD.Exif).update({CAPTURED: "2026:05:01 12:30:00", 0x927C: b"note", 0xA001: 2, 0x829A: 0.5})
    block.get_ifd(ExifTags.IFD.GPSInfo).update({1: "N", 2: (48.0, 8.0, 0.0)})
    content = bytearray(block.tobytes().removeprefix(b"Exif\0\0"))
    small = saved(scene(8, 8), "JPEG")
    (first,) = struct.unpack_from(f"{order}I", content, 4)
    (count,) = struct.unpack_from(f"{order}H", content, first)
    struct.pack_into(f"{order}I", content, first + 2 + 12 * count, len(content))
    at = len(content) + 2 + 2 * 12 + 4
    content += struct.pack(f"{order}HHHIIHHIII", 2, 0x0201, 4, 1, at, 0x0202, 4, 1, len(small), 0) + small
    return b"Exif\0\0" + bytes(content)


def iptc() -> bytes:
    """A JPEG's segment with a by-line, a city and a day and time."""
    fields = {55: b"20240203", 60: b"040506+0100", 80: b"Ina", 90: b"Ulm"}
    records = b"".join(struct.pack(">BBBH", 0x1C, 2, name, len(text)) + text for name, text in fields.items())
    body = b"Photoshop 3.0\0" + b"8BIM\x04\x04\0\0" + struct.pack(">I", len(records)) + records
    return b"\xff\xed" + struct.pack(">H", len(body) + 2) + body + b"\0" * (len(records) % 2)


def carried(data: bytes, form: str, metadata: str = "credit") -> bytes:
    picture = read_picture(data)
    memory = io.BytesIO()
    write_picture(memory, picture.image, format=form, like=picture.like, metadata=metadata)
    return memory.getvalue()


def through(data: bytes, form: str, metadata: str = "credit") -> Image.Image:
    return Image.open(io.BytesIO(carried(data, form, metadata)))


def xmp_of(picture: Image.Image) -> bytes:
    if picture.format == "TIFF":
        return bytes(picture.tag_v2.get(700, b""))
    found = picture.info.get("xmp", b"")
    return found.encode() if isinstance(found, str) else found


def text_of(picture: Image.Image, tag: int) -> str:
    return str(picture.getexif().get(tag, "")).encode("latin-1").decode()


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("form", HOLDING)
def test_credit_goes_along(form, order):
    """Artist (in UTF-8), copyright, description and time of capture are found by Pillow, from either byte order."""
    again = through(saved(scene(), "JPEG", exif=exif(order)), form)
    assert [text_of(again, tag) for tag in (ARTIST, COPYRIGHT, DESCRIPTION)] == ["Zoë", "(c) Z", "a vase"]
    assert again.getexif().get_ifd(ExifTags.IFD.Exif)[CAPTURED] == "2026:05:01 12:30:00"
    assert "Zoë".encode() in xmp_of(again)


@pytest.mark.parametrize("form", HOLDING)
def test_no_place_without_asking(form):
    """By default neither EXIF's GPS nor XMP's goes along, nor the camera's name."""
    again = through(saved(scene(), "JPEG", exif=exif(), xmp=XMP), form)
    assert not again.getexif().get_ifd(ExifTags.IFD.GPSInfo)
    assert b"GPS" not in xmp_of(again)
    assert MAKE not in again.getexif()


@pytest.mark.parametrize("form", HOLDING)
def test_all_goes_along(form):
    """With ``all`` the place, the camera and the exposure go along, and XMP's other properties."""
    again = through(saved(scene(), "JPEG", exif=exif(">"), xmp=XMP), form, "all")
    tags = again.getexif()
    assert tags[MAKE] == "Camera"
    assert tags.get_ifd(ExifTags.IFD.Exif)[0x829A] == 0.5
    assert tags.get_ifd(ExifTags.IFD.GPSInfo)[2] == (48, 8, 0)
    assert PLACE.encode() in xmp_of(again)


@pytest.mark.parametrize("form", HOLDING)
@pytest.mark.parametrize("metadata", ["credit", "all"])
def test_nothing_of_the_old_pixels(form, metadata):
    """The orientation is upright, the color space sRGB; thumbnails and the maker's note are gone, in EXIF and XMP."""
    again = through(saved(scene(), "JPEG", exif=exif(), xmp=XMP), form, metadata)
    tags = again.getexif()
    assert tags.get(0x0112, 1) == 1
    assert not tags.get_ifd(ExifTags.IFD.IFD1)
    inner = tags.get_ifd(ExifTags.IFD.Exif)
    assert inner[0xA001] == 1 and 0x927C not in inner
    assert b"Thumbnails" not in xmp_of(again) and b"Orientation" not in xmp_of(again)


@pytest.mark.parametrize("block", [b"", exif()])
@pytest.mark.parametrize("form", ["JPEG", "PNG", "WEBP", pytest.param("AVIF", marks=needs_avif)])
def test_only_exif_turns(form, block):
    """An orientation in XMP is of pixels that were turned long ago: as in browsers, EXIF alone counts, or its lack."""
    xmp = b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><r tiff:Orientation="8" xmlns:tiff="http://ns.adobe.com/tiff/1.0/"/></x:xmpmeta>'
    options = {"xmp": xmp}
    if form == "PNG":
        options = {"pnginfo": PngInfo()}
        options["pnginfo"].add_itxt("XML:com.adobe.xmp", xmp.decode())
    options |= {"exif": block} if block else {}
    picture = read_picture(saved(scene(), form, **options))
    assert picture.image.shape == ((40, 24, 3) if block else (24, 40, 3))


def test_a_tiff_says_nothing_of_its_own(capfd, caplog):
    """What tifffile would report of tags that bgkit writes itself does not reach the terminal."""
    carried(saved(scene(), "JPEG", exif=exif(), xmp=XMP), "tiff", "all")
    assert capfd.readouterr().err == "" and not caplog.records


@pytest.mark.parametrize("form", HOLDING)
def test_turned_once(form):
    """A picture turned by EXIF has the same rows and columns when its result is read again."""
    picture = read_picture(saved(scene(), "JPEG", exif=exif()))
    memory = io.BytesIO()
    write_picture(memory, picture.image, format=form, like=picture.like, metadata="all")
    again = read_picture(memory.getvalue())
    assert picture.image.shape == again.image.shape == (40, 24, 3)
    assert np.abs(picture.image - again.image).mean() < 0.03


@pytest.mark.parametrize("form", HOLDING)
def test_none_writes_none(form):
    """With ``none`` the file has the bytes of one whose input said nothing."""
    picture = read_picture(saved(scene(), "JPEG", exif=exif(), xmp=XMP))
    files = []
    for like in (picture.like, {**picture.like, "metadata": {}}):
        memory = io.BytesIO()
        write_picture(memory, picture.image, format=form, like=like, metadata="none")
        files.append(memory.getvalue())
    assert files[0] == files[1]


@pytest.mark.parametrize("form", ["PNG", "WEBP", "TIFF", pytest.param("AVIF", marks=needs_avif)])
def test_from_every_format(form):
    """The artist and the place are found in other formats than JPEG, too."""
    source = carried(saved(scene(), "JPEG", exif=exif()), form, "all")
    again = through(source, "jpg", "all")
    assert text_of(again, ARTIST) == "Zoë"
    assert again.getexif().get_ifd(ExifTags.IFD.GPSInfo)[1] == "N"


@pytest.mark.parametrize("before", [b"", bytes(4), b"\0\0\0\2xx"])
def test_from_jpeg_xl(before):
    """EXIF in a box behind the picture: as libjxl's tools write it, as Pillow's plug-in does, and some bytes off."""
    pytest.importorskip("pillow_jxl", reason="the extra jxl is not installed")
    pixels = saved(scene(), "JXL", lossless=True, use_container=True)
    block = before + exif(">").removeprefix(b"Exif\0\0")
    again = through(pixels + struct.pack(">I", 8 + len(block)) + b"Exif" + block, "jpg", "all")
    assert text_of(again, ARTIST) == "Zoë"
    assert again.getexif().get_ifd(ExifTags.IFD.GPSInfo)[1] == "N"


def test_credit_in_xmp_alone():
    """Artist and time that only XMP has come into EXIF."""
    again = through(saved(scene(), "JPEG", xmp=XMP), "png")
    assert text_of(again, ARTIST) == "Zoë & Ana"
    inner = again.getexif().get_ifd(ExifTags.IFD.Exif)
    assert (inner[CAPTURED], inner[0x9011]) == ("2025:04:03 02:01:00", "+02:00")


def test_credit_in_iptc_alone():
    """Artist and time that only IPTC has come into EXIF, the city does not."""
    again = through(saved(scene(), "JPEG", extra=iptc()), "webp")
    assert text_of(again, ARTIST) == "Ina"
    inner = again.getexif().get_ifd(ExifTags.IFD.Exif)
    assert (inner[CAPTURED], inner[0x9011]) == ("2024:02:03 04:05:06", "+01:00")


@pytest.mark.parametrize("form", ["jpg", "tif"])
@pytest.mark.parametrize(("metadata", "city"), [("credit", None), ("all", b"Ulm")])
def test_iptc_with_all(form, metadata, city):
    """IPTC itself goes along where it has a place, with ``all`` only."""
    again = through(saved(scene(), "JPEG", extra=iptc()), form, metadata)
    found = IptcImagePlugin.getiptcinfo(again) or {}
    assert found.get((2, 90)) == city


def test_blocks_too_large_for_jpeg():
    """XMP that a JPEG's segment cannot hold is left out; EXIF is written."""
    large = XMP.replace(b"48,8N", b"4" * 66_000)
    again = through(saved(scene(), "WEBP", exif=exif(), xmp=large), "jpg", "all")
    assert text_of(again, ARTIST) == "Zoë" and not xmp_of(again)


@pytest.mark.parametrize(
    ("block", "content"),
    [("exif", b"Exif\0\0II*\0\xff\xff\0\0"), ("exif", b"Exif\0\0??"), ("xmp", b"<x"), ("xmp", b"<!DOCTYPE a>" + XMP)],
)
def test_broken_block_costs_itself(block, content):
    """A block that cannot be read, or declares entities, is left out; the picture is written."""
    again = through(saved(scene(), "WEBP", **{block: content}), "png", "all")
    assert sorted(again.size) == [24, 40] and not again.getexif() and not xmp_of(again)


def test_wrong_choice():
    """Another word than the three is refused with those."""
    with pytest.raises(ParamError, match="metadata: expected one of none, credit, all, got 'some'"):
        write_picture(io.BytesIO(), scene(), metadata="some")


def test_layers_save(tmp_path):
    """``Layers.save`` and ``to_bytes`` take the choice; by default the credit goes along."""
    cut = bgkit.remove(saved(scene(), "JPEG", exif=exif()), "classical")
    cut.save(tmp_path / "a.png")
    assert text_of(Image.open(io.BytesIO((tmp_path / "a.png").read_bytes())), ARTIST) == "Zoë"
    assert not Image.open(io.BytesIO(cut.to_bytes(metadata="none"))).getexif()


def test_the_command_and_its_sidecar(tmp_path, monkeypatch):
    """``--metadata`` decides; a sidecar repeats the bytes with the choice that made them."""
    monkeypatch.chdir(tmp_path)
    Path("a.jpg").write_bytes(saved(scene(), "JPEG", exif=exif()))
    for options in (
        ["-p", "classical", "--metadata", "all", "--sidecar", "-o", "a.png"],
        ["-p", "a.png.json", "-o", "b.png"],
    ):
        assert CliRunner().invoke(app, ["remove", "a.jpg", *options]).exit_code == 0
    assert Path("a.png").read_bytes() == Path("b.png").read_bytes()
    assert Image.open(io.BytesIO(Path("b.png").read_bytes())).getexif()[MAKE] == "Camera"


def test_results_with_other_metadata_are_told(tmp_path, monkeypatch):
    """A batch that is started again with another choice keeps what stands and says so."""
    monkeypatch.chdir(tmp_path)
    Path("in").mkdir()
    Path("in/a.jpg").write_bytes(saved(scene(), "JPEG"))
    bgkit.remove_many("in", "out", "classical")
    assert bgkit.remove_many("in", "out", "classical").notes == []
    assert "kept, though made with" in bgkit.remove_many("in", "out", "classical", metadata="none").notes[0]
