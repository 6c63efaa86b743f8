"""The page of ``bgkit serve`` in a real browser: each thing it offers is done by hand, by mouse and by keys."""

from __future__ import annotations

import base64
import io
import os
import re
import time
import zipfile
from pathlib import Path

import numpy as np
import pytest
from conftest import CHROMIUM, CHROMIUM_FLAGS, ROOT

from bgkit import stages
from bgkit.imagefile import read_picture
from bgkit.pipelinefile import load_pipeline, read_pipeline, shipped

playwright = pytest.importorskip("playwright.sync_api", reason="Playwright drives the browser")
pytest.importorskip("fastapi", reason="the server is an extra")
from serving import Server, picture_file  # noqa: E402

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium to open the page with")
STATIC = ROOT / "bgkit" / "serve" / "page"
SCREENS = Path(os.environ.get("BGKIT_SCREENSHOTS", ROOT / "build" / "screenshots"))


def scene(
    rows=180,
    cols=240,
    centers=((90, 70), (90, 170)),
    colors=((0.8, 0.1, 0.15), (0.1, 0.25, 0.7)),
    ground=(0.93, 0.93, 0.93),
):
    """Disks of radius 36 on an even, slightly noisy ground, a light one if nothing else is said."""
    row, col = np.mgrid[:rows, :cols]
    image = np.full((rows, cols, 3), ground, np.float32)
    for (top, left), color in zip(centers, colors, strict=False):
        alpha = np.clip(36.5 - np.hypot(row - top, col - left), 0, 1)[..., None]
        image = image * (1 - alpha) + np.float32(color) * alpha
    return np.clip(image + np.random.default_rng(1).normal(0, 0.005, image.shape), 0, 1).astype(np.float32)


def upload(array, name="photo.png") -> dict:
    return {"name": name, "mimeType": "image/png", "buffer": picture_file(array)}


SCENE = upload(scene())


@pytest.fixture(scope="module")
def server():
    with Server() as running:
        yield running


@pytest.fixture(scope="module")
def browser():
    with playwright.sync_playwright() as driver:
        opened = driver.chromium.launch(executable_path=CHROMIUM, args=CHROMIUM_FLAGS)
        yield opened
        opened.close()


def pixels_of(tab, selector: str) -> np.ndarray:
    """An image of a page, as float RGBA."""
    code = """async (selector) => {
        const image = document.querySelector(selector);
        await image.decode();
        const canvas = document.createElement("canvas");
        [canvas.width, canvas.height] = [image.naturalWidth, image.naturalHeight];
        const context = canvas.getContext("2d");
        context.drawImage(image, 0, 0);
        const {data} = context.getImageData(0, 0, canvas.width, canvas.height);
        let text = "";  // base64: a list of numbers takes minutes on a busy machine
        for (let at = 0; at < data.length; at += 32768)
            text += String.fromCharCode(...data.subarray(at, at + 32768));
        return [canvas.width, canvas.height, btoa(text)];
    }"""
    cols, rows, text = tab.evaluate(code, selector)
    return np.frombuffer(base64.b64decode(text), np.uint8).reshape(rows, cols, 4) / 255


class Page:
    """The page in a tab, and what its tests do again and again."""

    def __init__(self, tab, url: str) -> None:
        self.tab, self.errors, self.requests = tab, [], []
        tab.on("pageerror", lambda error: self.errors.append(str(error)))
        tab.on("console", lambda line: self.errors.append(line.text) if line.type == "error" else None)
        tab.on("request", lambda request: self.requests.append(request))  # Playwright marks what it calls
        tab.set_default_timeout(40_000)
        tab.goto(url)
        self.until("document.body.classList.contains('ready')")

    def until(self, expression: str, seconds: float = 40):
        """Wait until an expression of JavaScript is true, and return it."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            value = self.tab.evaluate(expression)
            if value:
                return value
            time.sleep(0.03)
        self.tab.screenshot(path=SCREENS / "failed.png")
        raise AssertionError(f"{expression} stayed false; {self.text('#status')} {self.text('#problem')}")

    def text(self, selector: str) -> str:
        return self.tab.text_content(selector) or ""

    def choose(self, *files: dict) -> None:
        self.tab.set_input_files("#files", list(files))
        self.done(len(files))

    def done(self, count: int = 1) -> None:
        self.until(f"document.querySelectorAll('#queue li[data-state=done]').length >= {count}")

    def view(self, name: str) -> None:
        self.tab.get_by_role("radio", name=name, exact=True).check()

    def pipeline(self, name: str) -> None:
        self.tab.select_option("#pipeline", name)

    def settled(self) -> None:
        """Wait until nothing is at work and what is shown is of full size."""
        busy = "document.querySelector('#chip').hidden && document.querySelector('li[data-state=done] [aria-current]')"
        time.sleep(0.4)  # the page waits so long for the hand to rest
        self.until(f"Boolean({busy})")

    def shown(self, selector: str = "#two .picture") -> np.ndarray:
        """The picture that is on the stage, as float RGBA."""
        return pixels_of(self.tab, selector)

    def becomes(self, place: tuple[int, int], color: tuple[float, ...]) -> None:
        """Wait until a pixel of what is on the stage has a color."""
        code = f"""(() => {{
            const image = document.querySelector("#two .picture"), context = new OffscreenCanvas(1, 1).getContext("2d");
            if (!image.complete || !image.naturalWidth) return "";
            context.drawImage(image, {-place[1]}, {-place[0]});
            return [...context.getImageData(0, 0, 1, 1).data].join();
        }})() === "{",".join(str(round(255 * each)) for each in color)}\""""
        self.until(code)

    def at(self, row: float, col: float) -> tuple[float, float]:
        """The place of a picture's pixel on the screen."""
        x, y, width = self.tab.evaluate(
            "(() => { const box = document.querySelector('#two .stack').getBoundingClientRect();"
            " return [box.x, box.y, box.width / document.querySelector('#two .stack').clientWidth]; })()"
        )
        return x + col * width, y + row * width

    def paint(self, *points: tuple[float, float]) -> None:
        """Draw a line through pixels (row, col) with the mouse."""
        self.tab.mouse.move(*self.at(*points[0]))
        self.tab.mouse.down()
        for point in points[1:]:
            self.tab.mouse.move(*self.at(*point), steps=4)
        self.tab.mouse.up()

    def screenshot(self, name: str) -> None:
        SCREENS.mkdir(parents=True, exist_ok=True)
        self.tab.screenshot(path=SCREENS / f"{name}.png")


@pytest.fixture
def page(browser, server):
    context = browser.new_context(viewport={"width": 1280, "height": 820}, accept_downloads=True)
    context.grant_permissions(["clipboard-read", "clipboard-write"])
    opened = Page(context.new_page(), server.url)
    yield opened
    assert opened.errors == []
    assert all(request.url.startswith((server.url, "blob:", "data:")) for request in opened.requests)
    context.close()


# --- pictures in, pictures out -----------------------------------------------------------------


