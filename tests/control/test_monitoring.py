"""docs/alerts.yaml and docs/grafana-dashboard.json, held against the metrics there are, and by Prometheus' tool."""

import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import promql_parser
import pytest
import yaml

from strangler.control.exposition import ExposedMetrics, expose
from strangler.core.compare import Outcome
from strangler.core.ledger.states import State
from strangler.core.rollout.machine import RolloutState
from strangler.core.routing.arm import Arm
from strangler.ipc.metrics import FAMILIES
from tests.needs import require

DOCS = Path(__file__).parents[2] / "docs"
ALERTS = {
    rule["alert"]: rule
    for group in yaml.safe_load((DOCS / "alerts.yaml").read_text())["groups"]
    for rule in group["rules"]
}
DASHBOARD = json.loads((DOCS / "grafana-dashboard.json").read_text())
OWN = {
    "strangler_config_last_reload_successful", "strangler_config_generation", "strangler_workers",
    "strangler_kill_switch", "strangler_store_working", "strangler_store_log_bytes",
    "strangler_legacy_reachable", "strangler_store_up", "strangler_leader", "strangler_nodes",
}  # fmt: skip
TARGETS = {"instance", "job"}
"""Labels that Prometheus adds."""

VALUES = {
    "arm": {arm.value for arm in Arm} | {""},  # neither was asked: `retire` has refused the request
    "state": {state.value for state in (*State, *RolloutState)},
    "outcome": {outcome.value for outcome in Outcome},
    "code_class": {"2xx", "3xx", "4xx", "5xx", "gone"},
}


def samples() -> dict[str, set[str]]:
    """Every name of a sample that can be scraped, with its labels."""
    known = dict.fromkeys(OWN, TARGETS)
    for family in FAMILIES.values():
        ends = ("_bucket", "_sum", "_count") if family.kind == "histogram" else ("",)
        for end in ends:
            known[family.name + end] = {*family.labels, *TARGETS} | ({"le"} if end == "_bucket" else set())
    return known


def expressions() -> dict[str, str]:
    """Return the expressions of all rules and panels, variables of Grafana filled in."""
    found = {name: rule["expr"] for name, rule in ALERTS.items()}
    for panel in DASHBOARD["panels"]:
        for target in panel["targets"]:
            found[f"{panel['title']} {target['refId']}"] = target["expr"].replace("$__rate_interval", "5m")
    for note in DASHBOARD["annotations"]["list"]:
        found[note["name"]] = note["expr"]
    return found


EXPRESSIONS = expressions()


def selectors(text: str) -> Iterator[tuple[str, list[tuple[str, str]]]]:
    """Name and matchers of each selector."""
    found: list[promql_parser.Expr] = []
    promql_parser.walk(promql_parser.parse(text), lambda node: found.append(node))
    for expr in found:
        if isinstance(expr, promql_parser.VectorSelector):
            yield expr.name or "", [(matcher.name, matcher.value) for matcher in expr.matchers.matchers]


def grouped(text: str) -> set[str]:
    """The labels that it sums by."""
    return {label.strip() for labels in re.findall(r"\bby \(([^)]*)\)", text) for label in labels.split(",")}


def test_controls_own_metrics_are_those_that_are_exposed() -> None:
    text, _ = expose(ExposedMetrics({}, {}, dict.fromkeys(OWN, 1.0)), "")
    families = set(re.findall(r"^# TYPE (\w+)", text.decode(), re.MULTILINE))
    assert families >= OWN
    assert families - OWN == set(FAMILIES)


@pytest.mark.parametrize("name", EXPRESSIONS)
def test_every_metric_label_and_value_exists(name: str) -> None:
    known, labels = samples(), set()
    found = list(selectors(EXPRESSIONS[name]))
    assert found
    for metric, matchers in found:
        assert metric in known
        labels |= known[metric]
        for label, value in matchers:
            assert label in known[metric], f"{metric} has no label {label}"
            if label in VALUES:
                assert set(value.split("|")) <= VALUES[label]
    assert grouped(EXPRESSIONS[name]) <= labels


def test_a_name_that_does_not_exist_would_be_found() -> None:
    assert list(selectors('rate(strangler_typo_total{arm="legacy"}[5m]) > 1')) == [
        ("strangler_typo_total", [("arm", "legacy")])
    ]
    assert "strangler_typo_total" not in samples()


def test_variables_of_the_dashboard_are_those_that_it_defines() -> None:
    defined = {variable["name"] for variable in DASHBOARD["templating"]["list"]}
    used = set(re.findall(r"\$\{?([a-z]\w*)", json.dumps(DASHBOARD)))
    assert used <= defined | {"__all", "__rate_interval"}


# What the rules say, by Prometheus itself


