"""Camera raw files (DNG, NEF, CR2, ARW, ...), developed by LibRaw through rawpy: the extra ``raw``.

The development is neutral and the same for every picture: the camera's white balance, no brightening by the histogram,
clipped highlights, sRGB's own curve, 16 bits.
"""

from __future__ import annotations

import io

from bgkit.errors import ImageError
from bgkit.imagefile._formats import Format
from bgkit.imagefile._noise import heard
from bgkit.imagefile._stored import Stored, Wanted, check_size, choose_page

__all__ = ["read"]

_SRGB_CURVE = (2.4, 12.92)  # LibRaw's way to write it: the exponent, and the slope of the straight part


def read(data: bytes, form: Format, wanted: Wanted, mosaic: bool = False) -> Stored:
    """Develop a camera raw file; ``mosaic`` where it says that its samples lie behind color filters.

    Raises
    ------
    ImageError
        If rawpy is not installed, or LibRaw cannot read it.
    """
    try:
        import rawpy
    except ImportError:
        raise ImageError(
            'is a camera raw file, which needs an optional part: pip install "bgkit[raw]"; '
            "or develop it to TIFF or JPEG"
        ) from None
    choose_page(wanted.page, 1)
    try:
        with heard() as said, rawpy.imread(io.BytesIO(data)) as raw:
            if mosaic and raw.num_colors == 1:
                raise ImageError("is a camera raw file whose color filters are not known; develop it to TIFF or JPEG")
            check_size((raw.sizes.width, raw.sizes.height), wanted.max_pixels)
            color = raw.postprocess(
                output_bps=16,
                use_camera_wb=True,
                no_auto_bright=True,
                gamma=_SRGB_CURVE,
                output_color=rawpy.ColorSpace.sRGB,
            )
    except rawpy.LibRawError as error:
        reason = error.args[0] if error.args else ""
        text = reason.decode("utf-8", "replace") if isinstance(reason, bytes) else str(reason)
        raise ImageError(
            f"is a camera raw file that LibRaw cannot read ({text}); develop it to TIFF or JPEG"
        ) from error
    wrong = [line for line in said if line.startswith("unknown file: ")]  # LibRaw says it, and goes on without the rest
    if wrong:
        raise ImageError(f"is damaged ({wrong[0].removeprefix('unknown file: ')})")
    return Stored(color[:, :, 0] if color.shape[2] == 1 else color, None, 16)
