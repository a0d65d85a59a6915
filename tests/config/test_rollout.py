"""`rollout` of a route: its plan, `defaults`, and what `check` says of it."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from strangler.config.load import Loaded, parse
from strangler.core.rollout_rules import problems_of
from strangler.core.rollout_settings import (
    ErrorSettings,
    EvidenceSettings,
    LatencySettings,
    RolloutSettings,
)
from strangler.core.settings import RouteSettings
from tests.config.files import TODAY

HEAD = """\
version: 1
upstreams:
  legacy: {url: "http://127.0.0.1:8000"}
  orders: {url: "http://127.0.0.1:8001"}
"""
STICKY = 'split: {sticky: ["header:X-User-Id"]}'
SHADOW = "shadow: {percent: 5, of: any}"
NOW = 1795392000.0  # 2026-11-23


def line(name: str = "a", *keys: str, goes: str = "candidate: orders") -> str:
    return f"- {{name: {name}, match: {{prefix: /{name}}}, {', '.join((goes, *keys))}}}\n"


def read(*lines: str, defaults: str = "") -> Loaded:
    """Load routes that stand on line 6 and below."""
    text = f"{HEAD}{f'defaults: {{routes: {defaults}}}' if defaults else '# no defaults'}\nroutes:\n{''.join(lines)}"
    return parse(text, "f", {}, TODAY, now=NOW)


def reported(loaded: Loaded) -> list[str]:
    return [str(problem) for problem in (*loaded.problems, *loaded.warnings)]


def messages(rollout: str, *keys: str) -> list[str]:
    """The messages of `check` about a route with these keys, without the place."""
    return [each.partition("route 'a': ")[2] for each in reported(read(line("a", f"rollout: {rollout}", *keys)))]


def routes(loaded: Loaded) -> dict[str, RouteSettings]:
    assert loaded.settings is not None, reported(loaded)
    return {route.name: route for route in loaded.settings.routes}


def built(rollout: str) -> RolloutSettings | None:
    loaded = read(line("a", STICKY, SHADOW, f"rollout: {rollout}"))
    assert reported(loaded) == []
    return routes(loaded)["a"].rollout


def test_what_is_left_out_has_the_defaults_of_the_core() -> None:
    assert built("{}") == built("true") == RolloutSettings()


@pytest.mark.parametrize("text", ["false", "no", "off"])
def test_false_is_no_rollout(text: str) -> None:
    assert built(text) is None


def test_every_key_is_built() -> None:
    text = (
        "{steps: [0.5, 10%, '50', 75.25], hold: 2h, evidence: {requests: 2_000, callers: 50}, look: 5m,"
        " errors: {ratio: 2, floor: 1%}, latency: {ratio: 1.5}, gate: first, failed_looks: 5, then: zero,"
        ' back: {hold: 0}, approve: [50], within: "mon-fri 09:00-17:00 Europe/Berlin, sat 10:00-12:00 UTC"}'
    )
    assert built(text) == RolloutSettings(
        steps=(0.5, 10.0, 50.0, 75.25),
        hold_s=7200.0,
        evidence=EvidenceSettings(2000, 50),
        look_s=300.0,
        errors=ErrorSettings(2.0, 0.01),
        latency=LatencySettings(1.5),
        gate="first",
        failed_looks=5,
        then="zero",
        back_hold_s=0.0,
        approve=(50.0,),
        within="mon-fri 09:00-17:00 Europe/Berlin, sat 10:00-12:00 UTC",
    )


def test_times_are_not_looked_at_with_null() -> None:
    assert built("{latency: null}") == replace(RolloutSettings(), latency=None)


def test_the_percent_of_the_file_is_zero() -> None:
    assert routes(read(line("a", STICKY, SHADOW, "rollout: {}")))["a"].split.percent == 0


ORDER = "rollout.steps: percents must rise, but 1 follows 5; put them in order, each once"
WRONG = [
    ("{steps: []}", "rollout.steps: name at least one percent, as in [1, 5, 25, 50, 100]"),
    ("{steps: null}", "rollout.steps: name at least one percent"),
    ("{steps: 50}", "rollout.steps is 50; write a list such as [1, 5, 25, 50, 100]"),
    ("{steps: '1, 5'}", "rollout.steps is '1, 5'; write a list such as"),
    ("{steps: {1: 5}}", "rollout.steps is a mapping; write a list such as"),
    ("{steps: [[1]]}", "rollout.steps[0] is a list; write a percent such as 25 or 0.5%"),
    ("{steps: [5, 1]}", ORDER),
    ("{steps: [5, 5.00]}", "rollout.steps: percents must rise, but 5 follows 5"),
    ("{steps: [0, 5]}", "rollout.steps: 0 is no percent above 0"),
    ("{steps: [1, 101]}", "rollout.steps[1] is 101; it must be 0 to 100"),
    ("{steps: [-1]}", "rollout.steps[0] is -1; it must be 0 to 100"),
    ("{steps: [1e9]}", "rollout.steps[0] is 1e9; it must be 0 to 100"),
    ("{steps: [1e99]}", "rollout.steps[0] is 1e99; write a percent such as"),
    ("{steps: [0.005]}", "rollout.steps[0] is 0.005; it may have two decimals at most"),
    ("{steps: [true]}", "rollout.steps[0] is 'true'; write a percent such as"),
    ("{steps: [.nan]}", "rollout.steps[0] is '.nan'; write a percent such as"),
    ("{step: [1]}", "unknown key 'rollout.step'; did you mean 'steps'?"),
    ("{percent: 5}", "unknown key 'rollout.percent'; the percents of a rollout are its steps: write `steps:"),
    ("{hold: 30}", "rollout.hold is 30; a duration needs a unit"),
    ("{look: 0}", "rollout.look is 0; it must be longer than 0"),
    ("{evidence: 500}", "rollout.evidence is 500; write a mapping such as {requests: 2000}"),
    ("{evidence: {callers: 0}}", "rollout.evidence.callers is 0; it must be a whole number from 1 to 10000"),
    ("{evidence: {requests: 0}}", "rollout.evidence.requests is 0; it must be a whole number from 1"),
    ("{errors: {ratio: 0.5}}", "rollout.errors.ratio is 0.5; it must be a number from 1 to 1000"),
    ("{errors: {floor: 100}}", "rollout.errors.floor: it must be at least 0 % and below 100 %"),
    ("{errors: {floor: 0.5}}", "rollout.errors.floor is 0.5; a number below 1 can be read in two ways"),
    ("{errors: {ratio: 1, floor: 0}}", "rollout.errors.floor: with a ratio of 1 it must be above 0 %"),
    ("{errors: {ratio: 1, floor: 0}, steps: [5, 1]}", ORDER),
    ("{latency: {ratio: 1}}", "rollout.latency.ratio: it must be above 1; null does not look at times"),
    ("{latency: false}", "rollout.latency is 'false'; write a mapping such as {ratio: 1.5}, or null"),
    ("{gate: often}", "rollout.gate is 'often'; write never, first or every"),
    ("{failed_looks: 0}", "rollout.failed_looks is 0; it must be a whole number from 1 to 1000"),
    ("{then: back}", "rollout.then is 'back'; write step_back, zero or pause"),
    ("{back: 2m}", "rollout.back is '2m'; write a mapping such as {hold: 10m}"),
    ("{approve: [30]}", "rollout.approve: 30 is none of the steps, which are 1, 5, 25, 50, 100; take one of these"),
    ("{within: soon}", "rollout.within: 'soon' is no window; write days, hours and zone as in 'mon-fri 09:00-17:00"),
    ("{within: [mon]}", "rollout.within is a list; write days, hours and a time zone such as"),
    ("{within: mon 09:00-17:00 Europe/Belin}", "unknown time zone 'Europe/Belin'; did you mean 'Europe/Berlin'?"),
    ("{within: mon 09:00-17:00 europe/berlin}", "did you mean 'Europe/Berlin'?"),
    ("{within: mon 09:00-17:00 Mars/Olympus}", "unknown time zone 'Mars/Olympus'"),
    ("{within: day 09:00-17:00 UTC}", "'day' is no day; days are mon"),
    ("{within: mon 09:00-25:00 UTC}", "hours are from 00:00 to 24:00"),
    ("{within: mon 09:00-09:00 UTC}", "begins when it ends; a whole day is 00:00-24:00"),
    ("5", "rollout is 5; write a mapping of its keys, or false"),
    ("[1, 5]", "rollout is a list; write a mapping such as {steps: [1, 10, 50, 100]}"),
    ("null", "rollout has no value; write `rollout: {}` for the defaults, or `rollout: false` to switch it off"),
]


@pytest.mark.parametrize(("rollout", "message"), WRONG, ids=[rollout for rollout, _ in WRONG])
def test_a_mistake_is_named_with_its_place_and_the_way_out(rollout: str, message: str) -> None:
    loaded = read(line("a", STICKY, SHADOW, f"rollout: {rollout}"))
    assert loaded.settings is None
    assert any(message in each for each in reported(loaded)), reported(loaded)
    assert all(each.startswith("f:7:") for each in reported(loaded))


def test_a_mistake_stands_on_the_line_of_its_key() -> None:
    text = f"- name: a\n  match: {{prefix: /a}}\n  candidate: orders\n  {STICKY}\n  {SHADOW}\n"
    text += "  rollout:\n    hold: 5m\n    steps:\n"
    assert reported(read(text + "    - 5\n    - 1\n")) == [f"f:14:5: route 'a': {ORDER}"]
    assert reported(read(text + "    - 5\n    - 101\n")) == [
        "f:16:7: route 'a': rollout.steps[1] is 101; it must be 0 to 100"
    ]


def test_a_plan_may_come_from_an_anchor_or_a_variable() -> None:
    text = f"x-plan: &plan {{steps: [2, '${{LAST}}'], hold: 5m}}\n{HEAD}routes:\n"
    text += line("a", STICKY, SHADOW, "rollout: *plan") + line("b", STICKY, SHADOW, "rollout: {<<: *plan, look: 2m}")
    loaded = parse(text, "f", {"LAST": "80"}, TODAY)
    plans = {name: route.rollout for name, route in routes(loaded).items()}
    first = replace(RolloutSettings(), steps=(2.0, 80.0), hold_s=300.0)
    assert plans == {"a": first, "b": replace(first, look_s=120.0)}


def test_split_percent_beside_it_is_an_error() -> None:
    loaded = read(line("a", 'split: {percent: 5, sticky: ["cookie:sid"]}', SHADOW, "rollout: {}"))
    assert reported(loaded) == [
        "f:7:61: route 'a': rollout and split.percent are both there; the rollout moves the percent; take split.percent"
        " out, or write `rollout: false`"
    ]


@pytest.mark.parametrize(
    ("goes", "message"),
    [
        ("passthrough: orders", "rollout has no meaning with passthrough; take it out"),
        ("candidate: legacy", "rollout has no meaning with candidate 'legacy'"),
        ("retire: {sunset: 2027-03-01}", "rollout has no meaning with retire and no candidate"),
        ("owner: me", "candidate is missing"),
    ],
)
def test_it_needs_a_candidate(goes: str, message: str) -> None:
    loaded = read(line("a", "rollout: {}", goes=goes), line("b"))
    assert [each for each in reported(loaded) if "'a'" in each and message not in each] == []
    assert loaded.settings is None


def test_callers_that_cannot_be_told_apart_are_an_error() -> None:
    """No look would ever be good: requests without a sticky key belong to no caller, and one caller is needed."""
    (message,) = messages("{steps: [5], gate: never}")
    assert message.startswith("rollout counts callers, and split.sticky does not tell them apart; no step would ever")
    assert "`split: {sticky:" in message


def test_the_address_of_a_load_balancer_is_no_caller() -> None:
    (message,) = messages("{}", "split: {sticky: [client_ip]}", SHADOW)
    assert message.startswith("split.sticky has client_ip and trusted_proxies is empty; behind a load balancer")


WARNINGS = [
    pytest.param(
        "{hold: 1m, look: 5m}", SHADOW, "rollout.hold is 60s and rollout.look 5m; a step ends after a look", id="hold"
    ),
    pytest.param(
        "{evidence: {requests: 5}}",
        SHADOW,
        "rollout.evidence needs 20 callers of 5 requests; each caller",
        id="callers",
    ),
    pytest.param("{steps: [0.05, 0.5, 1]}", SHADOW, "rollout.steps end at 1, which means 1 %; write", id="shares"),
    pytest.param(
        "{gate: never}", "owner: me", "rollout.steps go up to 100 and no response of the candidate gets a", id="cold"
    ),
    pytest.param("{}", "shadow: {percent: 5}", "rollout.steps go up to 100 and no response of the candidate", id="of"),
    pytest.param(
        "{steps: [50]}", "owner: me", "rollout.gate is every and nothing is compared; the gate never", id="no shadow"
    ),
    pytest.param(
        "{steps: [50], gate: first}", "shadow: {percent: 0}", "not even the first step happens; add", id="shadow of 0"
    ),
    pytest.param(
        "{}",
        "shadow: {percent: 5, of: candidate}",
        "rollout.gate is every and shadow.of is candidate, which serves nobody before the first step; the gate",
        id="candidate alone",
    ),
    pytest.param(
        "{latency: null}",
        "shadow: {percent: 5, of: any, baseline: 0}",
        "gate.max_latency_ratio is left out: rollout.latency is null and shadow.baseline is 0; nothing compares",
        id="no times",
    ),
    pytest.param(
        "{}", f"{SHADOW}, retire: {{sunset: 2027-03-01}}", "rollout moves callers of a route that ends on", id="ends"
    ),
    pytest.param(
        "{}", f"{SHADOW}, retire: {{sunset: 2026-03-01}}", "rollout has no effect after retire.sunset", id="ended"
    ),
]


@pytest.mark.parametrize(("rollout", "beside", "message"), WARNINGS)
def test_what_its_author_would_want_to_know_is_a_warning(rollout: str, beside: str, message: str) -> None:
    loaded = read(line("a", STICKY, f"rollout: {rollout}", beside))
    assert loaded.settings is not None, reported(loaded)
    assert any(message in each for each in reported(loaded)), reported(loaded)
    if not message.startswith("rollout has no effect"):
        assert len(loaded.warnings) == 1, reported(loaded)


def test_shadows_of_other_methods_never_open_the_gate() -> None:
    text = line("a", STICKY, SHADOW, "rollout: {}").replace("{prefix: /a}", "{prefix: /a, methods: [POST]}")
    (warning,) = reported(read(text))
    assert "shadow.methods has none of POST, which the route matches; the gate never holds" in warning
    assert reported(read(text.replace("POST", "POST, GET"))) == []


@pytest.mark.parametrize(
    ("rollout", "beside"),
    [
        ("{hold: 0, look: 5m}", SHADOW),
        ("{steps: [1, 50], gate: never}", "owner: me"),
        ("{steps: [1, 50]}", "shadow: {percent: 5}"),
        ("{}", "shadow: {percent: 5, of: any, baseline: 0}, gate: {max_latency_ratio: 1.2}"),
        ("{latency: null}", SHADOW),
        ("{}", "owner: me, enabled: false"),
        ("{steps: [0.5, 1, 10]}", SHADOW),
    ],
)
def test_what_is_well_has_no_warning(rollout: str, beside: str) -> None:
    assert reported(read(line("a", STICKY, f"rollout: {rollout}", beside))) == []


def test_callers_that_a_header_sends_make_pairs_before_the_first_step() -> None:
    split = 'split: {sticky: ["cookie:sid"], headers: {X-Beta: "1"}}'
    assert reported(read(line("a", split, "rollout: {}", "shadow: {percent: 5, of: candidate}"))) == []


PLANNED = "rollout: {steps: [2, 100]}"
IN_GROUP = 'split: {sticky: ["cookie:sid"], group: g}'


def test_routes_of_a_group_have_one_plan() -> None:
    same = "rollout: {steps: [1, 5, 25, 50, 100.0], hold: 30m}"
    found = reported(
        read(
            line("a", IN_GROUP, SHADOW, "rollout: {}"),
            line("b", IN_GROUP, SHADOW, "rollout: {hold: 1h}"),
            line("c", IN_GROUP, SHADOW),
            line("d", IN_GROUP, SHADOW, same),
        )
    )
    assert [each.partition(" ")[2] for each in found] == [
        "route 'b': group 'g': routes 'a' and 'b' move together, but have different rollouts (that of 'a' is on line"
        " 7); write the same in both, or give them different groups",
        "route 'c': group 'g': route 'c' moves together with 'a', whose rollout is on line 7, but has none; write the"
        " same rollout here, or give the two different groups",
    ]
    assert [each.split(":")[1] for each in found] == ["8", "9"]


def test_the_route_whose_name_is_the_group_belongs_to_it() -> None:
    loaded = read(line("g", STICKY, SHADOW, "rollout: {}"), line("b", IN_GROUP, SHADOW))
    assert "route 'b' moves together with 'g', whose rollout is on line 7, but has none" in str(loaded.problems[0])


def test_a_group_is_not_judged_while_a_plan_of_it_is_wrong() -> None:
    loaded = read(line("a", IN_GROUP, SHADOW, "rollout: {hold: 1}"), line("b", IN_GROUP, SHADOW, "rollout: {}"))
    assert len(loaded.problems) == 1


def test_defaults_give_many_routes_one_plan() -> None:
    found = routes(
        read(
            line("a", STICKY, SHADOW),
            line("own", STICKY, SHADOW, "rollout: {hold: 5m}"),
            line("off", STICKY, SHADOW, "rollout: false"),
            line("hand", 'split: {percent: 5, sticky: ["cookie:sid"]}', SHADOW),
            line("none", 'split: {percent: 0, sticky: ["cookie:sid"]}', SHADOW),
            line("beside", goes="passthrough: orders"),
            line("kept", goes="candidate: legacy"),
            line("ends", goes="retire: {sunset: 2027-03-01}"),
            line("joined", STICKY, SHADOW, goes='aggregate: {o: {upstream: orders, path: "/x"}}'),
            defaults="{rollout: {steps: [2, 100]}}",
        )
    )
    plan = replace(RolloutSettings(), steps=(2.0, 100.0))
    assert {name: route.rollout for name, route in found.items()} == {
        "a": plan,
        "own": replace(plan, hold_s=300.0),
        "off": None,
        "hand": None,
        "none": None,
        "beside": None,
        "kept": None,
        "ends": None,
        "joined": plan,
    }
    assert (found["hand"].split.percent, found["beside"].split.percent) == (5, 100)


def test_what_a_route_writes_wins_over_the_defaults() -> None:
    """A rollout of a route's own takes the place of `split.percent` in `defaults`, and the other way round."""
    found = routes(
        read(
            line("a", SHADOW, PLANNED),
            line("b", SHADOW),
            line("c", SHADOW, "rollout: false"),
            defaults='{split: {percent: 7, sticky: ["cookie:sid"]}}',
        )
    )
    assert {name: (route.split.percent, route.rollout is None) for name, route in found.items()} == {
        "a": (0, False),
        "b": (7, True),
        "c": (7, True),
    }


