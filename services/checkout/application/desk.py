"""The one door of pages and interface: every use case of the checkout. Refusals are returned, never raised."""

from services.checkout.application.hearing import Hearing
from services.checkout.application.linking import Linking
from services.checkout.application.ordering import Ordering
from services.checkout.application.pressing import Pressing
from services.checkout.application.shopkeeping import Shopkeeping
from services.checkout.application.tunnel import Tunnel

__all__ = ["Desk"]


class Desk(Shopkeeping, Pressing, Linking, Hearing, Ordering, Tunnel):
    """All acts of shoppers, shops and providers. NotNow is raised when the database is away or too many act at once."""
