"""Ask the built site's search what people ask, in Chromium: the right page is among the first three.

Usage: python docs/search_check.py FOLDER

The questions are those of the field's issue trackers, in the words of somebody who has not read these pages.
"""

from __future__ import annotations

import shutil
import sys
import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import quote

FIRST = 3
QUESTIONS = {
    "why is the edge still showing the old background": "how-to/fringes",
    "fine hair gets cut off": "how-to/hair",
    "white shirt on a white background disappears": "how-to/white-on-white",
    "how do I remove the background inside a ring or between the arms": "how-to/holes-and-glass",
    "my photo from the phone comes out rotated": "how-to/rotated-results",
    "colors look different after removing the background": "how-to/colors-that-shift",
    "killed because it runs out of memory on a big image": "how-to/large-pictures",
    "which model can I use in a commercial product": "how-to/which-model-may-i-sell-with",
    "download of the model fails behind a company proxy": "how-to/offline",
    "it is too slow and does not use my GPU": "how-to/speed",
    "can I use my own mask instead of the network": "how-to/layers-of-your-own",
    "keep the shadow under the shoe": "gallery/shadow_kept",
    "output image has a black background, not transparent": "how-to/transparency",
    "how do I put a solid color behind the person": "how-to/transparency",
    "background is removed but it is still there in other programs": "how-to/transparency",
    "edges of the cutout are not smooth": "how-to/edges",
    "soft borders on cartoon images, I want a hard edge": "how-to/edges",
    "some parts of the image itself are semi-transparent": "how-to/edges",
    "how to get a trimap": "how-to/coming-from-pymatting",
    "keep only one person when there are several people": "how-to/wrong-subject",
    "is there any way to preserve more objects": "how-to/wrong-subject",
    "the transparent mov is gigantic and QuickTime cannot open it": "how-to/video",
    "inside of letters is not removed": "how-to/holes-and-glass",
    "Trimap did not contain foreground values": "how-to/coming-from-pymatting",
    "video output is only a black and white mask": "how-to/video",
    "transparent video still shows the background in VLC": "how-to/video",
    "no picture in the output video, only the sound": "how-to/video",
    "what values for alpha_matting_erode_size and foreground threshold": "how-to/coming-from-rembg",
    "replace the background with another image": "gallery/new_background",
    "remove the background of all images in a folder and subfolders": "reference/commands/remove",
    "black border around the person after pasting onto a new color": "how-to/fringes",
    "thin blue line around the edge of the product": "how-to/fringes",
    "scribbles instead of a trimap give a bad result": "how-to/strokes",
    "loses the wheel of a car, part of the object is missing": "how-to/wrong-subject",
    "how do I get only the mask": "how-to/transparency",
    "POST a file to a server in docker": "how-to/serving",
    "import takes a minute": "how-to/speed",
    "crop to the bounding box": "how-to/crop",
    "trim the transparent background around the object": "how-to/crop",
    "center the product with the same padding on all pictures": "how-to/crop",
    "image quality is reduced and blurred": "how-to/quality-lost",
    "output has a lower resolution than the original": "how-to/quality-lost",
    "GPU not used, CPU running full": "how-to/speed",
    "Trimap did not contain background values": "how-to/coming-from-pymatting",
    "background between the hairs is not removed": "how-to/hair",
    "only output the alpha channel": "how-to/transparency",
    "remove background from a GIF": "how-to/video",
    "run it in the browser without a server": "how-to/in-the-browser",
    "where is the model stored, it is downloaded every time": "how-to/offline",
    "saving as JPEG fails or gives a black background": "how-to/transparency",
    "processing thousands of images in parallel": "how-to/scale",
    "refine an existing mask": "how-to/layers-of-your-own",
    "shadow on the ground is not removed": "how-to/shadows",
    "pass a numpy array or an OpenCV image instead of a file": "reference/python",
    "HEIC photos from an iPhone cannot be opened": "reference/formats",
    "flickering edges between frames": "how-to/video",
    "API key and credits like remove.bg": "how-to/coming-from-removebg",
    "put a video over a background image": "how-to/video",
    "output mp4 has 0 bytes": "how-to/video",
    "is the output limited to 1024x1024": "how-to/quality-lost",
    "batch inference with my own onnx model": "how-to/bring-your-own-network",
    "fails to start because a CUDA dll is missing": "how-to/speed",
    "uses 300% CPU on my server, limit the number of threads": "how-to/speed",
    "matting a thousand frames takes ten minutes, is there a way to speed it up": "how-to/speed",
    "Trimap has 102 colors": "how-to/coming-from-pymatting",
    "division by zero in estimate_foreground": "how-to/coming-from-pymatting",
    "which epsilon or parameters give a better matte": "how-to/coming-from-pymatting",
    "the thing that the person holds in the hand was removed too": "how-to/wrong-subject",
    "it detects everything else instead of the wooden plank": "how-to/wrong-subject",
}


class Quiet(SimpleHTTPRequestHandler):
    """Serves files and says nothing of it."""

    def log_message(self, *_):
        """Say nothing."""


def answers(folder: Path, questions: list[str]) -> dict[str, list[str]]:
    """Return the pages that the search of a built site finds for each question, best first."""
    from playwright.sync_api import sync_playwright

    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(folder)))
    server.handle_error = lambda *_: None  # the browser leaves a page before all of it is loaded
    threading.Thread(target=server.serve_forever, daemon=True).start()
    found = {}
    try:
        with sync_playwright() as driver:
            browser = driver.chromium.launch(
                executable_path=shutil.which("chromium"), args=["--no-sandbox", "--disable-gpu"]
            )
            page = browser.new_page()
            for question in questions:
                page.goto(f"http://127.0.0.1:{server.server_port}/search.html?q={quote(question)}")
                page.wait_for_selector("#search-results li a")
                links = page.eval_on_selector_all("#search-results li > a", "each => each.map(a => a.pathname)")
                found[question] = [link.strip("/").removesuffix(".html") for link in links]
            browser.close()
    finally:
        server.shutdown()
        server.server_close()
    return found


def main(folder: Path) -> int:
    """Print what is not found and return the exit status."""
    if shutil.which("chromium") is None:
        print("docs/search_check.py: no Chromium here, so the search was not asked anything")
        return 0
    wrong = []
    for question, pages in answers(folder, list(QUESTIONS)).items():
        if QUESTIONS[question] not in pages[:FIRST]:
            wrong.append(f"search: {question!r}: expected {QUESTIONS[question]} among {', '.join(pages[:FIRST])}")
    print("\n".join(wrong), end="\n" if wrong else "")
    return bool(wrong)


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
