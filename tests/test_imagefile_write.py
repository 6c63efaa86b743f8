"""Writing: whole or not at all, in every format, and found again."""

from __future__ import annotations

import errno
import io
import os
import stat
import struct
import subprocess
import sys

import numpy as np
import pytest
from conftest import ROOT
from picture_files import needs_avif, saved, scene, veil
from PIL import Image, ImageCms, features

from bgkit.errors import ImageError, LayerError, ParamError
from bgkit.imagefile import read_picture, write_picture


def written(array: np.ndarray, form: str = "png", **options) -> bytes:
    memory = io.BytesIO()
    write_picture(memory, array, format=form, **options)
    return memory.getvalue()


@pytest.mark.parametrize("form", ["png", "tif", "bmp"])
def test_eight_bits_there_and_back(form):
    """All 256 levels survive reading and writing."""
    array = np.arange(256, dtype=np.uint8).reshape(16, 16)
    picture = np.dstack([array, array.T, array[::-1]])
    again = written(read_picture(saved(picture, "PNG")).image, form)
    np.testing.assert_array_equal(np.asarray(Image.open(io.BytesIO(again))), picture)


@pytest.mark.parametrize("form", ["png", "tif"])
@pytest.mark.parametrize("channels", [1, 3, 4])
def test_sixteen_bits_there_and_back(form, channels):
    """All 65536 levels survive writing and reading."""
    levels16 = np.arange(65536, dtype=np.uint16).reshape(256, 256)
    samples = np.dstack([levels16, levels16.T, levels16[::-1], np.maximum(levels16, 1)])[:, :, :channels]
    share = (samples / np.float32(65535)).squeeze()
    picture = read_picture(written(share, form, depth=16))
    color = np.broadcast_to(samples[:, :, :3] / np.float32(65535), (256, 256, 3))
    np.testing.assert_array_equal(picture.image, color)
    assert picture.depth == 16
    if channels == 4:
        np.testing.assert_array_equal(picture.alpha, share[:, :, 3])


def test_rounding_is_to_nearest():
    """0.4 of a level rounds down, 0.6 up; outside of 0..1 is clipped."""
    array = np.array([[10.4, 10.6, -3, 300, 255.4]], np.float32) / 255
    np.testing.assert_array_equal(np.asarray(Image.open(io.BytesIO(written(array)))), [[10, 11, 0, 255, 255]])


@pytest.mark.parametrize("channels", [None, 3, 4])
@pytest.mark.parametrize("depth", [8, 16])
@pytest.mark.parametrize("size", [(1, 1), (1, 9), (9, 1), (700, 500)])
def test_png_is_read_by_others(size, depth, channels):
    """OpenCV reads the same samples from our PNG, also where it was written in several bands."""
    import cv2

    shape = size if channels is None else (*size, channels)
    array = np.random.default_rng(1).random(shape, np.float32)
    if channels == 4:
        array[:, :, 3] = np.maximum(array[:, :, 3], 0.1)
    top = 2**depth - 1
    found = cv2.imdecode(np.frombuffer(written(array, depth=depth), np.uint8), cv2.IMREAD_UNCHANGED)
    if channels:
        found = found[:, :, [2, 1, 0, 3][:channels]]
    np.testing.assert_array_equal(found, np.floor(array * np.float32(top) + np.float32(0.5)).astype(found.dtype))


@pytest.mark.parametrize("form", ["png", "tif", "webp", "jpg", "bmp", pytest.param("avif", marks=needs_avif)])
@pytest.mark.parametrize("shape", [(5, 7), (5, 7, 3), (5, 7, 4), (1, 1), (1, 1, 3)])
def test_every_format_takes_every_layer(form, shape):
    """Masks, pictures and cutouts (opaque ones in JPEG and BMP) go into every format, and are found there."""
    array = np.full(shape, 0.5, np.float32)
    if shape[-1] == 4:
        array[:, :, 3] = 1
    picture = read_picture(written(array, form))
    assert picture.image.shape[:2] == shape[:2]
    assert np.abs(picture.image - 0.5).max() <= 4 / 255


