"""The keys of redaction, webhook and approvals that all nodes of a store share.

The first node seals those of its state folder into the store. Every later node takes them from there, and keeps them in
its own state folder, so that it has them while the store is away. Until a node knows them nothing is compared, recorded
or signed; requests are served as ever.
"""

import asyncio
import errno
from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Final

import structlog

from strangler.state.fleet_keys import are_known, keep, own_keys
from strangler.state.store_secret import VARIABLE, StoreSecretError, store_secret
from strangler.store.connection import Connection
from strangler.store.sealed_keys import UnsealError, add_sealed, load_sealed, seal, unseal
from strangler.store.store import Store, StoreError
from strangler.store.topics import Topic, announce

RETRY_S: Final = 1.0
LOOK_EVERY_S: Final = 60.0
"""The pause while the secret is wrong, or the keys in the store are: each try takes a third of a second of CPU."""

log = structlog.get_logger()


class KeysUnknownError(OSError):
    """The keys that all nodes share are not known to this node yet."""


class SharedKeys:
    """Brings the keys into the state folder. `check` raises until they are there."""

    def __init__(self, store: Store, folder: Path, environ: Mapping[str, str]) -> None:
        self.problem: str | None = None
        """Why the keys cannot be used, unless the store is just away."""
        self._store = store
        self._folder = folder
        self._environ = environ
        self._reason: str | None = "they are not read yet"
        self._is_done = self._have_changed = False
        self._followers: Sequence[Callable[[], Awaitable[object]]] = ()

    def follow(self, followers: Sequence[Callable[[], Awaitable[object]]]) -> None:
        """Call these once the keys are known, if they were not at the start, or have turned out to be others."""
        self._followers = followers

    def check(self) -> None:
        """Raise KeysUnknownError while the keys of all nodes are not in the state folder."""
        if self._reason is not None:
            raise KeysUnknownError(errno.ENOKEY, f"the keys that all nodes share are not known: {self._reason}")

    async def restore(self) -> None:
        """Bring the keys into the state folder, if the store is there, or take the copy that was made of them."""
        await self._try()

    async def run(self) -> None:
        """Try again until the store has given the keys; then wait until cancelled."""
        while not self._is_done:
            await asyncio.sleep(RETRY_S if self.problem is None else LOOK_EVERY_S)
            was_known = self._reason is None
            if await self._try() and (self._have_changed or not was_known):
                for follower in self._followers:
                    await follower()
        await asyncio.Event().wait()

    async def _try(self) -> bool:
        """Exchange keys with the store; return False if that fails, and note why."""
        try:
            await self._exchange()
        except StoreError as error:  # logged by the store itself
            is_copied = await asyncio.to_thread(are_known, self._folder)
            self._reason = None if is_copied else f"the store is away, and this node has no copy ({error})"
        except OSError as error:
            self._reason = f"the state folder cannot be written: {error.strerror}"
        except (StoreSecretError, UnsealError) as error:
            problem = f"{error}; restart this node with the {VARIABLE} of the other nodes"
            if self.problem != problem:
                log.error("keys.unusable", reason=problem)
            self._reason = self.problem = problem
        return self._is_done

    async def _exchange(self) -> None:
        """Take the keys from the store, or put those of this node there.

        Raises StoreError, OSError, StoreSecretError and UnsealError.
        """
        secret = store_secret(self._environ)
        sealed = await self._store.call(load_sealed)
        keys = await asyncio.to_thread(_unsealed, sealed, secret)
        own = await asyncio.to_thread(own_keys, self._folder, keys)
        if missing := {name: key for name, key in own.items() if name not in keys}:
            added = await asyncio.to_thread(_sealed, missing, secret)
            sealed = await self._store.call(partial(_add, added=added))
            keys = await asyncio.to_thread(_unsealed, sealed, secret)
        changed = await asyncio.to_thread(keep, self._folder, keys)
        if changed:
            log.warning("keys.taken", files=changed, reason="other nodes have sealed theirs in the store before")
        self._is_done, self._reason, self.problem, self._have_changed = True, None, None, bool(changed)


def _unsealed(sealed: Mapping[str, bytes], secret: str) -> dict[str, bytes]:
    return {name: unseal(name, content, secret) for name, content in sealed.items()}


def _sealed(keys: Mapping[str, bytes], secret: str) -> dict[str, bytes]:
    return {name: seal(name, key, secret) for name, key in keys.items()}


def _add(connection: Connection, added: Mapping[str, bytes]) -> dict[str, bytes]:
    """Store sealed keys, unless another node was quicker. Return all that are stored."""
    results = [add_sealed(connection, name, added[name]) for name in sorted(added)]
    if any(results):
        announce(connection, Topic.KEYS)
    return load_sealed(connection)
