"""Where rules put what they find: each note gets the place, the subject and the dotted key of its path in the file."""

from strangler.config.document import Document, Loc, Node, Scalar, Table
from strangler.config.problem import Problem
from strangler.config.validate import dotted, shown, where


class Notes:
    """All that the rules found in one document."""

    def __init__(self, document: Document) -> None:
        self._document = document
        self.found: list[Problem] = []

    def error(self, loc: Loc, what: str, way_out: str, *, key: bool = False) -> None:
        """`{}` in `what` is the dotted key; `key` points at the key and not at its value."""
        self._note(loc, what, way_out, key, "error")

    def value_error(self, loc: Loc, way_out: str) -> None:
        """`split.percent is 120; …`"""
        self._note(loc, f"{{}} {self._escaped(shown(self._document, loc))}", way_out, False, "error")

    def warning(self, loc: Loc, what: str, way_out: str, *, key: bool = False) -> None:
        """As `error`, for what may be meant."""
        self._note(loc, what, way_out, key, "warning")

    def _note(self, loc: Loc, what: str, way_out: str, key: bool, severity: str) -> None:
        line, column = self._document.place(loc, key=key)
        text = what.replace("{}", dotted(loc), 1)
        self.found.append(
            Problem(
                self._document.name, line, column, where(self._document, loc), text, way_out,
                "error" if severity == "error" else "warning",
            )
        )  # fmt: skip

    @staticmethod
    def _escaped(text: str) -> str:
        return text

    def is_written(self, loc: Loc) -> bool:
        """True if the file has the key with a value, even one that is wrong (that is noted already)."""
        parent = self._document.node(loc[:-1])
        if not isinstance(parent, Table):
            return False
        node = parent.values.get(str(loc[-1]))
        return loc[-1] in parent.lost or (node is not None and not (isinstance(node, Scalar) and node.text is None))

    def names(self, loc: Loc) -> set[str]:
        """The keys of a mapping, with those whose values are wrong."""
        node = self._document.node(loc)
        return set(node.values) | node.lost if isinstance(node, Table) else set()

    def line(self, loc: Loc) -> int:
        return self._document.place(loc, key=True)[0]

    def node(self, loc: Loc) -> Node | None:
        return self._document.node(loc)
