"""Video files, and nothing else knows PyAV: :func:`open_video` reads frames, :class:`Encoder` writes them.

Frames come upright, as RGB of 8 or 16 bits with the time at which each is shown, and go out the same way. Sound is
never decoded where the file that is written can hold it as it is.
"""

from bgkit.videofile._clip import VIDEOS, Clip, Frame, Reader
from bgkit.videofile._pictures import is_sequence
from bgkit.videofile._read import open_video
from bgkit.videofile._write import CREDIT, FORMATS, Encoder, Form, join

__all__ = [
    "CREDIT",
    "FORMATS",
    "VIDEOS",
    "Clip",
    "Encoder",
    "Form",
    "Frame",
    "Reader",
    "is_sequence",
    "join",
    "open_video",
]