def test_many_pictures_are_chosen_at_once(page):
    """Three files become three results in the queue; a click shows the second; the cross takes it out."""
    page.choose(SCENE, upload(scene(120, 120, ((60, 60),)), "two.png"), upload(scene(), "three.png"))
    assert page.text("#status") == "All 3 done"
    page.tab.get_by_role("button", name="two.png done").click()
    assert page.shown().shape == (120, 120, 4)
    page.tab.get_by_role("button", name="Take two.png out").click()
    assert page.tab.locator("#queue li").count() == 2
    assert page.shown().shape == (180, 240, 4)


def test_pictures_are_dropped_and_pasted(page):
    """A drop anywhere and a paste fill the queue."""
    code = """async ([kind, base64]) => {
        const bytes = Uint8Array.from(atob(base64), (letter) => letter.charCodeAt(0));
        const data = new DataTransfer();
        data.items.add(new File([bytes], kind + ".png", {type: "image/png"}));
        const event = kind === "paste" ? new ClipboardEvent(kind, {clipboardData: data, bubbles: true})
                                       : new DragEvent(kind, {dataTransfer: data, bubbles: true, cancelable: true});
        document.querySelector("main").dispatchEvent(event);
    }"""
    content = base64.b64encode(SCENE["buffer"]).decode()
    page.tab.evaluate(code, ["drop", content])
    page.tab.evaluate(code, ["paste", content])
    page.done(2)
    assert page.text("#queue li:first-child .name") == "drop.png"


def test_result_is_cut_out(page):
    """The subject is opaque, the ground clear."""
    page.choose(SCENE)
    shown = page.shown()
    assert shown[90, 70, 3] == 1
    assert shown[5, 5, 3] == 0


def test_names_never_become_markup(page):
    """A file's name with tags in it stays text."""
    page.choose({**SCENE, "name": "<img src=x onerror=alert(1)>.png"})
    assert page.text("#queue .name") == "<img src=x onerror=alert(1)>.png"
    assert page.tab.locator("#queue img").count() == 1


def test_what_is_no_picture_is_said(page):
    """A text file fails by itself, with the server's sentence."""
    page.tab.set_input_files("#files", [{"name": "a.png", "mimeType": "image/png", "buffer": b"no picture"}, SCENE])
    page.done(1)
    page.until("document.querySelector('li[data-state=failed]') !== null")
    assert "picture" in page.text("#problem")
    page.tab.get_by_role("button", name="a.png failed").click()
    assert page.tab.locator("#queue li:first-child img").get_attribute("src") is None  # a sign of a broken picture
    assert page.text("#findings .flagged") == page.text("#problem")
    page.tab.get_by_role("button", name="photo.png done").click()
    page.tab.locator("#two .picture").wait_for()
    page.tab.get_by_role("button", name="a.png failed").click()
    page.tab.locator("#two .picture").wait_for(state="hidden")  # it is not the picture that is said to have failed
    page.errors.clear()  # the browser itself reports the 4xx


@pytest.mark.parametrize(("ground", "color"), [("White", "rgb(255, 255, 255)"), ("Black", "rgb(0, 0, 0)")])
def test_grounds(page, ground, color):
    """White and black lie behind the result."""
    page.choose(SCENE)
    page.tab.get_by_role("radio", name=ground, exact=True).check()
    style = "getComputedStyle(document.querySelector('#two .ground'))"
    assert page.tab.evaluate(f"{style}.backgroundColor") == color
    assert page.tab.evaluate(f"{style}.backgroundImage") == "none"


def test_ground_of_a_color(page):
    """Choosing a color puts it behind the result."""
    page.choose(SCENE)
    page.tab.fill("#groundcolor", "#c04020")
    assert page.tab.get_by_role("radio", name="A color", exact=True).is_checked()
    style = page.tab.evaluate("getComputedStyle(document.querySelector('#two .ground')).backgroundColor")
    assert style == "rgb(192, 64, 32)"


def clip(page: Page) -> float:
    """Where the slider parts before and after, in percent."""
    style = page.tab.evaluate("document.querySelector('#two').style.clipPath")
    return float(re.search(r"([\d.]+)%\)", style)[1])


def test_slider_by_mouse_and_keys(page):
    """A drag of the handle moves the line; arrow keys move it on."""
    page.choose(SCENE)
    page.view("Before / after")
    page.until("document.querySelector('#stage').dataset.mode === 'slider'")
    assert clip(page) == 50
    box = page.tab.locator("#stage").bounding_box()
    middle = box["y"] + box["height"] / 2
    page.tab.mouse.move(box["x"] + box["width"] / 2, middle)
    page.tab.mouse.down()
    page.tab.mouse.move(box["x"] + box["width"] / 4, middle, steps=5)
    page.tab.mouse.up()
    assert clip(page) == pytest.approx(25, abs=1)
    before = clip(page)
    page.tab.locator("#split").press("ArrowRight")
    assert clip(page) == pytest.approx(before + 0.5)


def test_zoom_and_pan(page):
    """The wheel, buttons and keys zoom up to 800 % and no further; a drag moves the picture; 0 fits it again."""
    page.choose(SCENE)
    page.until("document.querySelector('#findings').textContent.includes('passed')")  # it takes room from the stage
    page.settled()
    fitted = page.text("#percent")
    stage = page.tab.locator("#stage")
    stage.hover()
    page.tab.mouse.wheel(0, -400)
    page.tab.get_by_role("button", name="Zoom in").click()
    for _ in range(12):
        stage.press("+")
    page.until("document.querySelector('#percent').textContent === '800 %'")
    before = page.at(0, 0)
    stage.hover()
    page.tab.mouse.down()
    page.tab.mouse.move(700, 300)
    page.tab.mouse.up()
    assert page.at(0, 0) != before
    stage.press("0")
    page.until(f"document.querySelector('#percent').textContent === {fitted!r}")


@pytest.mark.parametrize(
    ("kind", "ending", "magic"), [("png", "png", b"\x89PNG"), ("webp", "webp", b"RIFF"), ("jpeg", "jpg", b"\xff\xd8")]
)
def test_download_one(page, kind, ending, magic):
    """The file has the picture's name and the format asked for; a JPEG lies on its color."""
    page.choose(SCENE)
    page.tab.select_option("#format", kind)
    if kind == "jpeg":
        page.tab.fill("#jpegcolor", "#00ff00")
    with page.tab.expect_download() as download:
        page.tab.click("#save1")
    assert download.value.suggested_filename == f"photo.{ending}"
    content = Path(download.value.path()).read_bytes()
    assert content.startswith(magic)
    picture = read_picture(content)
    if kind == "jpeg":
        np.testing.assert_allclose(picture.image[5, 5], (0, 1, 0), atol=0.03)
    else:
        assert picture.alpha[5, 5] == 0


def test_download_all(page):
    """A zip of all results, names of the same stem told apart."""
    page.choose(SCENE, SCENE, upload(scene(), "other.jpg"))
    with page.tab.expect_download() as download:
        page.tab.click("#all")
    with zipfile.ZipFile(download.value.path()) as archive:
        assert archive.testzip() is None
        assert sorted(archive.namelist()) == ["other.png", "photo-2.png", "photo.png"]
        assert read_picture(io.BytesIO(archive.read("other.png"))).alpha[5, 5] == 0


