"""Writing a file back, page by page: a page is rendered on the reactor and written on the thread."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator

from mgate.intake.drops.folder import Folder
from mgate.intake.drops.hands import Hands


async def write_back(hands: Hands, folder: Folder, file: str, place: str, pages: AsyncIterator[bytes]) -> None:
    """Write a file and put it in its place, whole and durable, or not at all. Raises OSError."""
    made = await hands.away(folder.create, file)
    try:
        async for page in pages:
            await hands.away(_write, made, page)
    except BaseException:
        os.close(made)
        raise
    await hands.away(folder.publish, made, file, place)


def _write(file: int, octets: bytes) -> None:
    rest = memoryview(octets)
    while rest:
        rest = rest[os.write(file, rest) :]
