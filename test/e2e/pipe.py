# SPDX-License-Identifier: BSD-3-Clause
"""A named pipe whose reader can be slow: whoever writes to it has to wait once 64 KiB are in it."""

from __future__ import annotations

import os
import select
import threading
import time
from pathlib import Path


class SlowPipe:
    """Reads nothing before slow() or fast(), which may follow one another. `data` is complete after the `with` block, if
    the writer has closed its end."""

    def __init__(self, path: Path) -> None:
        self._path = path
        os.mkfifo(path)
        self._fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
        self._may_read = threading.Event()
        self._pause_s = 0.0
        self._writer_gone = False
        self._thread = threading.Thread(target=self._collect)
        self._chunks: list[bytes] = []

    def __enter__(self) -> SlowPipe:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._writer_gone = True
        self.fast()
        self._thread.join()
        os.close(self._fd)
        self._path.unlink()

    @property
    def data(self) -> bytes:
        return b"".join(self._chunks)

    def slow(self, pause_s: float) -> None:
        self._pause_s = pause_s
        self._may_read.set()

    def fast(self) -> None:
        self.slow(0.0)

    def _collect(self) -> None:
        self._may_read.wait()
        while True:
            select.select([self._fd], [], [], 0.1)
            try:
                chunk = os.read(self._fd, 65536)
            except BlockingIOError:
                chunk = b""
            if chunk:
                self._chunks.append(chunk)
                time.sleep(self._pause_s)
            elif self._writer_gone:
                return
            else:
                time.sleep(0.01)