@pytest.mark.parametrize("form", ["png", "tif", "webp"])
def test_alpha_is_written(form):
    """Alpha is exact in the formats for cutouts."""
    array = np.dstack([scene(), veil()]).astype(np.float32) / 255
    np.testing.assert_array_equal(read_picture(written(array, form)).alpha, veil() / np.float32(255))


@pytest.mark.parametrize("form", ["jpg", "bmp"])
def test_no_transparency_in_jpeg(form):
    """A cutout does not fit into a JPEG; the error says what to do."""
    array = np.dstack([scene(), veil()]).astype(np.float32) / 255
    with pytest.raises(ImageError, match="holds no transparency; put it on a background, or use png"):
        written(array, form)


def test_nearly_opaque_is_opaque():
    """An alpha that eight bits would round to 1 does not stop a JPEG."""
    array = np.dstack([scene() / 255, np.full((24, 40), 0.9999)]).astype(np.float32)
    assert read_picture(written(array, "jpg")).alpha is None


def test_trimap_is_written_as_it_is():
    """A uint8 trimap keeps its three values, also from a 16-bit input."""
    trimap = np.array([[0, 128, 255]], np.uint8)
    for form in ("png", "tif", "bmp"):
        found = np.asarray(Image.open(io.BytesIO(written(trimap, form, like={"depth": 16}))))
        np.testing.assert_array_equal(found, trimap)
        assert found.dtype == np.uint8


def test_depth_follows_the_input():
    """16 bits in, 16 bits out where the format can; 8 where it cannot; and what is asked for goes first."""
    array = np.full((4, 5, 3), 0.5, np.float32)
    assert read_picture(written(array, "png", like={"depth": 16})).depth == 16
    assert read_picture(written(array, "webp", like={"depth": 16})).depth == 8
    assert read_picture(written(array, "png", like={"depth": 16}, depth=8)).depth == 8
    assert read_picture(written(array, "tif")).depth == 8


def test_depth_that_does_not_fit():
    """16 bits asked of a JPEG, and a depth of 12."""
    array = np.full((4, 5, 3), 0.5, np.float32)
    with pytest.raises(ImageError, match="jpeg holds 8 bits per sample, not 16; use png or tif"):
        written(array, "jpg", depth=16)
    with pytest.raises(ParamError, match="depth: expected 8 or 16, got 12"):
        written(array, "png", depth=12)


@pytest.mark.parametrize("form", ["png", "tif", "webp", "jpg", pytest.param("avif", marks=needs_avif)])
def test_profile_is_written(form):
    """Color carries an sRGB profile that LittleCMS reads; gray carries none."""
    picture = Image.open(io.BytesIO(written(np.full((4, 5, 3), 0.5, np.float32), form)))
    profile = ImageCms.ImageCmsProfile(io.BytesIO(picture.info["icc_profile"]))
    assert "sRGB" in ImageCms.getProfileDescription(profile)
    assert "icc_profile" not in Image.open(io.BytesIO(written(np.full((4, 5), 0.5, np.float32), "png"))).info


@pytest.mark.parametrize("form", ["png", "tif", "jpg", "bmp", "webp", pytest.param("avif", marks=needs_avif)])
def test_dpi_is_written(form):
    """The input's resolution carries over."""
    like = read_picture(saved(scene(), "JPEG", dpi=(300, 150))).like
    data = written(np.full((4, 5, 3), 0.5, np.float32), form, like=like)
    assert read_picture(data).dpi == pytest.approx((300, 150), abs=0.02)


def test_same_bytes_twice():
    """The same picture gives the same file."""
    array = scene().astype(np.float32) / 255
    for form in ("png", "tif", "webp", "jpg"):
        data = written(array, form)
        assert written(array, form) == data
        profile = Image.open(io.BytesIO(data)).info["icc_profile"]
        assert profile[24:36] == struct.pack(">6H", 2026, 1, 1, 0, 0, 0)  # no date of making


