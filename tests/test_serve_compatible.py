"""The fields of rembg and remove.bg: what each does, and what a wrong one answers."""

from __future__ import annotations

import base64
import io
import zipfile

import numpy as np
import pytest

pytest.importorskip("fastapi", reason="the extra serve is not installed")

import httpx
from serving import Server, picture_file
from skimage import data

from bgkit.imagefile import read_gray, read_picture


@pytest.fixture(scope="module")
def client():
    with Server("-p", "classical") as running, httpx.Client(base_url=running.url, timeout=300) as client:
        yield client


def removebg(client, fields=None, **extra):
    data = {"size": "auto", **(fields or {})}
    return client.post("/v1.0/removebg", files={"image_file": picture_file()}, data=data, **extra)


def shape_of(answer) -> tuple[int, ...]:
    return read_picture(io.BytesIO(answer.content)).image.shape[:2]


@pytest.mark.parametrize(
    ("fields", "shape"),
    [
        ({}, (48, 48)),
        ({"crop": "true"}, (24, 16)),
        ({"crop": "true", "crop_margin": "50%"}, (48, 32)),
        ({"crop": "true", "crop_margin": "1px 2px 3px 4px"}, (28, 22)),
        ({"scale": "100%"}, (48, 48)),
        ({"channels": "alpha"}, (48, 48)),
        ({"format": "webp", "bg_color": "fff"}, (48, 48)),
    ],
)
def test_sizes(client, fields, shape):
    """crop, crop_margin and scale give the sizes that remove.bg's documentation says."""
    answer = removebg(client, fields)
    assert answer.status_code == 200, answer.text
    assert shape_of(answer) == shape
    assert answer.headers["x-width"] == str(shape[1])


def test_scale_and_position(client):
    """A subject of half the height, at the right lower corner."""
    answer = removebg(client, {"scale": "50%", "position": "100% 100%"})
    alpha = read_picture(io.BytesIO(answer.content)).alpha
    assert alpha[26:47, 34:47].min() > 0.9 and alpha[:22].max() == 0
    assert answer.headers["x-foreground-top"] == "24"


def test_region_of_interest(client):
    """Nothing outside the region is subject."""
    alpha = read_picture(io.BytesIO(removebg(client, {"roi": "0px 0px 24px 48px"}).content)).alpha
    assert alpha[24, 20] == 1 and alpha[:, 24:].max() == 0


def test_empty_region(client):
    """A region without a subject is remove.bg's unknown_foreground."""
    answer = removebg(client, {"roi": "0% 0% 10% 10%"})
    assert (answer.status_code, answer.json()["errors"][0]["code"]) == (400, "unknown_foreground")


def test_zip(client):
    """A zip file holds color and alpha apart."""
    archive = zipfile.ZipFile(io.BytesIO(removebg(client, {"format": "zip"}).content))
    assert archive.namelist() == ["color.jpg", "alpha.png"]
    assert read_gray(io.BytesIO(archive.read("alpha.png")))[24, 24] == 1


def test_color_makes_a_jpeg(client):
    """The format auto is a JPEG where nothing is clear."""
    answer = removebg(client, {"bg_color": "81d4fa"})
    assert answer.headers["content-type"] == "image/jpeg"
    assert read_picture(io.BytesIO(answer.content)).image[2, 2] == pytest.approx([0.506, 0.831, 0.98], abs=0.02)


def test_preview_is_small(client):
    """The size preview is at most a quarter of a megapixel; X-Max-Width tells what there is."""
    picture = np.ones((800, 800, 3), np.float32)
    picture[200:600, 200:600] = (0.8, 0.1, 0.15)
    answer = client.post("/v1.0/removebg", files={"image_file": picture_file(picture)}, data={"roi": "0 0 400px 800px"})
    assert (answer.headers["x-width"], answer.headers["x-max-width"]) == ("500", "800")
    assert int(answer.headers["x-foreground-width"]) == pytest.approx(125, abs=1)  # 200 px, reduced like the picture


