"""`listen`: an address, a mapping, or a list of them."""

from pathlib import Path

import pytest

from strangler.config.load import parse
from strangler.core.listener_settings import Address, ListenerSettings, ProxyProtocolSettings
from tests.config.files import TODAY, TOP, problems, read, warnings


def listeners(text: str) -> tuple[ListenerSettings, ...]:
    """The listeners of a file that has no problems."""
    loaded = read(f"{TOP}listen: {text}\n")
    assert loaded.problems == ()
    assert loaded.settings is not None
    return loaded.settings.listeners


def plain(host: str, port: int) -> ListenerSettings:
    return ListenerSettings(Address(host, port))


@pytest.mark.parametrize(
    "text", ["0.0.0.0:80", "[0.0.0.0:80]", "{address: 0.0.0.0:80}", "[{address: 0.0.0.0:80}]", "\n  - 0.0.0.0:80"]
)
def test_one_listener_may_be_written_in_any_form(text: str) -> None:
    assert listeners(text) == (plain("0.0.0.0", 80),)


def test_several_listeners_keep_their_order() -> None:
    assert listeners('[0.0.0.0:80, "[::1]:80", {address: "localhost:81"}]') == (
        plain("0.0.0.0", 80),
        plain("::1", 80),
        plain("localhost", 81),
    )


def test_without_the_key_it_is_the_loopback_address() -> None:
    loaded = read(TOP)
    assert loaded.settings is not None
    assert loaded.settings.listeners == (plain("127.0.0.1", 8080),)


def test_a_load_balancer_is_named_by_its_networks() -> None:
    (listener,) = listeners("{address: 0.0.0.0:80, proxy_protocol: {from: [10.0.0.0/8], required: false}}")
    assert listener.proxy_protocol == ProxyProtocolSettings(("10.0.0.0/8",), False)
    (listener,) = listeners("{address: 0.0.0.0:80, proxy_protocol: {from: [10.1.2.3]}}")
    assert listener.proxy_protocol == ProxyProtocolSettings(("10.1.2.3",), True)


@pytest.mark.parametrize(("text", "port"), [("https", 443), ('"https:8443"', 8443), ("null", None)])
def test_a_listener_may_redirect(text: str, port: int | None) -> None:
    (listener,) = listeners(f"{{address: 0.0.0.0:80, redirect: {text}}}")
    assert listener.redirect_port == port


def test_a_unix_socket_has_permissions_and_a_group() -> None:
    (listener,) = listeners('{address: "unix:/run/s.sock", mode: "0666", group: www-data}')
    assert listener == ListenerSettings(Address("unix:/run/s.sock", 0), None, None, 0o666, "www-data")
    assert str(listener.address) == "unix:/run/s.sock"
    (listener,) = listeners("unix:/run/s.sock")
    assert (listener.mode, listener.group) == (0o660, None)


def test_the_path_of_a_unix_socket_starts_at_the_folder_of_the_file() -> None:
    loaded = parse(f"{TOP}listen: unix:run/s.sock\n", "f", {}, TODAY, path=Path("/etc/strangler/routes.yaml"))
    assert loaded.settings is not None
    assert loaded.settings.listeners[0].address == Address("unix:/etc/strangler/run/s.sock", 0)


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("[]", "f:7:1: listen is empty; write where clients connect, such as 127.0.0.1:8080"),
        ("8080", "f:7:9: listen is 8080; write host:port, such as 127.0.0.1:8080"),
        ("[8080]", "f:7:10: listen[0].address is 8080; write host:port, such as 127.0.0.1:8080"),
        ('"unix:"', "f:7:9: listen is 'unix:'; write the path of the socket's file, such as unix:/run/strangler.sock"),
        (
            '{address: "1.2.3.4:80", mode: "0660"}',
            "f:7:33: listen has mode; it is for unix sockets alone; take it out",
        ),
        (
            '{address: "unix:/s", mode: "0999"}',
            'f:7:36: listen[0].mode is 0999; write three octal digits, such as "0660"',
        ),
        (
            "{address: 1.2.3.4:80, redirect: http}",
            "f:7:41: listen[0].redirect is 'http'; write https, or https: and a port, such as https:8443",
        ),
        (
            "{address: 1.2.3.4:80, proxy_protocol: {from: []}}",
            "f:7:31: proxy_protocol.from names nobody; name the load balancers, such as [10.0.0.0/8]",
        ),
        ("[1.2.3.4:80, 1.2.3.4:80]", "f:7:22: an earlier listener takes 1.2.3.4:80 already; take one of them out"),
        ("[1.2.3.4:80, 0.0.0.0:80]", "f:7:22: an earlier listener takes 0.0.0.0:80 already; take one of them out"),
        ("[unix:/s, unix:/s]", "f:7:19: an earlier listener takes unix:/s already; take one of them out"),
        ("127.0.0.1:8081", "f:7:9: listen and admin.listen both take port 8081; give each a port of its own"),
        (
            "{address: 1.2.3.4:80, proxyprotocol: {}}",
            "f:7:31: unknown key 'listen[0].proxyprotocol'; did you mean 'proxy_protocol'?",
        ),
    ],
)
def test_a_wrong_listener_is_told_with_its_place(text: str, line: str) -> None:
    assert any(found.startswith(line) for found in problems(f"{TOP}listen: {text}\n")), problems(
        f"{TOP}listen: {text}\n"
    )


def test_an_override_is_harmless_where_only_this_machine_connects() -> None:
    route = (
        "- {name: b, match: {prefix: /b}, candidate: orders, split: {percent: 5, sticky: [client_ip], override: X-A}}\n"
    )
    found = [line for line in warnings(f"{TOP}{route}listen: [unix:/s, 127.0.0.1:80]\n") if "choose its arm" in line]
    assert found == []
    found = [line for line in warnings(f"{TOP}{route}listen: [unix:/s, 0.0.0.0:80]\n") if "choose its arm" in line]
    assert len(found) == 1