def test_quality():
    """More quality is larger, and 100 of WebP is lossless."""
    array = np.random.default_rng(2).random((40, 40, 3), np.float32)
    for form in ("jpg", "webp"):
        assert len(written(array, form, quality=20)) < len(written(array, form, quality=95))
    rounded = np.rint(array * 255).astype(np.uint8)
    np.testing.assert_array_equal(np.asarray(Image.open(io.BytesIO(written(array, "webp", quality=100)))), rounded)
    with pytest.raises(ParamError, match=r"quality: expected 1\.\.100, got 0"):
        written(array, "jpg", quality=0)


def test_color_under_clear_pixels():
    """Color stays within 8 px of what is visible, so that scaling makes no dark rim, and is black beyond."""
    array = np.full((40, 60, 4), 0.5, np.float32)
    array[:, :, 3] = 0
    array[:, :20, 3] = 1
    found = np.asarray(Image.open(io.BytesIO(written(array))))
    assert (found[:, :28, :3] == 128).all()
    assert (found[:, 28:] == 0).all()


@pytest.mark.parametrize("ending", [".png", ".PNG", ".webp", ".tif", ".tiff", ".jpg", ".JPEG", ".bmp"])
def test_ending_chooses(tmp_path, ending):
    """The name's ending chooses the format, in capitals too."""
    path = tmp_path / f"out{ending}"
    write_picture(path, np.full((4, 5, 3), 0.5, np.float32))
    form = {"tif": "tiff", "jpg": "jpeg"}.get(ending[1:].lower(), ending[1:].lower())
    assert read_picture(path).format.lower() == form


@pytest.mark.parametrize("name", ["out", "out.gif", "out.txt"])
def test_unknown_ending(tmp_path, name):
    """Another ending is an error that lists what can be written."""
    with pytest.raises(ImageError, match=r"expected a name ending in \.png, \.webp"):
        write_picture(tmp_path / name, np.zeros((4, 5), np.float32))
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("form", ["png", "tif", "webp", "jpg"])
def test_nan_is_refused(tmp_path, form):
    """NaN is no color."""
    array = np.zeros((4, 5, 3), np.float32)
    array[2, 2, 1] = np.nan
    with pytest.raises(LayerError, match="got NaN"):
        write_picture(tmp_path / f"a.{form}", array)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "array", [np.zeros((4, 5)), np.zeros((4, 5, 2), np.float32), np.zeros((0, 5), np.float32), np.zeros(5, np.uint8)]
)
def test_wrong_arrays(array):
    """Other dtypes and shapes, and no pixels at all."""
    with pytest.raises(LayerError, match="expected"):
        written(array)


def test_missing_folder(tmp_path):
    """The folder must be there."""
    with pytest.raises(ImageError, match=r"out\.png: cannot be written: its folder does not exist$"):
        write_picture(tmp_path / "no" / "out.png", np.zeros((4, 5), np.float32))


def test_folder_in_the_way(tmp_path):
    """A folder of that name is not replaced."""
    (tmp_path / "out.png").mkdir()
    with pytest.raises(ImageError, match="it is a folder"):
        write_picture(tmp_path / "out.png", np.zeros((4, 5), np.float32))
    assert [path.name for path in tmp_path.iterdir()] == ["out.png"]


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="the superuser may write everywhere")
def test_folder_that_cannot_be_written(tmp_path):
    """A folder without permission."""
    tmp_path.chmod(0o500)
    try:
        with pytest.raises(ImageError, match="permission denied"):
            write_picture(tmp_path / "out.png", np.zeros((4, 5), np.float32))
    finally:
        tmp_path.chmod(0o700)


@pytest.mark.parametrize("form", ["png", "webp"])
def test_full_disk_leaves_the_old_file(tmp_path, form):
    """A disk that fills up: an ImageError with the path, the old file as it was, nothing beside it."""
    path = tmp_path / f"out.{form}"
    path.write_bytes(b"old")
    code = (
        "import resource, signal, numpy as np\n"
        "from bgkit.imagefile import write_picture\n"
        "from bgkit.errors import ImageError\n"
        "array = np.random.default_rng(0).random((400, 400, 3), np.float32)\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (9000, 9000))\n"
        f"try: write_picture({str(path)!r}, array)\n"
        "except ImageError as error: print(error)\n"
    )
    said = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert said.startswith(f"{path}: cannot be written: ")
    assert path.read_bytes() == b"old"
    assert [other.name for other in tmp_path.iterdir()] == [path.name]


