"""A chain that was opened before the order, under the id of the checkout, tells the order that it became."""

from relance.evidence.dossier import bundle
from relance.evidence.entries import Act
from relance.evidence.examination import examine, export
from tests.unit.evidence.story import TEN_MS, acts, chain, dossier


def _adopted(facts: dict[str, object], by: str = "checkout") -> bytes:
    told = [*acts("c-1")[0], Act(at_ms=TEN_MS + 6_000, act="happened", what="order", facts=facts, by=by)]  # type: ignore[arg-type]
    return export(bundle(chain("c-1", told)[0], []))


def test_the_page_is_headed_by_the_order_and_names_the_file() -> None:
    page = _adopted({"order": "o-77", "number": 3}).decode()
    assert "<h1>Preuves de la commande <span" in page
    assert "<code>o-77</code></h1>" in page
    assert "File, opened before the order</span></dt><dd><code>c-1</code>" in page


def test_such_a_file_is_examined_as_any_other() -> None:
    data = _adopted({"order": "o-77", "number": 3})
    assert {each.kind for each in examine(data).verification.findings} == {"not_sealed"}
    forged = data.replace(b"<code>o-77</code></h1>", b"<code>o-78</code></h1>")
    assert "readable_part_differs" in {each.kind for each in examine(forged).verification.findings}


def test_only_the_checkout_says_which_order_a_chain_became() -> None:
    for data in (_adopted({"order": "o-77", "number": 3}, by="shop"), _adopted({"order": "o-77"})):
        assert "<code>c-1</code></h1>" in data.decode()
    assert dossier().placed is None
