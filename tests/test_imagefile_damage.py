"""Where pictures come from, how large they may be, and what cannot be read: nothing is read by halves."""

from __future__ import annotations

import contextlib
import io
import os
import struct
import subprocess
import sys
import threading
import urllib.parse
import warnings
import zlib

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from picture_files import KINDS, adobe_rgb, chunk, png, samples_of_formats, saved, scene, tiff_of, veil, wide
from PIL import Image

from bgkit.errors import ImageError, ParamError
from bgkit.imagefile import header_size, read_bytes, read_picture, write_picture

# --- where it comes from ------------------------------------------------------------------------


def test_sources(tmp_path):
    """Path, text path, bytes, binary file and Pillow picture are the same picture."""
    data = saved(np.dstack([scene(), veil()]), "PNG")
    path = tmp_path / "é ü.png"
    path.write_bytes(data)
    with path.open("rb") as file:
        sources = [path, str(path), data, bytearray(data), memoryview(data), io.BytesIO(data), file, Image.open(path)]
        for source in sources:
            picture = read_picture(source)
            np.testing.assert_array_equal(picture.image, scene() / np.float32(255))
            np.testing.assert_array_equal(picture.alpha, veil() / np.float32(255))
    sources[-1].close()


@pytest.mark.parametrize(
    "mode", ["1", "L", "LA", "La", "P", "PA", "RGB", "RGBA", "RGBa", "RGBX", "CMYK", "YCbCr", "HSV", "LAB", "I;16"]
)
def test_pillow_modes(mode):
    """A Pillow picture of any mode is read, and left as it was."""
    picture = Image.new(mode, (5, 4))
    read = read_picture(picture)
    assert read.image.shape == (4, 5, 3)
    assert (picture.mode, picture.size) == (mode, (5, 4))


@pytest.mark.parametrize("mode", ["F", "I"])
def test_pillow_modes_refused(mode):
    """Modes without an agreed white are refused."""
    with pytest.raises(ImageError, match="samples"):
        read_picture(Image.new(mode, (5, 4)))


def test_several_pictures_in_one_jpeg():
    """Phones put a depth map or a second exposure behind the first picture; the first counts."""
    data = saved(Image.fromarray(scene()), "MPO", save_all=True, append_images=[Image.new("RGB", (8, 6))])
    assert read_picture(data).image.shape == (24, 40, 3)


# --- limits -------------------------------------------------------------------------------------


def huge_png(cols: int = 60000, rows: int = 60000) -> bytes:
    header = struct.pack(">IIBBBBB", cols, rows, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b"")


def test_limit_before_decoding():
    """A file that claims 3600 million pixels is refused for that, before its missing pixels are looked for."""
    with pytest.raises(ImageError, match=r"60000 x 60000 pixels .* limit of 200 million.*BGKIT_MAX_PIXELS"):
        read_picture(huge_png())


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "avif"])
def test_limit_in_every_format(kind):
    """Every format's size is checked against the caller's limit; a picture of just that size passes."""
    data = samples_of_formats()[kind]
    picture = read_picture(data)
    size = picture.image.shape[0] * picture.image.shape[1]
    read_picture(data, max_pixels=size)
    with pytest.raises(ImageError, match="limit"):
        read_picture(data, max_pixels=size - 1)


def test_limit_from_environment(monkeypatch):
    """``BGKIT_MAX_PIXELS`` sets the limit."""
    monkeypatch.setenv("BGKIT_MAX_PIXELS", "100")
    with pytest.raises(ImageError, match=r"limit of 0\.0001 million"):
        read_picture(saved(scene(), "PNG"))


def test_bad_limit_is_said(monkeypatch):
    """A limit that is no number is an error of its own."""
    monkeypatch.setenv("BGKIT_MAX_PIXELS", "lots")
    with pytest.raises(ParamError, match="BGKIT_MAX_PIXELS: expected a whole number"):
        read_picture(saved(scene(), "PNG"))


def test_long_strips():
    """A picture 65500 wide and 2 high is read and written."""
    strip = np.zeros((2, 65500, 3), np.uint8)
    strip[:, ::7] = 200
    assert read_picture(saved(strip, "JPEG", quality=95)).image.shape == strip.shape
    memory = io.BytesIO()
    write_picture(memory, strip.astype(np.float32) / 255)
    np.testing.assert_array_equal(read_picture(memory.getvalue()).image, strip / np.float32(255))


