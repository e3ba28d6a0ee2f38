"""docs/push-api.md says what the code says."""

from __future__ import annotations

import json
import re
from pathlib import Path

from mgate.intake.codes import Code
from mgate.intake.request import FIELDS, LONGEST_LIFE
from mgate.model.message import State
from mgate.policy.classes import RULES
from mgate.policy.segments import count

DOC = Path("docs/push-api.md").read_text("utf-8")


def test_the_table_of_codes_is_the_list_of_codes() -> None:
    rows = re.findall(r"^\| `(\w+)` \| (\d+) \| (.*) \|$", DOC, re.MULTILINE)
    assert rows == [(code.word, str(code.status), code.sentence) for code in Code]


def test_every_field_is_described_in_the_order_in_which_faults_are_told() -> None:
    table = DOC[DOC.index("## A message") : DOC.index("Moments are")]
    assert tuple(re.findall(r"^\| `(\w+)` \|", table, re.MULTILINE)) == FIELDS
    assert f"{LONGEST_LIFE:,}" in table


def test_every_class_is_described_with_its_life() -> None:
    seconds = {"180 s": 180.0, "15 min": 900.0, "12 h": 43_200.0, "24 h": 86_400.0}
    rows = re.findall(r"^\| `(\w+)` \| (\d+ \w+) \|", DOC, re.MULTILINE)
    assert {word: seconds[life] for word, life in rows} == {traffic.word: row.life for traffic, row in RULES.items()}


def test_every_state_is_described() -> None:
    table = DOC[DOC.index("| state |") : DOC.index("`DELETE /v1/messages/{id}` answers")]
    assert re.findall(r"^\| `(\w+)` \|", table, re.MULTILINE) == ["waiting", *[state.word for state in State]]


def test_the_longest_texts_are_as_long_as_it_says() -> None:
    assert (count("x" * 38_760), count("x" * 38_761)) == (255, 256)
    assert (count("Ж" * 16_830), count("Ж" * 16_831)) == (255, 256)


def test_every_example_of_json_is_json() -> None:
    blocks = re.findall(r"```json\n(.*?)```", DOC, re.DOTALL)
    assert blocks
    for line in "".join(blocks).splitlines():
        json.loads(line)