def promtool(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    program = shutil.which("promtool")
    require("" if program else "promtool (Debian: prometheus)")
    return subprocess.run(
        [program or "", *map(str, arguments)], capture_output=True, text=True, timeout=60, check=False
    )


def series(name: str, values: str, /, **labels: str) -> dict[str, str]:
    """One series of a scrape every 15 s: `0+5x80` goes up by 5, 80 times."""
    inside = ",".join(f'{label}="{value}"' for label, value in {"instance": "a", **labels}.items())
    return {"series": f"{name}{{{inside}}}", "values": values}


def compared(outcome: str, values: str) -> dict[str, str]:
    return series("strangler_shadow_comparisons_total", values, route="orders", outcome=outcome)


def dropped(values: str) -> dict[str, str]:
    return series("strangler_shadow_dropped_total", values, route="orders", reason="full")


def requests_series(code_class: str, values: str, arm: str = "candidate") -> dict[str, str]:
    return series("strangler_requests_total", values, route="orders", arm=arm, upstream=arm, code_class=code_class)


HEALTHY = [
    series("strangler_kill_switch", "0x120"),
    series("strangler_config_last_reload_successful", "1x120"),
    series("strangler_workers", "2x120"),
    series("strangler_store_working", "1x120"),
    series("strangler_store_up", "1x120"),
    series("strangler_leader", "1x120"),
    series("strangler_nodes", "1x120"),
    series("strangler_legacy_reachable", "1x120"),
    series("strangler_breaker_state", "0x120", upstream="orders"),
    series("strangler_shadow_stopped", "0x120", route="orders"),
    series("strangler_candidate_slow", "0x120", route="orders"),
    series("strangler_certificate_expiry_seconds", "7000000x120", listener="0.0.0.0:443", name="shop.example"),
    series("strangler_events_backlog", "0x120", sink="webhook"),
    series("strangler_events_dead", "4x120", sink="webhook"),
    compared("match", "0+100x120"),
    compared("mismatch", "0x120"),
    dropped("0x120"),
    requests_series("2xx", "0+100x120"),
    requests_series("5xx", "0x120"),
]


@dataclass(frozen=True, slots=True)
class Case:
    """A proxy that is well but for some series, and the labels with which the alert fires; None: nothing does."""

    name: str
    alert: str
    labels: dict[str, str] | None
    changed: list[dict[str, str]]
    at: str = "29m"


A, ORDERS = {"instance": "a"}, {"route": "orders"}
_RELOAD = "strangler_config_last_reload_successful"
CASES = [
    Case("all is well", "StranglerKillSwitchOn", None, []),
    Case("kill switch on", "StranglerKillSwitchOn", A, [series("strangler_kill_switch", "0x60 1x60")]),
    Case("kill switch on for a route", "StranglerKillSwitchOnForRoute", A | ORDERS,
         [series("strangler_kill_switch_route", "_x60 1x60", route="orders")]),
    Case("kill switch off again for a route", "StranglerKillSwitchOnForRoute", None,
         [series("strangler_kill_switch_route", "1x60 stale", route="orders")]),
    Case("breaker open", "StranglerBreakerOpen", A | {"upstream": "orders"},
         [series("strangler_breaker_state", "0x60 2x60", upstream="orders")]),
    Case("breaker half open", "StranglerBreakerOpen", None,
         [series("strangler_breaker_state", "1x120", upstream="orders")]),
    Case("reload failed", "StranglerReloadFailed", A, [series(_RELOAD, "1x60 0x60")]),
    Case("no workers", "StranglerNoWorkers", A, [series("strangler_workers", "2x60 0x60")]),
    Case("legacy is down", "StranglerLegacyUnreachable", A, [series("strangler_legacy_reachable", "1x60 0x60")]),
    Case("legacy starts anew", "StranglerLegacyUnreachable", None,
         [series("strangler_legacy_reachable", "1x60 0 1x59")]),
    Case("store failed", "StranglerStoreFailed", A, [series("strangler_store_working", "1x60 0x60")]),
    Case("the shared store is away", "StranglerStoreAway", A, [series("strangler_store_up", "1x60 0x60")]),
    Case("no node leads", "StranglerNoLeader", {}, [series("strangler_leader", "1x60 0x60")]),
    Case("another node leads now", "StranglerNoLeader", None, [series("strangler_leader", "1x60 0x2 1x57")]),
    Case("a sink is away", "StranglerEventsNotTaken", A | {"sink": "webhook"},
         [series("strangler_events_backlog", "0x40 3x80", sink="webhook")]),
    Case("a sink takes what comes", "StranglerEventsNotTaken", None,
         [series("strangler_events_backlog", "0x40 3x60 0 3x19", sink="webhook")]),
    Case("a sink refuses events", "StranglerEventsRefused", A | {"sink": "webhook"},
         [series("strangler_events_dead", "4x60 6x60", sink="webhook")]),
    Case("three of a hundred differ", "StranglerMismatchRate", ORDERS, [compared("mismatch", "0+3x120")]),
    Case("one of two hundred differs", "StranglerMismatchRate", None, [compared("mismatch", "0+0.5x120")]),
    Case("too few pairs to tell", "StranglerMismatchRate", None,
         [compared("match", "0x120"), compared("mismatch", "0+0.5x120")]),
    Case("what cannot be compared is no pair", "StranglerMismatchRate", ORDERS,
         [compared("match", "0x120"), compared("mismatch", "0+5x120"), compared("not_comparable", "0+900x120")]),
    Case("most shadows dropped", "StranglerShadowDropped", ORDERS, [dropped("0+150x120")]),
    Case("all shadows dropped", "StranglerShadowDropped", ORDERS, [dropped("0+150x120"), compared("match", "0x120")]),
    Case("some shadows dropped", "StranglerShadowDropped", None, [dropped("0+50x120")]),
    Case("shadowing has stopped", "StranglerShadowStopped", A | ORDERS,
         [series("strangler_shadow_stopped", "0x60 1x60", route="orders")]),
    Case("a certificate ends soon", "StranglerCertificateExpiring", A | {"name": "shop.example"},
         [series("strangler_certificate_expiry_seconds", "600000x120", listener="0.0.0.0:443", name="shop.example")]),
    Case("a slow candidate", "StranglerCandidateSlow", A | ORDERS,
         [series("strangler_candidate_slow", "0x60 2x60", route="orders")]),
    Case("a rollout waits for a person", "StranglerRolloutWaits", A | ORDERS,
         [series("strangler_rollout_waits_for_person", "1x480", route="orders")], "90m"),
    Case("a rollout waited for a short time", "StranglerRolloutWaits", None,
         [series("strangler_rollout_waits_for_person", "0x300 1x180", route="orders")], "90m"),
    Case("a rollout goes on by itself", "StranglerRolloutWaits", None,
         [series("strangler_rollout_waits_for_person", "0x480", route="orders")], "90m"),
    Case("the candidate's errors", "StranglerCandidateErrors", ORDERS, [requests_series("5xx", "0+10x120")]),
    Case("an end that is still called", "StranglerEndedCalled", A | ORDERS,
         [series("strangler_requests_total", "0x60 0+1x60", route="orders", arm="", upstream="", code_class="4xx")]),
    Case("an end that nobody calls", "StranglerEndedCalled", None,
         [series("strangler_requests_total", "7x120", route="orders", arm="", upstream="", code_class="4xx")]),
    Case("requests that nobody could plan", "StranglerEndedCalled", None,
         [series("strangler_requests_total", "0+1x120", route="", arm="", upstream="", code_class="4xx")]),
    Case("legacy's errors", "StranglerCandidateErrors", None, [requests_series("5xx", "0+10x120", arm="legacy")]),
]  # fmt: skip


def test_prometheus_takes_the_rules() -> None:
    ran = promtool("check", "rules", DOCS / "alerts.yaml")
    assert ran.returncode == 0, ran.stderr
    assert f"{len(ALERTS)} rules found" in ran.stdout


def test_the_rules_say_what_they_are_for(tmp_path: Path) -> None:
    """All cases in one run: each is a Prometheus of its own, asked after half an hour."""
    file = tmp_path / "cases.yaml"
    file.write_text(json.dumps({"rule_files": [str(DOCS / "alerts.yaml")], "tests": list(map(_test_of, CASES))}))
    ran = promtool("test", "rules", file)
    assert ran.returncode == 0, ran.stdout + ran.stderr


def test_a_rule_that_says_something_else_would_be_found(tmp_path: Path) -> None:
    wrong = Case("well", "StranglerKillSwitchOn", A, [])
    file = tmp_path / "cases.yaml"
    file.write_text(json.dumps({"rule_files": [str(DOCS / "alerts.yaml")], "tests": [_test_of(wrong)]}))
    assert promtool("test", "rules", file).returncode != 0


def test_every_rule_has_a_case_in_which_it_fires() -> None:
    assert {case.alert for case in CASES if case.labels is not None} == set(ALERTS)


def _test_of(case: Case) -> dict[str, Any]:
    """The alert fires as it should, and no other one does."""
    replaced = {item["series"] for item in case.changed}
    fired = []
    if case.labels is not None:
        labels = {"alertname": case.alert, "severity": ALERTS[case.alert]["labels"]["severity"], **case.labels}
        fired.append({"labels": _sample("ALERTS", alertstate="firing", **labels), "value": 1})
    return {
        "name": case.name,
        "interval": "15s",
        "input_series": [*(item for item in HEALTHY if item["series"] not in replaced), *case.changed],
        "promql_expr_test": [{"expr": 'ALERTS{alertstate="firing"}', "eval_time": case.at, "exp_samples": fired}],
    }


def _sample(name: str, /, **labels: str) -> str:
    return name + "{" + ",".join(f'{label}="{value}"' for label, value in sorted(labels.items())) + "}"
