"""What acts have just seen, for the page that their answer leads to: read and priced once instead of twice."""

from collections import OrderedDict
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from services.checkout.domain.checkouts import Checkout
from services.checkout.domain.presenting import View
from services.checkout.domain.records import Record
from services.checkout.domain.shops import Shop

__all__ = ["Lately"]

_HOLDS: Final = timedelta(seconds=1)  # a redirect; whoever looks later sees what prices and stock are then
_MAX: Final = 1024


class Lately:
    """The last view of each checkout, given once, and only of exactly this shop, checkout and record."""

    def __init__(self) -> None:
        self._views: OrderedDict[UUID, View] = OrderedDict()

    def keep(self, view: View) -> View:
        """Of an act, whether it will be committed or not: what is not is never asked for."""
        self._views[view.checkout.id] = view
        if len(self._views) > _MAX:
            self._views.popitem(last=False)
        return view

    def take(self, shop: Shop, checkout: Checkout, record: Record, at: datetime) -> View | None:
        """The view of a moment ago, when nothing of these has changed since."""
        view = self._views.pop(checkout.id, None)
        if view is None or not timedelta() <= at - view.at < _HOLDS:
            return None
        same = view.shop is shop and view.checkout == checkout and view.record == record
        return view if same else None
