"""Ask a server

`bgkit serve` starts a page for the browser and an HTTP interface on this machine.
`POST /v1/remove` takes a picture and answers with a picture; clients of rembg and remove.bg find their own interfaces
beside it.
This example starts a server, waits for it, sends one picture, and ends it.
It needs `pip install "bgkit[serve]"`.
"""

import subprocess
import sys

import httpx
import scenes
from show import show

import bgkit
from bgkit.imagefile import read_picture

shot = scenes.photograph(scenes.vase(), scenes.paper()).image
picture = bgkit.Layers.of(shot).to_bytes("png", "image")
command = [sys.executable, "-m", "bgkit", "serve", "--port", "0", "--workers", "1", "-p", "studio-white"]
with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as server:
    try:
        address = server.stderr.readline().split()[3].rstrip("/;")
        answer = httpx.post(f"{address}/v1/remove", files={"file": picture}, timeout=60)
    finally:
        server.terminate()
answer.raise_for_status()
print(answer.status_code, answer.headers["content-type"], answer.headers["x-bgkit-pipeline"])
show(sent=shot, answer=read_picture(answer.content).image)
