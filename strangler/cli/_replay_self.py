"""The result of `strangler replay --self`, as people read it."""

from strangler.cli._moves_document import counted
from strangler.cli._replay_text import account_lines, print_differences
from strangler.cli._terminal import console as terminal
from strangler.core.documents import LegacyItself, ReplayDocument
from strangler.core.plain import plain


def print_self(document: ReplayDocument) -> None:
    """Print how much differs from the recording, then what legacy differs in from itself, and rules that accept it."""
    console = terminal()

    def say(text: str) -> None:
        console.print(text, markup=False, soft_wrap=True)

    for found in document.itself:
        say(_recorded(found))
        say(f"route '{found.route}': {_with_itself(found)}")
    print_differences(console, document.differences)
    for found in document.itself:
        if found.patch is not None:
            say(f"# proposed for route '{found.route}', of {counted(found.pairs, 'pair')}; judge each rule:")
            say(plain(found.patch).rstrip("\n"))
    for line in account_lines(document):
        say(line)
    for reason in document.reasons:
        say(f"failed: {reason}")
    if document.passed:
        say("legacy agrees with itself")


def _recorded(found: LegacyItself) -> str:
    """Return how much of what legacy responds now is not what was recorded."""
    pairs, differ = found.recorded_pairs, found.recorded_mismatches
    if not pairs:
        return f"route '{found.route}': no response was recorded that could be compared"
    if not differ:
        return f"route '{found.route}': all of {counted(pairs, 'pair')} are what was recorded"
    text = f"route '{found.route}': {differ:,} of {counted(pairs, 'pair')} are not what was recorded"
    if found.recorded_noise == differ:
        return f"{text}, but differ only where legacy differs from itself"
    noise = f" ({found.recorded_noise:,} only where legacy differs from itself)" if found.recorded_noise else ""
    return f"{text}{noise}: data has changed since; compare with --against legacy"


def _with_itself(found: LegacyItself) -> str:
    if not found.mismatches:
        return f"legacy agrees with itself in all of {counted(found.pairs, 'pair')}"
    return f"legacy differs from itself in {found.mismatches:,} of {counted(found.pairs, 'pair')}"
