# SPDX-License-Identifier: BSD-3-Clause
"""Capture files: write frames, read them back (microsecond and nanosecond stamps), compare two lists of frames."""

from __future__ import annotations

import struct
from collections.abc import Iterable, Sequence
from pathlib import Path

_MAGIC_US = 0xA1B2C3D4
_MAGIC_NS = 0xA1B23C4D
_FILE_HEADER = struct.Struct("<IHHiIII")
_FRAME_HEADER = struct.Struct("<IIII")
_ETHERNET = 1
_SNAPLEN = 65535


def write(path: Path, frames: Iterable[bytes]) -> None:
    with path.open("wb") as out:
        out.write(_FILE_HEADER.pack(_MAGIC_US, 2, 4, 0, 0, _SNAPLEN, _ETHERNET))
        for number, frame in enumerate(frames):
            out.write(_FRAME_HEADER.pack(number // 1_000_000, number % 1_000_000, len(frame), len(frame)))
            out.write(frame)


def parse(data: bytes) -> list[bytes]:
    magic = _FILE_HEADER.unpack_from(data)[0]
    if magic not in (_MAGIC_US, _MAGIC_NS):
        raise ValueError(f"not a capture file of this machine's byte order: magic {magic:#x}")
    frames: list[bytes] = []
    at = _FILE_HEADER.size
    while at < len(data):
        _, _, kept, length = _FRAME_HEADER.unpack_from(data, at)
        at += _FRAME_HEADER.size
        frame = data[at : at + kept]
        if kept != length or len(frame) != length:
            raise ValueError(f"frame {len(frames)} is cut: {len(frame)} of {length} bytes")
        frames.append(frame)
        at += kept
    return frames


def first_difference(sent: Sequence[bytes], received: Sequence[bytes]) -> str | None:
    """None when both hold the same frames in the same order, else where they part."""
    for number, (one, other) in enumerate(zip(sent, received)):
        if one == other:
            continue
        at = next((i for i, (a, b) in enumerate(zip(one, other)) if a != b), min(len(one), len(other)))
        elsewhere = f"it is sent frame {sent.index(other)}" if other in sent else "no such frame was sent"
        lengths = f"{len(one)} bytes sent, {len(other)} received"
        return f"frame {number} of {len(sent)}: {lengths}, they part at byte {at}; {elsewhere}"
    if len(sent) != len(received):
        return f"{len(sent)} frames sent, {len(received)} received"
    return None