TRANSFER = """([place, name, base64]) => {
    const data = new DataTransfer(), bytes = Uint8Array.from(atob(base64), (letter) => letter.charCodeAt(0));
    data.items.add(new File([bytes], name, {type: "image/png"}));
    for (const kind of ["dragenter", "dragover", "drop"])
        document.querySelector(place).dispatchEvent(
            new DragEvent(kind, {dataTransfer: data, bubbles: true, cancelable: true}));
}"""


def test_drop_on_a_field_is_no_picture(page):
    """A file dropped on the field of the background lies beside the pictures and not in the queue."""
    page.choose(SCENE)
    page.tab.evaluate(TRANSFER, ["#background", "wall.png", base64.b64encode(SCENE["buffer"]).decode()])
    assert page.text("#background .well-text") == "wall.png"
    assert page.tab.locator("#queue li").count() == 1
    assert page.tab.locator("#dropping").is_hidden()


# --- a server that fails -----------------------------------------------------------------------


def test_what_failed_is_tried_again(page):
    """A picture whose worker died is named with the server's sentence; a button does it again."""
    dead = {"status": 500, "json": {"detail": "The worker process ended while it worked on this request."}}
    page.tab.route("**/v1/remove", lambda route: route.fulfill(**dead))
    page.tab.set_input_files("#files", [SCENE])
    page.until("document.querySelector('li[data-state=failed]') !== null")
    assert page.text("#problem") == dead["json"]["detail"]
    page.tab.unroute("**/v1/remove")
    page.errors.clear()  # the browser itself reports the 5xx
    page.tab.get_by_role("button", name="Try again").click()
    page.done()
    assert page.tab.locator("#problem").is_hidden()
    assert page.tab.get_by_role("button", name="Try again").is_hidden()
    assert page.shown()[90, 70, 3] == 1


def test_server_that_went_away(page):
    """While the server does not answer the page says so and waits; what was at work goes on when it is back."""
    gone = page.tab.get_by_text("The server does not answer.")
    for path in ("**/v1/remove", "**/health"):
        page.tab.route(path, lambda route: route.abort("connectionrefused"))
    page.tab.set_input_files("#files", [SCENE])
    gone.wait_for()
    page.tab.set_viewport_size({"width": 390, "height": 844})
    page.tab.locator("#yamlpart").scroll_into_view_if_needed()
    assert gone.bounding_box()["y"] < 844  # in sight also where the picture is not
    assert gone.bounding_box()["y"] >= 0
    page.screenshot("phone-away")
    page.tab.locator("#stage").scroll_into_view_if_needed()
    assert page.text("#queue .state") == "working"
    page.tab.unroute_all()
    page.done()
    gone.wait_for(state="hidden")
    assert page.shown()[90, 70, 3] == 1
    page.errors.clear()  # the browser itself reports refused connections


def test_connection_that_always_breaks(page):
    """A request that the server ends by itself each time is given up, with a sentence."""
    page.tab.route("**/v1/remove", lambda route: route.abort("connectionreset"))
    page.tab.set_input_files("#files", [SCENE])
    page.until("document.querySelector('li[data-state=failed]') !== null")
    assert page.text("#problem") == "The server ends the connection before it answers."
    page.errors.clear()  # the browser itself reports broken connections


# --- settings ----------------------------------------------------------------------------------


def param(page: Page, stage: str, name: str):
    """A parameter's row, its stage opened."""
    part = page.tab.locator(f"#form details[data-key^='{stage}#']")
    if part.get_attribute("open") is None:
        part.locator("summary").click()
    return part.locator(f".param[data-name='{stage}.{name}']")


def test_every_parameter_has_a_control_with_its_text(page):
    """Each word of each stage of the pipeline stands in the form with range, unit and help of its schema."""
    for step in load_pipeline("auto").steps:
        for word, each in step.stage.settings.items():
            row = page.tab.locator(f".param[data-name='{step.name}.{word}']")
            assert row.locator("input, select").count() >= 1
            assert each.doc.replace("`", "")[:40] in row.locator(".help").text_content()
    number = param(page, "luv_threshold", "tolerance").locator("input[type=number]")
    assert (number.get_attribute("min"), number.get_attribute("max")) == ("0", "200")
    assert "dE" in param(page, "luv_threshold", "tolerance").text_content()


def test_a_parameter_changes_the_result_and_the_yaml(page):
    """A value outside is told; a right one is run and written; the arrow takes it back."""
    page.choose(SCENE)
    row = param(page, "composite", "background")
    row.locator("input").fill("#00ff00")
    row.locator("input").press("Enter")
    page.until("document.querySelector('#yaml').value.includes('#00ff00')")
    page.settled()
    np.testing.assert_allclose(page.shown()[5, 5], (0, 1, 0, 1), atol=0.01)
    row.get_by_role("button", name="background: as it was").click()
    page.settled()
    assert page.shown()[5, 5, 3] == 0
    assert page.tab.input_value("#pipeline") == "auto"


def test_a_wrong_value_is_told_at_its_control(page):
    """The server's sentence stands below the control."""
    page.choose(SCENE)
    row = param(page, "composite", "background")
    row.locator("input").fill("no such color")
    row.locator("input").press("Enter")
    page.until("document.querySelector('li[data-state=failed]') !== null")
    assert "composite.background: expected" in row.locator(".error").text_content()
    page.errors.clear()
    number = param(page, "make_trimap", "width").locator("input[type=number]")
    number.fill("900")
    number.press("Enter")
    assert "Expected 0 to 200, got 900" in param(page, "make_trimap", "width").locator(".error").text_content()


def test_live_preview_is_reduced_then_full(page):
    """A hand at the settings and a slider that moves ask for a reduced copy; the last answer has the full size."""
    page.choose(upload(scene(600, 800, ((300, 300),))))
    slider = param(page, "make_trimap", "width").locator("input[type=range]")
    slider.press("ArrowRight")
    page.settled()
    answers = [request.response() for request in page.requests if request.url.endswith("/v1/remove")]
    sizes = [answer.headers["x-bgkit-size"] for answer in answers]
    assert (sizes[0], set(sizes[1:-1]), sizes[-1]) == ("800x600", {"632x474"}, "800x600")
    assert page.shown().shape == (600, 800, 4)


def test_another_pipeline(page):
    """Choosing a pipeline runs it, and the others' older results are told."""
    page.choose(SCENE, upload(scene(), "b.png"))
    page.pipeline("studio-white")
    page.settled()
    assert page.shown()[5, 5].tolist() == [1, 1, 1, 1]
    assert "older settings" in page.text("#queue li:nth-child(2)")
    page.tab.click("#redoall")
    page.until("!document.querySelector('#queue').textContent.includes('older settings')")
    page.done(2)


def test_find_a_parameter(page):
    """The search leaves only what its words name."""
    page.tab.fill("#filter", "trimap width")
    names = page.tab.locator("#form .param:visible").evaluate_all("rows => rows.map((row) => row.dataset.name)")
    assert "make_trimap.width" in names
    assert "dense_crf.iterations" not in names