def test_pillow_is_left_as_it_was():
    """Neither Pillow's own limit nor the warning filters stay changed, also after an error."""
    before = Image.MAX_IMAGE_PIXELS, list(warnings.filters)
    read_picture(saved(scene(), "PNG"))
    with pytest.raises(ImageError):
        read_picture(b"\x89PNG\r\n\x1a\n")
    assert (Image.MAX_IMAGE_PIXELS, list(warnings.filters)) == before


def test_threads():
    """Many threads may read at once."""
    files = list(samples_of_formats().values()) * 4
    expected = [read_picture(data).image for data in files]
    found: list = [None] * len(files)

    def work(number: int) -> None:
        for index in range(number, len(files), 4):
            found[index] = read_picture(files[index]).image

    workers = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_array_equal(one, other)


# --- what cannot be read ------------------------------------------------------------------------


def test_absent(tmp_path):
    """A file that is not there."""
    with pytest.raises(ImageError, match=r"nowhere\.png: no such file$"):
        read_picture(tmp_path / "nowhere.png")


def test_folder(tmp_path):
    """A folder."""
    with pytest.raises(ImageError, match=r"is a folder, expected a picture file$"):
        read_picture(tmp_path)


def test_empty(tmp_path):
    """A file of no bytes."""
    (tmp_path / "a.jpg").touch()
    with pytest.raises(ImageError, match=r"a\.jpg: is empty \(0 bytes\)$"):
        read_picture(tmp_path / "a.jpg")


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="the superuser may read everything")
def test_unreadable(tmp_path):
    """A file without permission."""
    path = tmp_path / "a.jpg"
    path.write_bytes(saved(scene(), "JPEG"))
    path.chmod(0)
    with pytest.raises(ImageError, match=r"a\.jpg: permission denied$"):
        read_picture(path)


@pytest.mark.parametrize(
    "data", [b"Hello, this is a text", b"%PDF-1.7\n", b"\0" * 500, b"\xff\xd8", b"<svg/>", b"\x89PNG"]
)
def test_not_a_picture(tmp_path, data):
    """Something else under a picture's name; the error names what is read."""
    (tmp_path / "a.png").write_bytes(data)
    with pytest.raises(ImageError, match=r"a\.png: is not a picture that bgkit reads \(JPEG, PNG"):
        read_picture(tmp_path / "a.png")


def test_heic():
    """A phone's HEIC gets an error of its own, for it is a picture to everybody else."""
    with pytest.raises(ImageError, match="HEIC"):
        read_picture(b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + bytes(50))


def test_lying_name(tmp_path):
    """A PNG named .jpg is read for what it is."""
    (tmp_path / "a.jpg").write_bytes(saved(scene(), "PNG"))
    assert read_picture(tmp_path / "a.jpg").format == "PNG"


def test_wrong_kind_of_source():
    """A number, or a file opened as text, is no picture."""
    with pytest.raises(ImageError, match="expected a path, bytes, a binary file or a PIL image, got int"):
        read_picture(7)
    with pytest.raises(ImageError, match="opened as binary"):
        read_picture(io.StringIO("text"))


@pytest.mark.parametrize("kind", KINDS)
def test_truncated(kind):
    """A file cut anywhere is an error, or nothing that matters was cut off; never a picture with gray in it."""
    data = samples_of_formats()[kind]
    whole = read_picture(data)
    cuts = {*range(1, 40), *np.linspace(40, len(data) - 1, 60).astype(int).tolist(), *range(len(data) - 12, len(data))}
    refused = 0
    for cut in sorted(cuts):
        try:
            picture = read_picture(data[:cut])
        except ImageError as error:
            refused += 1
            assert "\n" not in str(error)
        else:
            np.testing.assert_array_equal(picture.image, whole.image, err_msg=f"cut at {cut} of {len(data)}")
    assert refused >= 0.9 * len(cuts)


@pytest.mark.parametrize("kind", ["jpeg", "jpeg-progressive", "jpeg-cmyk", "jpeg-gray"])
@pytest.mark.parametrize("share", [0.5, 0.7, 0.9, 0.98])
def test_truncated_jpeg_with_an_end(kind, share):
    """A JPEG cut short and closed with an end marker, which Pillow and OpenCV fill with gray, is an error."""
    data = samples_of_formats()[kind]
    with pytest.raises(ImageError, match="truncated or damaged"):
        read_picture(data[: int(len(data) * share)] + b"\xff\xd9")


