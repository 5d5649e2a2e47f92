"""One live session of the plain model, and what an event changes in it. Numbers: docs/detection.md."""

from dataclasses import dataclass, field
from uuid import UUID, uuid5

from relance.rules.windows import When, Window
from tests.reference.events import Event

__all__ = ["NEVER", "STAGES", "Cart", "Session", "holds", "is_quiet", "move_stage", "note_facts", "touch_cart"]

STAGES = ["none", "browse", "product", "cart", "checkout", "payment"]
BROWSE, PRODUCT, CART, CHECKOUT, PAYMENT = 1, 2, 3, 4, 5
NEVER = -(10**18)  # before every time


@dataclass
class Cart:
    """What is in the cart; `total`, `currency` and `top_price` are None where unknown."""

    items: int = 0
    total: int | None = None
    currency: str | None = None
    top_price: int | None = None


@dataclass
class Session:
    """One live session."""

    shop: str
    visitor: UUID
    first_append: int
    stage: int = BROWSE
    first_activity: int | None = None
    last_activity: int = NEVER
    events: int = 0
    episode: int = 0
    product_seen: bool = False
    person: bool = False
    device: str | None = None
    returning: bool = False
    consent: dict[str, bool] = field(default_factory=dict)
    cart: Cart = field(default_factory=Cart)
    cart_time: int = NEVER
    order_time: int = NEVER
    block_time: int | None = None
    opener_time: int = NEVER
    known_windows: set[Window] = field(default_factory=set)  # in force at an applied event, and ever since
    armed: dict[Window, int] = field(default_factory=dict)  # event window -> time
    fired: list[tuple[str, int]] = field(default_factory=list)  # (window id, deadline), this episode

    @property
    def id(self) -> UUID:
        return uuid5(self.visitor, f"{self.shop}/{self.first_append}")

    @property
    def shut(self) -> bool:
        """Stages 3 to 5 are shut after an order or a payment, until a newer opener."""
        return self.block_time is not None and self.opener_time <= self.block_time

    def base_stage(self) -> int:
        return PRODUCT if self.product_seen else BROWSE


def family_of(kind: str) -> str:
    """What stands before the dot."""
    return kind.split(".", maxsplit=1)[0]


def stage_of(kind: str) -> int:
    """The stage that a type belongs to; 0 for types that are activity only."""
    family = family_of(kind)
    if kind in ("page.viewed", "product.list_viewed", "products.searched") or family == "promotion":
        return BROWSE
    if kind in ("product.viewed", "product.clicked") or family == "wishlist":
        return PRODUCT
    return {"cart": CART, "coupon": CART, "checkout": CHECKOUT, "payment": PAYMENT}.get(family, 0)


def is_quiet(kind: str) -> bool:
    family = family_of(kind)
    if kind in ("product.stock_changed", "product.price_changed"):
        return True
    return family in ("order", "refund", "withdrawal", "consent", "identity") and kind != "order.completed"


def holds(when: When, session: Session) -> bool:  # noqa: PLR0911 - one line a predicate reads best
    """17: whether all predicates hold for the session's facts."""
    cart = session.cart
    at_least, below = when.cart_total_at_least_minor, when.cart_total_below_minor
    if at_least is not None and (cart.total is None or cart.total < at_least):
        return False
    if below is not None and (cart.total is None or cart.total >= below):
        return False
    if when.currency is not None and cart.currency != when.currency:
        return False
    price = when.item_price_at_least_minor
    if price is not None and (cart.top_price is None or cart.top_price < price):
        return False
    if when.items_at_least is not None and cart.items < when.items_at_least:
        return False
    if when.events_at_least is not None and session.events < when.events_at_least:
        return False
    if when.device is not None and session.device != when.device:
        return False
    if when.known_person is not None and session.person != when.known_person:
        return False
    if when.returning is not None and session.returning != when.returning:
        return False
    return when.consent is None or session.consent.get(when.consent, False)


def note_facts(session: Session, event: Event) -> None:
    """9."""
    if event.person or event.type == "identity.linked":
        session.person = True
    if event.device is not None:
        session.device = event.device
    if event.returning is not None:
        session.returning = event.returning
    session.consent.update(event.consent)


def touch_cart(session: Session, event: Event) -> bool:
    """10; answers whether the event emptied the cart."""
    family = family_of(event.type)
    concerns = family == "cart" or (family == "checkout" and event.items is not None)
    if not concerns or event.time < session.cart_time:
        return False
    session.cart_time = event.time
    emptied = False
    if event.type == "cart.product_added":
        change_cart(session.cart, event, sign=1)
    elif event.type == "cart.product_removed":
        change_cart(session.cart, event, sign=-1)
        emptied = session.cart.items <= 0
    elif event.quantity > 0:
        session.cart = Cart(
            items=event.quantity,
            total=event.total_minor,
            currency=event.currency or session.cart.currency,
            top_price=event.top_price_minor,
        )
    else:
        emptied = event.items is not None or event.type == "cart.updated"
    if emptied:
        session.cart = Cart()
    return emptied


def change_cart(cart: Cart, event: Event, sign: int) -> None:
    """Adds (1) or takes (-1) the event's items, or one item of unknown price."""
    quantity, value = (event.quantity, event.value_minor) if event.items else (1, None)
    before = 0 if cart.items == 0 else cart.total
    other_money = event.currency is not None and cart.currency is not None and event.currency != cart.currency
    cart.items += sign * quantity
    cart.total = None if before is None or value is None or other_money else before + sign * value
    cart.currency = event.currency or cart.currency
    prices = [price for price in (cart.top_price, event.top_price_minor) if price is not None]
    if sign > 0 and prices:
        cart.top_price = max(prices)


def move_stage(session: Session, event: Event, *, emptied: bool) -> None:
    """11."""
    stage = stage_of(event.type)
    if stage == PRODUCT:
        session.product_seen = True
    filled = event.type == "cart.updated" and event.quantity > 0
    if filled or event.type in ("cart.product_added", "checkout.started"):
        session.opener_time = max(session.opener_time, event.time)
    if emptied:
        session.stage = session.base_stage()
    elif stage < CART or not session.shut:
        session.stage = max(session.stage, stage)
