"""Free memory goes back to the system, which gives it to nobody before it is overwritten."""

from __future__ import annotations

import ctypes


def give_back() -> None:
    """Give back what is free: whoever reads the memory of the process finds there what was deleted long ago.

    Only whole pages go, and only where the C library can (glibc): what is smaller is overwritten as it is used again.
    Other threads go on meanwhile.
    """
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(ctypes.c_size_t(0))