def test_jpeg_with_bytes_behind_it():
    """Bytes behind the end, and padding before it, are usual and harmless."""
    data = samples_of_formats()["jpeg"]
    expected = read_picture(data).image
    for other in (data + b"more", data[:-2] + bytes(5) + data[-2:]):
        np.testing.assert_array_equal(read_picture(other).image, expected)


def test_jpeg_with_bytes_between():
    """Stray bytes between the parts cost nothing either."""
    data = samples_of_formats()["jpeg"]
    at = data.index(b"\xff\xc4")
    np.testing.assert_array_equal(read_picture(data[:at] + bytes(3) + data[at:]).image, read_picture(data).image)


@pytest.mark.parametrize("kind", ["jpeg", "jpeg-cmyk", "jpeg-gray"])
def test_jpeg_of_unusual_layout(kind, monkeypatch):
    """What TurboJPEG has no name for is left to Pillow, with the same pixels."""
    import simplejpeg

    def refuse(*args, **options):
        raise ValueError("Could not determine subsampling level of JPEG image")

    expected = read_picture(samples_of_formats()[kind]).image
    monkeypatch.setattr(simplejpeg, "decode_jpeg", refuse)
    np.testing.assert_array_equal(read_picture(samples_of_formats()[kind]).image, expected)


def test_png_with_a_flipped_bit():
    """A PNG's checksums are checked, also those of its pixels."""
    data = bytearray(samples_of_formats()["png"])
    data[data.index(b"IDAT") + 20] ^= 1
    with pytest.raises(ImageError, match=r"picture: is damaged: wrong checksum in its part 'IDAT'"):
        read_picture(bytes(data))


def test_png_with_too_few_rows():
    """Right checksums, missing rows."""
    header = struct.pack(">IIBBBBB", 50, 40, 8, 2, 0, 0, 0)
    for rows in (b"", bytes(151 * 20)):
        data = [chunk(b"IHDR", header), chunk(b"IDAT", zlib.compress(rows)), chunk(b"IEND", b"")]
        with pytest.raises(ImageError, match="some of its rows are missing"):
            read_picture(b"\x89PNG\r\n\x1a\n" + b"".join(data))


def test_png_with_a_bad_filter():
    """Right checksums, enough rows, and a row filter that does not exist: no half-read picture."""
    rows = bytearray(b"\0" + bytes(150)) * 40
    rows[151 * 20] = 9
    header = struct.pack(">IIBBBBB", 50, 40, 8, 2, 0, 0, 0)
    data = [chunk(b"IHDR", header), chunk(b"IDAT", zlib.compress(rows)), chunk(b"IEND", b"")]
    with pytest.raises(ImageError, match="cannot be read"):
        read_picture(b"\x89PNG\r\n\x1a\n" + b"".join(data))


@pytest.mark.parametrize("size", [(1, 1), (1, 5), (5, 1), (3, 3), (9, 13), (24, 40)])
def test_interlaced_png(size):
    """The rows of an interlaced PNG are counted by its seven passes."""
    rows, cols = size
    pixels = scene()[:rows, :cols]
    passes = [(0, 0, 8, 8), (0, 4, 8, 8), (4, 0, 8, 4), (0, 2, 4, 4), (2, 0, 4, 2), (0, 1, 2, 2), (1, 0, 2, 1)]
    body = b""
    for row, col, row_step, col_step in passes:
        part = pixels[row::row_step, col::col_step]
        body += b"".join(b"\0" + line.tobytes() for line in part if line.size)
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", cols, rows, 8, 2, 0, 0, 1))
    start = b"\x89PNG\r\n\x1a\n" + header
    data = start + chunk(b"IDAT", zlib.compress(body)) + chunk(b"IEND", b"")
    np.testing.assert_array_equal(read_picture(data).image, pixels / np.float32(255))
    with pytest.raises(ImageError, match="rows are missing"):
        read_picture(start + chunk(b"IDAT", zlib.compress(body[:-1])) + chunk(b"IEND", b""))


def test_bogus_sizes():
    """Sizes of nothing, and a chunk longer than the file."""
    for header in (struct.pack(">II", 0, 5), struct.pack(">II", 5, 0)):
        data = png(scene(), 2, depth=8)
        body = data[16:29]
        with pytest.raises(ImageError):
            read_picture(
                data.replace(
                    data[12:33],
                    b"IHDR" + header + body[8:] + struct.pack(">I", zlib.crc32(b"IHDR" + header + body[8:])),
                )
            )


