"""A file with layers for GIMP, Krita or Photoshop

A retoucher wants the subject on a layer of its own, above the filled background.
An OpenRaster file (`.ora`) is a zip of PNGs with a list; GIMP and Krita open it, and write PSD from it.
"""

import io
import zipfile

import scenes
from show import show

import bgkit
from bgkit.imagefile import write_picture

shot = scenes.photograph(scenes.vase(), scenes.paper(color=(0.80, 0.86, 0.84)), shadow=0)
cut = bgkit.remove(shot.image, "studio-white", background="none")
behind = bgkit.stages.drop_subject(cut.image, cut.alpha, fill="telea")
rows, cols = cut.alpha.shape


def png(array):
    file = io.BytesIO()
    write_picture(file, array, format="png")
    return file.getvalue()


with zipfile.ZipFile("vase.ora", "w") as archive:
    archive.writestr("mimetype", "image/openraster")
    archive.writestr(
        "stack.xml",
        f"""<image version="0.0.3" w="{cols}" h="{rows}"><stack>
        <layer name="subject" src="data/subject.png"/><layer name="background" src="data/background.png"/>
        </stack></image>""",
    )
    for name, array in {"data/subject": cut.result, "data/background": behind, "mergedimage": cut.image}.items():
        archive.writestr(f"{name}.png", png(array))
    print(*archive.namelist())
show(photograph=cut.image, layer_subject=cut.result, layer_background=behind[..., :3])
