"""The rules, the dashboard and the page of alarms speak of metrics that there are, and of every alarm that there is."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from functools import cache
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from mgate.intake.codes import Code
from mgate.telemetry import OUTCOMES, RECEIPTS, Alarm, Telemetry

ROOT = Path(__file__).parents[3]
RULES = ROOT / "etc" / "prometheus" / "rules.yml"
DASHBOARD = ROOT / "etc" / "grafana" / "mgate.json"
PAGE = ROOT / "docs" / "alarms.md"
PLAYED = Path(__file__).parent / "rules_test.yml"

NAME = re.compile(r"\b(?:mgate|process)_[a-z_]+\b")
LABEL = re.compile(r'\b([a-z]+)=~?"([^"$]+)"')
RULE = re.compile(
    r"      - alert: (?P<name>\w+)\n        expr: '(?P<expr>[^'\n]+)'\n(?:        for: \w+\n)?"
    r"        labels: \{severity: (?P<severity>\w+)\}\n        annotations:\n"
    r'          summary: "(?P<summary>[^"\n]+)"\n          runbook: "(?P<runbook>[^"\n]+)"\n'
)


@cache
def telemetry_samples() -> dict[str, dict[str, set[str]]]:
    """Every sample of a daemon that has one of everything: its name, and the values of each label."""
    telemetry = Telemetry("0.1.0", {"sms:op-a": 1}, [code.word for code in Code])
    telemetry.feeds_of("core")
    telemetry.source_of("core").behind(1, 1.0, 0.0)
    telemetry.drop_of("batch")
    telemetry.outward_of("webhook", "crm")
    telemetry.reckoning_of("core")
    telemetry.tls.days_left("core", "ours")
    found: dict[str, dict[str, set[str]]] = {}
    for family in text_string_to_metric_families(telemetry.render().decode()):
        for sample in family.samples:
            labels = found.setdefault(sample.name, {})
            for label, value in sample.labels.items():
                labels.setdefault(label, set()).add(value)
    return found


def rules() -> list[re.Match[str]]:
    return list(RULE.finditer(RULES.read_text()))


def expressions() -> list[str]:
    """What is asked of Prometheus, by the rules and by the dashboard."""
    panels = json.loads(DASHBOARD.read_text())["panels"]
    return [rule["expr"] for rule in rules()] + [
        target["expr"] for panel in panels for target in panel.get("targets", ())
    ]


def test_every_rule_of_the_file_is_read_here() -> None:
    assert len(rules()) == RULES.read_text().count("alert: ") > len(Alarm)
    names = [rule["name"] for rule in rules()]
    assert len(names) == len(set(names))
    assert {rule["severity"] for rule in rules()} == {"page", "ticket"}


def test_every_metric_that_rules_and_dashboard_ask_for_exists() -> None:
    asked = {name for each in expressions() for name in NAME.findall(each)}
    assert len(asked) > 30
    assert asked - telemetry_samples().keys() == set()


def test_the_dashboards_variables_ask_for_metrics_that_exist() -> None:
    queries = [each["query"] for each in json.loads(DASHBOARD.read_text())["templating"]["list"]]
    assert {name for query in queries for name in NAME.findall(query)} <= telemetry_samples().keys()


def test_a_label_is_asked_for_a_value_that_it_can_have() -> None:
    closed: dict[str, set[str]] = {
        "alarm": {alarm.value for alarm in Alarm}, "outcome": set(OUTCOMES), "result": set(RECEIPTS),
        "code": {code.word for code in Code}, "lane": telemetry_samples()["mgate_waiting"]["lane"],
        "state": telemetry_samples()["mgate_messages_ended_total"]["state"],
    }  # fmt: skip
    asked = [
        (label, word) for each in expressions() for label, value in LABEL.findall(each) for word in value.split("|")
    ]
    assert {label for label, _ in asked} <= closed.keys()
    assert [(label, word) for label, word in asked if word not in closed[label]] == []


def test_what_is_kept_when_series_are_joined_is_a_label_that_they_have() -> None:
    for each in expressions():
        for labels, inner in re.findall(r"by \(([a-z, ]+)\) \(?(?:\w+\()*(mgate_[a-z_]+)", each):
            of_scrape = {"instance", "job", "le"}
            assert set(labels.split(", ")) - of_scrape <= telemetry_samples()[inner].keys(), each


def test_every_alarm_of_telemetry_has_a_rule() -> None:
    ruled = {word for rule in rules() for word in re.findall(r'^mgate_alarm\{alarm="(\w+)"\} == 1$', rule["expr"])}
    assert {alarm.value for alarm in Alarm} - ruled == set()


def test_every_rule_has_its_paragraph_and_every_paragraph_its_rule() -> None:
    page = PAGE.read_text()
    paragraphs = re.findall(r"^### (\w+)\n\n(.+?)\n\n\*\*Do:\*\* (.+?)\n(?:\n|\Z)", page, re.MULTILINE | re.DOTALL)
    assert [name for name, _, _ in paragraphs] == [rule["name"] for rule in rules()]
    for (name, what, todo), rule in zip(paragraphs, rules(), strict=True):
        assert rule["runbook"] == f"docs/alarms.md#{name.lower()}"
        assert rule["summary"] in " ".join(what.split())
        assert rule["severity"] in what.partition(".")[0].lower()
        assert len(todo) > 5
    for alarm in Alarm:
        assert f"`{alarm.value}`" in page


def test_the_night_table_of_the_operators_page_names_every_alarm() -> None:
    table = (ROOT / "docs" / "operations.md").read_text().partition("## At three in the morning")[2]
    assert [alarm.value for alarm in Alarm if f"`{alarm.value}`" not in table] == []


def test_every_panel_has_a_place_of_its_own_and_says_its_unit() -> None:
    panels = json.loads(DASHBOARD.read_text())["panels"]
    taken: set[tuple[int, int]] = set()
    for panel in panels:
        place = panel["gridPos"]
        cells = {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }
        assert not cells & taken
        assert place["x"] + place["w"] <= 24
        taken |= cells
        if panel["type"] != "row":
            assert panel["fieldConfig"]["defaults"]["unit"]
            assert panel["targets"]
    assert len({panel["id"] for panel in panels}) == len(panels)


@pytest.mark.skipif(shutil.which("promtool") is None, reason="promtool (Debian package prometheus) is not installed")
@pytest.mark.parametrize("command", [("check", "rules", str(RULES)), ("test", "rules", str(PLAYED))])
def test_prometheus_own_tool_takes_the_rules_and_plays_them(command: tuple[str, ...]) -> None:
    done = subprocess.run(["promtool", *command], capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.skipif(shutil.which("promtool") is None, reason="promtool (Debian package prometheus) is not installed")
def test_prometheus_own_tool_can_read_every_question_of_the_dashboard(tmp_path: Path) -> None:
    asked = [
        target["expr"] for panel in json.loads(DASHBOARD.read_text())["panels"] for target in panel.get("targets", ())
    ]
    lines = [f"      - {{record: 'x:{place}', expr: '{_filled(each)}'}}" for place, each in enumerate(asked)]
    file = tmp_path / "dashboard.yml"
    file.write_text("\n".join(["groups:", "  - name: dashboard", "    rules:", *lines]) + "\n")
    done = subprocess.run(["promtool", "check", "rules", str(file)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def _filled(expression: str) -> str:
    """As Grafana would ask it."""
    return (
        expression.replace("$__rate_interval", "5m")
        .replace("$instance", ".*")
        .replace("$route", ".*")
        .replace("$job", ".*")
    )
