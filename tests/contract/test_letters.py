"""Every letter that checkout asks for is a kind that notification knows, with facts that this kind may be told."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from services.notification.adapters.mail.registry import load_kinds

ROOT = Path(__file__).parents[2] / "services" / "checkout"
PLACES = {"Letter": 0, "Post": 0, "send_template": 3, "message": 3}
ALWAYS = {"order_number", "shop_name", "help_phone", "help_email", "subject", "link", "amount", "minutes", "until"}


def asked() -> Iterator[tuple[str, str, tuple[str, ...]]]:
    """(where, kind, names of the facts) of each place that names a kind."""
    for path in sorted(ROOT.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if not isinstance(node, ast.Call):
                continue
            name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
            place = PLACES.get(name, 99)
            kind = node.args[place] if place < len(node.args) else None
            if isinstance(kind, ast.Constant) and isinstance(kind.value, str):
                facts = node.args[place + 1] if place + 1 < len(node.args) else None
                keys = facts.keys if isinstance(facts, ast.Dict) else []
                names = tuple(str(key.value) for key in keys if isinstance(key, ast.Constant))
                yield f"{path.name}:{node.lineno}", kind.value, names


ASKED = list(asked())


@pytest.mark.parametrize(("where", "kind", "names"), ASKED, ids=[f"{where}-{kind}" for where, kind, _ in ASKED])
def test_a_letter_that_is_asked_for_can_be_sent(where: str, kind: str, names: tuple[str, ...]) -> None:
    known = load_kinds()
    assert kind in known, where
    assert set(names) <= {*known[kind].facts, *known[kind].optional, *known[kind].dates, *known[kind].instants, *ALWAYS}


def test_letters_are_asked_for_all_over_the_checkout() -> None:
    assert {"withdrawal.decided", "delivery.late", "claim.answered", "renewal.notice"} <= {kind for _, kind, _ in ASKED}