def test_yaml_on_screen_is_the_pipeline(page):
    """What stands in the YAML part is read by bgkit as the same pipeline; Copy and Save hand it out."""
    page.tab.click("#yamlpart summary")
    text = page.tab.input_value("#yaml")
    assert read_pipeline(text).digest() == load_pipeline("auto").digest()
    page.tab.click("#copy")
    page.until("document.querySelector('#status').textContent === 'Copied'")
    assert page.tab.evaluate("navigator.clipboard.readText()") == text
    with page.tab.expect_download() as download:
        page.tab.click("#save")
    assert download.value.suggested_filename == "auto.yaml"
    assert Path(download.value.path()).read_text() == text


def test_yaml_of_every_pipeline_is_true(page):
    """The page's YAML of each shipped pipeline, with all its checks, means the same."""
    for name in shipped():
        page.pipeline(name)
        assert read_pipeline(page.tab.input_value("#yaml")).digest() == load_pipeline(name).digest()


def test_pasted_yaml_with_an_error(page):
    """A wrong value is told by line and column, and the place can be gone to; the mended text runs."""
    page.choose(SCENE)
    page.tab.click("#yamlpart summary")
    wrong = "bgkit: 1\nstages:\n  - luv_threshold: {tolerance: 900}\n  - composite: {background: black}\n"
    page.tab.fill("#yaml", wrong)
    page.until("!document.querySelector('#yamlproblem').hidden")
    assert page.text("#yamlproblem").startswith("Line 3, column 32: luv_threshold.tolerance: expected 0..200")
    page.tab.click("#yamlproblem button")
    slice_of = "(yaml) => yaml.value.slice(yaml.selectionStart, yaml.selectionEnd)"
    assert page.tab.locator("#yaml").evaluate(slice_of) == "900"
    page.errors.clear()
    page.tab.fill("#yaml", wrong.replace("900", "20"))
    page.until("document.querySelector('#yamlproblem').hidden")
    page.until("document.querySelectorAll('#form .stage').length === 3")  # two stages and the checks
    page.settled()
    assert page.shown()[5, 5].tolist() == [0, 0, 0, 1]


def test_pipeline_replaces_a_wrong_text(page):
    """What is wrong in the YAML goes with its message when a pipeline is chosen, wherever the focus is."""
    page.tab.click("#yamlpart summary")
    page.tab.fill("#yaml", "bgkit: 1\nstages:\n  - luv_treshold\n")
    page.tab.get_by_text("did you mean").wait_for()
    inside = "document.querySelector('#yamlproblem').getBoundingClientRect().bottom"
    assert page.tab.evaluate(f"{inside} <= document.querySelector('#download').getBoundingClientRect().top")
    page.choose(SCENE)
    page.tab.set_viewport_size({"width": 390, "height": 844})
    page.tab.locator("#yamlproblem").scroll_into_view_if_needed()
    page.tab.wait_for_timeout(200)  # until the browser reports that the stage is out of sight
    assert page.tab.get_by_role("button", name="Back to the picture").is_hidden()  # it would cover the message
    page.errors.clear()  # the browser itself reports the 4xx
    page.pipeline("fast")
    assert read_pipeline(page.tab.input_value("#yaml")).digest() == load_pipeline("fast").digest()
    assert page.tab.locator("#yamlproblem").is_hidden()


def test_findings_are_sentences(page):
    """Two pieces where one is asked for: a sentence says so, and the queue asks to look."""
    page.pipeline("product")
    page.choose(SCENE)
    assert "Subjects: 2 pieces, where at most 1 is asked for. See what else" in page.text("#findings .flagged")
    assert page.text("#queue .state") == "look at it"


def test_plate_and_background(page):
    """The empty scene makes clean-plate run; a background picture lies behind the result."""
    page.pipeline("clean-plate")
    page.tab.set_input_files("#files", [SCENE])
    page.until("document.querySelector('li[data-state=failed]') !== null")
    assert "needs the empty scene" in page.text("#problem")
    page.tab.set_input_files("#plate input", [upload(scene(centers=()), "empty.png")])
    page.done()
    assert page.shown()[90, 70, 3] > 0.99
    assert page.shown()[5, 5, 3] == 0
    green = np.zeros((180, 240, 3), np.float32) + np.float32([0, 1, 0])
    page.tab.set_input_files("#background input", [upload(green, "green.png")])
    page.settled()
    np.testing.assert_allclose(page.shown()[5, 5], (0, 1, 0, 1), atol=0.01)
    page.tab.get_by_role("button", name="Leave the background out").click()
    page.settled()
    assert page.shown()[5, 5, 3] == 0


def test_second_shot(page):
    """The field for a second shot is there for two-grounds alone; with it the alpha of the drawn disks comes out."""
    assert page.tab.locator("#second").is_hidden()
    page.pipeline("two-grounds")
    page.tab.set_input_files("#files", [SCENE])
    page.until("document.querySelector('li[data-state=failed]') !== null")
    assert "needs the second shot" in page.text("#problem")
    page.tab.set_input_files("#second input", [upload(scene(ground=(0.1, 0.4, 0.2)), "second.png")])
    page.done()
    assert page.shown()[90, 70, 3] > 0.99
    assert page.shown()[5, 5, 3] < 0.01


# --- the brush ---------------------------------------------------------------------------------


def corrected(page: Page) -> None:
    page.until("document.querySelector('#status').textContent.startsWith('Corrected')")
    page.settled()


def test_brush_removes_undoes_and_redoes(page):
    """One stroke takes the second disk away; undo and redo, by button and by keys, show before and after."""
    page.choose(SCENE)
    assert page.shown()[90, 170, 3] == 1
    page.view("Brush")
    page.tab.get_by_role("radio", name="Remove").check()
    page.paint((85, 165), (95, 175))
    corrected(page)
    page.view("Opacity")
    alpha = page.shown()[..., 0]
    assert (alpha[84:96, 168:172] == 0).all()
    assert alpha[90, 150] < 0.02
    assert alpha[90, 70] == 1
    page.view("Brush")
    page.tab.click("#undo")
    page.settled()
    assert page.shown()[90, 170, 3] == 1
    page.tab.locator("#stage").press("Control+y")
    page.until("document.querySelector('#redo').disabled")
    page.settled()
    assert page.shown()[90, 170, 3] == 0


def test_brush_answers_with_its_own_step_first(page):
    """A stroke is answered by the correction alone on a reduced copy, and then by the whole pipeline at full size."""
    page.pipeline("fast")
    page.choose(upload(scene(700, 900, ((300, 300), (300, 700)))))
    page.view("Brush")
    page.tab.get_by_role("radio", name="Remove").check()
    page.paint((295, 695), (305, 705))
    corrected(page)
    answers = [request.response() for request in page.requests if request.url.endswith("/v1/remove")]
    sketch, whole = answers[1:]
    assert sketch.headers["x-bgkit-size"] == "717x557"
    assert set(re.findall(r"(\w+);dur", sketch.headers["server-timing"])) == {"read", "retouch", "write"}
    assert whole.headers["x-bgkit-size"] == "900x700"
    page.until("document.querySelector('#two .picture').naturalWidth === 900")


