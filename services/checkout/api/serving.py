"""What the parts of CheckoutService share: the desk, and how a call is answered."""

from services.checkout.api.calls import Calls
from services.checkout.application.desk import Desk

__all__ = ["Serving"]


class Serving:
    """A part of the service."""

    def __init__(self, desk: Desk, calls: Calls) -> None:
        self._desk = desk
        self._calls = calls
