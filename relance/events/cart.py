"""Said by browsers and shop backends: the cart and its coupons.

`items` absent has a meaning (docs/detection.md): an addition or removal without items is one item of unknown price, a
`cart.updated` without items empties the cart, a `cart.viewed` without items changes nothing.
"""

from relance.events.envelope import Count, Data, Envelope, Id, Minor, Text

__all__ = [
    "CartData", "CartProductAdded", "CartProductRemoved", "CartUpdated", "CartViewed", "CouponApplied", "CouponData",
    "CouponDenied", "CouponEntered", "CouponRemoved", "SnapshotData",
]  # fmt: skip


class CartData(Data, frozen=True, kw_only=True):
    """A cart is named."""

    cart_id: Id


class CartProductAdded(Envelope, frozen=True, kw_only=True, tag="cart.product_added"):
    """`items` were added."""

    data: CartData


class CartProductRemoved(Envelope, frozen=True, kw_only=True, tag="cart.product_removed"):
    """`items` were taken out."""

    data: CartData


class CartViewed(Envelope, frozen=True, kw_only=True, tag="cart.viewed"):
    """The cart was looked at; with `items` it is set whole."""

    data: CartData


class SnapshotData(CartData, frozen=True, kw_only=True):
    """The whole cart; `version` rises with each change of it."""

    version: Count | None = None


class CartUpdated(Envelope, frozen=True, kw_only=True, tag="cart.updated"):
    """The cart is now this."""

    data: SnapshotData


class CouponData(Data, frozen=True, kw_only=True):
    """A coupon of a cart or of an order."""

    one_of = ("cart_id", "order_id")

    coupon_id: Id
    order_id: Id | None = None
    discount_minor: Minor | None = None
    reason: Text | None = None


class CouponEntered(Envelope, frozen=True, kw_only=True, tag="coupon.entered"):
    """A coupon was typed in."""

    data: CouponData


class CouponApplied(Envelope, frozen=True, kw_only=True, tag="coupon.applied"):
    """A coupon was accepted."""

    data: CouponData


class CouponDenied(Envelope, frozen=True, kw_only=True, tag="coupon.denied"):
    """A coupon was refused, for `reason`."""

    data: CouponData


class CouponRemoved(Envelope, frozen=True, kw_only=True, tag="coupon.removed"):
    """A coupon was taken back."""

    data: CouponData