@pytest.mark.filterwarnings("ignore:its :UserWarning")  # a byte may be that of the primaries: that is said
@settings(max_examples=120, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.sampled_from(KINDS), st.data())
def test_flipped_bytes(kind, draw):
    """Whatever bytes are changed, there is a picture of 0..1 or an ImageError of one line."""
    data = bytearray(samples_of_formats()[kind])
    for _ in range(draw.draw(st.integers(1, 6))):
        data[draw.draw(st.integers(0, len(data) - 1))] = draw.draw(st.integers(0, 255))
    try:
        picture = read_picture(bytes(data), max_pixels=1_000_000)
    except ImageError as error:
        assert "\n" not in str(error)
    else:
        assert picture.image.min() >= 0
        assert picture.image.max() <= 1


@pytest.mark.filterwarnings("ignore:its color profile:UserWarning")
@settings(max_examples=40, deadline=None)
@given(st.data())
def test_flipped_profile(draw):
    """A profile with changed bytes costs at most the conversion, which is said."""
    profile = bytearray(adobe_rgb())
    for _ in range(draw.draw(st.integers(1, 6))):
        profile[draw.draw(st.integers(0, len(profile) - 1))] = draw.draw(st.integers(0, 255))
    for data in (
        png(wide(3), 2, chunk(b"iCCP", b"x\0\0" + zlib.compress(bytes(profile)))),
        png(scene(), 2, chunk(b"iCCP", b"x\0\0" + zlib.compress(bytes(profile))), depth=8),
    ):
        image = read_picture(data).image
        assert image.min() >= 0
        assert image.max() <= 1


# --- what has no end, and what only says so ------------------------------------------------------


def test_endless_sources(tmp_path):
    """A device and a pipe under a picture's name are refused, without waiting for what they might give."""
    os.mkfifo(tmp_path / "a.png")
    for path in (tmp_path / "a.png", "/dev/zero"):
        with pytest.raises(ImageError, match="is a device or a pipe, expected a file"):
            read_picture(path)


class Endless(io.RawIOBase):
    """Gives zeros behind a beginning, for ever, and counts what was taken."""

    def __init__(self, beginning: bytes) -> None:
        self.beginning, self.taken = beginning, 0

    def read(self, count: int = -1) -> bytes:
        assert count > 0, "read whole"
        piece, self.beginning = self.beginning[:count], self.beginning[count:]
        piece = piece or bytes(count)
        self.taken += len(piece)
        return piece


def test_stream_is_judged_by_its_beginning():
    """What does not begin as a picture is not read on."""
    stream = Endless(b"")
    with pytest.raises(ImageError, match="is not a picture"):
        read_picture(stream)
    assert stream.taken == 64


def test_stream_that_goes_on():
    """What begins as a picture and does not end is given up beyond what the limit of pixels can take."""
    stream = Endless(saved(scene(), "PNG"))
    with pytest.raises(ImageError, match=r"is longer than 0\.1 GB"):
        read_picture(stream, max_pixels=1000)


def test_file_of_holes(tmp_path):
    """A file of a terabyte that takes no room on the disk is refused by its size, before it is read."""
    path = tmp_path / "a.png"
    path.write_bytes(saved(scene(), "PNG"))
    os.truncate(path, 1 << 40)
    with pytest.raises(ImageError, match=r"a\.png: is longer than 0\.1 GB"):
        read_picture(path, max_pixels=1000)


def test_stream_within_the_limit_of_the_environment(monkeypatch):
    """Standard input and files of stores are read as far as BGKIT_MAX_PIXELS allows."""
    monkeypatch.setenv("BGKIT_MAX_PIXELS", "1000")
    with pytest.raises(ImageError, match=r"is longer than 0\.1 GB"):
        read_bytes(Endless(saved(scene(), "PNG")))


def test_too_many_scans():
    """A progressive JPEG of hundreds of scans is refused before it is decoded; the usual ten are read."""
    data = samples_of_formats()["jpeg-progressive"]
    at = data.rindex(b"\xff\xda")
    many = data[:at] + data[at:-2] * 150 + data[-2:]
    with pytest.raises(ImageError, match=r"has \d{3} scans"):
        read_picture(many)


