"""The supervisor before this one: it makes way, goes on where we fail, and is forgotten after its last words."""

import os
import selectors
from collections.abc import Callable, Iterator

import pytest

from strangler import __version__
from strangler.ipc.messages import ProcessInfo
from strangler.ipc.start import SupervisorStart
from strangler.supervisor.peer import pair
from strangler.supervisor.phase import LifecycleState, Phase
from strangler.supervisor.predecessor import LAST_WORDS_S, Predecessor

NOW = 100.0


class Former:
    """The end of the one before, and this supervisor's in a loop."""

    def __init__(self, version: str, is_same_folder: bool) -> None:
        self.peer, channel = pair()
        self.life = LifecycleState(Phase.STANDBY)
        self.changes = 0
        self.selector = selectors.DefaultSelector()
        start = SupervisorStart(
            run="run",
            term=2,
            generation=1,
            version=version,
            folder="state",
            lock_fd=-1,
            listeners=(),
            link_fd=os.open(os.devnull, os.O_RDONLY),
            channel_fd=channel.detach(),
            stderr_fd=-1,
        )
        self.ours = Predecessor(start, is_same_folder, self.life, lambda: NOW, self._on_change)
        self.ours.watch(self.selector)

    def say(self, **message: object) -> None:
        self.peer.send(**message)
        self.turn()

    def go(self) -> None:
        self.peer.close()
        self.turn()

    def turn(self) -> None:
        for key, events in self.selector.select(0):
            key.data(events)

    def close(self) -> None:
        self.ours.forget_if_due(float("inf"))
        self.ours.close()
        self.peer.close()
        self.selector.close()

    def _on_change(self) -> None:
        self.changes += 1


MakeFormer = Callable[..., Former]
YOURS = [{"instance": "run-1-0-2", "pid": 7, "started": 1.5}]


@pytest.fixture
def make() -> Iterator[MakeFormer]:
    made = list[Former]()

    def make_one(version: str = __version__, is_same_folder: bool = True) -> Former:
        made.append(Former(version, is_same_folder))
        return made[-1]

    yield make_one
    for former in made:
        former.close()


def test_without_one_the_folder_is_ours() -> None:
    ours = Predecessor(None, False, LifecycleState(Phase.RUNNING), lambda: NOW, lambda: None)
    assert ours.has_left_folder
    assert (ours.is_alive, ours.shares_listeners, ours.link_fd, ours.workers) == (False, False, None, [])
    assert not ours.forget_if_due(NOW)
    ours.say_failed("nobody hears it")
    assert not ours.shares_listeners


def test_it_makes_way_and_leaves_its_workers(make: MakeFormer) -> None:
    former = make()
    former.say(yours=YOURS)
    assert former.ours.has_left_folder
    assert former.ours.workers == [ProcessInfo("leaving", 0, "run-1-0-2", 7, 1.5, 0)]
    assert former.changes == 1


@pytest.mark.parametrize(("version", "is_same_folder"), [("0.0.1", True), (__version__, False)])
def test_workers_that_cannot_report_to_us_are_none_of_ours(
    make: MakeFormer, version: str, is_same_folder: bool
) -> None:
    former = make(version, is_same_folder)
    former.say(yours=YOURS)
    assert former.ours.has_left_folder
    assert (former.ours.link_fd, former.ours.workers) == (None, [])


def test_one_that_has_gone_leaves_the_folder_too(make: MakeFormer) -> None:
    former = make()
    former.go()
    assert (former.ours.has_left_folder, former.ours.is_alive) == (True, False)
    assert not former.ours.shares_listeners


def test_where_we_have_failed_the_folder_stays_the_former_ones(make: MakeFormer) -> None:
    former = make()
    former.ours.say_failed("no such route")
    former.life.enter(Phase.EMPTYING)
    assert former.peer.receive() == [{"failed": "no such route"}]
    former.say(yours=YOURS)
    former.go()
    assert not former.ours.has_left_folder
    assert former.ours.shares_listeners


def test_it_is_forgotten_after_its_last_words(make: MakeFormer) -> None:
    former = make()
    former.say(yours=YOURS)
    former.go()
    assert not former.ours.forget_if_due(NOW + LAST_WORDS_S - 0.1)
    assert former.ours.forget_if_due(NOW + LAST_WORDS_S)
    assert (former.ours.workers, former.ours.link_fd) == ([], None)
    assert not former.ours.forget_if_due(NOW + 2 * LAST_WORDS_S)


def test_it_hears_how_far_we_are(make: MakeFormer) -> None:
    former = make()
    former.ours.say_ready((5,))
    former.ours.say_serving()
    assert former.peer.receive() == [{"ready": True, "unwanted": [5], "same_folder": True}, {"serving": True}]
