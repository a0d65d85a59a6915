"""The tree of all words in paths, by which control folds first templates further: `/users/ana` -> `/users/{}`.

One tree serves all methods. It never sees values that their form tells (the worker has folded them), and it forgets
words when it folds them. All of it is plain data, which msgspec writes and reads.
"""

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from strangler.core.ledger.first_template import first_template
from strangler.core.ledger.folding import MAX_WORDS, Place, Word, are_values, staying
from strangler.core.ledger.named_templates import NamedTemplates, named_segments
from strangler.core.ledger.segments import HOLE, REST, joined_segments, split_segments
from strangler.core.ledger.well_known import BESIDE_VALUES, COLLECTIONS, FORMATS
from strangler.core.ledger.word_classes import OVERFLOW, Form, WordClass, classes_of, is_fixed_form, is_plural

MAX_NODES = 20_000
"""The most segments of all paths together: about 10 MB."""
MAX_PARALLEL = 64
_FIRST_LOOK = 3


@dataclass(slots=True)
class Fold:
    """A class of words that was folded; `example` is a path with the most frequent of them."""

    folded: str
    example: str
    words: int
    calls: int


@dataclass(slots=True)
class Node:
    """A segment of the paths: `calls` went to it or beyond."""

    calls: int = 0
    words: dict[str, "Node"] = field(default_factory=dict)
    """The segments below by their text, holes included."""
    folds: dict[str, Fold] = field(default_factory=dict)
    """By the name of a class."""
    stays: list[str] = field(default_factory=list)
    """Words that are never folded: named ones, and those that stayed beside values."""
    unfolded: list[str] = field(default_factory=list)
    """The names of classes that the operator has unfolded."""
    is_collection: bool = False
    """Whether its text says that values stand below it: `/users`."""
    is_plural: bool = False
    looked_at: tuple[int, int] = (0, 0)
    """The numbers of words and calls when the words were last judged."""


