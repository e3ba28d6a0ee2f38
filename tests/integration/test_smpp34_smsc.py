"""Messages through an SMSC in Rust that nobody here wrote, its texts decoded by a third party's table."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from typing import Any

from mgate.peers.fingerprint import Fingerprint
from mgate.peers.traffic import Maker, Mix
from tests.integration.instance import ROOT, House, Process, batch, until

MESSAGES = 300
MIX = Mix(parts={1: 0.5, 2: 0.3, 3: 0.2})


def test_every_text_is_decoded_as_it_was_pushed_and_every_receipt_is_matched(house: House) -> None:
    port = house.operator.port
    smsc = Process([str(ROOT / "tests" / "peers" / "smsc34.py"), str(port)], house.folder / "smsc34.log")
    house.others.append(smsc)
    until(lambda: "listening" in smsc.said() or not smsc.alive, "the SMSC listens")
    house.make(binds=2, window=20)
    house.start()
    house.wait_bound()
    maker = Maker(34, MIX, Fingerprint())
    messages = [json.loads(maker.make().line) for _ in range(MESSAGES)]
    endings = {0: "66", 1: "77"}
    for n, message in enumerate(messages):
        message["to"] = message["to"][:-2] + endings.get(n % 20, message["to"][-2:])
    ids = {line["ref"]: line["id"] for line in batch(house.push_socket, messages)}

    states = Counter[str]()
    for message in messages:
        word = {"66": "undelivered", "77": "undelivered"}.get(message["to"][-2:], "delivered")
        assert house.wait_state(ids[message["ref"]], "delivered", "undelivered")["state"] == word
        states[word] += 1
    assert states["undelivered"] >= MESSAGES // 10
    assert _texts(smsc.said()) == Counter(
        (message["to"][1:], message["text"]) for message in messages if not message["to"].endswith("66")
    )
    house.stop()


def _texts(said: str) -> Counter[tuple[str, str]]:
    """Each message that was taken, whole: its number and its text, joined from the parts in their order."""
    lines: list[dict[str, Any]] = [json.loads(line) for line in said.splitlines()]
    assert {line["acknowledged"] for line in lines if "acknowledged" in line} == {0}
    whole = Counter[tuple[str, str]]()
    parts: dict[tuple[str, str], dict[int, str]] = defaultdict(dict)
    for line in lines:
        if "text" not in line or line["refused"]:
            continue
        if not line["udh"]:
            whole[line["to"], line["text"]] += 1
            continue
        header = bytes.fromhex(line["udh"])
        assert header[:3] == b"\x06\x08\x04", "a concatenation header with a 16-bit reference"
        of = parts[line["to"], header[3:5].hex()]
        assert header[6] not in of, "a part came twice"
        of[header[6]] = line["text"]
        if len(of) == header[5]:
            whole[line["to"], "".join(of[n] for n in sorted(of))] += 1
            of.clear()
    assert not any(parts.values()), "parts are missing"
    return whole
