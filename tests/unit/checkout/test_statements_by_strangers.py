"""Statements of people whom nobody knows: none is shut out, none carries a message of theirs to others."""

import re

from services.checkout.api.pages.bounds import Pace
from services.checkout.domain.letters import Said, bounded


def test_those_who_wait_are_let_in_one_by_one() -> None:
    now = [0.0]
    pace = Pace(20, 600.0, lambda: now[0])
    flood = [f"flood {n}" for n in range(5_000)]
    assert sum(not pace.wait_s("net", one) for one in flood) == 20
    let_in = set(flood[:20])
    for minute in range(1, 10):
        now[0] = minute * 60.0 - 1
        let_in |= {one for one in flood if not pace.wait_s("net", one)}
        assert len(let_in) <= 20 + minute * 3, "one in twenty seconds, whatever is asked for again"
    assert len(let_in) > 40
    assert all(not pace.wait_s("net", one) for one in flood[:20]), "the same again is no other"


def test_whoever_waits_loses_his_place_to_no_other_network() -> None:
    now = [0.0]
    pace = Pace(1, 600.0, lambda: now[0], lines_max=50)
    assert pace.wait_s("mine", "the first") == 0
    assert pace.wait_s("mine", "my statement") == 20
    now[0] = 5.0
    for net in range(500):
        assert pace.wait_s(f"net {net}", "one") == 0, "nobody waits for another network"
        assert pace.wait_s(f"net {net}", "two") > 0
    assert pace.wait_s("mine", "my statement") == 15
    now[0] = 20.0
    assert pace.wait_s("mine", "my statement") == 0
    now[0] = 500.0
    assert pace.wait_s("mine", "my statement") == 0, "who types slowly finds his place"


def test_places_that_nobody_took_are_given_to_others() -> None:
    now = [0.0]
    pace = Pace(1, 10_000.0, lambda: now[0], lines_max=2)
    for net in ("a", "b", "c"):
        assert pace.wait_s(net, "one") == 0
    assert [pace.wait_s(net, "two") for net in ("a", "b", "c")] == [20, 20, 300]
    now[0] = 700.0
    assert [pace.wait_s(net, "three") for net in ("c", "a", "b")] == [20, 20, 300]


def test_a_line_is_of_bounded_length() -> None:
    pace = Pace(1, 600.0, lambda: 0.0)
    waits = [pace.wait_s("net", f"flood {n}") for n in range(1_000)]
    assert waits[:17] == [0, *range(20, 301, 20), 300]
    assert max(waits) == 300


def test_a_letter_to_a_stranger_is_short_and_holds_no_link() -> None:
    lure = "Gagnez ! http://evil.example/x?a=1 www.evil.com evil\u3002com jean@evil.fr " * 20
    cut = bounded(Said(name=lure, text=lure, reference=lure, address="victim@example.org"))
    for text, most in ((cut.name, 200), (cut.text, 500), (cut.reference, 200)):
        assert len(re.sub(r"\s", "", text)) <= most + 1
        assert text.endswith("…")
        assert re.search(r"://|\w[.\u3002][a-z]", text) is None
    assert cut.address == "victim@example.org"


def test_a_statement_as_people_make_it_is_repeated_as_it_is() -> None:
    said = Said("Zoé D'Arc", "Je me rétracte de ma commande du 12.03.2026 (49,90 EUR). Merci...", "3f2a1b4c")
    assert bounded(said) == said
