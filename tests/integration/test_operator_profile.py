"""An operator's habits, by its profile, on a running daemon: what is learnt, and what a changed profile changes."""

from __future__ import annotations

import json

from tests.integration.instance import House, until
from tests.integration.test_reload import binds_made, hup

PROFILE = """
[text]
concatenation = "udh8"
[submit]
validity = "absolute"
reference = false
"""


def found_out(house: House) -> dict[str, object]:
    run = house.mgatectl("operator", "show", "op-a", "--json")
    assert run.returncode == 0, run.stderr
    found = json.loads(run.stdout)["found_out"]
    assert isinstance(found, dict)
    return found


def test_ids_that_pair_as_hexadecimal_and_decimal_are_learnt_while_messages_are_delivered(house: House) -> None:
    house.begin('[ids]\nresponse = "hex"\nreceipt = "padded"\n[receipts]\ndelay = 0.05\n', window=5)
    for n in range(60):
        house.wait_state(house.pushed(f"m{n}"), "delivered")
        if n % 20 == 19 and found_out(house)["pairing"]:
            break
    assert (found_out(house)["ids"], found_out(house)["pairing"]) == ("learnt", "hex then decimal")
    house.wait_state(house.pushed("afterwards"), "delivered")
    assert found_out(house)["unread"] == 0


def test_a_changed_profile_is_taken_up_by_a_reload_and_every_part_follows_it(house: House) -> None:
    house.begin(window=5)
    house.wait_state(house.pushed("before"), "delivered")
    (house.path / "op.toml").write_text("")
    house.config.write_text(house.config.read_text().replace("[sms.op-a]", '[sms.op-a]\nprofile = "op.toml"'))
    hup(house)
    (house.path / "op.toml").write_text(PROFILE)
    hup(house)
    until(lambda: binds_made(house) > 1 and house.binds()[0]["state"] == "bound", "it signs on anew")
    house.wait_state(house.pushed("after", text="x" * 200), "delivered")
    before, *after = house.operator.submits()
    assert (before.validity[-1], before.umr >= 0) == ("R", True)
    assert {(each.validity[-1], each.umr, each.parts, each.esm_class) for each in after} == {("+", -1, 2, 0x40)}


def test_a_mistake_in_the_profile_leaves_the_old_one_in_force(house: House) -> None:
    house.begin()
    house.config.write_text(house.config.read_text().replace("[sms.op-a]", '[sms.op-a]\nprofile = "op.toml"'))
    (house.path / "op.toml").write_text("[text]\nalphabt = 1\n")
    hup(house)
    assert "op.toml: [text] alphabt: is not a setting" in json.dumps(house.events("config_refused"))
    house.wait_state(house.pushed("m1"), "delivered")


def test_a_long_text_is_delivered_though_the_operator_tells_of_its_first_part_only(house: House) -> None:
    house.make(window=5)
    (house.path / "op.toml").write_text('[receipts]\nper_part = "first"\nper_part_wait = "1s"\n')
    house.config.write_text(house.config.read_text().replace("[sms.op-a]", '[sms.op-a]\nprofile = "op.toml"'))
    house.operator.start('[receipts]\ndelay = 0.05\nparts = "first"\n')
    house.start()
    house.wait_bound()
    shown = house.wait_state(house.pushed("long", text="x" * 400), "delivered")
    reasons = {attempt["part"]: attempt.get("reason", "") for attempt in shown["attempts"]}
    assert [("partial: told of part 1 of 3 only" in reasons[part]) for part in (1, 2, 3)] == [False, True, True]