def test_brush_keeps_exactly(page):
    """A stroke on the ground is subject in every pixel under it, and the pipeline's YAML stays the same."""
    page.choose(SCENE)
    page.view("Brush")
    page.paint((30, 20), (30, 60))
    corrected(page)
    page.view("Opacity")
    alpha = page.shown()[..., 0]
    assert (alpha[29:32, 21:59] == 1).all()
    assert page.tab.input_value("#pipeline") == "auto"


def test_brush_by_keys_alone(page):
    """Space puts the brush down and lifts it, also if the held key repeats; arrows move it, R removes."""
    page.choose(upload(scene(centers=((90, 120),))))
    page.view("Brush")
    stage = page.tab.locator("#stage")
    stage.press("r")
    stage.focus()
    for _ in range(3):
        page.tab.keyboard.down(" ")
    page.tab.keyboard.up(" ")
    assert page.text("#status") == "The brush is down"
    for _ in range(4):
        stage.press("ArrowRight")
    stage.press(" ")
    corrected(page)
    page.view("Opacity")
    assert page.shown()[90, 121, 0] == 0


def test_queue_knows_of_corrections(page):
    """A picture that was flagged for its second subject is done once a stroke has removed it."""
    page.tab.click("#yamlpart summary")
    text = "bgkit: 1\nstages: [luv_threshold, {composite: {background: none}}]\nchecks: {subjects: 1}\n"
    page.tab.fill("#yaml", text)
    page.until("document.querySelectorAll('#form .stage').length === 3")
    page.choose(SCENE)
    assert page.text("#queue .state") == "look at it"
    page.view("Brush")
    page.tab.get_by_role("radio", name="Remove").check()
    page.paint((85, 165), (95, 175))
    corrected(page)
    page.until("document.querySelector('#queue .state').textContent === 'done'")


def test_brush_on_a_pipeline_without_its_stage(page):
    """The first stroke puts the stage retouch into the chain, and the YAML shows it."""
    page.choose(SCENE)
    page.tab.click("#yamlpart summary")
    page.tab.fill("#yaml", "bgkit: 1\nstages:\n  - luv_threshold\n  - composite: {background: none}\n")
    page.until("document.querySelectorAll('#form .stage').length === 3")
    page.settled()
    page.view("Brush")
    page.tab.get_by_role("radio", name="Remove").check()
    page.paint((85, 165), (95, 175))
    corrected(page)
    assert page.shown()[90, 170, 3] == 0
    assert "  - luv_threshold\n  - retouch\n  - composite" in page.tab.input_value("#yaml")


def test_another_pipeline_while_strokes_are_solved(page):
    """Another pipeline, chosen before the answer to a stroke is there, is corrected by the stroke as well."""
    held, later = [], []  # the answer to the stroke and the other pipeline's; what is asked after them goes on
    page.pipeline("classical")
    page.choose(SCENE)
    page.view("Brush")
    page.tab.get_by_role("radio", name="Remove").check()

    def answer(route):
        if len(held) < 2:
            held.append(route)
        else:
            later.append(route.continue_())

    def wait_for(requests, count):
        while len(requests) < count:
            page.tab.wait_for_timeout(20)

    page.tab.route("**/v1/remove", answer)
    page.paint((85, 165), (95, 175))
    wait_for(held, 1)
    page.tab.click("#yamlpart summary")
    page.tab.fill("#yaml", "bgkit: 1\nstages:\n  - luv_threshold\n  - composite: {background: black}\n")
    wait_for(held, 2)
    held[0].continue_()
    wait_for(later, 1)
    held[1].continue_()
    page.view("Result")
    page.becomes((90, 170), (0, 0, 0, 1))
    page.settled()
    page.becomes((90, 170), (0, 0, 0, 1))
    assert page.shown()[90, 70, 0] > 0.5
    assert "  - luv_threshold\n  - retouch\n  - composite" in page.tab.input_value("#yaml")


def test_strokes_pipeline_begins_with_the_brush(page):
    """With the pipeline strokes the page asks for strokes, and cuts out once both kinds are there."""
    page.pipeline("strokes")
    page.tab.set_input_files("#files", [SCENE])
    page.until("document.querySelector('li[data-state=failed]') !== null")
    assert "Paint" in page.text("#problem")
    page.paint((85, 65), (95, 75))
    page.tab.get_by_role("radio", name="Remove").check()
    page.paint((10, 10), (10, 230))
    page.until("document.querySelector('li[data-state=done]') !== null")
    page.view("Opacity")
    page.settled()
    page.until("document.querySelector('#two .picture').naturalWidth === 240")
    assert page.shown()[90, 70, 0] == 1
    assert page.shown()[10, 100, 0] == 0


def test_strokes_while_the_first_is_at_work(page):
    """A stroke painted before the answer to the one before has its effect, and the late answer has none."""
    late = []
    page.pipeline("strokes")
    page.tab.set_input_files("#files", [SCENE])
    page.until("document.querySelector('li[data-state=failed]') !== null")
    page.tab.route("**/v1/remove", lambda route: route.continue_() if late else late.append(route))
    page.paint((85, 65), (95, 75))
    page.until("document.querySelector('li[data-state=working]') !== null")
    page.tab.get_by_role("radio", name="Remove").check()
    page.paint((10, 10), (10, 230))
    page.done()
    late[0].continue_()
    page.view("Opacity")
    page.settled()
    assert page.shown()[90, 70, 0] == 1
    assert page.shown()[10, 100, 0] == 0


def test_brush_on_a_hard_picture(page, data):
    """Hair that the network misses comes back by one stroke on it."""
    folder = data / "test" / "matting"
    page.choose({"name": "GT04.png", "mimeType": "image/png", "buffer": (folder / "images/GT04.png").read_bytes()})
    truth = read_picture(folder / "alphas/GT04.png").image[..., 0]
    before = np.abs(page.shown()[..., 3] - truth).mean()
    page.view("Brush")
    page.paint((240, 575), (310, 585))
    corrected(page)
    page.screenshot("brush")
    page.view("Opacity")
    assert np.abs(page.shown()[..., 0] - truth).mean() < 0.75 * before


# --- comparing, looks, access ------------------------------------------------------------------


