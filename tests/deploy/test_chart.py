"""The chart as Helm renders it: objects that Kubernetes knows, and refusals that name the way out."""

import re
from copy import deepcopy
from typing import Any

import jsonschema
import kubernetes_validate
import pytest
import yaml

import strangler
from tests.deploy import schemas
from tests.deploy.helm import CHART, KUBERNETES, refusal, run
from tests.deploy.releases import RELEASES, objects

ROUTES = """\
listen: "[::]:8080"
admin: {listen: "[::]:8081", token: "${STRANGLER_TOKEN}"}
"""
SHARED = {"kind": "postgresql", "postgresql": {"host": "db"}}


@pytest.mark.parametrize("release", RELEASES)
def test_helm_has_nothing_to_warn_of(release: str) -> None:
    done = run("lint", "--strict", str(CHART), "--values", "-", *KUBERNETES, text=yaml.safe_dump(RELEASES[release]))
    assert done.returncode == 0, done.stdout + done.stderr
    assert not re.search(r"\[(WARNING|ERROR)\]", done.stdout), done.stdout


@pytest.mark.parametrize("version", [schemas.OLDEST, schemas.NEWEST])
@pytest.mark.parametrize("release", RELEASES)
def test_every_object_is_one_that_kubernetes_knows(release: str, version: str) -> None:
    for document in objects(release):
        schemas.check(document, version)


def test_all_that_can_be_rendered_is_among_them() -> None:
    kinds = {document["kind"] for release in RELEASES for document in objects(release)}
    written = {
        line.removeprefix("kind: ")
        for file in (CHART / "templates").rglob("*.yaml")
        for line in file.read_text().splitlines()
        if line.startswith("kind: ")
    }
    assert kinds == written


@pytest.mark.parametrize("release", ["fleet", "everything"])
def test_a_field_that_does_not_exist_would_be_found(release: str) -> None:
    """The schemas are no sieve: whatever object gets a field of no meaning is refused."""
    for document in objects(release):
        wrong = deepcopy(document)
        place = "data" if document["kind"] == "Secret" else "spec" if "spec" in document else ""
        (wrong[place] if place == "spec" else wrong)["replics"] = "1"
        with pytest.raises((jsonschema.ValidationError, kubernetes_validate.ValidationError)):
            schemas.check(wrong, schemas.NEWEST)


def test_its_version_of_the_program_is_this_one() -> None:
    chart = yaml.safe_load((CHART / "Chart.yaml").read_text())
    assert chart["appVersion"] == strangler.__version__
    assert chart["kubeVersion"] == f">={schemas.OLDEST}.0-0"


