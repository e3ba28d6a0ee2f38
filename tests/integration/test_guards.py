"""The guards in the whole house: refusals, their counts after a stop, repeats, and mgatectl send."""

from __future__ import annotations

from tests.integration.instance import House

NUMBER, OTHER, DUTY = "+375291110001", "+375291110002", "+375291110007"
GUARDS = f"""
[guards]
duty_numbers = ["{DUTY}"]
[guards.transaction]
different = 3
identical = 2
"""


def push(house: House, ref: str, text: str = "", to: str = NUMBER) -> str:
    answer = house.push(ref, "transaction", to=to, text=text or f"Payment {ref}")
    return str(answer.body.get("error") or ("known" if answer.body.get("duplicate") else answer.body["state"]))


def test_a_flood_is_held_back_after_a_restart_too_and_repeats_are_known(house: House) -> None:
    house.begin(guards=GUARDS)
    assert [push(house, f"r{n}") for n in range(5)] == ["accepted"] * 3 + ["flood"] * 2
    assert push(house, "card", "Card 4111 1111 1111 1111") == "pan_in_text"
    assert push(house, "r1") == "known"
    house.stop()
    house.start()
    assert push(house, "r9") == "flood"
    assert push(house, "r2") == "known"
    assert push(house, "r9", to=OTHER) == "accepted"
    assert {line["reason"] for line in house.events("guard_refused")} == {"flood", "pan_in_text"}


def test_mgatectl_sends_to_duty_numbers_only_and_tells_what_was_refused(house: House) -> None:
    house.begin(guards=GUARDS)
    sent = house.mgatectl("send", "--to", DUTY, "--text", "Test", "--sender", "EXBANK")
    refused = house.mgatectl("send", "--to", NUMBER, "--text", "Test", "--sender", "EXBANK")
    assert sent.returncode == 0, sent.stderr
    assert refused.returncode == 1
    assert "duty_numbers" in refused.stderr
    assert push(house, "evil", "see https://evil.example") == "link_not_allowed"
    told = house.mgatectl("guard", "list", "--number", NUMBER, "--json")
    assert '"link_not_allowed"' in told.stdout
    assert "29111000" not in told.stdout
    assert '"refused": []' in house.mgatectl("guard", "list", "--number", OTHER, "--json").stdout
    assert house.mgatectl("guard", "release", "+3752911").returncode == 1


def test_mgatectl_shows_what_a_text_will_be(house: House) -> None:
    house.begin(guards='[texts]\nservice = "ru"\n')
    told = house.mgatectl("text", "preview", "Ваш счет пополнен на 12,50. Остаток 1250,00. Банк Пример. Спасибо!!")
    assert told.returncode == 0, told.stderr
    assert "1 part in UCS-2, 67 characters, room for 3 more" in told.stdout
    assert "Vash schet popolnen" in told.stdout
    assert "cyrillic capital letter ve" in told.stdout
    assert house.mgatectl("text", "preview", "Card 4111 1111 1111 1111").returncode == 1