def test_two_pipelines_side_by_side(page):
    """Both results stand beside each other, slide over each other, and their difference is told and shown."""
    page.choose(SCENE)
    page.view("Compare")
    page.tab.select_option("#other", "studio-white")
    page.until("document.querySelector('#differs').textContent.includes('%')")
    page.until("document.querySelector('#stage').dataset.mode === 'side'")
    assert page.shown("#one .picture")[5, 5, 3] == 0
    assert page.shown("#two .picture")[5, 5].tolist() == [1, 1, 1, 1]
    assert page.text(".tag.left") == "auto"
    assert page.text(".tag.right") == "studio-white"
    page.view("Slider")
    page.until("document.querySelector('#stage').dataset.mode === 'slider'")
    page.view("Difference")
    page.until("document.querySelector('.tag.left').textContent.startsWith('orange')")
    assert page.shown()[..., 3].min() == 1


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", [(390, 844), (1280, 820)], ids=["phone", "desktop"])
def test_no_serious_violation_of_access(page, scheme, size):
    """axe-core finds nothing serious in any view, light and dark, on phone and desktop; nothing overflows."""
    axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="axe-core checks for access").Axe()
    width, height = size
    page.tab.set_viewport_size({"width": width, "height": height})
    page.tab.emulate_media(color_scheme=scheme)
    name = f"{'phone' if width < 600 else 'desktop'}-{scheme}"
    page.screenshot(f"{name}-welcome")
    page.pipeline("product")
    page.choose(SCENE, upload(scene(), "a-long-name-of-a-picture-from-the-studio-0001.png"))
    page.tab.locator("#form summary").first.click()
    for view in ("Result", "Before / after", "Opacity", "Brush", "Compare"):
        page.view(view)
        page.settled()
        found = axe.run(page.tab).response["violations"]
        serious = [
            (each["id"], each["nodes"][0]["html"]) for each in found if each["impact"] in ("serious", "critical")
        ]
        assert not serious, view
        assert page.tab.evaluate("document.documentElement.scrollWidth") <= width
        page.screenshot(f"{name}-{view.split()[0].lower()}")


FOCUSED = """() => {
    const at = document.activeElement, {x, y, width, height} = at.getBoundingClientRect();
    const lined = (style) => style.outlineStyle !== "none" && parseFloat(style.outlineWidth) > 0;
    const handle = at.id === "split" ? document.querySelector(".line") : null;
    const marks = [[at], [at.nextElementSibling], [handle, "::after"]];
    const own = (hit) => at.closest("label, fieldset, #stage")?.contains(hit) || at.contains(hit);
    const seen = [Math.min(4, height / 2), height - Math.min(4, height / 2)].every((down) =>
        own(document.elementFromPoint(x + width / 2, y + down)));
    const name = at.getAttribute("aria-label") ?? at.labels?.[0]?.textContent ?? at.textContent;
    return [`${at.id}|${at.name ?? ""}|${name.trim()}`,
            seen && marks.some(([mark, part]) => mark && lined(getComputedStyle(mark, part)))];
}"""


class Keys:
    """A user without a mouse; wherever the focus comes, it can be seen."""

    def __init__(self, page: Page) -> None:
        self.page, self.press, self.choosers = page, page.tab.keyboard.press, []
        page.tab.on("filechooser", lambda chooser: self.choosers.append(chooser))

    def at(self) -> str:
        """What has the focus: id, name and label."""
        where, seen = self.page.tab.evaluate(FOCUSED)
        assert seen, f"the focus cannot be seen on {where}"
        return where

    def to(self, what: str, key: str = "Tab") -> None:
        for _ in range(60):
            self.press(key)
            if self.page.tab.evaluate("document.activeElement !== document.body") and what in self.at():
                return
        raise AssertionError(f"{key} does not reach {what}")

    def back(self, what: str) -> None:
        self.to(what, "Shift+Tab")

    def type(self, text: str) -> None:
        self.press("Control+a")
        self.page.tab.keyboard.type(text)

    def give(self, *files: dict) -> None:
        """Press the button that has the focus, and give the dialog it opens its files."""
        self.press("Enter")
        while not self.choosers:
            self.page.tab.wait_for_timeout(20)
        self.choosers.pop().set_files(list(files))

    def download(self) -> str:
        with self.page.tab.expect_download() as download:
            self.press("Enter")
        return download.value.suggested_filename


@pytest.mark.parametrize("size", [(390, 844), (1280, 820)], ids=["phone", "desktop"])
def test_everything_by_keys_alone(page, size):
    """Each thing the page offers is reached and done by keys, and the focus is in sight all the way and never lost."""
    width, height = size
    page.tab.set_viewport_size({"width": width, "height": height})
    keys, name = Keys(page), "phone" if width < 600 else "desktop"
    keys.to("pipeline|")
    page.tab.keyboard.type("classical")
    keys.back("choose|")
    keys.give(SCENE, upload(scene(120, 120, ((60, 60),)), "two.png"))
    page.done(2)
    assert keys.at().startswith("stage|")
    fitted = page.text("#percent")
    keys.press("+")
    assert page.text("#percent") != fitted
    keys.press("0")
    keys.back("fit|")
    keys.back("|ground|")
    keys.press("ArrowRight")
    assert page.tab.locator("#stage").get_attribute("data-ground") == "white"
    keys.back("|view|")
    keys.press("ArrowRight")
    page.until("document.querySelector('#stage').dataset.mode === 'slider'")
    keys.to("split|")
    keys.press("ArrowLeft")
    assert clip(page) == 49.5
    # The brush: a stroke, undone and redone by buttons that hand the focus to one another.
    keys.back("|view|")
    keys.press("ArrowRight")
    keys.press("ArrowRight")
    page.until("!document.querySelector('#brushbar').hidden")
    keys.to("|sign|")
    keys.press("ArrowRight")
    keys.to("size|")
    keys.to("stage|")
    page.screenshot(f"{name}-keys-brush")
    while page.tab.locator("#cursor").bounding_box()["x"] < page.at(90, 160)[0]:
        keys.press("Shift+ArrowRight")
    page.tab.keyboard.down(" ")
    keys.press("ArrowRight")
    page.tab.keyboard.up(" ")
    corrected(page)
    assert page.shown()[90, 170, 3] == 0
    keys.back("undo|")
    keys.press("Enter")
    page.until("document.activeElement.id === 'redo'")
    page.settled()
    assert page.shown()[90, 170, 3] == 1
    keys.press("Enter")
    page.until("document.activeElement.id === 'undo'")
    page.settled()
    # Two pipelines.
    keys.back("|view|")
    keys.press("ArrowRight")
    keys.to("other|")
    page.tab.keyboard.type("studio-white")
    page.until("document.querySelector('#differs').textContent.includes('%')")
    keys.to("|how|")
    keys.press("ArrowRight")
    keys.back("|view|")
    keys.press("ArrowRight")
    # The queue: another picture, done again with other settings, keeps the focus; taking it out hands it on.
    keys.to("photo.png")
    keys.to("two.png")
    keys.to("pipeline|")
    page.tab.keyboard.type("studio-white")  # its first letter passes "strokes", which begins with the brush
    page.settled()
    assert page.tab.get_by_role("radio", name="Result", exact=True).is_checked()
    keys.back("Take two.png out")
    keys.back("two.png")
    keys.press("Enter")
    page.until("document.querySelector('#queue li:nth-child(2)').dataset.state === 'done'")
    page.settled()
    assert "two.png" in keys.at()
    keys.to("Take two.png out")
    keys.press("Enter")
    assert "photo.png" in keys.at()
    # Settings: what lies beside the picture, a number and its way back, YAML with an error.
    keys.to("choose")
    keys.give(upload(scene(centers=()), "empty.png"))
    page.until("document.activeElement.className.includes('drop-it')")
    keys.press("Enter")
    assert keys.at().endswith("choose")
    keys.to("filter|")
    keys.type("levels clear")
    keys.to("slider")
    keys.press("ArrowRight")
    page.settled()
    keys.back("as it was")
    keys.press("Enter")
    assert "slider" in keys.at()
    keys.back("filter|")
    keys.type("nothing of this name")
    keys.to("||YAML")
    keys.press("Enter")
    keys.to("yaml|")
    keys.type("bgkit: 1\nstages:\n  - luv_threshold: {tolerance: 900}\n  - composite: {background: black}\n")
    page.until("!document.querySelector('#yamlproblem').hidden")
    keys.to("Line 3, column 32")
    keys.press("Enter")
    page.tab.keyboard.type("20")
    page.until("document.querySelector('#yamlproblem').hidden")
    page.errors.clear()  # the browser itself reports the 4xx
    for place, color in (((5, 5), (0, 0, 0, 1)), ((90, 170), (0, 0, 0, 1))):  # the stroke holds for this pipeline, too
        page.becomes(place, color)
    page.settled()
    keys.to("save|")
    assert keys.download() == "pipeline.yaml"
    keys.to("format|")
    page.tab.keyboard.type("W")
    keys.to("save1|")
    page.screenshot(f"{name}-keys-download")
    assert keys.download() == "photo.webp"
    keys.back("all|")
    assert keys.download() == "cutouts.zip"
    keys.back("add|")
    keys.give(SCENE)
    page.until("document.querySelectorAll('#queue li').length === 2")


