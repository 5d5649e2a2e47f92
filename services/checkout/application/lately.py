"""What was seen of checkouts a moment ago, for what follows at once: read and priced once instead of twice."""

from collections import OrderedDict
from datetime import datetime, timedelta
from typing import Final, NamedTuple
from uuid import UUID

from services.checkout.domain.checkouts import Checkout
from services.checkout.domain.presenting import View
from services.checkout.domain.records import Record
from services.checkout.domain.shops import Shop

__all__ = ["Lately"]

_REDIRECT: Final = timedelta(seconds=1)  # whoever looks later sees what prices and stock are then
_PAGE: Final = timedelta(minutes=5)  # that a page was open whose form comes
_MAX: Final = 1024


class _Kept(NamedTuple):
    view: View
    is_answer: bool


class Lately:
    """The last view of each checkout; given only of exactly this shop, checkout and record."""

    def __init__(self) -> None:
        self._views: OrderedDict[UUID, _Kept] = OrderedDict()

    def keep(self, view: View, *, is_answer: bool = False) -> View:
        """The view again. `is_answer`: of an act, committed or not: nobody asks for what is not."""
        self._views[view.checkout.id] = _Kept(view, is_answer)
        self._views.move_to_end(view.checkout.id)
        if len(self._views) > _MAX:
            self._views.popitem(last=False)
        return view

    def answer(self, shop: Shop, checkout: Checkout, record: Record, at: datetime) -> View | None:
        """For the page that the answer of an act led to, once."""
        found = self._find(shop, checkout, record, at, _REDIRECT)
        if found is None or not found.is_answer:
            return None
        return self.keep(found.view)

    def page(self, shop: Shop, checkout: Checkout, record: Record, at: datetime) -> View | None:
        """For a form that comes: what its page showed. Prices and stock may be others by now."""
        found = self._find(shop, checkout, record, at, _PAGE)
        return None if found is None else found.view

    def _find(self, shop: Shop, checkout: Checkout, record: Record, at: datetime, within: timedelta) -> _Kept | None:
        found = self._views.get(checkout.id)
        if found is None or not timedelta() <= at - found.view.at < within:
            return None
        view = found.view
        same = view.shop is shop and view.checkout == checkout and view.record == record
        return found if same else None
