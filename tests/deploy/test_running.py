"""The rendered objects before the real program: what it reads, runs, serves, and is probed by."""

import asyncio
import os
import re
import shlex
import signal
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from shutil import which
from typing import Any, Final

import pytest
import yaml
from aiohttp import ClientSession
from psycopg import Connection
from psycopg.conninfo import conninfo_to_dict

from strangler.config.store_urls import store_place
from strangler.demo.children import free_ports
from strangler.store.postgres import connect, tables_of
from strangler.store.schema import SCHEMA
from tests.certificates import make_pair
from tests.deploy.helm import CHART, KUBERNETES, ROOT, render
from tests.deploy.helm import run as run_helm
from tests.deploy.pods import CONFINE, TOKEN, Pod, environ, running
from tests.deploy.releases import PAGE, RELEASES, block, container, only
from tests.e2e.commands import run
from tests.e2e.serving import legacy
from tests.needs import require
from tests.store.postgres import server


@pytest.mark.parametrize("release", [name for name in RELEASES if name != "brought"])
async def test_the_program_has_no_problem_with_routes_yaml(release: str, tmp_path: Path) -> None:
    for name, text in only(release, "ConfigMap")["data"].items():
        (tmp_path / name).write_text(text.replace("/etc/strangler-tls", str(tmp_path)))
    for name in ("shop-tls", "admin-tls"):
        (tmp_path / name).mkdir()
        pair = make_pair(["shop.example"])
        (tmp_path / name / "tls.crt").write_bytes(pair.chain)
        (tmp_path / name / "tls.key").write_bytes(pair.key)
    code, output = await run(tmp_path, "check", **environ(container(release)))
    assert code == 0, output
    assert "routes.yaml: ok" in output


@pytest.mark.parametrize(
    ("release", "host", "port", "user", "database", "sslmode"),
    [
        ("fleet", "postgresql.shop", "5432", "strangler", "strangler", "verify-full"),
        ("everything", "2001:db8::7", "6432", "strangler@web", "shop proxy", "verify-full"),
    ],
)
def test_the_store_is_named_as_libpq_reads_it(
    release: str, host: str, port: str, user: str, database: str, sslmode: str
) -> None:
    variables = environ(container(release))
    assert store_place(variables["STRANGLER_STORE"]) == variables["STRANGLER_STORE"]
    expected = {"host": host, "port": port, "user": user, "dbname": database, "sslmode": sslmode}
    assert conninfo_to_dict(variables["STRANGLER_STORE"]) == expected
    mounted = {mount["mountPath"] for mount in container(release)["volumeMounts"]}
    assert str(Path(variables["PGSSLROOTCERT"]).parent) in mounted


def test_one_node_gets_no_variable_of_postgresql() -> None:
    assert environ(container("single")) == {"STRANGLER_TOKEN": TOKEN, "STRANGLER_STORE": "sqlite"}


SINGLE: Final[dict[str, Any]] = {}


class Release:
    """One node with the routes.yaml of docs/kubernetes.md, on ports that are free."""

    def __init__(self) -> None:
        self.http, self.admin = free_ports(2)

    def objects(self, percent: object = 5, values: Mapping[str, Any] = SINGLE) -> list[dict[str, Any]]:
        routes = block("yaml", "# routes.yaml").replace("percent: 5", f"percent: {percent}").replace("workers: 2", "")
        for port, free in (("8080", self.http), ("8081", self.admin)):
            assert f"[::]:{port}" in routes
            routes = routes.replace(f"[::]:{port}", f"[::]:{free}")
        return render(
            {
                **values,
                "config": {"routes": routes + "state: /var/lib/strangler\nlimits: {drain: 5s}\n"},
                "listeners": [{"name": "http", "port": self.http, "servicePort": 80}],
                "admin": {"port": self.admin},
                "serviceMonitor": {"enabled": True},
            }
        )


async def fetch(url: str, **headers: str) -> tuple[int, str]:
    async with ClientSession() as client, client.get(url, headers=headers) as response:
        return response.status, await response.text()