def test_small_copy_stays_in_sight_on_a_phone(page):
    """While settings are in sight and the picture is not, a small copy of the result is, and leads back."""
    page.tab.set_viewport_size({"width": 390, "height": 844})
    page.choose(SCENE)
    peek = page.tab.get_by_role("button", name="Back to the picture")
    assert peek.is_hidden()
    page.tab.locator("#yamlpart").scroll_into_view_if_needed()
    peek.wait_for()
    assert page.shown("#peek img")[5, 5, 3] == 0
    page.screenshot("phone-peek")
    peek.click()
    peek.wait_for(state="hidden")
    assert page.tab.evaluate("document.activeElement.id") == "stage"


def test_slider_of_a_long_unit_can_be_moved(page):
    """A unit of many words stands in the help alone; the slider has room on a phone and on a desktop."""
    for width in (390, 1280):
        page.tab.set_viewport_size({"width": width, "height": 844})
        slider = param(page, "fill_holes", "max_area").locator("input[type=range]")
        assert slider.bounding_box()["width"] > 120


def test_key_is_asked_for(browser, tmp_path):
    """A server with a key: the page asks, a wrong key is told, the right one lets in."""
    (tmp_path / "keys").write_text("correct-horse-battery\n")
    (tmp_path / "keys").chmod(0o600)
    with Server("--key", str(tmp_path / "keys")) as server:
        tab = browser.new_page()
        tab.goto(server.url)
        tab.fill("#key", "wrong-wrong-wrong-wrong")
        tab.get_by_role("button", name="Use it").click()
        tab.get_by_text("This key is not the right one").wait_for()
        tab.fill("#key", "correct-horse-battery")
        tab.get_by_role("button", name="Use it").click()
        tab.wait_for_selector("body.ready")
        tab.close()


# --- the network in the browser ----------------------------------------------------------------

RUNTIME = STATIC / "ort" / "ort-wasm-simd-threaded.wasm"
with_runtime = pytest.mark.skipif(
    not RUNTIME.is_file(), reason="`make ort` brings ONNX Runtime for browsers; it wants npm"
)
PIXELS = """const blob = new Blob([Uint8Array.from(atob(base64), (letter) => letter.charCodeAt(0))]);
    const bitmap = await createImageBitmap(blob);
    const context = new OffscreenCanvas(bitmap.width, bitmap.height).getContext("2d");
    context.drawImage(bitmap, 0, 0);
    const image = context.getImageData(0, 0, bitmap.width, bitmap.height);"""


def bytes_as(array) -> np.ndarray:
    """A picture as it is read from an 8-bit file."""
    return read_picture(io.BytesIO(picture_file(array))).image


def run_here(page: Page, array, code: str, *more) -> np.ndarray:
    """Return the Float32Array that JavaScript gives for an ImageData ``image``."""
    text = base64.b64encode(picture_file(array)).decode()
    back = "let text = ''; for (const each of new Uint8Array(found.buffer)) text += String.fromCharCode(each);"
    found = page.tab.evaluate(
        f"async ([base64, ...more]) => {{ {PIXELS} {code} {back} return btoa(text); }}", [text, *more]
    )
    return np.frombuffer(base64.b64decode(found), np.float32)


def noise(rows, cols):
    """A bright disk on noise, so that every pixel counts in what it is resized to."""
    image = np.random.default_rng(3).random((rows, cols, 3), np.float32) * 0.5
    row, col = np.mgrid[:rows, :cols]
    image[np.hypot(row - rows / 2, col - cols / 2) < min(rows, cols) / 3] += 0.5
    return image


SIZES = [(100, 90), (320, 320), (700, 300), (250, 500), (1700, 40)]


@pytest.mark.parametrize("size", SIZES, ids=str)
def test_browser_resizes_as_the_server(page, size):
    """The input that JavaScript makes for the network is that of bgkit.models, grown, shrunk, and of sparse rows."""
    from bgkit.models.encode_input import fill, place
    from bgkit.models.store import show

    card, image = show("coarse"), bytes_as(noise(*size))
    wanted = fill(card, ("image",), {"image": image}, place(card, size))
    rule = {"fixed": card.input.fixed, "mean": card.input.mean, "deviation": card.input.deviation}
    code = 'const { fill, pictureOf } = await import("/network.js"); const found = fill(pictureOf(image), more[0]);'
    found = run_here(page, image, code, rule)
    np.testing.assert_array_equal(found.reshape(wanted.shape), wanted)  # every bit, so that no value rounds otherwise


def test_page_may_use_threads_and_wasm_but_not_eval(page):
    """The page is isolated from other origins, which threads ask for, and compiles no text."""
    assert page.tab.evaluate("crossOriginIsolated")
    code = """new Promise((resolve) => setTimeout(() => {  // later: what a driver evaluates itself is let through
        try { resolve(Function("return 'compiled'")()); } catch (error) { resolve(error.name); }
    }))"""
    assert page.tab.evaluate(code) == "EvalError"
    page.errors.clear()  # the browser itself reports what it blocked


@with_runtime
@pytest.mark.parametrize("size", [*SIZES[1:], "small subject"], ids=str)
def test_browser_answers_as_the_server(page, size):
    """The mask that the browser's network gives is that of cnn_mask but for its last bits, closer look or not."""
    small = size == "small subject"
    image = bytes_as(scene(240, 420, ((60, 300),)) if small else noise(*size))
    code = """const { load, maskOf } = await import("/network.js");
        const models = await (await fetch("/v1/models")).json();
        const network = await load(models.find(({ browser }) => browser).browser, document.baseURI);
        const found = (await maskOf(image, network)).values;"""
    found = run_here(page, image, code).reshape(image.shape[:2])
    wanted = stages.cnn_mask(image)
    assert not small or 0.01 < (wanted > 0.5).mean() < 0.2
    np.testing.assert_allclose(found, wanted, atol=1e-4)


