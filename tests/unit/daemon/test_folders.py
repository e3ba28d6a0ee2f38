"""What a start makes of the disk before anything else."""

from __future__ import annotations

from pathlib import Path

import msgspec

from mgate.config import Config, read
from mgate.daemon.life import make_folders

SHIPPED = Path(__file__).parents[3] / "etc" / "mgate.toml"


def _at(folder: Path) -> Config:
    config = read(SHIPPED)
    spool = msgspec.structs.replace(config.spool, path=folder / "new" / "spool.db", history=folder / "far" / "history")
    return msgspec.structs.replace(config, spool=spool)


def test_a_new_spool_gets_its_folders_for_mgate_alone(tmp_path: Path) -> None:
    make_folders(_at(tmp_path))
    for name in ("new", "far/history"):
        assert (tmp_path / name).stat().st_mode & 0o777 == 0o700
    make_folders(_at(tmp_path))


def test_a_history_that_is_gone_from_beside_its_spool_is_not_made_anew(tmp_path: Path) -> None:
    config = _at(tmp_path)
    config.spool.path.parent.mkdir()
    config.spool.path.touch()
    make_folders(config)
    assert not config.spool.history.exists()
