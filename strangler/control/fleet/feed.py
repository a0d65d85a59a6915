"""The followers of what other nodes change in the store."""

from collections import defaultdict
from collections.abc import Callable, Iterable

from strangler.store.topics import Topic


class ChangeFeed:
    """The followers of each topic. Without a shared store nothing calls them."""

    def __init__(self) -> None:
        self._followers: dict[Topic, list[Callable[[], object]]] = defaultdict(list)

    def subscribe(self, topic: Topic, follower: Callable[[], object]) -> None:
        """Have `follower` called, in the loop, once a topic has changed on any node, also on this one; and once the
        store is back after it was away, when it may have changed."""
        self._followers[topic].append(follower)

    def publish(self, topics: Iterable[Topic]) -> None:
        """Call the followers of topics."""
        for topic in topics:
            for follower in self._followers[topic]:
                follower()