def test_interrupt_leaves_the_old_file(tmp_path, monkeypatch):
    """Ctrl-C while writing leaves the old file, and nothing beside it."""
    from bgkit.imagefile import _png

    def stop(file, *args, **options):
        file.write(b"half")
        raise KeyboardInterrupt

    path = tmp_path / "out.png"
    path.write_bytes(b"old")
    monkeypatch.setattr(_png, "write_png", stop)
    with pytest.raises(KeyboardInterrupt):
        write_picture(path, np.zeros((4, 5), np.float32))
    assert path.read_bytes() == b"old"
    assert len(list(tmp_path.iterdir())) == 1


def test_reason_from_the_system(tmp_path, monkeypatch):
    """What the system says is passed on, with the path."""
    from bgkit.imagefile import _png

    def full(*args, **options):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(_png, "write_png", full)
    with pytest.raises(ImageError, match=r"out\.png: cannot be written: no space left on device$"):
        write_picture(tmp_path / "out.png", np.zeros((4, 5), np.float32))


def test_the_new_file_takes_the_place_of_the_old(tmp_path):
    """Who has the old file open goes on reading the old picture, for nothing is written into it."""
    path = tmp_path / "out.png"
    path.write_bytes(b"old")
    with path.open("rb") as reader:
        write_picture(path, np.zeros((4, 5), np.float32))
        assert reader.read() == b"old"
    assert read_picture(path).image.shape == (4, 5, 3)


def test_link_stays_a_link(tmp_path):
    """Writing through a link changes the file it points to."""
    (tmp_path / "real.png").write_bytes(b"old")
    (tmp_path / "link.png").symlink_to("real.png")
    write_picture(tmp_path / "link.png", np.zeros((4, 5), np.float32))
    assert (tmp_path / "link.png").is_symlink()
    assert read_picture(tmp_path / "real.png").image.shape == (4, 5, 3)


def test_file_may_be_read_by_others(tmp_path):
    """The new file has the usual permissions, not those of a private temporary file."""
    usual = tmp_path / "usual"
    usual.touch()
    write_picture(tmp_path / "out.png", np.zeros((4, 5), np.float32))
    assert (tmp_path / "out.png").stat().st_mode == usual.stat().st_mode


@pytest.mark.parametrize("form, most", [("webp", 16383), ("jpeg", 65500), ("avif", 65536)])
def test_too_wide_for_its_format(form, most):
    """A size that the format cannot hold is an ImageError."""
    with pytest.raises(ImageError, match=f"{form} holds at most {most} rows and columns"):
        written(np.zeros((1, most + 1), np.float32), form)


def test_format_that_pillow_lacks(monkeypatch):
    """A Pillow without AVIF gives an error that says so."""
    monkeypatch.setattr(features, "check", lambda name: False)
    with pytest.raises(ImageError, match="built without avif; use png"):
        written(np.zeros((4, 5), np.float32), "avif")


def test_input_is_left_alone():
    """Writing changes nothing in the array, which may be read-only."""
    array = np.dstack([scene(), veil()]).astype(np.float32) / 255
    before = array.copy()
    array.flags.writeable = False
    for form in ("png", "tif", "webp"):
        written(array, form)
    np.testing.assert_array_equal(array, before)


def test_import_is_light():
    """Importing the module loads no decoder."""
    heavy = ["PIL", "cv2", "tifffile", "isal", "simplejpeg"]
    code = f"import sys, bgkit.imagefile; print([name for name in {heavy} if name in sys.modules])"
    assert subprocess.check_output([sys.executable, "-c", code], cwd=ROOT, text=True).strip() == "[]"


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no named pipes")
def test_a_pipe_is_not_replaced(tmp_path):
    """What reads from it would wait for ever, and a device would be gone."""
    os.mkfifo(tmp_path / "a.png")
    with pytest.raises(ImageError, match="it is a device or a pipe"):
        write_picture(tmp_path / "a.png", np.zeros((2, 2), np.uint8))
    assert stat.S_ISFIFO((tmp_path / "a.png").stat().st_mode)
