"""What is heard from outside: hints of the payment providers, and what became of messages."""

from collections.abc import Mapping
from typing import Final
from uuid import UUID

import msgspec

from relance.events.messages import MessageOutcome
from services.checkout.application import telling
from services.checkout.application.refunding import Refunding
from services.checkout.application.straying import forget_words
from services.checkout.domain.aftercare import Stray
from services.checkout.domain.outcomes import Effect
from services.checkout.domain.presenting import Alert, Kept
from services.checkout.store import Transaction

__all__ = ["Hearing"]

replace = msgspec.structs.replace

_SOURCE: Final = "notification.outcomes.v1"
_ALERTS_MAX: Final = 20


class Hearing(Refunding):
    """Messages may come twice, late or in any order."""

    async def heard(self, psp: str, body: bytes, headers: Mapping[str, str]) -> bool:
        """Whether a webhook is the provider's own. It is a hint: that the provider is to be asked is stored, and then
        the webhook is answered.
        """
        provider = self.providers.get(psp)
        hint = None if provider is None else provider.hint(body, headers, self.clock())
        if hint is None:
            return False
        if not hint.order_id or not hint.shop:
            return True  # of somebody else with the same account; an order of ours is found by the reconciler
        if hint.refund_id:
            effect = Effect("refund_at_psp", f"look/{hint.refund_id}")
        else:
            effect = Effect("ask_psp", hint.attempt_id)
        try:
            order_id = UUID(hint.order_id)
        except ValueError:
            return True

        async def work(tx: Transaction) -> None:
            if await tx.get(Kept, hint.shop, str(order_id)) is None:
                return
            if await tx.first_time(f"psp/{psp}", hint.event_id):
                await tx.do(hint.shop, order_id, [effect])

        await self.again(work)
        self.nudge()
        return True

    async def message_sent(self, outcome: MessageOutcome) -> None:
        """What became of a message is evidence; one that did not arrive is shown with its order."""
        order_id = str(outcome.order_id)

        async def work(tx: Transaction) -> None:
            kept = await tx.get(Kept, outcome.shop, order_id, lock=True)
            stray = None if kept is not None else await tx.get(Stray, outcome.shop, order_id, lock=True)
            if (kept is None and stray is None) or not await tx.first_time(_SOURCE, str(outcome.id)):
                return
            facts = {
                "kind": outcome.kind, "outcome": outcome.outcome, "request": str(outcome.request_id),
                "status": outcome.status, "message_id": outcome.message_id,
            }  # fmt: skip
            said = telling.happened("message", outcome.at, "notification", facts)
            await tx.record(outcome.shop, order_id, [said])
            if stray is not None:
                await forget_words(tx, stray)
            if kept is None or outcome.outcome == "accepted":
                return
            alert = Alert(kind=f"{outcome.kind}.{outcome.outcome}", at=outcome.at, detail=outcome.status)
            alerts = (*kept.alerts, alert)[-_ALERTS_MAX:]
            await tx.put(outcome.shop, order_id, replace(kept, alerts=alerts, version=kept.version + 1),
                         before=kept.version)  # fmt: skip

        await self.again(work)