@pytest.mark.parametrize("broken", [b"ICC_PROFILE\0\1\0", b"ICC_PROFILE\0\1\7"])
def test_jpeg_with_a_broken_profile_marker(broken):
    """A profile whose marker has impossible numbers costs the profile, not the picture, and that is said."""
    data = saved(scene(), "JPEG", quality=95, icc_profile=adobe_rgb())
    with pytest.warns(UserWarning, match="its color profile is not whole, and is left out"):
        image = read_picture(data.replace(b"ICC_PROFILE\0\1\1", broken)).image
    np.testing.assert_array_equal(image, read_picture(saved(scene(), "JPEG", quality=95)).image)


@pytest.mark.parametrize("number", [b"\0", b"\2"])
def test_jpeg_whose_profile_marker_has_another_number(number):
    """One of one is whole, whatever its number."""
    data = saved(scene(), "JPEG", quality=95, icc_profile=adobe_rgb())
    image = read_picture(data.replace(b"ICC_PROFILE\0\1\1", b"ICC_PROFILE\0" + number + b"\1")).image
    np.testing.assert_array_equal(image, read_picture(data).image)


def test_jpeg_whose_profile_marker_ends_at_its_name():
    """It costs the profile, not the picture."""
    data = saved(scene(), "JPEG", quality=95)
    with pytest.warns(UserWarning, match="its color profile is not whole, and is left out"):
        image = read_picture(data[:2] + b"\xff\xe2\0\x0eICC_PROFILE\0" + data[2:]).image
    np.testing.assert_array_equal(image, read_picture(data).image)


def test_text_of_16_bits():
    """A PNM that is text may hold more than 8 bits, too."""
    words = " ".join(map(str, wide(3).ravel() % 1000))
    picture = read_picture(f"P3 # drawn\n13 11\n999\n{words}\n".encode())
    np.testing.assert_allclose(picture.image, wide(3) % 1000 / 999, atol=1e-5)
    assert picture.depth == 16


