"""Keys that are pressed in the demo's terminal, whose settings are restored whatever happens."""

import asyncio
import os
import signal
import termios
import tty
from collections.abc import Callable
from enum import StrEnum
from types import TracebackType
from typing import Any, Self

_STDIN = 0
_CHUNK_BYTES = 1024
_LINE_MODE_TERMINALS = {"", "dumb"}
"""Terminals that are no screens, as in an editor: they send whole lines."""

Press = Callable[[str], None]


class KeyInput(StrEnum):
    KEY = "key"
    """A key is read when it is pressed."""
    LINE = "line"
    """A key is read with the Enter after it."""
    NONE = "none"
    """There is no terminal, or it belongs to another job now."""


class Keyboard:
    """The terminal that a process reads keys from, within a `with`. `press` gets each character but blanks.

    Only echo and the waiting for whole lines are switched off: Ctrl-C and Ctrl-Z do what they always do.
    """

    def __init__(self, press: Press, descriptor: int = _STDIN) -> None:
        self._press = press
        self._descriptor = descriptor
        self._is_terminal = os.isatty(descriptor)
        self._saved: list[Any] | None = None
        self._is_reading = False

    def __enter__(self) -> Self:
        if self._is_terminal:
            loop = asyncio.get_running_loop()
            loop.add_signal_handler(signal.SIGTSTP, self._suspend)
            loop.add_signal_handler(signal.SIGCONT, self._resume)
            self._resume()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._release()
        if self._is_terminal:
            loop = asyncio.get_running_loop()
            loop.remove_signal_handler(signal.SIGTSTP)
            loop.remove_signal_handler(signal.SIGCONT)

    @property
    def input(self) -> KeyInput:
        """How keys are read now."""
        if not self._is_reading:
            return KeyInput.NONE
        return KeyInput.LINE if self._saved is None else KeyInput.KEY

    def _resume(self) -> None:
        """Take the terminal, unless another job has it: a process in the background that did would be stopped."""
        if self._is_reading or not _is_in_foreground(self._descriptor):
            return
        if os.environ.get("TERM", "") not in _LINE_MODE_TERMINALS:
            self._saved = _single_keys(self._descriptor)
        asyncio.get_running_loop().add_reader(self._descriptor, self._read)
        self._is_reading = True

    def _suspend(self) -> None:
        """Do as Ctrl-Z does, with the terminal as it was."""
        self._release()
        os.kill(os.getpid(), signal.SIGSTOP)

    def _release(self) -> None:
        """Stop to read, and restore the terminal."""
        if not self._is_reading:
            return
        asyncio.get_running_loop().remove_reader(self._descriptor)
        self._is_reading = False
        saved, self._saved = self._saved, None
        if saved is not None:
            _restore(self._descriptor, saved)

    def _read(self) -> None:
        if not _is_in_foreground(self._descriptor):
            self._release()
            return
        try:
            typed = os.read(self._descriptor, _CHUNK_BYTES)
        except BlockingIOError:
            return
        except OSError:  # the terminal is gone
            typed = b""
        if not typed:
            self._release()
        for character in typed.decode(errors="replace"):
            if not character.isspace():
                self._press(character)


def _is_in_foreground(descriptor: int) -> bool:
    try:
        return os.tcgetpgrp(descriptor) == os.getpgrp()
    except OSError:  # a terminal that does not control this session has no jobs
        return True


def _single_keys(descriptor: int) -> list[Any] | None:
    """Have keys read without Enter, and return the settings until then; None if the terminal cannot do that."""
    try:
        saved = termios.tcgetattr(descriptor)
        tty.setcbreak(descriptor, termios.TCSANOW)
    except (termios.error, OSError):
        return None
    return saved


def _restore(descriptor: int, saved: list[Any]) -> None:
    """Restore a terminal's settings, also from the background, where SIGTTOU would stop this process."""
    former = signal.signal(signal.SIGTTOU, signal.SIG_IGN)
    try:
        termios.tcsetattr(descriptor, termios.TCSANOW, saved)
    except (termios.error, OSError):  # the terminal is gone
        pass
    finally:
        signal.signal(signal.SIGTTOU, former)