def test_both_in_the_defaults_are_one_error_there() -> None:
    both = '{rollout: {}, split: {percent: 7, sticky: ["cookie:sid"]}}'
    loaded = read(line("a", SHADOW), line("b", SHADOW), line("c", SHADOW, "split: {percent: 5}"), defaults=both)
    (problem,) = reported(loaded)
    assert problem.startswith("f:5:")
    assert "route 'a' and 1 more: rollout and split.percent are both there" in problem


def test_a_mistake_in_the_defaults_is_said_once() -> None:
    loaded = read(line("a", STICKY, SHADOW), line("b", STICKY, SHADOW), defaults="{rollout: {steps: [5, 1]}}")
    assert [each.partition(": ")[2] for each in reported(loaded)] == [f"route 'a' and 1 more: {ORDER}"]


@given(st.lists(st.decimals(-1, 101, places=3, allow_nan=False), max_size=6))
def test_steps_are_accepted_exactly_where_the_core_accepts_them(steps: list[object]) -> None:
    loaded = read(line("a", STICKY, SHADOW, f"rollout: {{steps: [{', '.join(map(str, steps))}]}}"))
    numbers = tuple(float(str(step)) for step in steps)
    is_right = not problems_of(replace(RolloutSettings(), steps=numbers))
    assert (loaded.settings is not None) == is_right, reported(loaded)
    if is_right:
        plan = routes(loaded)["a"].rollout
        assert plan is not None
        assert plan.steps == numbers
