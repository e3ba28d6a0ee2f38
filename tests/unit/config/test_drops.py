"""[drops.NAME]: what a folder's settings may be, and what no setting shows by itself."""

from pathlib import Path

import pytest

from mgate.config import ConfigError, read
from mgate.config.drops import FIELDS
from mgate.intake import request

LINE = """
[sms.op-a]
host = "smsc.example"
port = 2775
system_id = "examplebank"
password_file = "keys/op-a.password"
plain_tcp = "IPsec tunnel"
"""


def config(tmp_path: Path, section: str) -> Path:
    file = tmp_path / "mgate.toml"
    file.write_text(LINE + section)
    return file


def test_a_folder_needs_its_place_and_nothing_else(tmp_path: Path) -> None:
    (drop,) = read(config(tmp_path, '[drops.payroll]\nfolder = "drops/payroll"\n')).drops
    assert drop.name == "payroll"
    assert drop.folder == tmp_path / "drops" / "payroll"
    assert (drop.on_error, drop.most_rows, drop.keep) == ("file", 1_000_000, 30 * 86_400.0)


def test_columns_name_the_fields_of_the_push_api(tmp_path: Path) -> None:
    assert FIELDS == request.FIELDS
    lines = 'folder = "d"\ncolumns = ["to=PHONE", "text=Message body"]\n'
    (drop,) = read(config(tmp_path, f"[drops.payroll]\n{lines}")).drops
    assert drop.columns == (("to", "PHONE"), ("text", "Message body"))


@pytest.mark.parametrize(
    ("lines", "place"),
    [
        ("", "folder"),
        ('folder = "d"\ncolumns = ["phone=to"]', "columns"),
        ('folder = "d"\ncolumns = ["to=A", "to=B"]', "columns"),
        ('folder = "d"\ncolumns = ["to=A", "text=A"]', "columns"),
        ('folder = "d"\ncolumns = "to=A"', "columns"),
        ('folder = "d"\ntime_zone = "Mars/North"', "time_zone"),
        ('folder = "d"\ntime_zone = "../../etc/passwd"', "time_zone"),
        ('folder = "d"\nencoding = "koi8-r"', "encoding"),
        ('folder = "d"\nmost_rows = 0', "most_rows"),
        ('folder = "d"\nclasses = ["otp"]\ndefault_class = "service"', "default_class"),
        ('folder = "d"\nsenders = ["BANK"]\ndefault_sender = "OTHER"', "default_sender"),
    ],
)
def test_a_mistake_is_told_with_its_place(tmp_path: Path, lines: str, place: str) -> None:
    with pytest.raises(ConfigError) as caught:
        read(config(tmp_path, f"[drops.payroll]\n{lines}\n"))
    assert [(each.section, each.key) for each in caught.value.mistakes] == [("drops.payroll", place)]


def test_two_folders_are_not_one_in_the_other_and_a_name_is_one_client(tmp_path: Path) -> None:
    sections = '[drops.a]\nfolder = "d"\n[drops.b]\nfolder = "d/in"\n[drops.local]\nfolder = "e"\n'
    with pytest.raises(ConfigError) as caught:
        read(config(tmp_path, sections))
    assert [(each.section, each.key) for each in caught.value.mistakes] == [("drops.b", "folder"), ("drops.local", "")]