async def test_a_pod_is_where_services_probes_prometheus_and_helm_test_look_for_it(tmp_path: Path) -> None:
    release = Release()
    objects = release.objects()
    async with legacy() as upstream, running(Pod(tmp_path, objects, f"http://127.0.0.1:{upstream.port}")) as pod:
        for probe in ("startupProbe", "readinessProbe", "livenessProbe"):
            get = pod.container[probe]["httpGet"]
            url = f"{get['scheme'].lower()}://127.0.0.1:{pod.ports[get['port']]}{get['path']}"
            assert (await fetch(url))[0] == 200, url
        (clients,) = [each for each in objects if each["kind"] == "Service" and each["spec"]["ports"][0]["port"] == 80]
        target = pod.ports[clients["spec"]["ports"][0]["targetPort"]]
        assert await fetch(f"http://127.0.0.1:{target}/") == (200, "legacy")
        (endpoint,) = next(each for each in objects if each["kind"] == "ServiceMonitor")["spec"]["endpoints"]
        metrics = f"{endpoint['scheme']}://127.0.0.1:{pod.ports[endpoint['port']]}{endpoint['path']}"
        assert (await fetch(metrics))[0] == 401
        status, text = await fetch(metrics, Authorization=f"{endpoint['authorization']['type']} {TOKEN}")
        assert status == 200
        assert "strangler_requests_total" in text
        arguments, variables = asking(objects, f"http://127.0.0.1:{release.admin}")
        code, output = await run(tmp_path, *arguments, **variables)
        assert code == 0, output
        code, output = await run(tmp_path, *arguments, STRANGLER_TOKEN="another")
        assert code == 1, output


def asking(objects: list[dict[str, Any]], here: str) -> tuple[list[str], dict[str, str]]:
    """Return what `helm test` runs, and its variables: the admin Service is `here`."""
    (test,) = [each for each in objects if each["kind"] == "Pod"]
    (container,) = test["spec"]["containers"]
    (service,) = [each for each in objects if each["kind"] == "Service" and each["metadata"]["name"].endswith("-admin")]
    url = f"http://{service['metadata']['name']}:{service['spec']['ports'][0]['port']}"
    assert url in container["args"]
    return [here if each == url else each for each in container["args"]], environ(container)


async def test_an_upgrade_with_another_percent_is_followed_by_the_pod_that_runs(tmp_path: Path) -> None:
    release = Release()
    async with (
        legacy() as upstream,
        running(Pod(tmp_path, release.objects(), f"http://127.0.0.1:{upstream.port}")) as pod,
    ):
        before, template = (await pod.status())["pid"], pod.template
        pod.take(release.objects(50), "..second")
        await pod.until(lambda: pod.has_generation(2))
        assert (await pod.status())["pid"] == before
        assert pod.template == template  # or Kubernetes would make new pods
        pod.take(release.objects("much"), "..third")
        await pod.wait_for_log("routes.problem")
        assert (await fetch(f"http://127.0.0.1:{release.admin}/readyz"))[0] == 200


async def test_it_needs_nothing_but_the_group_of_its_volume(tmp_path: Path) -> None:
    """Kubernetes gives a volume to root and to the group `fsGroup`, with mode 2775, and ConfigMaps to root.

    Here both are another user's, since the proxy is root, without any capability.
    """
    can = os.geteuid() == 0 and all(which(program) for program in ("unshare", "setpriv", "mount"))
    require("" if can else "root, who may make a mount namespace, and unshare, setpriv, mount")
    release, state = Release(), tmp_path / "state"
    (state / "lost+found").mkdir(parents=True, mode=0o700)
    confined = ("unshare", "--mount", "--propagation", "private", "sh", "-ec", CONFINE, "sh", str(state))
    async with legacy() as upstream:
        pod = Pod(tmp_path, release.objects(), f"http://127.0.0.1:{upstream.port}")
        give_away(state, tmp_path / "routes")
        state.chmod(0o2775)
        async with running(pod, *confined):
            assert await pod.get() == 200
            assert (await pod.ask("/api/kill-switch", "POST", {"on": True, "reason": "a test"}))[0] == 200
            pod.take(release.objects(50), "..second")
            give_away(tmp_path / "routes")
            await pod.until(lambda: pod.has_generation(2))
            warned_of = {line["event"] for line in pod.log if line["level"] in ("warning", "error", "critical")}
            assert warned_of <= {"kill_switch.on", "routes.warning"}  # the second: both upstreams are one here
            slow = asyncio.create_task(fetch(f"http://127.0.0.1:{release.http}/slow"))
            await upstream.started.wait()
            assert await ends_in_s(pod) < seconds_to_end(pod)
            assert await slow == (200, "legacy")
        async with running(pod, *confined):
            assert (await pod.status())["kill_switch"]["on"] is True


async def ends_in_s(pod: Pod) -> float:
    began = time.monotonic()
    pod.signal(signal.SIGTERM)
    assert await pod.ended() == 0
    return time.monotonic() - began


def seconds_to_end(pod: Pod) -> float:
    """Return the time between SIGTERM and SIGKILL."""
    program, seconds = pod.container["lifecycle"]["preStop"]["exec"]["command"]
    assert program == "sleep"
    return float(pod.template["spec"]["terminationGracePeriodSeconds"]) - float(seconds)


