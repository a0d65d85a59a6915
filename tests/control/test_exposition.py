"""The exposition that Prometheus reads."""

from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families as parse_text

from strangler.control.exposition import ExposedMetrics, expose
from strangler.control.totals import Key, Vector
from strangler.ipc.metrics import BOUNDS_S, FAMILIES

OWN = {
    "strangler_config_last_reload_successful": 1.0,
    "strangler_config_generation": 3.0,
    "strangler_legacy_reachable": 1.0,
    "strangler_workers": 2.0,
    "strangler_kill_switch": 0.0,
    "strangler_store_working": 1.0,
    "strangler_store_up": 1.0,
    "strangler_leader": 1.0,
    "strangler_nodes": 1.0,
    "strangler_store_log_bytes": 4096.0,
}
TOTALS: dict[Key, Vector] = {
    ("strangler_requests_total", ("orders", "candidate", "orders", "2xx")): (7.0,),
    ("strangler_request_duration_seconds", ("orders", "candidate")): (1, 2, 0, 4, *[0] * (len(BOUNDS_S) - 4), 3, 1.25),
}
NUMBERS = ExposedMetrics(TOTALS, {("strangler_in_flight", ("orders",)): 5.0}, OWN)


def samples(accept: str = "") -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    text, content_type = expose(NUMBERS, accept)
    parse = parse_openmetrics if "openmetrics" in content_type else parse_text
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in parse(text.decode())
        for sample in family.samples
    }


def test_counters_and_gauges_carry_their_labels() -> None:
    labels = (("arm", "candidate"), ("code_class", "2xx"), ("route", "orders"), ("upstream", "orders"))
    assert samples()["strangler_requests_total", labels] == 7
    assert samples()["strangler_in_flight", (("upstream", "orders"),)] == 5
    assert samples()["strangler_config_generation", ()] == 3


def test_buckets_are_cumulated_and_end_with_all() -> None:
    found = samples()

    def bucket(bound: str) -> float:
        labels = (("arm", "candidate"), ("le", bound), ("route", "orders"))
        return found["strangler_request_duration_seconds_bucket", labels]

    assert [bucket(bound) for bound in ("0.005", "0.01", "0.025", "0.05", "10.0", "+Inf")] == [1, 3, 3, 7, 7, 10]
    labels = (("arm", "candidate"), ("route", "orders"))
    assert found["strangler_request_duration_seconds_count", labels] == 10
    assert found["strangler_request_duration_seconds_sum", labels] == 1.25


def test_the_format_is_the_one_that_was_asked_for() -> None:
    assert samples("application/openmetrics-text; version=1.0.0") == samples("text/plain")


def test_every_metric_has_a_help_text_and_no_label_that_a_client_chooses() -> None:
    for family in FAMILIES.values():
        assert family.help
        assert not {"path", "target", "url", "method", "client"} & set(family.labels)


def test_a_name_with_quotes_and_line_breaks_stays_one_label() -> None:
    name = 'a "quoted"\nroute\\'
    exposed = ExposedMetrics({("strangler_fallbacks_total", (name, "connect")): (1.0,)}, {}, OWN)
    text, _ = expose(exposed, "")
    [sample] = [
        sample
        for family in parse_text(text.decode())
        for sample in family.samples
        if sample.name == "strangler_fallbacks_total"
    ]
    assert sample.labels == {"route": name, "fault": "connect"}
