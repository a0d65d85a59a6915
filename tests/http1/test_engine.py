"""The raw cases against our own proxy with the engine Envoy: a table has what it does otherwise than the built-in one,
and each case of the table differs indeed."""

import pytest

from tests.http1.engine_cases import TABLES
from tests.http1.proxies import Proxy
from tests.http1.raw import Case, run
from tests.http1.scripted import ScriptedUpstream

pytestmark = pytest.mark.asyncio(loop_scope="session")

_SAME = [case for cases, differs in TABLES for case in cases if case.id not in differs]
_OTHER = [case for cases, differs in TABLES for case in cases if case.id in differs]


@pytest.mark.parametrize("case", _SAME, ids=lambda case: case.id)
async def test_both_engines_agree(case: Case, engine: Proxy, raw_upstream: ScriptedUpstream) -> None:
    await run(case, engine, raw_upstream)


@pytest.mark.parametrize("case", _OTHER, ids=lambda case: case.id)
async def test_a_case_of_the_table_differs(case: Case, engine: Proxy, raw_upstream: ScriptedUpstream) -> None:
    with pytest.raises(AssertionError):
        await run(case, engine, raw_upstream)


def test_the_table_has_no_case_that_is_none() -> None:
    for cases, differs in TABLES:
        assert set(differs) <= {case.id for case in cases}
