"""`include:`: files of teams whose routes and upstreams join those of routes.yaml."""

import os
from collections.abc import Mapping
from pathlib import Path

import pytest

from strangler.config.edit import EditError, set_percent
from strangler.config.edit_accept import add_accepts
from strangler.config.load import Loaded, load
from strangler.config.replace import ChangedMeanwhileError
from strangler.config.source_files import PartlyWrittenError, read_files, write_files
from strangler.core.settings import AcceptRule

MAIN = """\
version: 1
include: [teams/*.yaml]
upstreams:
  legacy: {url: "http://127.0.0.1:8000"}
  orders: {url: "http://127.0.0.1:8001"}
routes:
- {name: orders, match: {prefix: /orders}, candidate: orders, owner: shop}
"""
PAYMENTS = """\
# Ours.
owner: payments
upstreams:
  invoices: {url: "http://127.0.0.1:8002"}
routes:
- name: invoices
  match: {prefix: /invoices}
  candidate: invoices
  split: {percent: 5, sticky: [client_ip]}
- {name: refunds, match: {prefix: /refunds}, candidate: orders, owner: anne, enabled: false}
"""


class Folder:
    """routes.yaml and what lies beside it."""

    def __init__(self, path: Path) -> None:
        self.path = path / "routes.yaml"
        self.team = path / "teams" / "payments.yaml"

    def write(self, files: Mapping[str, str]) -> None:
        for name, text in files.items():
            file = self.path.parent / name
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text)

    def load(self) -> Loaded:
        return load(self.path, os.environ)

    def problems(self) -> list[str]:
        """The lines that `strangler check` would print, without the folder."""
        return [str(problem).replace(f"{self.path.parent}/", "") for problem in self.load().problems]

    def warnings(self) -> list[str]:
        loaded = self.load()
        assert loaded.problems == ()
        return [str(warning).replace(f"{self.path.parent}/", "") for warning in loaded.warnings]


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    made = Folder(tmp_path)
    made.write({"routes.yaml": MAIN, "teams/payments.yaml": PAYMENTS})
    return made


def test_routes_and_upstreams_of_all_files_are_joined(folder: Folder) -> None:
    loaded = folder.load()
    assert loaded.settings is not None
    assert list(loaded.settings.upstreams) == ["legacy", "orders", "invoices"]
    assert [route.name for route in loaded.settings.routes] == ["orders", "invoices", "refunds"]
    assert loaded.included == (folder.team,)
    assert loaded.include == ("teams/*.yaml",)


def test_a_file_has_one_owner_and_a_route_may_have_its_own(folder: Folder) -> None:
    loaded = folder.load()
    assert loaded.settings is not None
    assert [route.owner for route in loaded.settings.routes] == ["shop", "payments", "anne"]


def test_it_means_the_same_as_one_file_with_all_of_it(folder: Folder) -> None:
    whole = folder.path.with_name("whole.yaml")
    upstreams, _, routes = PAYMENTS.partition("upstreams:\n")[2].partition("routes:\n")
    routes = routes.replace("- name: invoices\n", "- name: invoices\n  owner: payments\n")
    text = MAIN.replace("include: [teams/*.yaml]\n", "").replace("routes:\n", f"{upstreams}routes:\n") + routes
    whole.write_text(text)
    assert load(whole, os.environ).settings == folder.load().settings is not None


def test_defaults_hold_for_included_routes_and_upstreams(folder: Folder) -> None:
    folder.write(
        {"routes.yaml": MAIN + "defaults: {upstreams: {keepalive: 4s}, routes: {gate: {min_pairs: 7}}}\n"},
    )
    settings = folder.load().settings
    assert settings is not None
    assert settings.upstreams["invoices"].keepalive_s == 4
    assert {route.gate.min_pairs for route in settings.routes} == {7}


def test_files_are_taken_by_name_and_each_once(folder: Folder) -> None:
    more = "routes:\n- {{name: {0}, match: {{prefix: /{0}}}, candidate: orders}}\n"
    folder.write(
        {
            "routes.yaml": MAIN.replace("[teams/*.yaml]", "[teams/z.yaml, 'teams/**/*.yaml', '*.yaml']"),
            "teams/z.yaml": more.format("z"),
            "teams/deep/er/a.yaml": more.format("a"),
            "teams/.hidden.yaml": "not: ours",
            "teams/folder.yaml/keep": "",
        }
    )
    loaded = folder.load()
    assert loaded.settings is not None
    assert [route.name for route in loaded.settings.routes] == ["orders", "z", "a", "invoices", "refunds"]


def test_a_routes_yaml_may_hold_no_route_of_its_own(folder: Folder) -> None:
    head, _, _ = MAIN.partition("routes:\n")
    folder.write({"routes.yaml": head})
    settings = folder.load().settings
    assert settings is not None
    assert [route.name for route in settings.routes] == ["invoices", "refunds"]


@pytest.mark.parametrize(
    "text", ["version: 1\nowner: a\n", "routes:\n", "upstreams:\nroutes: []\n", "x-anchors: {a: 1}\n"]
)
def test_a_file_may_hold_little(folder: Folder, text: str) -> None:
    folder.write({"teams/payments.yaml": text})
    assert folder.problems() == []


