"""Where SQLite has left a copy of what was deleted: found, and overwritten.

`secure_delete` zeroes deleted rows, and whole pages that come free, among them all that holds what does not fit into
a row. What it leaves are copies in the pages of a table's tree, where balancing moved rows from one to another
(SQLite's fileformat2.html, "B-tree Pages": what is unallocated there may hold anything). So the unallocated space of
those pages is searched; nearly all of it is zeros, which cost nothing.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator, Sequence
from pathlib import Path

from visage.durable import sync_descriptor

_INTERIOR, _LEAF = 0x05, 0x0D
_HEADER_BYTES = {_INTERIOR: 12, _LEAF: 8}
_ZEROS = bytes(65536)
_PAGE_SIZE_AT = 16

Span = tuple[int, int]
"""Of bytes in the file: where it begins and ends."""


def find(path: Path, roots: Sequence[int], traces: Sequence[bytes]) -> list[Span]:
    """Where traces are in the trees of some tables.

    Args:
        path: of a database in which no transaction runs.
        roots: the number of the first page of each tree.
        traces: random values; none of them is in a row.
    """
    if not traces:
        return []
    found = []
    with path.open("rb") as file:
        for start, space in _unallocated(file.fileno(), roots):
            if space == _ZEROS[: len(space)]:
                continue
            for trace in traces:
                place = space.find(trace)
                while place >= 0:
                    found.append((start + place, start + place + len(trace)))
                    place = space.find(trace, place + 1)
    return found


def overwrite(path: Path, places: Sequence[Span]) -> None:
    """Write zeros there, on disk when this returns. Nobody may have the database open."""
    with path.open("r+b", buffering=0) as file:
        for start, end in places:
            file.seek(start)
            file.write(bytes(end - start))
        sync_descriptor(file.fileno())


def _unallocated(descriptor: int, roots: Sequence[int]) -> Iterator[tuple[int, bytes]]:
    """What no row is in, of the pages of trees, and where; the whole file, where a page is not as it should be."""
    try:
        yield from _unallocated_in(descriptor, roots)
    except (struct.error, IndexError):
        yield 0, os.pread(descriptor, os.fstat(descriptor).st_size, 0)


def _unallocated_in(descriptor: int, roots: Sequence[int]) -> Iterator[tuple[int, bytes]]:
    """IndexError or struct.error: a page is not as it should be."""
    (size,) = struct.unpack(">H", os.pread(descriptor, 2, _PAGE_SIZE_AT))
    size = 65536 if size == 1 else size
    seen = {0, 1}  # there is no page 0, and the first is of no table
    waiting = list(roots)
    while waiting:
        number = waiting.pop()
        start = (number - 1) * size
        page = b"" if number in seen else os.pread(descriptor, size, start)
        seen.add(number)
        kind, freeblock, count, cells, _, last = struct.unpack_from(">BHHHBI", page)
        pointers = _HEADER_BYTES.get(kind)
        if pointers is None:
            raise IndexError(number)
        yield start + pointers + 2 * count, page[pointers + 2 * count : cells or 65536]
        for _ in range(size // 4):
            if not freeblock:
                break
            following, length = struct.unpack_from(">HH", page, freeblock)
            yield start + freeblock + 4, page[freeblock + 4 : freeblock + length]
            freeblock = following
        if kind == _INTERIOR:
            places = struct.unpack_from(f">{min(count, size // 2)}H", page, pointers)
            waiting += [struct.unpack_from(">I", page, place)[0] for place in places]
            waiting.append(last)