def test_every_value_has_its_place_in_the_schema_and_in_a_template() -> None:
    values = yaml.safe_load((CHART / "values.yaml").read_text())
    schema = yaml.safe_load((CHART / "values.schema.json").read_text())
    assert values.keys() == schema["properties"].keys() - {"global"}
    templates = "".join(file.read_text() for file in (CHART / "templates").rglob("*") if file.is_file())
    assert [name for name in values if f".Values.{name}" not in templates] == []


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"replics": 3}, "additional properties 'replics' not allowed"),
        ({"replicas": "3"}, "at '/replicas': got string, want integer"),
        ({"replicas": -1}, "at '/replicas': minimum: got -1, want 0"),
        ({"image": {"repository": ""}}, "at '/image/repository'"),
        ({"image": {"repository": "images.example/strangler:2"}}, "at '/image/repository'"),
        ({"image": {"digest": "latest"}}, "at '/image/digest'"),
        ({"store": {"kind": "mysql"}}, "at '/store/kind': value must be one of 'sqlite', 'postgresql'"),
        ({"store": {"postgresql": {"host": "user@db"}}}, "at '/store/postgresql/host'"),
        ({"store": {"postgresql": {"password": "x"}}}, "additional properties 'password' not allowed"),
        ({"store": {"sqlite": {"size": "8 GB"}}}, "at '/store/sqlite/size'"),
        ({"store": {"sqlite": {"accessMode": "ReadWriteMany"}}}, "at '/store/sqlite/accessMode'"),
        ({"listeners": [{"name": "admin", "port": 80}]}, "at '/listeners/0/name'"),
        ({"listeners": [{"name": "http", "port": 99999}]}, "at '/listeners/0/port': maximum"),
        ({"listeners": [{"name": "a-name-beyond-15", "port": 80}]}, "at '/listeners/0/name': maxLength"),
        ({"config": {"include": {"orders/a.yaml": ""}}}, "additional properties 'orders/a.yaml' not allowed"),
        ({"config": {"include": {"routes.yaml": ""}}}, "at '/config/include/routes.yaml'"),
        ({"service": {"type": "ExternalName"}}, "at '/service/type'"),
        ({"podDisruptionBudget": {"maxUnavailable": 0}}, "at '/podDisruptionBudget/maxUnavailable'"),
        ({"probes": {"liveness": {"path": "/"}}}, "additional properties 'path' not allowed"),
        ({"serviceMonitor": {"interval": 30}}, "at '/serviceMonitor/interval': got number, want string"),
        ({"networkPolicy": {"admin": "all"}}, "at '/networkPolicy/admin': got string, want array"),
        ({"certificates": ["a/b"]}, "at '/certificates/0'"),
    ],
    ids=lambda value: value[:40] if isinstance(value, str) else None,
)
def test_a_value_that_cannot_be_meant_is_refused_at_its_place(values: dict[str, Any], message: str) -> None:
    assert message in refusal(values)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"replicas": 2}, "several nodes need a shared store, or each has its own evidence, positions and kill switch"),
        ({"autoscaling": {"enabled": True}}, "say `store.kind: postgresql`, or `replicas: 1`"),
        ({"store": {"kind": "postgresql"}}, "store.postgresql.host: empty; name the server"),
        ({"store": SHARED}, 'config.routes has no `store`; write store: "${STRANGLER_STORE}", which the chart sets'),
        (
            {"config": {"routes": ROUTES + "store: postgresql://a@b/c"}},
            "config.routes names a server; say `store.kind:",
        ),
        ({"secret": {"create": True}}, "secret.token: empty; the admin listener of a pod needs a token"),
        (
            {"secret": {"create": True, "token": "x", "storeSecret": "short"}, "store": SHARED},
            "secret.storeSecret: fewer than 16 characters",
        ),
        ({"networkPolicy": {"enabled": True}}, "networkPolicy.egress: empty; the proxy could reach no upstream"),
        (
            {"autoscaling": {"enabled": True, "minReplicas": 7}, "store": SHARED},
            "autoscaling.minReplicas: greater than maxReplicas",
        ),
        ({"terminationGracePeriodSeconds": 40}, "need at least 41, or requests under way are cut"),
        (
            {"config": {"routes": ROUTES + "limits: {drain: none}"}},
            "limits.drain of config.routes is no such time as 30s",
        ),
        ({"config": {"routes": "listen: [\n"}}, "config.routes: no YAML: error converting YAML to JSON"),
        ({"config": {"routes": "version: 1\n"}}, "listen is 127.0.0.1:8080, which nothing outside the pod reaches"),
        (
            {"config": {"routes": "version: 1\n"}},
            "admin.listen is 127.0.0.1:8081, which nothing outside the pod reaches",
        ),
        ({"config": {"routes": 'listen: "[::1]:8080"'}}, 'nothing outside the pod reaches; write "[::]:8080"'),
        ({"config": {"routes": 'listen: "[::]:${PORT}"'}}, "the chart has to know the port: write it out"),
        (
            {"config": {"routes": 'listen: ["[::]:80", {address: "[::]:8080"}]'}},
            "`listeners` has not; add {name: …, port: 80}",
        ),
        ({"listeners": []}, "listen has port 8080, and `listeners` has not"),
        (
            {"listeners": [{"name": "http", "port": 8080}, {"name": "https", "port": 8443}]},
            "listeners: port 8443, where nothing listens; `listen` of config.routes has [::]:8080",
        ),
        ({"admin": {"port": 9000}}, "admin.port: 9000, and admin.listen of config.routes has port 8081"),
        ({"admin": {"tls": True}}, "admin.tls: true, and config.routes says otherwise; probes would fail"),
        (
            {"config": {"routes": 'admin: {listen: "[::]:8081"}'}},
            'admin.token is missing; write token: "${STRANGLER_TOKEN}"',
        ),
        ({"receiver": {"enabled": True}}, 'config.routes has no receiver; write receiver: {listen: "[::]:8082"}'),
        ({"config": {"routes": ROUTES + 'receiver: {listen: "[::]:8082"}'}}, "no Service would lead to it"),
        (
            {"receiver": {"enabled": True}, "config": {"routes": ROUTES + 'receiver: {listen: "[::]:8083"}'}},
            "receiver.port: 8082, and receiver.listen of config.routes has port 8083",
        ),
        ({"config": {"routes": ROUTES + "state: /data"}}, "state is /data; a pod can write to /var/lib/strangler only"),
    ],
    ids=lambda value: value[:40] if isinstance(value, str) else None,
)
def test_what_does_not_fit_together_is_refused_with_the_way_out(values: dict[str, Any], message: str) -> None:
    assert message in refusal(values)


def test_all_of_it_is_said_at_once() -> None:
    message = refusal({"replicas": 2, "admin": {"port": 9000}, "networkPolicy": {"enabled": True}})
    assert message.count("\n- ") == 3


def test_with_somebody_elses_config_map_its_content_is_not_judged() -> None:
    assert (
        run(
            "template", "shop", str(CHART), "--set", "config.existingConfigMap=theirs,admin.port=9000", *KUBERNETES
        ).returncode
        == 0
    )
