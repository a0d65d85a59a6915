"""The tree of words: what folds, what stays, what is bounded, and what an operator may say about it."""

import random

import msgspec
import pytest

from strangler.core.ledger.folding import MAX_WORDS
from strangler.core.ledger.named_templates import NamedTemplates, unusual_words
from strangler.core.ledger.template_tree import MAX_NODES, TemplateTreeState
from strangler.core.ledger.word_classes import OVERFLOW

NAMES = [
    first + last
    for first in ["ana", "bob", "carl", "dora", "eve", "finn", "gus", "hal", "ivy", "jo"]
    for last in "abcdefghijklmnopqrst"
]


def learned(*paths: str, times: int = 1) -> TemplateTreeState:
    tree = TemplateTreeState()
    for _ in range(times):
        for path in paths:
            tree.learn(path.encode())
    return tree


def with_users() -> TemplateTreeState:
    """A tree that has met a hundred users, and `/users/me` all the time."""
    tree = TemplateTreeState()
    for name in NAMES[:100]:
        for path in (f"/users/{name}", "/users/me", "/orders"):
            tree.learn(path.encode())
    return tree


def test_names_of_users_fold_and_me_stays() -> None:
    tree = with_users()
    assert tree.template_of(b"/users/somebody") == "/users/{}"
    assert tree.template_of(b"/users/7") == "/users/{}"
    assert tree.template_of(b"/users/me") == "/users/me"
    assert (
        tree.template_of(b"/users/ana.json") == "/users/{}.json" or tree.learn(b"/users/ana.json") == "/users/{}.json"
    )


@pytest.mark.parametrize("word", ["step", "page-", "tab"])
def test_a_few_numbered_words_stay_and_many_fold(word: str) -> None:
    paths = [f"/x/{word}{number}" for number in range(1, 4)]
    assert learned(*paths, times=30).template_of(f"/x/{word}1".encode()) == f"/x/{word}1"
    many = [f"/x/{word}{number}" for number in range(1, 40)]
    assert learned(*many).template_of(f"/x/{word}77".encode()) == f"/x/{word}{{}}"


def test_versions_by_date_stay_and_days_fold() -> None:
    versions = learned("/2010-04-01/Accounts", "/2022-11-28/Accounts", times=50)
    assert versions.template_of(b"/2010-04-01/Accounts") == "/2010-04-01/Accounts"
    days = learned(*(f"/2024-05-{day:02}/menu" for day in range(1, 20)))
    assert days.template_of(b"/2031-01-01/menu") == "/{}/menu"


def test_words_of_an_application_stay_however_rare() -> None:
    words = [f"{verb}{thing}" for verb in ("get", "set", "list", "drop") for thing in ("Order", "User", "Stock", "Tax")]
    tree = TemplateTreeState()
    for at, word in enumerate(words):
        tree.learn(f"/rpc/{word}".encode(), 1 + 2**at % 997)
    assert all(tree.template_of(f"/rpc/{word}".encode()) == f"/rpc/{word}" for word in words)


def test_early_words_become_values_when_others_prove_it_and_their_rows_follow() -> None:
    tree = learned("/users/ana", "/users/bob")
    row = tree.template_of(b"/users/ana")
    assert row == "/users/ana"
    before = tree.revision
    for name in NAMES:
        tree.learn(f"/users/{name}".encode())
    assert tree.revision > before
    assert tree.template_of_first(row) == "/users/{}"


def test_what_is_below_folded_words_is_looked_at_again() -> None:
    tree = TemplateTreeState()
    for at, name in enumerate(NAMES):
        tree.learn(f"/users/{name}/notes/{'-'.join(NAMES[at % 150 : at % 150 + 4])}".encode())
    assert tree.template_of(b"/users/x/notes/another-note-of-mine-here") == "/users/{}/notes/{}"


def test_locales_learn_together() -> None:
    tree = TemplateTreeState()
    for at, name in enumerate(NAMES):
        tree.learn(f"/{['en', 'de', 'fr', 'es', 'it'][at % 5]}/courses/{name}".encode())
    assert tree.template_of(b"/fr/courses/any") == "/fr/courses/{}"
    tree.learn(b"/pt/courses/any")
    assert tree.learn(b"/pt/courses/other", 3) == "/pt/courses/{}"


def test_nothing_is_learned_from_probes() -> None:
    tree = TemplateTreeState()
    for number in range(500):
        path = f"/wp-{NAMES[number % 200]}/{number}.php".encode()
        assert tree.learn(path, is_probe=True) == f"/wp-{NAMES[number % 200]}/{{}}.php"
    assert tree.nodes == 0


def test_names_of_the_operator_win() -> None:
    tree = with_users()
    tree.name(["/users/{id}", "/users/export", "/reports/2024", "/files/{...}", "/docs/{page}.html"])
    tree.name(["/shops/{shop}"], are_prefixes=True)
    cases = {
        "/users/me": "/users/{}",
        "/users/export": "/users/export",
        "/reports/2024": "/reports/2024",
        "/reports/2023": "/reports/{}",
        "/files/a/b/c": "/files/{...}",
        "/docs/start.html": "/docs/{}.html",
        "/shops/acme/orders/7": "/shops/{}/orders/{}",
    }
    assert {path: tree.template_of(path.encode()) for path in cases} == cases


def test_an_operators_word_stays_beside_values() -> None:
    tree = TemplateTreeState()
    tree.name(["/users/special"])
    for name in NAMES:
        tree.learn(f"/users/{name}".encode())
    assert tree.template_of(b"/users/special") == "/users/special"
    assert tree.template_of(b"/users/any") == "/users/{}"


