"""Templates of one language: what the catalogue says stands in the compiled template, and is not looked up by visit."""

import re
from gettext import NullTranslations
from typing import Any, Final

from jinja2 import Environment, nodes
from jinja2.compiler import CodeGenerator
from jinja2.visitor import NodeTransformer
from markupsafe import Markup, escape
from typing_extensions import override

__all__ = ["FoldedEnvironment"]

_SPECIAL: Final = re.compile("[&<>'\"]")
_BLANK: Final = re.compile(r"%\((\w+)\)s|%%")


def _shown(value: Any) -> str:
    """The value as it may stand in a page: Jinja's `escape`, without an object for each piece of text."""
    if type(value) is str:
        return value if _SPECIAL.search(value) is None else str(escape(value))
    if isinstance(value, Markup):
        return value
    return str(escape(value))


class _Fold(NodeTransformer):
    """Puts messages in the place of the calls that look them up; those with blanks as text and values in turn."""

    def __init__(self, catalogue: NullTranslations) -> None:
        self._catalogue = catalogue

    def visit_Output(self, node: nodes.Output) -> nodes.Output:
        """What is printed, piece by piece."""
        node.nodes = [piece for one in node.nodes for piece in self._pieces(one)]
        node.set_environment(node.environment)  # type: ignore[arg-type] # set by the parser
        return node

    def visit_Call(self, node: nodes.Call) -> nodes.Node:
        """A message that something is given, such as a macro: whole, and only one without blanks."""
        message = _message(node)
        if message is None or node.kwargs:
            self.generic_visit(node)
            return node
        return nodes.MarkSafe(nodes.Const(self._catalogue.gettext(message) % {}, lineno=node.lineno))

    def _pieces(self, node: nodes.Expr) -> list[nodes.Expr]:
        message = _message(node)
        if message is None or not isinstance(node, nodes.Call):
            found = self.visit(node)
            assert isinstance(found, nodes.Expr), "an expression stays one"
            return [found]
        values = {one.key: one.value for one in node.kwargs}
        text, at, pieces = self._catalogue.gettext(message), 0, list[nodes.Expr]()
        for blank in _BLANK.finditer(text):
            between = text[at : blank.start()] + ("%" if blank[0] == "%%" else "")
            pieces.append(nodes.TemplateData(between, lineno=node.lineno))
            if blank[1]:
                pieces.append(self.visit(values[blank[1]]))
            at = blank.end()
        return [*pieces, nodes.TemplateData(text[at:], lineno=node.lineno)]


def _message(node: nodes.Node) -> str | None:
    """The message of a call of the catalogue, None for anything else."""
    if not isinstance(node, nodes.Call) or not isinstance(node.node, nodes.Name) or node.node.name != "_":
        return None
    (message,) = node.args
    return message.value if isinstance(message, nodes.Const) else None


class _Generator(CodeGenerator):
    """Escapes by `_shown`."""

    @override
    def _output_child_pre(self, node: nodes.Expr, frame: Any, finalize: Any) -> None:
        assert frame.eval_ctx.autoescape, "pages are always escaped"
        self.write("environment.shown(")


class FoldedEnvironment(Environment):
    """An environment whose templates speak one language."""

    code_generator_class = _Generator
    shown = staticmethod(_shown)
    catalogue: NullTranslations = NullTranslations()

    @override
    def _generate(
        self,
        source: nodes.Template,
        name: str | None,
        filename: str | None,
        defer_init: bool = False,
    ) -> str:
        _Fold(self.catalogue).visit(source)
        return super()._generate(source, name, filename, defer_init)
