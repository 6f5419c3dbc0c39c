"""Tells the C library how to deal with memory that networks free on a CPU."""

from __future__ import annotations

import ctypes
import sys

_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3  # glibc's numbers of these settings
_LARGEST_KEPT = 2**25  # glibc allows no more


def keep_freed_memory() -> None:
    """Let the process keep freed blocks of up to 32 MiB for later use, instead of returning them to the system.

    A network frees and needs the same blocks for every frame. The system would clear each page again when it is first
    written, which took a fifth of the time of a small network. Only glibc has these settings; elsewhere, nothing
    changes.
    """
    if not sys.platform.startswith("linux"):
        return
    library = ctypes.CDLL(None)
    if hasattr(library, "mallopt"):
        library.mallopt(_MMAP_THRESHOLD, _LARGEST_KEPT)
        library.mallopt(_TRIM_THRESHOLD, 2**30)
