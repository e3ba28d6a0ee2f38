"""Who may put files into a folder, as its operator must be told: the group, and whether the way there is open to it."""

from __future__ import annotations

import grp
import os
import stat
from pathlib import Path


def writers(path: Path) -> str:
    """Who may write into ``in`` and read the answers, in a sentence; empty where the folder is not there.

    Args:
        path: of the drop, absolute.
    """
    try:
        inbox = (path / "in").stat()
        shut = [each for each in (path, *path.parents) if not _lets_through(each.stat(), inbox.st_gid)]
    except OSError:
        return ""
    group = _name(inbox.st_gid)
    said = f"members of {group} (in is {stat.S_IMODE(inbox.st_mode):o})"
    return f"{said}, but {shut[-1]} keeps them out" if shut else said


def _lets_through(status: os.stat_result, group: int) -> bool:
    """Whether a member of the group, who is nobody else here, may pass through a folder."""
    return bool(status.st_mode & (stat.S_IXGRP if status.st_gid == group else stat.S_IXOTH))


def _name(group: int) -> str:
    try:
        return grp.getgrgid(group).gr_name
    except KeyError:
        return f"group {group}"