_PROBLEMS: list[tuple[str, str, str]] = [
    # what is wrong; the team's file; the line that tells of it
    (
        "a value of a route",
        PAYMENTS.replace("percent: 5", "percent: 500"),
        "teams/payments.yaml:9:20: route 'invoices': split.percent is 500; it must be 0 to 100",
    ),
    (
        "an unknown key of a route",
        PAYMENTS.replace("  split:", "  splitt:"),
        "teams/payments.yaml:9:3: route 'invoices': unknown key 'splitt'; did you mean 'split'?",
    ),
    (
        "a route without a name",
        PAYMENTS.replace("- name: invoices\n  match", "- match"),
        "teams/payments.yaml:6:3: route 1: name is missing; add `name: orders`",
    ),
    (
        "a value of an upstream",
        PAYMENTS.replace("http://127.0.0.1:8002", "ftp://127.0.0.1"),
        "teams/payments.yaml:4:19: upstream 'invoices': url is 'ftp://127.0.0.1'; it must start with http:// or https://",
    ),
    (
        "an unknown upstream",
        PAYMENTS.replace("candidate: invoices", "candidate: invoice"),
        "teams/payments.yaml:8:14: route 'invoices': unknown upstream 'invoice'; did you mean 'invoices'?",
    ),
    (
        "the name of a route of another file",
        PAYMENTS.replace("name: invoices", "name: Orders"),
        "teams/payments.yaml:6:9: route 'Orders': the name is taken by the route on line 7; give each its own;"
        " case is ignored",
    ),
    (
        "the match of a route of another file",
        PAYMENTS.replace("/invoices}", "/orders}"),
        "teams/payments.yaml:7:3: route 'invoices': it matches exactly what route 'orders' (line 7) matches;"
        " take one of them out, or add a condition",
    ),
    (
        "the upstream of another file",
        PAYMENTS.replace("  invoices: {", "  orders: {").replace("candidate: invoices", "candidate: orders"),
        "teams/payments.yaml:4:3: the upstream 'orders' is already in routes.yaml on line 5; give each its own name,"
        " or keep one of them",
    ),
    (
        "legacy",
        PAYMENTS.replace("  invoices: {", "  legacy: {").replace("candidate: invoices", "candidate: orders"),
        "teams/payments.yaml:4:3: upstream 'legacy' belongs in routes.yaml; take it out here",
    ),
    (
        "a key of the whole file",
        PAYMENTS + "listen: 127.0.0.1:1\n",
        "teams/payments.yaml:11:1: unknown key 'listen'; an included file has owner, upstreams, routes; all else"
        " belongs in routes.yaml",
    ),
    (
        "an include of its own",
        PAYMENTS + "include: [more.yaml]\n",
        "teams/payments.yaml:11:1: unknown key 'include'; an included file has owner, upstreams, routes; all else"
        " belongs in routes.yaml",
    ),
    (
        "another version",
        "version: 2\n" + PAYMENTS,
        "teams/payments.yaml:1:10: version is not 1; write 1, or take it out",
    ),
    (
        "no owner",
        PAYMENTS.replace("owner: payments", "owner:"),
        "teams/payments.yaml:2:7: owner is not a name; name who is responsible for these routes, such as `owner: payments`",
    ),
    (
        "a list for an owner",
        PAYMENTS.replace("owner: payments", "owner: [a]"),
        "teams/payments.yaml:2:8: owner is not a name; name who is responsible for these routes, such as `owner: payments`",
    ),
    (
        "no list of routes",
        "routes: {a: 1}\n",
        "teams/payments.yaml:1:9: routes is not a list; write each route on a line that starts with -",
    ),
    (
        "no mapping of upstreams",
        "upstreams: [a]\n",
        "teams/payments.yaml:1:12: upstreams is not a mapping; write `NAME: {url: …}`",
    ),
    ("no file at all", "", "teams/payments.yaml:1:1: the file is empty; write `owner:` and `routes:`"),
    (
        "no mapping",
        "- a\n",
        "teams/payments.yaml:1:1: the file is not a mapping; write `owner:` and `routes:` at the left edge",
    ),
    (
        "no YAML",
        "routes: a: b\n",
        "teams/payments.yaml:1:10: a second ': ' stands where a value has begun; put a value that holds ': ' in quotes,"
        " or check the indentation of this line and the one before",
    ),
    (
        "a variable that is not set",
        PAYMENTS.replace("percent: 5", 'percent: "${NO_SUCH_VARIABLE}"'),
        "teams/payments.yaml:9:20: the environment variable NO_SUCH_VARIABLE is not set; set it, or write"
        " ${NO_SUCH_VARIABLE:-default} with a default",
    ),
]


@pytest.mark.parametrize(("text", "line"), [case[1:] for case in _PROBLEMS], ids=[case[0] for case in _PROBLEMS])
def test_a_problem_is_told_with_the_place_in_its_own_file(folder: Folder, text: str, line: str) -> None:
    folder.write({"teams/payments.yaml": text})
    assert line in folder.problems()


