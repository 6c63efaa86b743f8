"""Download one file over HTTP so that it arrives whole or not at all.

What came so far lies in ``NAME.part`` and is resumed after a cut, a stall or a new start. The
checksum alone decides whether the file is right: a server's word on length is used for nothing but
progress. Proxies are those of the environment (``https_proxy``, ``no_proxy``).
"""

from __future__ import annotations

import errno
import http.client
import os
import re
import shutil
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

from bgkit.errors import ModelError
from bgkit.files import mismatch

__all__ = ["Progress", "download"]

Progress = Callable[[int, int | None], None]  # bytes so far, bytes in all where known

STALL = 30.0  # seconds without a byte, or with fewer than SLOWEST bytes a second, before a new attempt
SLOWEST = 256
PAUSES = (0.5, 2.0, 5.0)  # seconds before each new attempt that follows one without headway
HEADWAY = 1 << 16  # bytes that make an attempt worth another
CHUNK = 1 << 18
MOST = 1 << 31  # bytes of a file whose card does not say them: the most that ONNX's protocol buffer can hold


def download(
    url: str,
    target: Path,
    *,
    sha256: str = "",
    md5: str = "",
    size: int | None = None,
    on_progress: Progress | None = None,
) -> None:
    """Fetch ``url`` to ``target``, resuming what an earlier call left.

    Parameters
    ----------
    url : str
        An http or https address; redirects to such are followed.
    target : Path
        Where the file appears, in one step, when it is whole and its checksum right.
    sha256, md5 : str
        The checksum in hexadecimal digits; sha256 is used where both are given.
    size : int, optional
        The file's bytes; more than that are never fetched.
    on_progress : callable, optional
        Called with the bytes so far and the bytes in all (None where nobody knows).

    Raises
    ------
    ModelError
        If the server refuses, cannot be reached, keeps stalling, or its file is not the expected one.
    """
    part = target.with_name(f"{target.name}.{(sha256 or md5)[:8] or 'any'}.part")
    _check_room(target, size, part)
    for fresh in (False, True):  # pieces, of an earlier call above all, may be of two files: then once more in whole
        if fresh:
            part.unlink()
        pieced = _fetch_all(url, part, size, on_progress)
        wrong = mismatch(part, sha256=sha256, md5=md5, size=size)
        if not wrong:
            _place(part, target)
            return
        if fresh or not pieced:
            break
    part.unlink()
    raise ModelError(f"{url}: {wrong}; the file there is not the one the card describes, nothing was kept")


def _fetch_all(url: str, part: Path, size: int | None, on_progress: Progress | None) -> bool:
    """Ask again and again from where the last attempt stopped, as long as there is headway.

    Returns whether ``part`` was pieced together.
    """
    idle, pieced = 0, False
    while True:
        before = part.stat().st_size if part.exists() else 0
        pieced = pieced or before > 0
        if size is not None and before >= size:
            return pieced
        try:
            if _fetch_once(url, part, before, size, on_progress):
                return pieced
            reason = "the connection was cut"
        except urllib.error.HTTPError as error:
            error.close()
            if error.code == http.client.REQUESTED_RANGE_NOT_SATISFIABLE and before:
                return pieced  # nothing lies beyond what is here: the checksum tells whether it is all
            if error.code < 500 and error.code not in (http.client.REQUEST_TIMEOUT, http.client.TOO_MANY_REQUESTS):
                raise ModelError(f"{url}: the server answered {error.code} {error.reason}") from None
            reason = f"the server answered {error.code} {error.reason}"
        except _EndlessError:
            part.unlink()
            raise ModelError(f"{url}: the server sends more than the {MOST} bytes of an ONNX file; stopped") from None
        except ValueError as error:  # a redirect to an address that is none
            raise ModelError(f"{url}: the server's answer makes no sense: {error}") from None
        except (OSError, http.client.HTTPException) as error:
            if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EACCES, errno.EROFS):
                raise ModelError(f"{part}: cannot be written: {error.strerror}") from None
            reason = str(getattr(error, "reason", "") or error) or type(error).__name__
        after = part.stat().st_size if part.exists() else 0
        idle = 0 if after - before >= HEADWAY else idle + 1
        if idle > len(PAUSES):
            done = f"{after} of {size}" if size else str(after)
            raise ModelError(
                f"{url}: {reason}, {idle} times in a row ({done} bytes are here and will be resumed); "
                "check the connection and the proxy settings, then fetch again"
            )
        time.sleep(PAUSES[idle - 1] if idle else 0)


