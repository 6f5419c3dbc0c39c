"""The headers of Vorbis audio, which hold comments such as artist, place and device beside what a decoder needs."""

from __future__ import annotations

_XIPH = 2  # first byte of three packets whose sizes are written as in Ogg: as often 255 as it fits, then the rest
_HEAD_BYTES = 30  # of the first packet; where sizes take two bytes each, it is the first number
_NO_COMMENT = b"\x03vorbis" + bytes(8) + b"\x01"  # no vendor, no comments, then the bit that ends the packet


def without_comments(headers: bytes) -> bytes | None:
    """Return the three header packets of Vorbis with an empty comment packet in place of theirs.

    Args:
        headers: The packets as FFmpeg keeps them: with sizes as in Ogg, or with two bytes before each.

    Returns:
        The packets with sizes as in Ogg. None if they are in neither form, because their comments are unknown then.
    """
    packets = _split(headers)
    if packets is None or not all(one[1:7] == b"vorbis" for one in packets):
        return None
    head, _, setup = packets
    return bytes([_XIPH]) + _laced(len(head)) + _laced(len(_NO_COMMENT)) + head + _NO_COMMENT + setup


def _split(headers: bytes) -> tuple[bytes, bytes, bytes] | None:
    if headers[:2] == _HEAD_BYTES.to_bytes(2, "big"):
        packets, at = [], 0
        for _ in range(3):
            start = at + 2
            at = start + int.from_bytes(headers[at:start], "big")
            packets.append(headers[start:at])
        return packets[0], packets[1], packets[2]
    if headers[:1] != bytes([_XIPH]):
        return None
    sizes, at = [], 1
    for _ in range(2):
        size = 0
        while headers[at : at + 1] == b"\xff":
            size, at = size + 255, at + 1
        sizes.append(size + int.from_bytes(headers[at : at + 1], "big"))
        at += 1
    comment, setup = at + sizes[0], at + sum(sizes)
    return headers[at:comment], headers[comment:setup], headers[setup:]


def _laced(size: int) -> bytes:
    return b"\xff" * (size // 255) + bytes([size % 255])