def give_away(*folders: Path) -> None:
    for folder in folders:
        for path in (folder, *folder.rglob("*")):
            os.chown(path, 65534, os.getegid(), follow_symlinks=False)


async def test_a_pod_that_cannot_start_says_every_mistake_where_kubectl_describe_looks(tmp_path: Path) -> None:
    """Kubernetes keeps the last 2,048 bytes of the log of a container that has failed."""
    pod = Pod(tmp_path, Release().objects("much"), "http://127.0.0.1:1")
    assert pod.container["terminationMessagePolicy"] == "FallbackToLogsOnError"
    process = await asyncio.create_subprocess_exec(
        *pod.command(),
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)} | environ(pod.container),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    output, _ = await process.communicate()
    assert process.returncode != 0
    assert b"split.percent" in output[-2048:]
    assert b"Traceback" not in output


def test_the_commands_of_the_page_are_those_of_the_chart(tmp_path: Path) -> None:
    (install,) = [line for line in PAGE.splitlines() if line.startswith("helm upgrade --install")]
    (tmp_path / "values.yaml").write_text(block("yaml", "# values.yaml"))
    (tmp_path / "routes.yaml").write_text(block("yaml", "# routes.yaml"))
    words = [
        str(tmp_path / word) if word == "values.yaml" else word.replace("=routes.yaml", f"={tmp_path}/routes.yaml")
        for word in shlex.split(install.replace("upgrade --install", "template").replace("deploy/chart", str(CHART)))
    ]
    done = run_helm(*words[1:], *KUBERNETES)
    assert done.returncode == 0, done.stderr
    rendered = [each for each in yaml.safe_load_all(done.stdout) if each]
    names = {each["kind"] + "/" + each["metadata"]["name"] for each in rendered}
    assert {"Deployment/strangler", "Service/strangler", "Service/strangler-admin"} <= names
    assert "deploy/strangler --" in PAGE
    assert "svc/strangler-admin" in PAGE
    wanted = set(re.findall(r"--from-literal=([\w-]+)", block("sh", "kubectl -n web create secret")))
    (deployment,) = [each for each in rendered if each["kind"] == "Deployment"]
    (pod,) = deployment["spec"]["template"]["spec"]["containers"]
    references = [each["valueFrom"]["secretKeyRef"] for each in pod["env"] if "valueFrom" in each]
    assert {each["key"] for each in references} == wanted
    assert {each["name"] for each in references} == {"strangler"}


@contextmanager
def database() -> Iterator[tuple[Connection, str]]:
    """The server that the page sets up: its administrator, and the URL of the role."""
    with server() as administrator:
        for statement in block("sql", "CREATE ROLE").strip().split("\n"):
            administrator.execute(statement.encode())
        yield administrator, f"postgresql://strangler@/strangler?host={administrator.info.host}"


def test_the_role_of_the_page_may_all_that_a_node_does() -> None:
    with database() as (_, url), ExitStack() as stack:
        first, second = (stack.enter_context(closing(connect(url, name))) for name in ("node-1", "node-2"))
        for statement in tables_of(SCHEMA).split(";"):
            if statement.strip():
                first.execute(statement)
        first.execute("LISTEN strangler")
        second.execute("SELECT pg_notify('strangler', 'kill_switch')")
        assert first.execute("SELECT pg_try_advisory_lock(1, 1)").fetchall() == [(True,)]
        replace = "SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory'"
        assert second.execute(replace).fetchall() == [(True,)]
        assert second.execute("SELECT rolsuper FROM pg_roles WHERE rolname = current_user").fetchall() == [(False,)]


async def test_a_pod_of_the_fleet_is_a_node_of_its_name(tmp_path: Path) -> None:
    can = os.geteuid() == 0 and all(which(program) for program in ("unshare", "hostname"))
    require("" if can else "root, who may name a host in a namespace, and unshare, hostname")
    named = ("unshare", "--uts", "sh", "-ec", 'hostname "$1"; shift; exec "$@"', "sh", "strangler-6f7c9d5b8-x2k4p")
    release = Release()
    with database() as (administrator, url):
        async with legacy() as upstream:
            pod = Pod(tmp_path, release.objects(values=RELEASES["fleet"]), f"http://127.0.0.1:{upstream.port}")
            pod.elsewhere = {"STRANGLER_STORE": url}
            async with running(pod, *named):
                nodes = "SELECT DISTINCT usename, datname FROM pg_stat_activity WHERE application_name = %s"
                found = administrator.execute(nodes, (f"strangler {named[-1]}",)).fetchall()
                assert found == [("strangler", "strangler")]


def test_the_image_has_what_a_shared_store_needs() -> None:
    assert "postgres" in re.findall(r'"\.\[([\w,]+)\]"', (ROOT / "Dockerfile").read_text())[0].split(",")
