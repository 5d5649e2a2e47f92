"""YAML lists of mappings whose every key knows its line, so that a fault can be shown where it stands."""

from typing import Any, NamedTuple

import yaml

from relance.kernel.errors import DefinitionsError

__all__ = ["Entry", "entries"]

_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # libyaml where PyYAML was built with it


class Entry(NamedTuple):
    """One mapping of a file: its plain value, and the line of each of its keys ("" is its first line)."""

    file: str
    value: dict[str, Any]
    lines: dict[str, int]

    def fault(self, key: str, reason: str) -> DefinitionsError:
        """The error that names the file, the line of `key`, and `reason`."""
        return DefinitionsError(self.file, self.lines.get(key, self.lines[""]), reason)


def entries(text: str, file: str) -> list[Entry]:
    """The entries of a YAML list of mappings. Raises DefinitionsError with file, line and reason."""
    try:
        root = yaml.compose(text, Loader=_LOADER)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        raise DefinitionsError(file, mark.line + 1 if mark else 1, f"not YAML: {error.problem}") from None
    except (yaml.reader.ReaderError, RecursionError):
        raise DefinitionsError(file, 1, "not YAML: a character that is not allowed, or nested too deeply") from None
    if not isinstance(root, yaml.SequenceNode):
        raise DefinitionsError(file, 1, "must be a list")
    return [_entry(node, file) for node in root.value]


def _entry(node: yaml.Node, file: str) -> Entry:
    if not isinstance(node, yaml.MappingNode):
        raise DefinitionsError(file, _line(node), "must be a mapping of keys to values")
    lines = {"": _line(node)}
    _refuse_twice(node, file)
    lines |= {str(key.value): _line(key) for key, _ in node.value}
    try:
        value = yaml.constructor.SafeConstructor().construct_document(node)
    except (yaml.YAMLError, ValueError, TypeError) as error:  # 2026-99-99, a list as a key
        raise DefinitionsError(file, _line(node), f"not YAML: {error}") from None
    return Entry(file, value, lines)


def _refuse_twice(node: yaml.Node, file: str) -> None:
    if isinstance(node, yaml.SequenceNode):
        for item in node.value:
            _refuse_twice(item, file)
    elif isinstance(node, yaml.MappingNode):
        seen: set[Any] = set()
        for key, value in node.value:
            if key.value in seen:
                raise DefinitionsError(file, _line(key), f"the key {key.value!r} stands twice")
            if isinstance(key, yaml.ScalarNode):
                seen.add(key.value)
            _refuse_twice(value, file)


def _line(node: yaml.Node) -> int:
    return int(node.start_mark.line) + 1
