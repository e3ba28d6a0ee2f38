"""A real file of 1,000 rows through an SMSC that nobody here wrote: the npm package `smpp` as the operator.

Row by row, what node decoded must be what the file said.
"""

from __future__ import annotations

import csv
import json
import shutil
import subprocess
from collections import Counter, defaultdict
from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import Any, NamedTuple

import pytest

from mgate.model.message import CLASS_BY_WORD
from mgate.policy.classes import RULES
from tests.integration.instance import PASSWORD, House, until
from tests.peers.node import PEERS

ROWS = 1000
SENDERS = {"ExampleBank": [5, 0], "Bank 1": [5, 0], "1234": [3, 0], "375291110099": [1, 1]}
GSM = "Example Bank: @£$¥èéùìòØøÅåΔΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./:;<=>?¡ÄÖÑÜ§¿äöñüà_ {code} [482913] ~ ^ | \\ 10 € "
CYRILLIC = "Банк Пример: код подтверждения, никому его не сообщайте. "
BEYOND = "Спасибо 🎂🏦👩‍👩‍👧 за покупку, 例の銀行 "
BAD_NUMBERS = {
    "ask Anna": "is not a phone number",
    "3.75291E+11": "a spreadsheet has rounded this number",
    "": "is empty",
    "+37529111": "(number_not_possible)",
    "+9991110001": "(number_not_possible)",
    "12345678901234567": "(number_not_possible)",
    "0291110": "(number_not_possible)",
    "+375 29 111 00 0O": "(not_a_number)",
}


class Node(NamedTuple):
    """The operator: its process, and every submit that it decoded."""

    port: int
    words: Path

    def lines(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.words.read_text().splitlines(keepends=True) if line.endswith("\n")]

    def submits(self) -> list[dict[str, Any]]:
        return [line for line in self.lines() if "to" in line]

    def acknowledged(self) -> Counter[int]:
        return Counter(line["acknowledged"] for line in self.lines() if "acknowledged" in line)


@pytest.fixture
def node(house: House) -> Iterator[Node]:
    program = shutil.which("node")
    assert program, "node is missing: install it (Debian: apt-get install nodejs npm), or run tools/check, which does"
    words = house.folder / "node.log"
    with words.open("wb") as file:
        process = subprocess.Popen([program, str(PEERS / "smsc.js"), "mgate", PASSWORD], stdout=file, stderr=file)
    try:
        until(lambda: words.read_bytes().endswith(b"\n") or process.poll() is not None, "node listens")
        yield Node(json.loads(words.read_text().splitlines()[0])["port"], words)
    finally:
        process.kill()
        process.wait()


class Row(NamedTuple):
    """One row of the file, and what must come of it: the E.164 digits, or the reason of a refusal."""

    cells: dict[str, str]
    digits: str
    state: str
    reason: str = ""


def ugly(random: Random, number: str) -> str:
    """A Belarusian number as people write it."""
    area, a, b, c = number[3:5], number[5:8], number[8:10], number[10:]
    ways = (
        f"+{number}", f"00{number}", f"+375 {area} {a} {b} {c}", f"+375({area}){a}-{b}-{c}", f"80{area}{a}{b}{c}",
        f"8 (0{area}) {a}-{b}-{c}", f" +375.{area}.{a}/{b}/{c} ", f"\u202a+{number}\u202c", f"{number}",
        f"+375\u00a0{area}\u202f{a}\u2011{b}\u2013{c}", f"+375 (0) {area} {a} {b} {c}", f"{area}{a}{b}{c}",
        "+" + "".join(chr(ord("٠") + int(digit)) for digit in number),
    )  # fmt: skip
    return random.choice(ways)


def make_rows() -> list[Row]:
    random = Random(482913)
    rows: list[Row] = []
    for n in range(ROWS):
        alphabet = random.choice((GSM, GSM, CYRILLIC, BEYOND))
        length = random.choice((20, 60, 140, 153, 160, 161, 307, 700))
        text = f"#{n} " + (alphabet * 10)[random.randrange(40) :][:length].strip()
        sender = random.choice(list(SENDERS))
        traffic = random.choice(list(CLASS_BY_WORD))
        number = f"37529111{n % 100:02d}{random.randrange(100):02d}"
        cells = {"phone": ugly(random, number), "message": text, "class": traffic, "from": sender}
        state = "undelivered" if number.endswith(("66", "77")) else "delivered"
        if random.random() < 0.06:
            cells["phone"], reason = random.choice(list(BAD_NUMBERS.items()))
            rows.append(Row(cells, "", "refused", reason))
        elif random.random() < 0.02:
            rows.append(Row(cells | {"class": "urgent"}, "", "refused", "is none of otp, fraud"))
        else:
            rows.append(Row(cells, number, state))
    return rows