class _EndlessError(Exception):
    pass


def _fetch_once(url: str, part: Path, start: int, size: int | None, on_progress: Progress | None) -> bool:
    """Append to ``part`` what one answer brings; return whether that was the end of the file."""
    request = urllib.request.Request(url, headers={"User-Agent": "bgkit", "Accept-Encoding": "identity"})
    if start:
        request.add_header("Range", f"bytes={start}-")
    with _opener().open(request, timeout=STALL) as answer:
        if start and _first_byte(answer) != start:
            start = 0  # the server sends the whole file, or another piece than asked for
        if start == 0 and answer.status == http.client.PARTIAL_CONTENT and _first_byte(answer) != 0:
            return False
        if answer.headers.get("Content-Encoding", "identity").lower() != "identity":
            raise http.client.HTTPException("the server compresses what it was asked to send as it is")
        length = answer.headers.get("Content-Length", "")
        end = start + int(length) if re.fullmatch("[0-9]{1,15}", length) else None
        if size is None and end is not None and end > MOST:
            raise ModelError(f"{url}: the server has {end} bytes, and an ONNX file has at most {MOST}; is it the file?")
        with part.open("r+b" if part.exists() else "wb") as out:
            out.truncate(start)
            out.seek(start)
            done = _copy(answer, out, start, size=size, end=end, on_progress=on_progress)
    # Without a size, the end of an answer that kept its own word is the end of the file.
    return done >= size if size is not None else (end is None or done >= end)


def _copy(answer: Any, out: Any, done: int, *, size: int | None, end: int | None, on_progress: Progress | None) -> int:
    total = size if size is not None else end
    window, since = time.monotonic(), done
    while size is None or done < size:
        data = answer.read1(CHUNK if size is None else min(CHUNK, size - done))
        if not data:
            break
        out.write(data)
        done += len(data)
        if size is None and done > MOST:
            raise _EndlessError
        if on_progress is not None:
            on_progress(done, total)
        now = time.monotonic()
        if now - window > STALL:
            if done - since < SLOWEST * STALL:
                raise TimeoutError(f"fewer than {SLOWEST} bytes a second came")
            window, since = now, done
    return done


def _first_byte(answer: Any) -> int:
    """Return where the answer's bytes start in the file."""
    if answer.status != http.client.PARTIAL_CONTENT:
        return 0
    found = re.match(r"bytes ([0-9]{1,15})-", answer.headers.get("Content-Range", ""))
    return int(found.group(1)) if found else -1


class _Redirects(urllib.request.HTTPRedirectHandler):
    """Follow redirects to http and https only; the base class would go to FTP as well."""

    def http_error_302(self, req: Any, fp: Any, code: int, msg: str, headers: Any) -> Any:
        try:
            return super().http_error_302(req, fp, code, msg, headers)
        except ValueError:  # the address is none
            fp.close()
            raise

    http_error_301 = http_error_303 = http_error_307 = http_error_308 = http_error_302

    def redirect_request(self, req: Any, fp: Any, code: int, msg: str, headers: Any, newurl: str) -> Any:
        if not newurl.startswith(("http://", "https://")):
            raise urllib.error.HTTPError(newurl, code, f"with a redirect that is not allowed: {newurl}", headers, fp)
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def _opener() -> urllib.request.OpenerDirector:
    """Return an opener of http and https alone: a redirect to a file or to FTP is refused."""
    opener = urllib.request.OpenerDirector()
    for handler in (
        urllib.request.ProxyHandler,
        urllib.request.UnknownHandler,
        urllib.request.HTTPHandler,
        urllib.request.HTTPSHandler,
        urllib.request.HTTPDefaultErrorHandler,
        _Redirects,
        urllib.request.HTTPErrorProcessor,
    ):
        opener.add_handler(handler())
    return opener


def _check_room(target: Path, size: int | None, part: Path) -> None:
    if size is None:
        return
    wanted = size - (part.stat().st_size if part.exists() else 0)
    free = shutil.disk_usage(target.parent).free
    if wanted > free:
        raise ModelError(
            f"{target.parent}: expected {wanted / 1e6:.0f} MB of free space, got {free / 1e6:.0f} MB; "
            "make room, or set BGKIT_HOME to a folder on a larger disk"
        )


def _place(part: Path, target: Path) -> None:
    with part.open("r+b") as handle:
        os.fsync(handle.fileno())
    part.replace(target)
