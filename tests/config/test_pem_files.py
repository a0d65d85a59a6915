"""The certificate files that routes.yaml names: what `check` says of them, and what a running proxy keeps."""

import os
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from strangler.config.load import Loaded, load
from strangler.config.pem_files import MAX_PEM_BYTES, PemSource
from strangler.core.listener_settings import CertificateSettings, ServerTlsSettings
from strangler.core.settings import Settings
from tests.certificates import Pair, make_ca, make_pair

TOP = """\
version: 1
upstreams: {legacy: {url: "https://legacy.example"}}
"""
CA = make_ca()
SHOP = make_pair(["shop.example"], ca=CA)
OTHER = make_pair(["other.example"])
TLS = "listen: {address: 127.0.0.1:8443, tls: {certificates: [{cert: shop.pem, key: shop.key}]}}\n"


class Folder:
    """routes.yaml and what lies beside it."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def write(self, text: str, **pairs: Pair) -> None:
        (self.path / "routes.yaml").write_text(TOP + text)
        for name, pair in pairs.items():
            pair.write(self.path, name)

    def load(self, in_force: Settings | None = None, *, reads: bool = True) -> Loaded:
        pem = PemSource(datetime.now(UTC), in_force=in_force) if reads else None
        return load(self.path / "routes.yaml", os.environ, pem)

    def problems(self) -> list[str]:
        return self._plain(self.load().problems)

    def warnings(self, in_force: Settings | None = None) -> list[str]:
        return self._plain(self.load(in_force).warnings)

    def settings(self, in_force: Settings | None = None) -> Settings:
        loaded = self.load(in_force)
        assert loaded.settings is not None, loaded.problems
        return loaded.settings

    def _plain(self, problems: tuple[object, ...]) -> list[str]:
        return [str(problem).replace(f"{self.path}/", "") for problem in problems]


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    return Folder(tmp_path)


def tls_of(settings: Settings) -> ServerTlsSettings:
    tls = settings.listeners[0].tls
    assert tls is not None
    return tls


def test_settings_hold_the_facts_and_the_content(folder: Folder) -> None:
    folder.write(TLS, shop=SHOP)
    settings = folder.settings()
    cert, key = str(folder.path / "shop.pem"), str(folder.path / "shop.key")
    assert tls_of(settings).certificates == (
        CertificateSettings(cert, key, ("shop.example",), "ecdsa", SHOP.not_after),
    )
    assert settings.files == {cert: SHOP.chain, key: SHOP.key}
    assert "PRIVATE KEY" not in repr(settings)


def test_a_key_may_stand_in_the_certificate_s_file(folder: Folder) -> None:
    folder.write("listen: {address: 127.0.0.1:8443, tls: {certificates: [{cert: both.pem}]}}\n")
    (folder.path / "both.pem").write_bytes(SHOP.both)
    settings = folder.settings()
    assert settings.files == {str(folder.path / "both.pem"): SHOP.both}


def test_files_are_not_read_for_those_who_may_not_read_keys(folder: Folder) -> None:
    folder.write(TLS)
    loaded = folder.load(reads=False)
    assert loaded.settings is not None
    assert loaded.settings.files == {}
    assert tls_of(loaded.settings).certificates[0].cert == str(folder.path / "shop.pem")


def test_paths_start_at_the_folder_of_the_file(folder: Folder) -> None:
    (folder.path / "certs").mkdir()
    SHOP.write(folder.path / "certs", "shop")
    (folder.path / "ca.pem").write_bytes(CA.cert)
    text = TLS.replace("shop.pem", "certs/shop.pem").replace("shop.key", f"{folder.path}/certs/shop.key")
    folder.write(text.replace("]}}", "], client_ca: ca.pem}}"))
    settings = folder.settings()
    assert set(settings.files) == {str(folder.path / name) for name in ("certs/shop.pem", "certs/shop.key", "ca.pem")}
    assert tls_of(settings).client_ca == str(folder.path / "ca.pem")


def test_what_is_wrong_is_named_with_its_place(folder: Folder) -> None:
    folder.write(TLS)
    place = "routes.yaml:3:63: listen[0].tls.certificates[0].cert"
    way_out = f"there must be a file {folder.path}/shop.pem".replace(f"{folder.path}/", "")
    assert folder.problems() == [f"{place} cannot be read: No such file or directory; {way_out}"]
    (folder.path / "shop.pem").mkdir()
    assert folder.problems()[0].startswith(f"{place} cannot be read: ")
    (folder.path / "shop.pem").rmdir()
    os.mkfifo(folder.path / "shop.pem")
    assert folder.problems()[0].startswith(f"{place} cannot be read: it is not a file")
    (folder.path / "shop.pem").unlink()
    (folder.path / "shop.pem").write_bytes(b"x" * (MAX_PEM_BYTES + 1))
    assert folder.problems() == [f"{place} is too large; at most 1024 KiB are allowed"]
    SHOP.write(folder.path, "shop")
    (folder.path / "shop.key").write_bytes(OTHER.key)
    (problem,) = folder.problems()
    assert problem.startswith("routes.yaml:3:78: listen[0].tls.certificates[0].key does not fit the certificate; ")


def test_every_file_is_reported(folder: Folder) -> None:
    folder.write(
        "listen:\n"
        "- {address: 127.0.0.1:1, tls: {certificates: [{cert: a.pem}, {cert: b.pem}], client_ca: c.pem}}\n"
        "admin: {listen: 127.0.0.1:2, tls: {certificates: [{cert: d.pem}]}}\n"
    )
    assert [line.partition(" cannot")[0] for line in folder.problems()] == [
        "routes.yaml:4:54: listen[0].tls.certificates[0].cert",
        "routes.yaml:4:69: listen[0].tls.certificates[1].cert",
        "routes.yaml:4:89: listen[0].tls.client_ca",
        "routes.yaml:5:58: admin.tls.certificates[0].cert",
    ]


@pytest.mark.parametrize(
    ("content", "what"),
    [(b"", "holds no certificate"), (b"no PEM", "holds no certificate"), (SHOP.key, "cannot be used: ")],
)
def test_a_file_of_authorities_must_hold_some(folder: Folder, content: bytes, what: str) -> None:
    folder.write(TLS.replace("]}}", "], client_ca: ca.pem}}"), shop=SHOP)
    (folder.path / "ca.pem").write_bytes(content)
    (problem,) = folder.problems()
    assert f"listen[0].tls.client_ca {what}" in problem
    assert problem.endswith("; name a PEM file with the certificates of authorities")


def test_an_upstream_s_authorities_are_read_too(folder: Folder) -> None:
    (folder.path / "routes.yaml").write_text(
        'version: 1\nupstreams: {legacy: {url: "https://legacy.example", tls: {ca: ca.pem}}}\n'
    )
    (problem,) = folder.problems()
    assert problem.startswith("routes.yaml:2:63: upstream 'legacy': tls.ca cannot be read: No such file")
    (folder.path / "ca.pem").write_bytes(CA.cert)
    settings = folder.settings()
    assert settings.upstreams["legacy"].tls.ca == str(folder.path / "ca.pem")
    assert settings.files == {str(folder.path / "ca.pem"): CA.cert}


class TestARunningProxy:
    def test_new_files_are_taken(self, folder: Folder) -> None:
        folder.write(TLS, shop=SHOP)
        before = folder.settings()
        OTHER.write(folder.path, "shop")
        after = folder.settings(before)
        assert after.files[str(folder.path / "shop.pem")] == OTHER.chain
        assert tls_of(after).certificates[0].names == ("other.example",)

    @pytest.mark.parametrize("fault", ["no file", "half swapped", "damaged", "expired", "no longer a key"])
    def test_a_bad_pair_leaves_that_in_force(self, folder: Folder, fault: str) -> None:
        folder.write(TLS, shop=SHOP)
        before = folder.settings()
        cert, key = folder.path / "shop.pem", folder.path / "shop.key"
        match fault:
            case "no file":
                cert.unlink()
            case "half swapped":
                cert.write_bytes(OTHER.chain)
            case "damaged":
                cert.write_bytes(SHOP.cert[:300])
            case "expired":
                make_pair(not_after=datetime.now(UTC) - timedelta(hours=1)).write(folder.path, "shop")
            case _:
                key.write_bytes(SHOP.encrypted_key())
        loaded = folder.load(before)
        assert loaded.settings == before
        assert loaded.is_stale
        (warning,) = folder.warnings(before)
        assert "so the earlier content stays in force" in warning
        assert folder.problems()  # a start would not take it

    @pytest.mark.parametrize("bad", ["shop.key", "twin.key"])
    def test_a_certificate_stays_for_all_who_name_it(self, folder: Folder, bad: str) -> None:
        pairs = "[{cert: shop.pem, key: shop.key}, {cert: shop.pem, key: twin.key}]"
        folder.write(TLS.replace("[{cert: shop.pem, key: shop.key}]", pairs), shop=SHOP)
        (folder.path / "twin.key").write_bytes(SHOP.key)
        before = folder.settings()
        renewed = make_pair(["shop.example"])
        renewed.write(folder.path, "shop")
        (folder.path / "twin.key").write_bytes(renewed.key)
        (folder.path / bad).write_bytes(SHOP.key)  # not renewed yet
        after = folder.settings(before)
        assert after.files == before.files  # else one pair were the new certificate with the old key
        assert tls_of(after) == tls_of(before)
        (folder.path / bad).write_bytes(renewed.key)
        assert folder.settings(after).files[str(folder.path / "shop.pem")] == renewed.chain

    def test_a_certificate_that_is_an_authority_too_stays_for_both(self, folder: Folder) -> None:
        upstream = 'upstreams: {legacy: {url: "https://legacy.example", tls: {ca: shop.pem}}}\n'
        folder.write(TLS, shop=SHOP)
        (folder.path / "routes.yaml").write_text("version: 1\n" + upstream + TLS)
        before = folder.settings()
        (folder.path / "shop.pem").write_bytes(OTHER.chain)
        assert folder.settings(before).files == before.files

    def test_other_edits_go_through_meanwhile(self, folder: Folder) -> None:
        folder.write(TLS, shop=SHOP)
        before = folder.settings()
        folder.write(TLS.replace("]}}", ']}, redirect: "https:9443"}') + "workers: 3\n")
        (folder.path / "shop.key").unlink()
        after = folder.settings(before)
        assert after.workers == 3
        assert after.files == before.files

    def test_an_edit_that_names_a_bad_pair_is_rejected(self, folder: Folder) -> None:
        folder.write(TLS, shop=SHOP)
        before = folder.settings()
        folder.write(TLS.replace("shop.key", "missing.key"))
        assert folder.load(before).settings is None

    def test_authorities_that_cannot_be_read_stay(self, folder: Folder) -> None:
        folder.write(TLS.replace("]}}", "], client_ca: ca.pem}}"), shop=SHOP)
        (folder.path / "ca.pem").write_bytes(CA.cert)
        before = folder.settings()
        (folder.path / "ca.pem").write_bytes(b"")
        loaded = folder.load(before)
        assert loaded.settings == before
        assert loaded.is_stale

    def test_what_is_no_longer_named_is_forgotten(self, folder: Folder) -> None:
        folder.write(TLS, shop=SHOP)
        before = folder.settings()
        folder.write("listen: 127.0.0.1:8443\n")
        assert folder.settings(before).files == {}


class TestNames:
    ROUTE = "routes: [{name: a, match: {prefix: /a, host: HOST}, candidate: legacy}]\n"

    @pytest.mark.parametrize(
        ("names", "host", "is_met"),
        [
            (["shop.example"], "shop.example", True),
            (["shop.example"], "SHOP.example", True),
            (["*.example"], "shop.example", True),
            (["*.example"], "a.shop.example", False),
            (["shop.example"], '"*.example"', True),
            (["a.shop.example"], '"*.shop.example"', True),
            (["other.example", "shop.example"], "shop.example", True),
            (["other.example"], "shop.example", False),
            (["example"], '"*.example"', False),
        ],
    )
    def test_a_host_that_no_certificate_is_for_is_a_warning(
        self, folder: Folder, names: list[str], host: str, is_met: bool
    ) -> None:
        folder.write(TLS + self.ROUTE.replace("HOST", host), shop=make_pair(names))
        found = folder.warnings()
        assert any("match.host is a name of no certificate" in line for line in found) is not is_met
        assert any("which no match.host meets" in line for line in found) is not is_met

    def test_a_plain_listener_may_stand_behind_another_proxy(self, folder: Folder) -> None:
        text = "listen: [127.0.0.1:8080, {address: 127.0.0.1:8443, tls: {certificates: [{cert: shop.pem, key: shop.key}]}}]\n"
        folder.write(text + self.ROUTE.replace("HOST", "other.example"), shop=SHOP)
        assert not any("name of no certificate" in line for line in folder.warnings())

    def test_a_certificate_that_is_never_chosen_is_a_warning(self, folder: Folder) -> None:
        text = TLS.replace("]}}", ", {cert: again.pem, key: again.key}]}}")
        folder.write(text, shop=SHOP, again=make_pair(["shop.example"]))
        (warning,) = folder.warnings()
        assert "certificates[1].cert is for shop.example, as an earlier one is" in warning
        folder.write(text, again=make_pair(["shop.example"], kind="rsa"))
        assert folder.warnings() == []


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("tls: {certificates: []}", "listen[0].tls.certificates is empty; write one"),
        ("tls: {}", "listen[0].tls.certificates is missing"),
        ("tls: {certificates: [{cert: shop.pem, key: shop.key}], client_cert: required}", "name the authorities"),
        ("tls: {certificates: [{cert: shop.pem, key: shop.key}], min_version: 1.1}", "write 1.2 or 1.3"),
        ("tls: {certificates: [{cert: shop.pem, key: shop.key}]}, redirect: 'https:8443'", "leads to this listener"),
        ("tls: {certificates: [{key: shop.key}]}", "cert is missing"),
    ],
)
def test_keys_that_do_not_fit_together(folder: Folder, text: str, line: str) -> None:
    folder.write(f"listen: {{address: 127.0.0.1:8443, {text}}}\n", shop=SHOP)
    assert any(line in problem for problem in folder.problems()), folder.problems()


def test_options_are_read(folder: Folder) -> None:
    folder.write(TLS.replace("]}}", '], min_version: "1.3", client_ca: ca.pem, client_cert: required}}'), shop=SHOP)
    (folder.path / "ca.pem").write_bytes(CA.cert)
    tls = tls_of(folder.settings())
    assert replace(tls, certificates=()) == ServerTlsSettings((), "1.3", str(folder.path / "ca.pem"), "required")