def test_json_form(client):
    """A JSON body with base64, and a JSON answer with the box of the subject."""
    body = {"image_file_b64": base64.b64encode(picture_file()).decode(), "size": "auto", "crop": False}
    data = client.post("/v1.0/removebg", json=body, headers={"Accept": "application/json"}).json()["data"]
    assert (data["foreground_top"], data["foreground_height"]) == (12, 24)
    assert read_picture(io.BytesIO(base64.b64decode(data["result_b64"]))).alpha[24, 24] == 1


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"size": "huge"}, "invalid_size"),
        ({"roi": "1 2 3"}, "invalid_roi"),
        ({"crop": "perhaps"}, "invalid_crop"),
        ({"scale": "5%"}, "invalid_scale"),
        ({"bg_color": "no color"}, "invalid_bg_color"),
        ({"image_url": "http://127.0.0.1:1/a.png"}, "multiple_sources"),
        ({"shadow_type": "3D"}, "invalid_shadow_type"),
        ({"bg_image_url": "http://127.0.0.1:1/a.png"}, "invalid_parameters"),
    ],
)
def test_refused(client, fields, code):
    """What is wrong is answered with remove.bg's status 400 and a code."""
    answer = removebg(client, fields)
    assert (answer.status_code, answer.json()["errors"][0]["code"]) == (400, code)


def test_no_picture(client):
    """A request without a picture, and one whose picture is none."""
    assert client.post("/v1.0/removebg", data={"size": "auto"}).json()["errors"][0]["code"] == "missing_source"
    answer = client.post("/v1.0/removebg", files={"image_file": b"GIF?"})
    assert (answer.status_code, answer.json()["errors"][0]["code"]) == (400, "invalid_file_type")


@pytest.mark.parametrize(
    ("data", "sentence"),
    [
        ({"model": "no-such"}, "model: expected one of the networks"),
        ({"a": "perhaps"}, "a: expected true or false"),
        ({"af": "300"}, "af: expected a whole number in 0..255"),
        ({"bgc": "1,2"}, "bgc: expected R,G,B,A"),
        ({"bgc": "1,2,3,99"}, "half clear"),
        ({"extras": '{"sam_prompt": []}'}, "extras"),
        ({"model": "classical", "a": "true"}, "has stages of its own"),
    ],
)
def test_rembg_refusals(client, data, sentence):
    """A wrong field of rembg's is told, never passed over."""
    answer = client.post("/api/remove", files={"file": picture_file()}, data=data)
    assert answer.status_code == 422 and sentence in answer.json()["detail"]


def test_rembg_matting_fields_matter(client):
    """A wider erosion leaves more to matting, so the matte changes."""
    picture = picture_file((data.astronaut()[:384:3, :384:3] / 255).astype(np.float32))
    answers = [
        client.post("/api/remove", files={"file": picture}, data={"a": "true", "ae": ae, "om": "true"}).content
        for ae in ("2", "20")
    ]
    assert answers[0] != answers[1]


def test_rembg_newest_fields(client):
    """dc=false leaves the picture's own colors at the edge; a pipeline by name takes neither dc nor vm."""

    def ask(**fields):
        return client.post("/api/remove", files={"file": picture_file()}, data=fields)

    plain = read_picture(io.BytesIO(ask(dc="false").content))
    np.testing.assert_allclose(plain.image[20, 30], (0.8, 0.1, 0.15), atol=0.01)
    assert ask(dc="true").content == ask().content
    for field in ({"dc": "false"}, {"vm": "true"}):
        answer = ask(model="classical", **field)
        assert (answer.status_code, "has stages of its own" in answer.json()["detail"]) == (422, True)


def test_fetching_is_refused(client):
    """Without --fetch no address is asked for."""
    answer = client.get("/api/remove", params={"url": "http://127.0.0.1:1/a.png"})
    assert answer.status_code == 403 and "--fetch" in answer.json()["detail"]
