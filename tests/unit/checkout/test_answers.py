"""What the letter about a claim promises: a day that is still to come, or the right that he has since then."""

import pytest

from services.checkout.application.answering import answer_of
from services.checkout.domain.claims import OpenClaim, TakeClaim, choices, step
from tests.unit.checkout.sold import BOOK, cared, done, line, ordered, parcel, setting, sold

RECEIVED = ordered(line(), parcels=(parcel("p", {"1": 1}, "2026-03-05T11:00"),))
TAKE = TakeClaim(claim_id="c1", postage_minor=790)


def taken(now: str, language: str = "fr", kind: str = "goods") -> tuple[str, tuple[str, ...]]:
    """(the letter's words, what he may ask for) when a claim of the first of April is taken."""
    opened = done(step(RECEIVED, cared(sold(kind=kind)), OpenClaim(id="c1", line_id="1"), setting("2026-04-01T10:00")))
    found = done(step(RECEIVED, opened.after, TAKE, setting(now)))
    said = answer_of(TAKE, RECEIVED, found.after, setting(now), language)
    return said, choices(found.after.claims[0], RECEIVED, setting(now).on, BOOK)


@pytest.mark.parametrize(
    ("language", "promised"), [("fr", "réparé ou remplacé au plus tard le 01/05/2026. "), ("en", "by 1 May 2026 at")]
)
def test_on_the_last_day_it_is_still_promised(language: str, promised: str) -> None:
    said, may = taken("2026-05-01T23:59", language)
    assert promised in said
    assert may == ("repair", "replacement")
    assert "réduction" not in said
    assert "lower price" not in said


@pytest.mark.parametrize(
    ("language", "kind", "words"),
    [
        ("fr", "goods", ("devait être réparé", "ce délai est passé", "une réduction du prix en conservant l'article")),
        ("fr", "digital", ("devait être mis en conformité", "mettre fin au contrat", "en renonçant au contenu")),
        ("en", "goods", ("was to be repaired", "that time has passed", "a lower price", "refunded in full")),
        ("en", "digital", ("was to be brought into conformity", "a lower price", "end the contract")),
    ],
)
def test_the_day_after_nothing_is_promised_for_a_day_that_has_passed(
    language: str, kind: str, words: tuple[str, ...]
) -> None:
    said, may = taken("2026-05-02T00:00", language, kind)
    assert {"reduction", "resolution"} <= {*may}
    assert [one for one in (*words, "7,90" if language == "fr" else "7.90") if one not in said] == []
    assert "est réparé ou remplacé au plus tard" not in said
    assert "is repaired or replaced by" not in said
