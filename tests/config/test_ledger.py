"""`ledger`: how long calls are kept, and how they are told apart."""

import json

import pytest
import yaml
from jsonschema import Draft202012Validator

from strangler.config import quantities
from strangler.config.json_schema import json_schema
from strangler.core.ledger_settings import DAY_S, LedgerSettings
from strangler.ipc.messages import decode_settings, encode_settings
from tests.config.files import TOP, problems, read

SCHEMA = json_schema()


def built(written: str) -> LedgerSettings | None:
    """Return the settings of a value that `check` and the JSON Schema both accept."""
    text = TOP + f"ledger: {written}\n" if written else TOP
    loaded = read(text)
    assert loaded.settings is not None, loaded.problems
    data = json.loads(json.dumps(yaml.safe_load(text)))
    assert [error.message for error in Draft202012Validator(SCHEMA).iter_errors(data)] == []
    return loaded.settings.ledger


ON = [
    pytest.param("", LedgerSettings(), id="nothing written"),
    pytest.param("true", LedgerSettings(), id="true"),
    pytest.param("{}", LedgerSettings(), id="an empty mapping"),
    pytest.param("{keep: 400d, quiet: 30d, callers: user-agent, by: []}", LedgerSettings(), id="the defaults"),
    pytest.param("{keep: 90d, quiet: 12h}", LedgerSettings(90 * DAY_S, DAY_S / 2), id="times"),
    pytest.param("{keep: 3660d}", LedgerSettings(3660 * DAY_S), id="ten years"),
    pytest.param("{callers: X-Client-Id}", LedgerSettings(callers="x-client-id"), id="callers"),
    pytest.param(
        '{by: ["query:action", "header:SOAPAction"]}',
        LedgerSettings(by=("query:action", "header:SOAPAction")),
        id="by",
    ),
]


@pytest.mark.parametrize(("written", "expected"), ON)
def test_the_ledger_is_on_unless_it_is_false(written: str, expected: LedgerSettings) -> None:
    assert built(written) == expected


def test_false_is_none() -> None:
    assert built("false") is None


def test_workers_get_what_is_written() -> None:
    for written in ("false", '{quiet: 7d, by: ["query:do"]}'):
        settings = read(TOP + f"ledger: {written}\n").settings
        assert settings is not None
        assert decode_settings(encode_settings(settings)).ledger == settings.ledger


WRONG = [
    ("", "f:7:8: ledger has no value; write `ledger: {}` for the defaults, or `ledger: false` to switch it off"),
    ("{keep: 30}", "f:7:16: ledger.keep is 30; a duration needs a unit"),
    ("{keep: 4000d}", "f:7:16: ledger.keep is '4000d'; it must be at most 3660d"),
    ("{keep: 23h, quiet: 1h}", "f:7:16: ledger.keep is '23h'; calls are kept by day; it must be at least 1d"),
    ("{quiet: 0}", "ledger.quiet is 0; it must be longer than 0"),
    ("{quiet: 0d}", "ledger.quiet is '0d'; it must be longer than 0"),
    ("{keep: 20d, quiet: 21d}", "f:7:28: ledger.quiet is longer than ledger.keep; calls must be kept until"),
    ("{keep: 20d}", "f:7:16: ledger.quiet is longer than ledger.keep"),
    ("{quiet: 401d}", "f:7:17: ledger.quiet is longer than ledger.keep"),
    ("{callers: 'X Y'}", "f:7:19: ledger.callers is 'X Y'; a header's name has letters"),
    (
        "{callers: Authorization}",
        "f:7:19: ledger.callers is 'Authorization'; its values are secrets; name a header that",
    ),
    ("{callers: cookie}", "ledger.callers is 'cookie'; its values are secrets"),
    ("{callers: X-API-Key}", "ledger.callers is 'X-API-Key'; its values are secrets"),
    ("{by: [action]}", "f:7:15: ledger.by[0] is 'action'; 'action' cannot be read; write query:NAME or header:NAME"),
    ("{by: ['cookie:sid']}", "write query:NAME or header:NAME"),
    ("{by: ['query:']}", "write query:NAME or header:NAME"),
    ("{by: ['query:token']}", "f:7:15: ledger.by[0] is 'query:token'; its values are secrets; take it out"),
    ("{by: ['header:X-Do', 'header:x-do']}", "f:7:30: ledger.by[1] is 'header:x-do'; it is there already"),
    (f"{{by: [{', '.join(f'query:n{number}' for number in range(9))}]}}", "ledger.by has 9 entries; 8 are allowed"),
    ("{kept: 1d}", "unknown key 'ledger.kept'; did you mean 'keep'?"),
]


@pytest.mark.parametrize(("written", "message"), WRONG, ids=[written[:40] for written, _ in WRONG])
def test_what_cannot_be_meant_is_an_error_with_its_place(written: str, message: str) -> None:
    (found,) = problems(TOP + f"ledger: {written}\n")
    assert message in found


def test_parameters_with_another_case_are_others() -> None:
    found = built('{by: ["query:Do", "query:do"]}')
    assert found is not None
    assert found.by == ("query:Do", "query:do")


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(400 * DAY_S, "400d"), (1.5 * DAY_S, "36h"), (DAY_S, "24h"), (2 * DAY_S, "2d"), (90.0, "90s")],
)
def test_whole_days_are_written_as_days(seconds: float, text: str) -> None:
    assert quantities.duration_text(seconds) == text
