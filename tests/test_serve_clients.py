"""Public clients of rembg and remove.bg, as they come from PyPI and npm, at ``bgkit serve``."""

from __future__ import annotations

import base64
import functools
import http.server
import io
import json
import os
import shutil
import subprocess
import threading

import pytest
from conftest import ROOT

pytest.importorskip("fastapi", reason="the extra serve is not installed")

import httpx
from serving import Server, picture_file

from bgkit.imagefile import read_gray, read_picture

NODE_MODULES = ROOT / "build" / "npm" / "node_modules"


@pytest.fixture(scope="module")
def shop(tmp_path_factory):
    """A server of pictures elsewhere on this machine, from which the operator allows fetching."""
    folder = tmp_path_factory.mktemp("shop")
    (folder / "photo.png").write_bytes(picture_file())
    (folder / "moved").mkdir()  # asked for without a slash, it is a redirect
    handler = functools.partial(http.server.SimpleHTTPRequestHandler, directory=folder)
    handler.log_message = lambda *_: None
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"127.0.0.1:{server.server_port}"
        server.shutdown()


@pytest.fixture(scope="module")
def url(shop):
    with Server("-p", "classical", "--fetch", shop) as running:
        yield running.url


@pytest.fixture
def photo(tmp_path):
    path = tmp_path / "photo.png"
    path.write_bytes(picture_file())
    return path


def is_cut_out(content: bytes) -> bool:
    alpha = read_picture(io.BytesIO(content)).alpha
    return bool(alpha[24, 24] == 1 and alpha[2, 2] == 0)


def curl(*arguments: str) -> bytes:
    if shutil.which("curl") is None:
        pytest.skip("curl is not installed")
    return subprocess.check_output(["curl", "-s", "--fail-with-body", "--max-time", "60", *arguments])


class TestRembg:
    """As rembg's README shows it, with curl."""

    def test_file(self, url, photo):
        """A file posted as a form."""
        assert read_picture(io.BytesIO(curl("-F", f"file=@{photo}", f"{url}api/remove"))).alpha is not None

    def test_url(self, url, shop):
        """The address of a picture, on a host that the operator named."""
        answer = curl(f"{url}api/remove?url=http://{shop}/photo.png")
        assert read_picture(io.BytesIO(answer)).image.shape == (48, 48, 3)

    def test_redirect(self, url, shop):
        """A redirect, which may lead to any host, is not followed."""
        answer = httpx.get(f"{url}api/remove", params={"url": f"http://{shop}/moved"}, timeout=300)
        assert (answer.status_code, "did not send it" in answer.json()["detail"]) == (422, True)

    def test_all_fields(self, url, photo):
        """Matting, cleaning and a background."""
        fields = ["model=u2net", "a=true", "af=240", "ab=10", "ae=4", "ppm=true", "om=false"]
        given = [part for field in fields for part in ("-F", field)]
        answer = curl("-F", f"file=@{photo}", *given, f"{url}api/remove?bgc=0,0,255,255")
        assert read_picture(io.BytesIO(answer)).image[2, 2] == pytest.approx([0, 0, 1])

    def test_mask_only(self, url, photo):
        """With om the answer is the matte alone, gray."""
        answer = curl("-F", f"file=@{photo}", "-F", "model=classical", "-F", "om=true", f"{url}api/remove")
        mask = read_gray(io.BytesIO(answer))
        assert mask[24, 24] == 1 and mask[2, 2] == 0


class TestRemoveBg:
    """remove.bg's, with their addresses set to the server and nothing else changed."""

    def test_curl(self, url, photo):
        """The first example of remove.bg's documentation."""
        answer = curl("-H", "X-Api-Key: any", "-F", f"image_file=@{photo}", "-F", "size=auto", f"{url}v1.0/removebg")
        assert is_cut_out(answer)

    def test_removebg(self, url, shop, photo, tmp_path, monkeypatch):
        """PyPI's removebg: a file, base64 and a URL."""
        module = pytest.importorskip("removebg.removebg")
        monkeypatch.setattr(module, "API_ENDPOINT", f"{url}v1.0/removebg")
        client = module.RemoveBg("any", str(tmp_path / "error.log"))
        client.remove_background_from_img_file(str(photo), size="full")
        out = tmp_path / "out.png"
        client.remove_background_from_base64_img(base64.b64encode(picture_file()), new_file_name=str(out))
        assert is_cut_out((tmp_path / "photo.png_no_bg.png").read_bytes()) and is_cut_out(out.read_bytes())
        client.remove_background_from_img_url(f"http://{shop}/photo.png", new_file_name=str(out), bg_color="0000ff")
        assert read_picture(out).image[2, 2] == pytest.approx([0, 0, 1], abs=0.02)

    @pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # the client leaves its file open
    def test_remove_bg_api(self, url, photo, monkeypatch):
        """PyPI's remove-bg-api: the account, a file, bytes, an error."""
        module = pytest.importorskip("remove_bg_api")
        monkeypatch.setattr(module, "API_URL", f"{url}v1.0")
        client = module.RemoveBg("any")
        assert client.account.balance() > 0
        assert is_cut_out(client.remove_bg_file(str(photo)))
        assert is_cut_out(client.remove_bg_bytes(picture_file(), size="auto"))
        with pytest.raises(module.Errors.ApiErrorCode400):
            client.remove_bg_bytes(b"no picture")

    def test_npm(self, url, photo, tmp_path):
        """npm's remove.bg: a file and base64, the answer as JSON, an error."""
        if shutil.which("node") is None or not (NODE_MODULES / "remove.bg").is_dir():
            pytest.skip("Node.js or its package remove.bg is not installed (make npm-clients)")
        script = tmp_path / "client.js"
        script.write_text(
            """
            const unirest = require('unirest'), post = unirest.post
            unirest.post = (url) => post(url.replace('https://api.remove.bg/', process.argv[2]))
            const api = require('remove.bg'), [photo, out] = process.argv.slice(3), fs = require('fs')
            const base64img = fs.readFileSync(photo).toString('base64')
            async function main() {
              const first = await api.removeBackgroundFromImageFile({ path: photo, apiKey: 'any', size: 'regular',
                type: 'auto', scale: '50%', outputFile: out })
              const second = await api.removeBackgroundFromImageBase64({ base64img, apiKey: 'any', crop: true })
              let error
              await api.removeBackgroundFromImageBase64({ base64img: 'xx', apiKey: 'any' }).catch(e => { error = e })
              console.log(JSON.stringify({ first, second, error }))
            }
            main()
            """
        )
        message = subprocess.check_output(
            ["node", "--no-deprecation", str(script), url, str(photo), str(tmp_path / "out.png")],
            env={**os.environ, "NODE_PATH": str(NODE_MODULES)},
        )
        answers = json.loads(message)
        assert read_picture(tmp_path / "out.png").image.shape == (48, 48, 3)
        assert answers["first"]["creditsCharged"] == "0"
        assert answers["second"]["resultHeight"] == "24" and answers["second"]["resultWidth"] == "16"
        assert answers["error"][0]["code"] == "invalid_file_type"