@with_runtime
def test_picture_stays_in_the_browser(page):
    """With the switch nothing is sent: the result has the mask as its opacity, and what the server does is hidden."""
    page.tab.get_by_label("In this browser, no upload").check()
    assert page.text("#where") == "They stay in this browser."
    page.choose(SCENE, upload(scene(120, 120, ((60, 60),)), "two.png"))
    assert [request.url for request in page.requests if request.method != "GET"] == []
    mask = stages.cnn_mask(bytes_as(scene()))
    np.testing.assert_allclose(page.shown()[..., 3], mask, atol=0.003)  # of bytes
    assert page.tab.get_by_role("radio", name="Brush", exact=True).is_disabled()
    assert not page.tab.locator("#pipeline").is_visible()
    page.screenshot("local-desktop")
    page.tab.set_viewport_size({"width": 390, "height": 844})
    page.tab.get_by_label("In this browser, no upload").scroll_into_view_if_needed()
    page.screenshot("local-phone")
    page.tab.get_by_label("In this browser, no upload").uncheck()
    page.settled()
    assert [request.method for request in page.requests].count("POST") >= 1


@with_runtime
def test_demo_of_the_site_answers_as_the_stage(browser):
    """On a host of static files, without threads, the demo shows cnn_mask's mask as opacity and asks nobody else."""
    from benchmarks.bench_browser import static_host

    requests = []
    with static_host() as (host, _):
        tab = browser.new_page()
        tab.on("request", lambda request: requests.append(request))  # Playwright marks what it calls
        tab.goto(f"{host}how-to/")
        assert not tab.evaluate("crossOriginIsolated")
        tab.get_by_text("Nothing is sent").wait_for(timeout=15_000)
        tab.get_by_label("Picture").set_input_files(SCENE)
        tab.wait_for_selector("#browser-demo img:not([hidden])", timeout=60_000)
        said = tab.text_content("#browser-demo output")
        shown = pixels_of(tab, "#browser-demo img")
        tab.close()
    assert said.startswith("240 × 180 pixels")
    np.testing.assert_allclose(shown[..., 3], stages.cnn_mask(bytes_as(scene())), atol=0.003)  # of bytes
    assert {request.method for request in requests} == {"GET"}
    assert all(request.url.startswith((host, "blob:", "data:")) for request in requests)


@with_runtime
def test_unreadable_picture_in_the_browser(page):
    """What the browser cannot read fails by itself with a sentence, and the next picture is done."""
    page.tab.get_by_label("In this browser, no upload").check()
    page.tab.set_input_files("#files", [{"name": "a.tif", "mimeType": "image/tiff", "buffer": b"II*\0"}, SCENE])
    page.done(1)
    page.until("document.querySelector('li[data-state=failed]') !== null")
    assert "This browser cannot read this picture" in page.text("#problem")


def test_page_is_small_and_asks_nobody():
    """Its own files together stay below 150 KB, and none of them names another host or holds inline code."""
    files = [path for path in STATIC.iterdir() if path.is_file()]
    assert sum(path.stat().st_size for path in files) < 150_000
    for path in files:
        text = path.read_text().replace("http://www.w3.org/2000/svg", "")
        assert not re.search(r"https?://", text), path.name
        if path.suffix == ".html":
            assert not re.search(r"<style|<script(?![^>]* src=)|\son\w+=|\sstyle=", text), path.name


def test_modules_are_small_and_import_one_way():
    """Each module of the page is below 300 lines and imports, in the end, none that imports it."""
    texts = {path.name: path.read_text() for path in STATIC.glob("*.js")}
    assert max(text.count("\n") for text in texts.values()) < 300
    imports = {name: set(re.findall(r' from "\./([\w-]+\.js)"', text)) for name, text in texts.items()}
    assert "work.js" in imports["queue.js"]
    while free := {name for name, others in imports.items() if not others & imports.keys()}:
        imports = {name: others for name, others in imports.items() if name not in free}
    assert imports == {}


def test_wall_of_a_watched_folder(browser, tmp_path):
    """Shots appear by themselves, flagged ones first with their finding, with thumbnails and the series' charts."""
    incoming = tmp_path / "in"
    incoming.mkdir()
    with Server("--watch", str(incoming), "-o", str(tmp_path / "out"), "-p", "product") as server:
        tab = browser.new_page(viewport={"width": 1280, "height": 820})
        tab.goto(server.url.rstrip("/") + "/watch")
        tab.locator("#link[data-state=live]").wait_for()
        for name, centers in (("one", ((90, 120),)), ("two", ((90, 70), (90, 170))), ("three", ((90, 118),))):
            (incoming / f"{name}.png").write_bytes(picture_file(scene(centers=centers)))
        tab.locator("#flagged li h3").nth(2).wait_for(timeout=60_000)  # all are too small for a shop
        tab.locator("#charts svg").first.wait_for()
        two = tab.locator("#flagged > li").filter(has=tab.get_by_role("heading", name="two.png"))
        assert "Subjects: 2 pieces, where at most 1 is asked for." in two.text_content()
        assert tab.locator("#counts dd").all_text_contents()[:2] == ["3", "3"]
        two.locator("img[src^=blob]").wait_for()
        axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="axe-core checks for access").Axe()
        found = axe.run(tab).response["violations"]
        assert [each["id"] for each in found if each["impact"] in ("serious", "critical")] == []
        SCREENS.mkdir(parents=True, exist_ok=True)
        tab.screenshot(path=SCREENS / "wall-desktop.png")
        tab.set_viewport_size({"width": 390, "height": 844})
        assert tab.evaluate("document.documentElement.scrollWidth") <= 390
        tab.screenshot(path=SCREENS / "wall-phone.png")
        tab.close()


def test_wall_of_a_watch_that_is_started_again(browser, tmp_path):
    """The wall says that the connection is lost; pictures of the next watch, numbered from 1 anew, appear."""
    incoming = tmp_path / "in"
    incoming.mkdir()
    options = ("--watch", str(incoming), "-o", str(tmp_path / "out"), "-p", "fast")
    tab = browser.new_page()
    port = ""
    for name in ("first.png", "second.png"):
        with Server(*options, *(["--port", port] if port else [])) as server:
            port = server.url.rsplit(":")[-1].rstrip("/")
            if name == "first.png":
                tab.goto(f"{server.url}watch")
            tab.locator("#link[data-state=live]").wait_for(timeout=60_000)
            (incoming / name).write_bytes(SCENE["buffer"])
            tab.get_by_role("heading", name=name).wait_for(timeout=60_000)
        tab.locator("#link[data-state=lost]").wait_for(timeout=60_000)
    assert tab.locator(".shots > li").count() == 2
    tab.close()
