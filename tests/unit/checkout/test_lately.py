"""What an act saw is shown once, of exactly what it saw, and not for long; a form has what its page showed."""

from datetime import timedelta

import msgspec
import pytest

from services.checkout.application.lately import Lately
from services.checkout.domain.presenting import View
from tests.unit.checkout.test_pricing_and_viewing import basis, seen

replace = msgspec.structs.replace


def kept(*, is_answer: bool = True) -> tuple[Lately, View]:
    lately = Lately()
    return lately, lately.keep(seen(basis()), is_answer=is_answer)


def test_the_view_of_an_act_is_taken_once() -> None:
    lately, view = kept()
    known = (view.shop, view.checkout, view.record)
    assert lately.answer(*known, view.at) is view
    assert lately.answer(*known, view.at) is None


def test_what_a_page_showed_is_no_answer_to_who_looks_again() -> None:
    lately, view = kept(is_answer=False)
    assert lately.answer(view.shop, view.checkout, view.record, view.at) is None


@pytest.mark.parametrize("is_answer", [True, False])
def test_a_form_has_what_its_page_showed_for_five_minutes(*, is_answer: bool) -> None:
    lately, view = kept(is_answer=is_answer)
    known = (view.shop, view.checkout, view.record)
    lately.answer(*known, view.at)
    for late, is_known in ((0, True), (1, True), (299, True), (300, False), (-1, False)):
        found = lately.page(*known, view.at + timedelta(seconds=late))
        assert (found is view) == is_known


def test_whoever_comes_later_sees_what_holds_then() -> None:
    for late in (timedelta(seconds=1), timedelta(hours=1), timedelta(seconds=-1)):
        lately, view = kept()
        assert lately.answer(view.shop, view.checkout, view.record, view.at + late) is None


def test_what_was_not_committed_or_has_changed_since_is_not_shown() -> None:
    lately, view = kept()
    other = replace(view.checkout, total_minor=view.checkout.total_minor + 1)
    newer = replace(view.record, coupons=("NEW",))
    for ask in (lately.answer, lately.page):
        assert ask(view.shop, other, view.record, view.at) is None
        assert ask(view.shop, view.checkout, newer, view.at) is None


def test_a_view_is_of_one_shop_and_of_one_version_of_it() -> None:
    lately, view = kept()
    newer = replace(view.shop, version=view.shop.version + 1)
    for ask in (lately.answer, lately.page):
        assert ask(newer, view.checkout, view.record, view.at) is None


def test_only_so_many_are_kept() -> None:
    lately, view = kept()
    for number in range(1_024):
        lately.keep(replace(view, checkout=replace(view.checkout, id=type(view.checkout.id)(int=number))))
    assert lately.page(view.shop, view.checkout, view.record, view.at) is None
