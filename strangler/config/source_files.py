"""The text of routes.yaml and of the files that it includes, read to be edited."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final

from strangler.config import include, reader
from strangler.config.load import Loaded, parse
from strangler.config.replace import ChangedMeanwhileError, NotWrittenError, replace_content

_BOM: Final = "\ufeff"


@dataclass(frozen=True, slots=True)
class Files:
    """All texts by the name of their file, a byte order mark included. `path`: that of routes.yaml; None: the text is
    not in a file, and can include nothing."""

    name: str
    text: str
    path: Path | None = None
    included: Mapping[str, str] = field(default_factory=dict)

    @property
    def texts(self) -> dict[str, str]:
        """Return all texts by file name, that of routes.yaml first."""
        return {self.name: self.text, **self.included}

    def with_text(self, name: str, text: str) -> "Files":
        """Return the files with another text in one of them; a byte order mark that it had stays."""
        mark = _BOM if self.texts[name].startswith(_BOM) and not text.startswith(_BOM) else ""
        if name == self.name:
            return replace(self, text=mark + text)
        return replace(self, included={**self.included, name: mark + text})

    def load(self, environ: Mapping[str, str]) -> Loaded:
        """Load the texts."""
        contents: include.Contents = {Path(name): text.encode() for name, text in self.included.items()}
        return parse(self.text, self.name, environ, path=self.path, contents=contents)


def read_files(path: Path, environ: Mapping[str, str]) -> Files:
    """Read routes.yaml and all that it includes. Raises OSError and UnicodeDecodeError, for routes.yaml only.

    An included file that cannot be read or is not text is left out; `load` reports it.
    """
    with path.open("rb") as file:
        text = file.read(reader.MAX_BYTES + 1).decode()
    files = Files(str(path), text, path)
    patterns = include.patterns_of(reader.read(text, files.name, environ))
    return replace(files, included=_texts(include.read_contents(include.find_files(path, patterns))))


def _texts(contents: include.Contents) -> dict[str, str]:
    texts = {}
    for path, content in contents.items():
        if isinstance(content, OSError):
            continue
        try:
            texts[str(path)] = content.decode()
        except UnicodeDecodeError:
            continue
    return texts


class PartlyWrittenError(Exception):
    """Some of the files are written and the others are not. The message says which, and why."""


def write_files(before: Files, after: Files) -> None:
    """Write each file that differs, if it still holds what was read.

    Raises NotWrittenError or ChangedMeanwhileError if none is written, and PartlyWrittenError if only some are.
    """
    changed = [name for name, text in after.texts.items() if text != before.texts[name]]
    for number, name in enumerate(changed):
        try:
            replace_content(Path(name), before.texts[name].encode(), after.texts[name].encode())
        except (NotWrittenError, ChangedMeanwhileError) as error:
            if number == 0:
                raise
            reason = error if isinstance(error, NotWrittenError) else "somebody else is editing it"
            written, left = ", ".join(changed[:number]), ", ".join(changed[number:])
            raise PartlyWrittenError(f"{written}: changed; {left}: not changed: {reason}") from None
