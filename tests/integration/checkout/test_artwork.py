"""Official artwork (A22): the shop's file, pinned by its hash, kept, and shown as it is on the page on guarantees."""

from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from typing import Any

import msgspec
import pytest

from relance.cli.checkout_files import shop as read_shop
from relance.kernel.errors import InputError
from relance.rules.law.book import default_book
from services.checkout.domain.outcomes import Refusal
from services.checkout.domain.shops import ARTWORK_BYTES_MAX, Artwork, Shop
from services.checkout.domain.standing import standing
from tests.integration.checkout.bank_kit import running_bank
from tests.integration.checkout.pages_kit import Browser, Hosted, hosted, one_shop
from tests.unit.checkout.test_standing import NOW

# A picture for the tests, not the official one: that is the file of the shop's counsel.
PICTURE = b'<svg xmlns="http://www.w3.org/2000/svg" width="2" height="1"><script>alert(1)</script></svg>'
SHA256 = sha256(PICTURE).hexdigest()
SLOT = "A22.notice.fr"
ALT = {"fr": "La garantie légale dans l'Union européenne : deux ans au moins."}


def with_picture(**changes: Any) -> Shop:
    given = Artwork(sha256=SHA256, media_type="image/svg+xml", alt=ALT, data=PICTURE)
    picture = msgspec.structs.replace(given, **changes)
    return msgspec.structs.replace(one_shop(), artwork={SLOT: picture})


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hosted]:
    with running_bank() as bank, hosted(tmp_path_factory.mktemp("pages"), bank) as found:
        yield found


def put(pages: Hosted, shop: Shop) -> Refusal | None:
    return pages.run(pages.desk.put_shop(shop))


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"data": PICTURE + b" "}, f"artwork.{SLOT}.sha256"),
        ({"data": b"", "sha256": "0" * 64}, f"artwork.{SLOT}.data"),
        ({"data": b"x" * (ARTWORK_BYTES_MAX + 1)}, f"artwork.{SLOT}.data"),
        ({"alt": {"en": "The legal guarantee"}}, f"artwork.{SLOT}.alt.fr"),
    ],
)
def test_a_picture_that_is_not_the_pinned_file_is_refused(pages: Hosted, changes: dict[str, Any], field: str) -> None:
    refused = put(pages, with_picture(**changes))
    assert refused is not None
    assert (refused.rule, refused.field) == ("A22", field)


def test_a_picture_fills_a_slot_of_the_law_only(pages: Hosted) -> None:
    shop = with_picture()
    refused = put(pages, msgspec.structs.replace(shop, artwork={"banner": shop.artwork[SLOT]}))
    assert refused is not None
    assert refused.field == "artwork.banner"


def test_the_picture_is_shown_byte_by_byte(pages: Hosted) -> None:
    browser = Browser(pages)
    assert put(pages, with_picture()) is None
    try:
        page = browser.http.get("/legal/demo/guarantees?lang=fr").text
        assert f'src="artwork/{SLOT}?v={SHA256[:16]}"' in page
        assert "deux ans au moins" in page
        assert "artwork/" in browser.http.get("/legal/demo/guarantees?lang=en").text, "in French rather than not at all"
        answer = browser.http.get(f"/legal/demo/artwork/{SLOT}")
        assert answer.content == PICTURE
        assert answer.headers["content-type"] == "image/svg+xml"
        assert "sandbox" in answer.headers["content-security-policy"], "a picture that is opened runs no script"
        assert browser.http.get("/legal/demo/artwork/A22.notice.de").status_code == 404
        kept = pages.run(pages.desk.get_shop("demo"))
        assert isinstance(kept, Shop)
        assert kept.artwork[SLOT].data == b"", "the bytes are kept apart"
        assert put(pages, with_picture(data=b"")) is None, "what is kept need not come again"
    finally:
        assert put(pages, one_shop()) is None
    assert browser.http.get(f"/legal/demo/artwork/{SLOT}").status_code == 404


def test_the_warning_goes_with_the_picture() -> None:
    def warned(shop: Shop) -> set[str]:
        return {one.rule for one in standing(shop, default_book(), NOW).warnings}

    assert "A22" in warned(one_shop())
    assert "A22" not in warned(with_picture())


def test_a_file_beside_the_facts_brings_its_bytes(tmp_path: Path) -> None:
    facts = tmp_path / "shop.yaml"
    facts.write_text(f"id: demo\nartwork:\n  {SLOT}: {{file: notice.svg, sha256: {SHA256}}}\n", encoding="utf-8")
    with pytest.raises(InputError, match=f"artwork {SLOT}.*notice.svg"):
        read_shop(facts)
    (tmp_path / "notice.svg").write_bytes(PICTURE)
    assert read_shop(facts)["artwork"] == {SLOT: {"sha256": SHA256, "data": PICTURE}}