def test_a_wrong_default_is_told_once_and_where_it_stands(folder: Folder) -> None:
    folder.write({"routes.yaml": MAIN + "defaults: {routes: {split: {percent: 500}}}\n"})
    found = folder.problems()
    assert len(found) == 1
    assert found[0].startswith("routes.yaml:8:")


def test_problems_of_routes_yaml_come_first_and_then_file_by_file(folder: Folder) -> None:
    folder.write(
        {
            "routes.yaml": MAIN.replace("candidate: orders", "candidate: ordres"),
            "teams/payments.yaml": PAYMENTS.replace("percent: 5", "percent: 500"),
            "teams/a.yaml": "nonsense: 1\n",
        }
    )
    assert [line.partition(":")[0] for line in folder.problems()] == [
        "routes.yaml",
        "teams/a.yaml",
        "teams/payments.yaml",
    ]


def test_a_pattern_without_files_is_a_warning_and_a_name_without_one_a_problem(folder: Folder) -> None:
    folder.write({"routes.yaml": MAIN.replace("teams/*.yaml", "squads/*.yaml")})
    assert any(
        "routes.yaml:2:11: warning: include: 'squads/*.yaml' matches no file" in line for line in folder.warnings()
    )
    folder.write({"routes.yaml": MAIN.replace("teams/*.yaml", "squads/a.yaml")})
    assert folder.problems()[0].startswith("routes.yaml:2:11: include: there is no file 'squads/a.yaml'")


@pytest.mark.parametrize("written", ["teams", "{a: 1}", "[[a]]", "[{a: 1}]", "[null]", '["\\0"]', '["a\\0*"]', "['']"])
def test_what_is_no_list_of_patterns_is_a_problem(folder: Folder, written: str) -> None:
    folder.write({"routes.yaml": MAIN.replace("[teams/*.yaml]", written)})
    assert folder.problems()


def test_an_unreadable_file_is_a_problem(folder: Folder) -> None:
    folder.team.unlink()
    folder.team.symlink_to(folder.team.name)  # a loop
    folder.write({"routes.yaml": MAIN.replace("teams/*.yaml", "teams/payments.yaml")})
    assert folder.problems()[0].startswith("routes.yaml:2:11: include: there is no file")


def test_shift_edits_the_file_that_has_the_route(folder: Folder) -> None:
    folder.team.write_bytes(b"\xef\xbb\xbf" + PAYMENTS.replace("\n", "\r\n").encode())
    files = read_files(folder.path, os.environ)
    edit = set_percent(files, "invoices", 25, os.environ)
    assert edit.changed == (str(folder.team),)
    assert edit.old_percent == 5
    write_files(edit.before, edit.after)
    wanted = PAYMENTS.replace("percent: 5", "percent: 25").replace("\n", "\r\n")
    assert folder.team.read_bytes() == b"\xef\xbb\xbf" + wanted.encode()
    assert folder.path.read_text() == MAIN


def test_shift_says_which_routes_there_are_in_all_files(folder: Folder) -> None:
    files = read_files(folder.path, os.environ)
    with pytest.raises(EditError, match="unknown route 'refund'; did you mean 'refunds'"):
        set_percent(files, "refund", 25, os.environ)


def test_shift_changes_nothing_where_another_file_has_a_problem(folder: Folder) -> None:
    folder.write({"teams/a.yaml": "nonsense: 1\n"})
    with pytest.raises(EditError) as error:
        set_percent(read_files(folder.path, os.environ), "orders", 25, os.environ)
    assert error.value.loaded is not None
    assert "teams/a.yaml:1:1" in str(error.value.loaded.problems[0])


_RULES = [("orders", AcceptRule(path="$.at")), ("invoices", AcceptRule(path="$.at"))]


def test_rules_are_written_into_the_file_of_each_route(folder: Folder) -> None:
    files = read_files(folder.path, os.environ)
    edit = add_accepts(files, _RULES, os.environ)
    assert edit.changed == (str(folder.path), str(folder.team))
    write_files(edit.before, edit.after)
    settings = folder.load().settings
    assert settings is not None
    assert [len(route.compare.accept) for route in settings.routes] == [1, 1, 0]


def test_of_several_files_none_is_written_if_the_first_has_changed_meanwhile(folder: Folder) -> None:
    edit = add_accepts(read_files(folder.path, os.environ), _RULES, os.environ)
    folder.path.write_text(MAIN + "# theirs\n")
    with pytest.raises(ChangedMeanwhileError):
        write_files(edit.before, edit.after)
    assert folder.team.read_text() == PAYMENTS


def test_of_several_files_it_is_told_which_are_written_and_which_are_not(folder: Folder) -> None:
    edit = add_accepts(read_files(folder.path, os.environ), _RULES, os.environ)
    folder.team.write_text(PAYMENTS + "# theirs\n")
    with pytest.raises(PartlyWrittenError, match=r"routes.yaml: changed; .*payments.yaml: not changed: somebody else"):
        write_files(edit.before, edit.after)
    assert folder.path.read_text() != MAIN
