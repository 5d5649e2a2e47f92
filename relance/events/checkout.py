"""Said by the checkout, ours or the shop's: its steps. With `items` each sets the cart whole."""

from typing import Literal

from relance.events.envelope import Data, Envelope, Id, Text

__all__ = [
    "Channel", "CheckoutContactCaptured", "CheckoutData", "CheckoutStarted", "CheckoutStepCompleted",
    "CheckoutStepViewed", "ContactData", "StartData", "StepData",
]  # fmt: skip

Channel = Literal[
    "email", "sms", "push", "web_push", "phone", "whatsapp", "chat", "popup", "post", "messenger", "rcs", "ads",
]  # fmt: skip


class CheckoutData(Data, frozen=True, kw_only=True):
    """A checkout is named."""

    checkout_id: Id


class StartData(CheckoutData, frozen=True, kw_only=True):
    """A checkout begins with a cart."""

    cart_id: Id


class CheckoutStarted(Envelope, frozen=True, kw_only=True, tag="checkout.started"):
    """The shopper went to the checkout."""

    data: StartData


class StepData(CheckoutData, frozen=True, kw_only=True):
    """A step of the checkout, by the shop's own name or number of it."""

    step: Text
    shipping_method: Text | None = None
    payment_method: Text | None = None


class CheckoutStepViewed(Envelope, frozen=True, kw_only=True, tag="checkout.step_viewed"):
    """A step was shown."""

    data: StepData


class CheckoutStepCompleted(Envelope, frozen=True, kw_only=True, tag="checkout.step_completed"):
    """A step was submitted."""

    data: StepData


class ContactData(CheckoutData, frozen=True, kw_only=True):
    """The channel on which the shopper can now be reached, with what he consented to in `consent`."""

    channel: Channel


class CheckoutContactCaptured(Envelope, frozen=True, kw_only=True, tag="checkout.contact_captured"):
    """An address was submitted."""

    data: ContactData
