"""A store for tests that all processes share: ``shop://a/b.png`` is the file ``a/b.png`` below $SHOP_ROOT.

Its uploads are seen while they are under way, as those of an SFTP server.
"""

from __future__ import annotations

import os

from fsspec.implementations.dirfs import DirFileSystem
from fsspec.implementations.local import LocalFileSystem


class Shop(DirFileSystem):
    """A folder of this machine under a protocol of its own."""

    protocol = "shop"
    cachable = False

    def __init__(self, **options) -> None:
        super().__init__(path=os.environ["SHOP_ROOT"], fs=LocalFileSystem(auto_mkdir=True), **options)

    @classmethod
    def _strip_protocol(cls, path):
        return str(path).removeprefix("shop://").rstrip("/")
