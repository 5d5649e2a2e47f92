"""The one door of pages and interface: every use case of the checkout. Refusals are returned, never raised."""

from typing_extensions import override

from relance.events.messages import MessageOutcome
from services.checkout.application.accounts import Accounts
from services.checkout.application.acknowledging import Acknowledging
from services.checkout.application.claiming import Claiming
from services.checkout.application.counting import Counting
from services.checkout.application.delivering import Delivering
from services.checkout.application.finding import Finding
from services.checkout.application.hearing import Hearing
from services.checkout.application.leaving import Leaving
from services.checkout.application.owing import Owing
from services.checkout.application.papering import Papering
from services.checkout.application.pressing import Pressing
from services.checkout.application.shopkeeping import Shopkeeping
from services.checkout.application.withdrawing import Withdrawing

__all__ = ["Desk"]


class Desk(
    Shopkeeping, Pressing, Acknowledging, Accounts, Withdrawing, Leaving, Claiming, Delivering, Papering, Owing,
    Finding, Hearing, Counting,
):  # fmt: skip
    """All acts of shoppers, shops and providers. NotNow is raised when the database is away or too many act at once."""

    @override
    async def message_sent(self, outcome: MessageOutcome) -> None:
        await super().message_sent(outcome)
        if outcome.kind == "renewal.notice" and outcome.outcome != "accepted":
            await self.renewal_untold(outcome)