@dataclass(slots=True)
class TemplateTreeState:
    """The words of all paths, and the folds that were learned. `revision` grows with each change of a template."""

    root: Node = field(default_factory=Node)
    nodes: int = 0
    revision: int = 0
    overflow_calls: int = 0
    """The calls of paths that no bound had room for; they count under `…`."""
    names: NamedTemplates = field(default_factory=NamedTemplates)

    def learn(self, path: bytes, count: int = 1, is_probe: bool = False) -> str:
        """Count calls of a raw path, and return its template."""
        return self.learn_first(first_template(path, self.names.unusual), count, is_probe)

    def learn_first(self, first: str, count: int = 1, is_probe: bool = False) -> str:
        """Count calls of a first template, as workers send them, and return the template.

        Nothing is learned from probes, whose responses are refusals (`rows.is_refusal`). The template is that after the
        folds for which these calls gave the reason; rows follow a fold when `revision` has grown.
        """
        if is_probe or count <= 0:
            return self.template_of_first(first)
        walked = self._walked(self._named(first), count)
        if walked is None:
            self.overflow_calls += count
        elif self._look_along(*walked):
            self.revision += 1
        return self.template_of_first(first)

    def template_of(self, path: bytes) -> str:
        """Return the template of a raw path as far as it is known, without learning from it."""
        return self.template_of_first(first_template(path, self.names.unusual))

    def template_of_first(self, first: str) -> str:
        """Return the template of a first template, or of a former template: that is how rows follow a fold."""
        node: Node | None = self.root
        found: list[str] = []
        for segment in self._named(first):
            if node is not None:
                segment = self._resolved(node, segment)
                if segment not in node.words and self._is_full(node, segment):
                    return joined_segments([*found, OVERFLOW])
                node = node.words.get(segment)
            found.append(segment)
        return joined_segments(found)

    def name(self, templates: Iterable[str], are_prefixes: bool = False) -> None:
        """Take over names that the operator gave: an imported list, or (`are_prefixes`) the prefixes of routes."""
        for template in templates:
            self.names.add(template, are_prefixes)
            node: Node | None = self.root
            for segment in named_segments(template):
                if segment == REST or node is None:
                    break
                if segment not in node.stays:
                    node.stays.append(segment)
                node = self._child(node, segment)
        self.revision += 1

    def unfold(self, template: str) -> bool:
        """Undo a name of the operator's, or the last fold that a template shows; False if forms alone tell its values.

        Words that come from now on have their own rows; what was counted stays in the row of the template.
        """
        if self.names.remove(template):
            self.revision += 1
            return True
        found = None
        node: Node | None = self.root
        for segment in split_segments(template):
            if node is None:
                break
            if HOLE in segment and any(fold.folded == segment for fold in node.folds.values()):
                found = node, segment
            node = node.words.get(segment)
        if found is None:
            return False
        _unfold(*found)
        self.revision += 1
        return True

    def folds(self) -> Iterator[tuple[str, Fold]]:
        """Yield the learned folds, each with its template."""
        yield from _folds_below(self.root, [])

    def _named(self, first: str) -> list[str]:
        return self.names.resolved(split_segments(first))

    def _resolved(self, node: Node, segment: str) -> str:
        """Return the segment that a segment counts as under a node, after all folds there."""
        while node.folds and segment not in node.stays and segment not in BESIDE_VALUES:
            fold = next((node.folds[each.name] for each in classes_of(segment) if each.name in node.folds), None)
            if fold is None or fold.folded == segment:
                break
            segment = fold.folded
        return segment

    def _is_full(self, node: Node, segment: str) -> bool:
        return self.nodes >= MAX_NODES or (len(node.words) >= MAX_WORDS and segment != HOLE)

    def _walked(self, segments: list[str], count: int) -> tuple[list[Node], list[str]] | None:
        """Count the calls of a path, and return the nodes along it and their texts; None if there is no room for it."""
        if self.nodes >= MAX_NODES - len(segments) and not self._is_known(segments):
            return None
        nodes, texts = [self.root], list[str]()
        self.root.calls += count
        for segment in segments:
            text = self._resolved(nodes[-1], segment)
            child = self._child(nodes[-1], text)
            if child is None:
                return nodes, texts
            child.calls += count
            nodes.append(child)
            texts.append(text)
        return nodes, texts

    def _is_known(self, segments: list[str]) -> bool:
        node: Node | None = self.root
        for segment in segments:
            node = node.words.get(self._resolved(node, segment)) if node is not None else None
        return node is not None

    def _child(self, node: Node, segment: str) -> Node | None:
        child = node.words.get(segment)
        if child is None and not self._is_full(node, segment):
            child = node.words[segment] = Node(is_collection=segment in COLLECTIONS, is_plural=is_plural(segment))
            self.nodes += 1
        return child

    def _look_along(self, nodes: list[Node], texts: list[str]) -> bool:
        """Judge the words of the nodes along a path from its end; return True if any were folded."""
        has_folded = False
        for depth in range(len(nodes) - 1, -1, -1):
            if has_folded or _is_due(nodes[depth]):
                has_folded |= self._look(self._parallel(nodes[depth], texts[:depth]))
        return has_folded

    def _parallel(self, node: Node, texts: list[str]) -> list[Node]:
        """Return a node, and those at the same place of other locales and versions: `/de/news` beside `/en/news`."""
        if not any(map(is_fixed_form, texts)):
            return [node]
        found = [self.root]
        for text in texts:
            ways = [each for each in found[0].words if is_fixed_form(each)] if is_fixed_form(text) else [text]
            found = [parent.words[each] for parent in found for each in ways if each in parent.words][:MAX_PARALLEL]
        return [node, *(other for other in found if other is not node)]

    def _look(self, nodes: list[Node]) -> bool:
        """Judge the words under parallel nodes together, class by class, until nothing folds any more."""
        has_folded = False
        while (found := _foldable(nodes)) is not None:
            words, stay = found
            for node in nodes:
                if words.name not in node.folds and words.name not in node.unfolded:
                    self._fold(node, words, stay)
            has_folded = True
        nodes[0].looked_at = (len(nodes[0].words), nodes[0].calls)
        return has_folded

    def _fold(self, node: Node, words: WordClass, stay: set[str]) -> None:
        """Fold the words of a class into one segment; those that stay do so for good."""
        node.stays.extend(sorted(text for text in stay if text in node.words and text not in node.stays))
        members = [text for text in node.words if text not in node.stays and words in classes_of(text)]
        best = max(members, key=lambda text: (node.words[text].calls, text), default=words.folded)
        example = words.folded.replace(HOLE, "*") if words.form in _PERSONAL else best
        calls = sum(node.words[text].calls for text in members)
        node.folds[words.name] = Fold(words.folded, example, len(members), calls)
        if not members:
            return
        hole = node.words.get(words.folded)
        if hole is None:
            hole = node.words[words.folded] = Node()
            self.nodes += 1
        for text in members:
            if text != words.folded:
                self._merge(hole, node.words.pop(text))
        self._look([hole])

    def _merge(self, node: Node, other: Node) -> None:
        """Add another node, which goes, to a node, with all that is below it."""
        self.nodes -= 1
        node.calls += other.calls
        node.stays.extend(text for text in other.stays if text not in node.stays)
        node.unfolded.extend(name for name in other.unfolded if name not in node.unfolded)
        for text, child in other.words.items():
            place = self._resolved(node, text)
            if place in node.words:
                self._merge(node.words[place], child)
            else:
                node.words[place] = child
        for name, fold in other.folds.items():
            if name not in node.folds and name not in node.unfolded:
                form, _, folded = name.partition(" ")
                self._fold(node, WordClass(Form(form), folded), set())
                node.folds[name] = fold


