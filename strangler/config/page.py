"""Read the page that browsers get for the proxy's own errors."""

from dataclasses import dataclass
from pathlib import Path

MAX_PAGE_BYTES = 256 * 1024


@dataclass(frozen=True, slots=True)
class Page:
    """The text of the page, or why there is none: what is wrong, and the way out."""

    text: str | None
    why_not: tuple[str, str] | None = None


def read_page(path: Path) -> Page:
    """Return the content of an HTML file. It never raises, whatever the file holds and even if it cannot be read."""
    try:
        with path.open("rb") as file:
            data = file.read(MAX_PAGE_BYTES + 1)
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        return Page(None, (f"{path} cannot be read: {reason}", "name a file beside routes.yaml"))
    if len(data) > MAX_PAGE_BYTES:
        return Page(
            None, (f"{path} is too large", f"at most {MAX_PAGE_BYTES // 1024} KiB are allowed; put images elsewhere")
        )
    try:
        return Page(data.decode("utf-8-sig"))
    except UnicodeDecodeError:
        return Page(None, (f"{path} is not UTF-8", "save it as UTF-8"))
