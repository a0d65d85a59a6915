"""The objects of a release fit each other, and ask for no right that the proxy does not need."""

import re
from typing import Any

import pytest

from tests.deploy.helm import render
from tests.deploy.releases import RELEASES, block, container, node, objects, only

FLEETS = ("fleet", "everything")
SINGLES = ("defaults", "single", "brought", "fleeting")
BROUGHT = {"routes-of-git", "keys-of-vault", "evidence", "edge-proxy"}  # what values/brought.yaml names
OF_OTHERS = BROUGHT | {"strangler", "shop-strangler", "shop-tls", "admin-tls", "postgresql-ca", "pages", "admin-ca"}


RECEIVING = {
    "receiver": {"enabled": True},
    "config": {
        "routes": 'listen: "[::]:8080"\nadmin: {listen: "[::]:8081", token: x}\nreceiver: {listen: "[::]:8082"}\n'
    },
}


def named(value: Any, keys: frozenset[str]) -> set[str]:
    """Return the names of Secrets, ConfigMaps and claims that a specification mentions."""
    if isinstance(value, list):
        return set().union(*(named(each, keys) for each in value))
    if not isinstance(value, dict):
        return set()
    found = {each for key, each in value.items() if key in keys and isinstance(each, str)}
    for key in ("secretKeyRef", "configMap"):
        if isinstance(value.get(key), dict):
            found.add(value[key]["name"])
    return found.union(*(named(each, keys) for each in value.values()))


@pytest.mark.parametrize("release", RELEASES)
def test_what_the_pods_name_is_rendered_or_is_said_to_be_others(release: str) -> None:
    rendered = {document["metadata"]["name"] for document in objects(release)}
    wanted = named(node(release), frozenset({"secretName", "claimName", "serviceAccountName"}))
    assert wanted - rendered <= OF_OTHERS
    if release == "brought":
        assert wanted == BROUGHT
    if release == "everything":
        assert {"keys", "proxy", "shop-shop-proxy-routes"} <= wanted & rendered