def _is_due(node: Node) -> bool:
    """Return True if the words have grown in number, or in calls, since they were last judged."""
    words, calls = node.looked_at
    if not calls:
        return bool(node.words)
    return len(node.words) >= max(_FIRST_LOOK, words + 1 + words // 8) or node.calls >= 2 * max(calls, 8)


def _foldable(nodes: list[Node]) -> tuple[WordClass, set[str]] | None:
    """Return a class of words under parallel nodes that are values, and those of its words that stay beside them."""
    first = nodes[0]
    classes: dict[WordClass, dict[str, list[Node]]] = {}
    for node in nodes:
        for text, child in node.words.items():
            if text not in node.stays:
                for each in classes_of(text):
                    classes.setdefault(each, {}).setdefault(text, []).append(child)
    for each in sorted(classes, key=lambda each: (_WIDTH[each.form], each.name)):
        if each.name in first.folds or each.name in first.unfolded:
            continue
        if any(each.name in node.folds for node in nodes) or _is_format_of_values(first, each):
            return each, {text for node in nodes for text in node.stays} | BESIDE_VALUES.intersection(classes[each])
        if len(classes[each]) < _FIRST_LOOK:
            continue
        words = [_word(text, children) for text, children in classes[each].items()]
        stay = staying(words, first.stays) if each.form is Form.WORD else set()
        place = Place(first.is_collection, first.is_plural, each.folded in first.words)
        if are_values(each.form, [word for word in words if word.text not in stay], place):
            return each, stay
    return None


def _word(text: str, children: list[Node]) -> Word:
    """Return a word as it stands under all of its parents."""
    if len(children) == 1:
        return Word(text, children[0].calls, {name: below.calls for name, below in children[0].words.items()})
    below: Counter[str] = Counter()
    for child in children:
        below.update({name: node.calls for name, node in child.words.items()})
    return Word(text, sum(child.calls for child in children), below)


def _is_format_of_values(node: Node, each: WordClass) -> bool:
    """Return True for `{}.json` where the words without an ending are folded."""
    return each.form is Form.WORD and _ALL_WORDS.name in node.folds and each.folded.rpartition(".")[2] in FORMATS


_ALL_WORDS = WordClass(Form.WORD, HOLE)
_PERSONAL = frozenset({Form.NAME, Form.ODD})
"""Classes of words of which none may be kept as an example: names of persons, and what may be a token."""
_WIDTH = {form: at for at, form in enumerate(Form)}


def _unfold(node: Node, segment: str) -> None:
    for name in [name for name, fold in node.folds.items() if fold.folded == segment]:
        del node.folds[name]
        node.unfolded.append(name)


def _folds_below(node: Node, before: list[str]) -> Iterator[tuple[str, Fold]]:
    for fold in node.folds.values():
        example = joined_segments([*before, fold.example])
        yield joined_segments([*before, fold.folded]), Fold(fold.folded, example, fold.words, fold.calls)
    for text, child in node.words.items():
        yield from _folds_below(child, [*before, text])