def test_a_fold_keeps_an_example_and_can_be_undone_for_good() -> None:
    tree = with_users()
    [(template, fold)] = list(tree.folds())
    assert template == "/users/{}"
    assert fold.example.startswith("/users/")
    assert fold.words >= 10
    assert tree.unfold("/users/{}")
    assert not tree.unfold("/users/{}"), "only values that their form tells are left"
    for name in NAMES:
        tree.learn(f"/users/{name}".encode())
    assert tree.template_of(b"/users/anaa") == "/users/anaa"
    assert tree.template_of(b"/users/7") == "/users/{}"


def test_an_operator_folds_words_and_undoes_it() -> None:
    tree = learned("/shops/acme/orders", "/shops/globex/orders", times=9)
    row = tree.template_of(b"/shops/acme/orders")
    tree.name(["/shops/{shop}/orders"])
    assert tree.template_of_first(row) == "/shops/{}/orders"
    assert tree.unfold("/shops/{}/orders")
    assert tree.template_of_first(row) == "/shops/acme/orders"


def test_a_named_word_is_found_however_it_is_encoded() -> None:
    tree = TemplateTreeState()
    tree.name(["/caf%C3%A9/{id}", "/my%20file/2024"])
    assert tree.template_of(b"/caf\xc3\xa9/abc") == "/café/{}"
    assert tree.template_of(b"/my%20file/2024") == "/my%20file/2024"


def test_names_of_persons_are_no_examples() -> None:
    tree = learned(*(f"/staff/{name[:-1]}.{name}" for name in NAMES[:60]))
    assert [fold.example for _, fold in tree.folds()] == ["/staff/*"]


def test_values_that_split_a_path_have_rows_until_they_are_too_many() -> None:
    tree = TemplateTreeState()
    for _ in range(40):
        for action in ("list", "edit", "save"):
            assert tree.learn_first(f"/index.php?action={action}") == f"/index.php?action={action}"
    for name in (first + second for first in NAMES for second in "xyz"):
        tree.learn_first(f"/i.php?action={name}#SOAPAction=Get")
    assert tree.template_of_first("/i.php?action=any#SOAPAction=Get") == "/i.php?action={}#SOAPAction=Get"


def test_the_state_is_plain_data() -> None:
    tree = with_users()
    tree.name(["/reports/2024"])
    again = msgspec.msgpack.decode(msgspec.msgpack.encode(tree), type=TemplateTreeState)
    assert again == tree
    assert again.learn(b"/users/x") == "/users/{}"
    assert msgspec.json.decode(msgspec.json.encode(tree), type=TemplateTreeState) == tree


def noise(kind: str, number: int, chance: random.Random) -> bytes:
    if kind == "bytes":
        return chance.randbytes(20).replace(b"?", b"/")
    if kind == "words":
        parts = ("".join(chance.choices("abcdefghij", k=chance.randint(3, 9))) for _ in range(chance.randint(1, 6)))
        return ("/" + "/".join(parts)).encode()
    return f"/a{number % 997:b}/b{number % 991:o}x/{number}".translate(str.maketrans("01234567", "qwertyui")).encode()


@pytest.mark.parametrize("kind", ["bytes", "words", "grid"])
def test_memory_is_bounded_whatever_the_paths(kind: str) -> None:
    chance, tree = random.Random(7), TemplateTreeState()
    for number in range(20_000):
        tree.learn(noise(kind, number, chance))
    assert tree.nodes <= 2000
    assert len(msgspec.msgpack.encode(tree)) < 500_000


def test_a_full_tree_says_so() -> None:
    tree = TemplateTreeState(nodes=MAX_NODES)
    assert tree.learn(b"/orders/lines") == "/" + OVERFLOW
    assert tree.overflow_calls == 1


def test_an_unfolded_parent_takes_no_more_words_than_there_is_room_for() -> None:
    tree = with_users()
    tree.unfold("/users/{}")
    for number in range(MAX_WORDS + 300):
        word = "".join("abcdefghij"[int(digit)] for digit in f"{number:05}")
        tree.learn(f"/users/{word}".encode())
    assert len(tree.root.words["users"].words) <= MAX_WORDS
    assert tree.learn(b"/users/nobody") == "/users/" + OVERFLOW


def test_a_usual_word_that_comes_after_the_fold_stays_a_word() -> None:
    tree = TemplateTreeState()
    for number in range(70):
        tree.learn(b"/users/" + _name(number))
    assert tree.template_of(b"/users/zoltan") == "/users/{}"
    tree.learn(b"/users/search")
    assert tree.learn(b"/users/search") == "/users/search"


def test_words_with_numbers_in_them_are_values() -> None:
    paths = [f"/sites/depot-{town}-{at}" for at in range(6) for town in ("nord", "ost", "mitte")]
    tree = TemplateTreeState()
    for path in paths:
        tree.learn(path.encode())
    assert {tree.template_of(path.encode()) for path in paths} == {"/sites/{}"}


def _name(number: int) -> bytes:
    """Return a word of letters alone."""
    return "".join(chr(ord("a") + int(digit)) for digit in f"{number * 7919 % 10_000:04}").encode() + b"ia"


def test_workers_spare_the_same_words_as_control() -> None:
    templates = ["/sales/2024/{}", "/ord-12345", "/a/{id}/7", "/plain/words", "/my%2D2024/{...}", "/{}.json", "", "/"]
    names = NamedTemplates()
    for template in templates:
        names.add(template)
    assert unusual_words(templates) == names.unusual
    assert {"2024", "ord-12345", "7"} <= names.unusual