def write(path: Path, rows: list[Row]) -> None:
    with path.open("w", encoding="utf-8-sig", newline="") as file:
        writer = csv.DictWriter(file, ["phone", "message", "class", "from"], delimiter=";")
        writer.writeheader()
        writer.writerows(row.cells for row in rows)


def push(house: House, file: Path, result: Path) -> dict[str, Any]:
    done = house.mgatectl(
        "--json", "push", str(file), "--wait", "--wait-limit", "60s", "--result", str(result), limit=90.0
    )
    assert done.returncode == 1, done.stderr  # some rows are bad
    told: dict[str, Any] = json.loads(done.stdout)
    return told


def results(path: Path) -> dict[int, dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return {int(line["row"]): line for line in csv.DictReader(file)}


def whole(submits: list[dict[str, Any]]) -> dict[str, list[dict[str, Any]]]:
    """The submits of each message by its text's mark (`#n`), parts in order."""
    parts: dict[tuple[str, str], dict[int, dict[str, Any]]] = defaultdict(dict)
    found: dict[str, list[dict[str, Any]]] = {}
    for submit in submits:
        if not submit["udh"]:
            assert submit["text"].split()[0] not in found, "it came twice"
            found[submit["text"].split()[0]] = [submit]
            continue
        (header,) = submit["udh"]
        assert header.startswith("0804"), "a concatenation header with a 16-bit reference"
        reference, total, number = header[4:8], int(header[8:10], 16), int(header[10:], 16)
        of = parts[submit["to"], reference]
        assert number not in of, "a part came twice"
        of[number] = submit
        if len(of) == total:
            ordered = [of[part] for part in range(1, total + 1)]
            found[ordered[0]["text"].split()[0]] = ordered
            del parts[submit["to"], reference]
    assert all(next(iter(left.values()))["refused"] for left in parts.values()), "parts are missing"
    return found


def test_a_file_of_a_thousand_ugly_rows_goes_through_a_foreign_smsc_to_its_end(house: House, node: Node) -> None:
    house.operator.port = node.port
    house.make(binds=2, window=20)
    text = house.config.read_text().replace("[push.clients.local]", '[push.clients.local]\ndefault_country = "BY"')
    house.config.write_text(text)
    house.start()
    house.wait_bound()
    rows = make_rows()
    file, result = house.folder / "rows.csv", house.folder / "result.csv"
    write(file, rows)

    told = push(house, file, result)
    bad = [row for row in rows if row.state == "refused"]
    assert 30 < len(bad) < 150
    assert (told["rows"], told["accepted"], told["refused"]) == (ROWS, ROWS - len(bad), len(bad))
    assert told["open"] == 0

    _each_row_ended_as_it_must(rows, results(result), told)
    _each_row_was_decoded_as_it_was_pushed(rows, node)

    # The same file again: every row is recognised, and nothing is sent.
    before = len(node.submits())
    again = push(house, file, result)
    assert (again["accepted"], again["duplicate"], again["refused"]) == (0, ROWS - len(bad), len(bad))
    _each_row_ended_as_it_must(rows, results(result), again)
    assert len(node.submits()) == before
    assert set(node.acknowledged()) == {0}
    house.stop()


def _each_row_ended_as_it_must(rows: list[Row], found: dict[int, dict[str, str]], told: dict[str, Any]) -> None:
    assert len(found) == ROWS
    wrong = {bad["row"]: bad for bad in told["bad"]}
    for number, row in enumerate(rows, 2):
        line = found[number]
        assert line["state"] == row.state, (number, row, line)
        assert (number in wrong) is (row.state == "refused")
        if row.state == "refused":
            assert row.reason in line["reason"], (row, line)
            assert wrong[number]["reason"] == line["reason"]
        assert row.cells["phone"].strip() not in line["to"] or not row.digits


def _each_row_was_decoded_as_it_was_pushed(rows: list[Row], node: Node) -> None:
    messages = whole(node.submits())
    for n, row in enumerate(rows):
        parts = messages.get(f"#{n}", [])
        if row.state == "refused":
            assert not parts
            continue
        if row.digits.endswith("66"):
            continue  # refused by its number; of a long one not every part need have left
        assert "".join(part["text"] for part in parts) == row.cells["message"].strip(), (n, row)
        life = RULES[CLASS_BY_WORD[row.cells["class"]]].life
        for part in parts:
            assert part["to"] == row.digits
            assert part["from"] == row.cells["from"]
            assert part["ton"] == [*SENDERS[row.cells["from"]], 1, 1]
            assert part["registered"] == 1
            assert life - 60 <= part["validity"] <= life + 1
    assert sum(len(parts) for parts in messages.values()) > ROWS