@pytest.mark.parametrize("release", RELEASES)
def test_names_are_short_enough_and_no_two_objects_have_one(release: str) -> None:
    found = [(document["kind"], document["metadata"]["name"]) for document in objects(release)]
    assert len(set(found)) == len(found)
    assert all(re.fullmatch(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?", name) for _, name in found)


def test_a_release_with_the_longest_name_has_them_too() -> None:
    names = [document["metadata"]["name"] for document in render({"fullnameOverride": "a" * 80} | RECEIVING)]
    assert "a" * 53 + "-receiver" in names
    assert max(map(len, names)) <= 63


@pytest.mark.parametrize("release", RELEASES)
def test_whatever_selects_pods_selects_these(release: str) -> None:
    deployment = only(release, "Deployment")
    labels = deployment["spec"]["template"]["metadata"]["labels"]
    selectors = [
        document["spec"].get("podSelector", document["spec"].get("selector", {}))
        for document in objects(release)
        if document["kind"] in {"Service", "Deployment", "PodDisruptionBudget", "NetworkPolicy"}
    ]
    for selector in selectors:
        wanted = selector.get("matchLabels", selector)
        assert wanted
        assert wanted.items() <= labels.items()
    test_pods = [document for document in objects(release) if document["kind"] == "Pod"]
    for pod in test_pods:  # clients are never sent to it
        assert not selectors[0].get("matchLabels", selectors[0]).items() <= pod["metadata"]["labels"].items()


@pytest.mark.parametrize("release", RELEASES)
def test_every_port_that_is_named_is_one_of_the_container(release: str) -> None:
    ports = {port["name"]: port["containerPort"] for port in container(release)["ports"]}
    for document in objects(release):
        if document["kind"] == "Service":
            assert {port["targetPort"] for port in document["spec"]["ports"]} <= ports.keys()
    for probe in ("startupProbe", "readinessProbe", "livenessProbe"):
        assert container(release)[probe]["httpGet"]["port"] in ports
    for policy in (document for document in objects(release) if document["kind"] == "NetworkPolicy"):
        opened = {port["port"] for rule in policy["spec"]["ingress"] for port in rule["ports"]}
        assert opened == set(ports.values())


@pytest.mark.parametrize("release", FLEETS)
def test_prometheus_finds_the_admin_service_and_no_other(release: str) -> None:
    monitor = only(release, "ServiceMonitor")["spec"]
    chosen = [
        document
        for document in objects(release)
        if document["kind"] == "Service"
        and monitor["selector"]["matchLabels"].items() <= document["metadata"]["labels"].items()
    ]
    (service,) = chosen
    (endpoint,) = monitor["endpoints"]
    assert service["metadata"]["name"].endswith("-admin")
    assert [port["name"] for port in service["spec"]["ports"]] == [endpoint["port"]]
    (token,) = [each for each in container(release)["env"] if each["name"] == "STRANGLER_TOKEN"]
    assert endpoint["authorization"]["credentials"] == token["valueFrom"]["secretKeyRef"]
    assert endpoint["scheme"].upper() == container(release)["readinessProbe"]["httpGet"]["scheme"]


@pytest.mark.parametrize("release", RELEASES)
def test_pods_are_those_of_the_restricted_standard(release: str) -> None:
    """Kubernetes' Pod Security Standard `restricted`, and a root file system that cannot be written."""
    pods = [node(release), *(document["spec"] for document in objects(release) if document["kind"] == "Pod")]
    for pod in pods:
        assert not {"hostNetwork", "hostPID", "hostIPC"} & pod.keys()
        assert pod["automountServiceAccountToken"] is False
        assert pod["enableServiceLinks"] is False
        assert pod["securityContext"]["runAsNonRoot"] is True
        assert pod["securityContext"]["runAsUser"] > 0
        assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        for each in pod["containers"]:
            assert each["securityContext"] == {
                "allowPrivilegeEscalation": False,
                "readOnlyRootFilesystem": True,
                "capabilities": {"drop": ["ALL"]},
            }
        kinds = {kind for volume in pod.get("volumes", []) for kind in volume.keys() - {"name"}}
        assert kinds <= {"configMap", "emptyDir", "persistentVolumeClaim", "secret"}


@pytest.mark.parametrize("release", RELEASES)
def test_only_folders_are_mounted(release: str) -> None:
    """A file that is mounted by itself never changes."""
    mounts = {mount["name"]: mount for mount in container(release)["volumeMounts"]}
    assert mounts.keys() == {volume["name"] for volume in node(release)["volumes"]}
    assert not any("subPath" in mount or "subPathExpr" in mount for mount in mounts.values())
    assert mounts["routes"]["readOnly"] is True
    (volume,) = [volume for volume in node(release)["volumes"] if volume["name"] == "routes"]
    assert "items" not in volume["configMap"]
    written = [name for name, mount in mounts.items() if not mount.get("readOnly")]
    assert written == ["state", "tmp"]


@pytest.mark.parametrize("release", RELEASES)
def test_a_password_is_in_no_object_but_the_secret(release: str) -> None:
    text = repr([document for document in objects(release) if document["kind"] != "Secret"])
    assert not any(secret in text for secret in ("p@ss: word", "correct-horse-battery", "sixteen-letters-and-more"))


@pytest.mark.parametrize("release", FLEETS)
def test_a_fleet_rolls_without_losing_a_node_and_is_spread(release: str) -> None:
    deployment = only(release, "Deployment")["spec"]
    assert deployment["strategy"] == {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0}}
    assert only(release, "PodDisruptionBudget")["spec"]["unhealthyPodEvictionPolicy"] == "AlwaysAllow"
    assert node(release)["topologySpreadConstraints"]
    (state,) = [volume for volume in node(release)["volumes"] if volume["name"] == "state"]
    assert state == {"name": "state", "emptyDir": {}}


def test_with_an_autoscaler_the_number_of_nodes_is_its_own() -> None:
    scaler = only("everything", "HorizontalPodAutoscaler")["spec"]
    deployment = only("everything", "Deployment")
    assert scaler["scaleTargetRef"]["name"] == deployment["metadata"]["name"]
    assert "replicas" not in deployment["spec"]
    assert only("fleet", "Deployment")["spec"]["replicas"] == 3


@pytest.mark.parametrize("release", SINGLES)
def test_one_node_is_never_two_and_has_no_budget(release: str) -> None:
    deployment = only(release, "Deployment")["spec"]
    assert deployment["replicas"] == 1
    assert not any(document["kind"] == "PodDisruptionBudget" for document in objects(release))
    (state,) = [volume for volume in node(release)["volumes"] if volume["name"] == "state"]
    if "persistentVolumeClaim" in state:  # two pods could not hold it
        assert deployment["strategy"] == {"type": "Recreate"}
    assert ("persistentVolumeClaim" in state) == (release != "fleeting")


def test_the_claim_of_one_node_outlives_the_release() -> None:
    claim = only("single", "PersistentVolumeClaim")
    assert claim["metadata"]["annotations"]["helm.sh/resource-policy"] == "keep"
    assert claim["spec"]["resources"]["requests"]["storage"] == "20Gi"


@pytest.mark.parametrize(("release", "seconds"), [("fleet", 5 + 30 + 15), ("everything", 10 + 90 + 15)])
def test_a_pod_has_time_to_drain(release: str, seconds: int) -> None:
    assert node(release)["terminationGracePeriodSeconds"] == seconds


ODD = """\
# ünïcode, "quotes", \\ and ${A:-b} {{ .Values }}
listen: "[::]:8080"
admin: {listen: "[::]:8081", token: x}


  # indented, and without an end of the line"""


def test_a_file_is_rendered_word_for_word() -> None:
    config = {"routes": ODD, "include": {"a.yaml": "\n  x: 1e6\n"}}
    (rendered,) = [each for each in render({"config": config}) if each["kind"] == "ConfigMap"]
    assert rendered["data"] == {"routes.yaml": ODD, "a.yaml": "\n  x: 1e6\n"}
    assert only("fleet", "ConfigMap")["data"]["routes.yaml"] == block("yaml", "# routes.yaml")


def leaves(value: Any, skipped: frozenset[str]) -> set[str]:
    """Return all texts and numbers of a value, but for what is below some keys."""
    if isinstance(value, dict):
        return set().union(*(leaves(each, skipped) for key, each in value.items() if key not in skipped))
    if isinstance(value, list):
        return set().union(*(leaves(each, skipped) for each in value))
    return set() if isinstance(value, bool) else {str(value)}


def test_no_value_is_lost() -> None:
    """But for those that are written in another form: encoded, as a part of a URL, or as a choice of what there is."""
    text = repr(objects("everything"))
    wanted = leaves(RELEASES["everything"], frozenset({"config", "secret", "kind", "user", "database", "replicas"}))
    assert {each for each in wanted if each not in text} == set()
    assert len(wanted) > 50


def test_a_login_to_the_dashboard_stays_with_its_node() -> None:
    assert only("fleet", "Service", "-admin")["spec"]["sessionAffinity"] == "ClientIP"


def annotations(values: dict[str, Any]) -> dict[str, str]:
    (deployment,) = [each for each in render(values) if each["kind"] == "Deployment"]
    return dict(deployment["spec"]["template"]["metadata"]["annotations"])


def test_another_password_of_the_charts_own_secret_makes_new_pods() -> None:
    first, second = ({"secret": {"create": True, "token": token}} for token in ("first", "second"))
    assert annotations(first) == annotations(first) != annotations(second)


def digest(routes: str) -> str:
    return annotations({"config": {"routes": routes}})["checksum/needs-restart"]


def test_only_what_needs_a_restart_makes_new_pods() -> None:
    base = 'listen: "[::]:8080"\nadmin: {listen: "[::]:8081", token: x}\n'
    followed = (
        base + "routes: [{name: a, match: {prefix: /a}, candidate: legacy}]\n",
        base.replace("token: x", "token: y"),
        base.replace('listen: "[::]:8080"', 'listen: {address: "[::]:8080", proxy_protocol: {from: [10.0.0.0/8]}}'),
        "# a comment\n" + base,
    )
    restarted = (base + "state: /var/lib/strangler\n", base + "node: a\n", base.replace("[::]:8080", "0.0.0.0:8080"))
    assert {digest(routes) for routes in followed} == {digest(base)}
    assert len({digest(base), *(digest(routes) for routes in restarted)}) == 1 + len(restarted)
