"""The names of the files in a state folder."""

from typing import Final

LOCK: Final = "lock"
RUNNING: Final = "running.json"
RESTART: Final = "restart.json"
KILL_SWITCH: Final = "kill-switch.json"
STORE: Final = "strangler.db"
REDACTION_KEY: Final = "redaction.key"
WEBHOOK_KEY: Final = "webhook.secret"
JOURNAL: Final = "shadow-diffs.jsonl"
MAX_OLD_JOURNALS: Final = 4
"""`shadow-diffs.jsonl.1` is the newest of the rotated files."""

KEPT: Final = (
    STORE,
    REDACTION_KEY,
    WEBHOOK_KEY,
    KILL_SWITCH,
    JOURNAL,
    *(f"{JOURNAL}.{number}" for number in range(1, MAX_OLD_JOURNALS + 1)),
)
"""The files that a backup holds, in the order in which they are copied."""
