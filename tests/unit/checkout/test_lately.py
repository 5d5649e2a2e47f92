"""What an act has just seen is shown once, of exactly what it saw, and not for long."""

from datetime import timedelta

import msgspec

from services.checkout.application.lately import Lately
from services.checkout.domain.presenting import View
from tests.unit.checkout.test_pricing_and_viewing import basis, seen

replace = msgspec.structs.replace


def kept() -> tuple[Lately, View]:
    lately = Lately()
    return lately, lately.keep(seen(basis()))


def test_the_view_of_an_act_is_taken_once() -> None:
    lately, view = kept()
    known = (view.shop, view.checkout, view.record)
    assert lately.take(*known, view.at) is view
    assert lately.take(*known, view.at) is None


def test_whoever_comes_later_sees_what_holds_then() -> None:
    for late in (timedelta(seconds=1), timedelta(hours=1), timedelta(seconds=-1)):
        lately, view = kept()
        assert lately.take(view.shop, view.checkout, view.record, view.at + late) is None


def test_what_was_not_committed_or_has_changed_since_is_not_shown() -> None:
    lately, view = kept()
    other = replace(view.checkout, total_minor=view.checkout.total_minor + 1)
    assert lately.take(view.shop, other, view.record, view.at) is None
    lately, view = kept()
    assert lately.take(view.shop, view.checkout, replace(view.record, coupons=("NEW",)), view.at) is None


def test_a_view_is_of_one_shop_and_of_one_version_of_it() -> None:
    lately, view = kept()
    newer = replace(view.shop, version=view.shop.version + 1)
    assert lately.take(newer, view.checkout, view.record, view.at) is None


def test_only_so_many_are_kept() -> None:
    lately, view = kept()
    for number in range(1_024):
        lately.keep(replace(view, checkout=replace(view.checkout, id=type(view.checkout.id)(int=number))))
    assert lately.take(view.shop, view.checkout, view.record, view.at) is None