@pytest.mark.parametrize("code", ["group3", "group4", "tiff_ccitt"])
def test_fax_with_flipped_bits(code, capfd):
    """Of one wrong bit in a fax nine of ten are refused, by libtiff's warnings too; none of them reaches the terminal.

    The rest makes rows of the right length from codes that exist: nobody can tell.
    """
    bits = Image.fromarray((scene(48, 80)[:, :, 0] // 20 % 2 * 255).astype(np.uint8)).convert("1")
    data = saved(bits, "TIFF", compression=code)
    whole = read_picture(data).image
    header = Image.open(io.BytesIO(data))
    start, size = header.tag_v2[273][0], len(data) - header.tag_v2[273][0]
    size = header.tag_v2.get(279, (size,))[0]
    tried, wrong = range(0, size * 8, 1 + size * 8 // 200), 0
    for bit in tried:
        flipped = bytearray(data)
        flipped[start + bit // 8] ^= 1 << bit % 8
        try:
            wrong += not np.array_equal(read_picture(bytes(flipped)).image, whole)
        except ImageError as error:
            assert "is damaged (Fax" in str(error)
    assert wrong <= len(tried) / 10
    assert capfd.readouterr().err == ""


def test_pillow_does_not_write_to_the_terminal():
    """What Pillow logs of a broken file, Python prints where nobody listens: nothing of it is seen."""
    data = bytearray(saved(scene(), "TIFF"))
    at = data.index(struct.pack("<HHIH", 277, 3, 1, 3))
    struct.pack_into("<H", data, at + 8, 65535)
    code = "import sys, bgkit.imagefile as f; f.read_picture(sys.stdin.buffer.read())"
    done = subprocess.run([sys.executable, "-c", code], input=bytes(data), capture_output=True, check=False)
    assert b"Error: " in done.stderr and b"More samples per pixel" not in done.stderr


def test_unknown_compression():
    """A TIFF that is compressed by a method that no decoder here knows (JPEG XL) says so, and what to do."""
    data = bytearray(saved(scene(), "TIFF"))
    entry = struct.pack("<HHIH", 259, 3, 1, 1)
    at = data.index(entry)
    struct.pack_into("<H", data, at + 8, 50002)
    with pytest.raises(ImageError, match=r"is compressed by a method \(50002\) .*; save it with deflate, LZW or none"):
        read_picture(bytes(data))


def test_jpeg_of_12_bits():
    """A JPEG of more than 8 bits says how many it has."""
    data = bytearray(saved(scene(), "JPEG"))
    data[data.index(b"\xff\xc0") + 4] = 12
    with pytest.raises(ImageError, match=r"has 12 bits per channel, .* save it with 8"):
        read_picture(bytes(data))


@pytest.mark.parametrize("code", ["group3", "group4", "tiff_ccitt"])
@pytest.mark.parametrize("rows", [4, 100])
def test_whole_fax_in_strips(code, rows):
    """A whole fax is read as it is, in one strip or in many, and none of it is taken for damage."""
    bits = Image.fromarray((scene(48, 80)[:, :, 0] // 20 % 2 * 255).astype(np.uint8)).convert("1")
    data = saved(bits, "TIFF", compression=code, tiffinfo={278: rows}, strip_size=10 * rows)
    np.testing.assert_array_equal(read_picture(data).image[:, :, 0], np.asarray(bits, np.float32))


def test_comment_without_an_end():
    """The header of a PNM is read byte by byte, so it has to end soon."""
    with pytest.raises(ImageError, match="has a header of more than 64 KB"):
        read_picture(b"P6 #" + b"x" * (1 << 17) + b"\n1 1 255\n\0\0\0")
    read_picture(b"P6 #" + b"x" * 60_000 + b"\n1 200 255\n" + bytes(600))
    assert header_size(b"P5 #" + b"x" * (1 << 17) + b"\n1 1 255\n\0") is None


@pytest.mark.parametrize("tags", [{}, {256: 1 << 20, 257: 1 << 20}], ids=["no picture", "too large"])
def test_large_file_is_judged_by_its_header(tmp_path, monkeypatch, tags):
    """Gigabytes are not read for a file that holds no picture, or one that is too large."""
    path = tmp_path / "a.tif"
    path.write_bytes(tiff_of(b"", tags))
    os.truncate(path, 1 << 29)
    monkeypatch.setattr("bgkit.imagefile._decode.take", lambda *given: pytest.fail("was read"))
    with pytest.raises(ImageError, match=r"has no pixels|are more than the limit"):
        read_picture(path)


@pytest.mark.parametrize("url", ["file://{}", "file://localhost{}", "file:{}"])
def test_file_urls(tmp_path, url):
    """Percent escapes of a file URL are undone, also of names that are no ASCII."""
    path = tmp_path / "red cup ü 100%.png"
    path.write_bytes(saved(scene(), "PNG"))
    text = url.format(urllib.parse.quote(str(path)))
    np.testing.assert_array_equal(read_picture(text).image * 255, scene())


def test_file_url_of_another_host():
    """A file of another host is refused by its name."""
    with pytest.raises(ImageError, match=r"^file://nas/a\.png: names a file of the host 'nas'"):
        read_picture("file://nas/a.png")


def test_damage_is_told_without_a_decoders_own_names():
    """libtiff calls bytes in memory by a name of its own; the message has the file's alone."""
    memory = io.BytesIO()
    Image.fromarray(np.random.default_rng(5).integers(0, 256, (40, 40, 3), np.uint8)).save(
        memory, "TIFF", compression="tiff_lzw"
    )
    data = bytearray(memory.getvalue())
    data[300:340] = b"\xff" * 40
    with pytest.raises(ImageError, match="damaged") as failed:
        read_picture(bytes(data))
    assert "tempfile" not in str(failed.value)


@pytest.mark.parametrize("compression", ["lzma", "zstd", "packbits", "tiff_lzw", "jpeg"])
def test_damaged_codes_are_told_by_the_message_alone(compression, capfd):
    """What libtiff says of each of its codes is part of the error; nothing goes past it to the terminal."""
    memory = io.BytesIO()
    rng = np.random.default_rng(3)
    picture = Image.fromarray(rng.integers(0, 256, (64, 64, 3), np.uint8))
    try:
        picture.save(memory, "TIFF", compression=compression)
    except (OSError, RuntimeError):
        pytest.skip(f"this libtiff has no {compression}")
    for _ in range(12):
        data = bytearray(memory.getvalue())
        for at in rng.integers(8, min(len(data) - 300, 2000), 4):
            data[at] ^= 255
        with contextlib.suppress(ImageError):
            read_picture(bytes(data))
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("share", [0.02, 0.3, 0.6, 0.8])
def test_a_cut_icon_is_damaged(share):
    """A cut icon makes Pillow look beyond its end; the message does not speak of buffers."""
    whole = saved(np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8), "ICO")
    with pytest.raises(ImageError, match="truncated") as failed:
        read_picture(whole[: int(share * len(whole))])
    assert "buffer" not in str(failed.value)
