"""The receiver in routes.yaml: where it listens, and what it makes of routes without `shadow`."""

from dataclasses import replace
from pathlib import Path

import pytest

from strangler.config.load import load
from strangler.config.receiver import receiver_only
from strangler.control.reload import needs_restart
from strangler.core.listener_settings import Address
from strangler.core.shadowing.extra_requests import extra_requests
from strangler.ipc.messages import decode_outline, decode_settings, encode_settings
from tests.config.files import TOP, problems, read, route, warnings

AT = "receiver: {listen: %s}\n"


def test_null_and_nothing_are_no_receiver() -> None:
    for text in (TOP, TOP + "receiver: null\n", TOP + "receiver:\n"):
        settings = read(text).settings
        assert settings is not None
        assert settings.receiver is None
        assert all(made.shadow is None for made in settings.routes)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("receiver: {}\n", Address("127.0.0.1", 8082)),
        (AT % "0.0.0.0:9", Address("0.0.0.0", 9)),
        (AT % '"[::1]:9"', Address("::1", 9)),
        (AT % "unix:/run/mirror.sock", Address("unix:/run/mirror.sock", 0)),
    ],
)
def test_it_listens_at_an_address_of_its_own(text: str, expected: Address) -> None:
    settings = read(TOP + text).settings
    assert settings is not None
    assert settings.receiver is not None
    assert settings.receiver.listen == expected
    outline = decode_outline(encode_settings(settings))
    assert outline.receiver is not None
    assert outline.receiver.listen == expected
    assert decode_settings(encode_settings(settings)) == settings


def test_a_unix_socket_starts_at_the_folder_of_the_file(tmp_path: Path) -> None:
    file = tmp_path / "routes.yaml"
    file.write_text(TOP + AT % "unix:mirror.sock")
    settings = load(file, {}).settings
    assert settings is not None
    assert settings.receiver is not None
    assert settings.receiver.listen.unix_path == str(tmp_path / "mirror.sock")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (AT % "127.0.0.1:8081", "receiver.listen and admin.listen both take 127.0.0.1:8081; give each an address"),
        (AT % "127.0.0.1:8080", "receiver.listen and listen both take 127.0.0.1:8080; give each an address"),
        (AT % "0.0.0.0:8080", "receiver.listen and listen both take 0.0.0.0:8080"),
        ("listen: unix:/s\n" + AT % "unix:/s", "receiver.listen and listen both take unix:/s"),
        (AT % "8082", "write host:port, such as 127.0.0.1:8080"),
        (AT % "'unix:'", "write the path of the socket's file"),
        ("receiver: {port: 1}\n", "unknown key 'receiver.port'; known in receiver: listen"),
        (AT % "127.0.0.1:8000", "that is the proxy's own receiver.listen address, so requests would loop"),
    ],
)
def test_what_is_wrong_with_the_address_is_an_error(text: str, message: str) -> None:
    assert any(message in problem for problem in problems(TOP + text)), problems(TOP + text)


def test_a_route_without_shadow_gets_the_defaults_for_mirrored_requests_alone() -> None:
    settings = read(route() + AT % "127.0.0.1:9").settings
    assert settings is not None
    shadow = settings.routes[0].shadow
    assert shadow is not None
    assert (shadow.percent, shadow.methods, shadow.writes) == (100, ("GET", "HEAD"), "skip")
    assert shadow.is_only_received
    assert extra_requests(settings.routes[0]) is None
    written = read(route("shadow: {percent: 100}")).settings
    assert written is not None
    assert written.routes[0].shadow == replace(shadow, is_only_received=False)


def test_a_shadow_that_is_written_stays_as_it_is() -> None:
    with_one = read(route("shadow: {percent: 5, of: any}") + AT % "127.0.0.1:9").settings
    without = read(route("shadow: {percent: 5, of: any}")).settings
    assert with_one is not None
    assert without is not None
    assert with_one.routes == without.routes


def test_a_gate_without_shadow_is_right_where_there_is_a_receiver() -> None:
    gated = route("gate: {min_pairs: 10}")
    assert any("nothing is compared" in text for text in warnings(gated))
    assert not any("nothing is compared" in text for text in warnings(gated + AT % "127.0.0.1:9"))


def test_a_receiver_alone_has_no_listener_and_no_worker() -> None:
    settings = read(route()).settings
    assert settings is not None
    made = receiver_only(settings, Address("127.0.0.1", 9))
    assert (made.listeners, made.workers) == ((), 0)
    assert made.routes[0].shadow is not None
    assert receiver_only(made, Address("127.0.0.1", 9)) == made


def test_another_address_needs_a_restart() -> None:
    first = read(TOP + AT % "127.0.0.1:9").settings
    other = read(TOP + AT % "127.0.0.1:10").settings
    none = read(TOP).settings
    assert first is not None
    assert other is not None
    assert none is not None
    assert needs_restart(first, first) == ()
    assert needs_restart(first, other) == needs_restart(first, none) == needs_restart(none, first)
    assert needs_restart(first, other) == ("receiver.listen",)
