"""The key `store`: SQLite, or the URL of a PostgreSQL, which never has a secret."""

import subprocess
import sys

import pytest

from strangler.config.store_urls import store_place


@pytest.mark.parametrize(
    "url",
    [
        pytest.param("postgresql://strangler@db.internal/strangler", id="host"),
        pytest.param("postgres://strangler@db.internal:5433/strangler?sslmode=verify-full", id="port and option"),
        pytest.param("postgresql://a@one:5432,two:5433/x?target_session_attrs=read-write", id="hosts"),
        pytest.param("postgresql://strangler@[2001:db8::1]:5432/strangler", id="IPv6"),
        pytest.param("postgresql://strangler@/strangler?host=/run/postgresql", id="socket"),
        pytest.param("postgresql:///strangler?passfile=/etc/strangler/pgpass", id="password file"),
        pytest.param("postgresql://name%3Awith%40signs@db/strangler", id="signs in a user"),
    ],
)
def test_a_url_is_taken_as_it_is(url: str) -> None:
    assert store_place(url) == url


def test_sqlite_is_no_url() -> None:
    assert store_place("sqlite") is None


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        pytest.param("mysql://db/strangler", "write sqlite, or a URL such as postgresql://", id="another engine"),
        pytest.param("SQLite", "write sqlite, or a URL", id="case"),
        pytest.param("postgresql://strangler@db", "it has no database", id="no database"),
        pytest.param("postgresql://strangler@db/", "it has no database", id="an empty database"),
        pytest.param("postgresql://db:0/strangler", "write sqlite, or a URL", id="port 0"),
        pytest.param("postgresql://db:70000/strangler", "write sqlite, or a URL", id="a port beyond"),
        pytest.param("postgresql://a:1,b:c/strangler", "write sqlite, or a URL", id="a port of a second host"),
        pytest.param("postgresql://[db/strangler", "write sqlite, or a URL", id="a bracket"),
        pytest.param("postgresql://db/strangler?nonsense=1", 'invalid URI query parameter: "nonsense"', id="option"),
        pytest.param("postgresql://u:secret@db/x", "a password does not belong", id="password"),
        pytest.param("postgresql://u:@db/x", "a password does not belong", id="an empty password"),
        pytest.param("postgresql://u@db/x?password=secret", "a password does not belong", id="password as an option"),
        pytest.param("postgresql://u@db/x?sslpassword=secret", "a password does not belong", id="password of a key"),
    ],
)
def test_a_wrong_url_is_refused_with_a_way_out(text: str, problem: str) -> None:
    with pytest.raises(ValueError, match=problem.replace("?", r"\?")) as refused:
        store_place(text)
    assert "secret" not in str(refused.value)


WITHOUT_DRIVER = """
import sys
sys.modules["psycopg"] = None
from strangler.config.store_urls import store_place
print(store_place("sqlite"))
try:
    store_place("postgresql://db/strangler")
except ValueError as error:
    print(error)
"""


def test_a_missing_driver_is_named() -> None:
    ran = subprocess.run([sys.executable, "-c", WITHOUT_DRIVER], capture_output=True, text=True, timeout=30, check=True)
    assert ran.stdout.splitlines()[0] == "None"
    assert ran.stdout.splitlines()[1].startswith("a shared store needs the extra: pip install 'strangler[postgres]' (")
