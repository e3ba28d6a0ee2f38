"""Who may put files into a folder is said as the file system has it."""

from __future__ import annotations

import grp
import os
from pathlib import Path

from mgate.intake.drops.access import writers
from mgate.intake.drops.folder import Folder


def test_it_names_the_group_and_the_first_folder_on_the_way_that_is_shut(tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    way = [each for each in tmp_path.parents if not each.stat().st_mode & 0o001]
    drop = tmp_path / "a" / "payroll"
    drop.parent.mkdir(mode=0o755)
    folder = Folder(drop)
    folder.open()
    group = grp.getgrgid(os.getegid()).gr_name
    said = f"members of {group} (in is 2770)"
    assert writers(drop).startswith(said)
    drop.parent.chmod(0o700)
    shut = way[-1] if way else drop.parent
    assert writers(drop) == f"{said}, but {shut} keeps them out"
    folder.close()


def test_of_a_folder_that_is_not_there_nothing_is_said(tmp_path: Path) -> None:
    assert writers(tmp_path / "none") == ""


def test_a_folder_that_is_made_lets_its_group_in_whatever_the_mask_is(tmp_path: Path) -> None:
    drop = tmp_path / "payroll"
    mask = os.umask(0o077)
    try:
        folder = Folder(drop)
        folder.open()
        folder.close()
    finally:
        os.umask(mask)
    assert [(drop / place).stat().st_mode & 0o7777 for place in ("", "in", "done")] == [0o750, 0o2770, 0o2750]
