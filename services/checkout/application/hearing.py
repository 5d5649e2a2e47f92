"""What is heard from outside: hints of the payment providers, and what became of messages."""

from collections.abc import Mapping
from typing import Final
from uuid import UUID

import msgspec

from relance.events.messages import MessageOutcome
from relance.evidence.entries import decode
from services.checkout.application import telling
from services.checkout.application.aftercaring import Aftercaring
from services.checkout.application.refunding import Refunding
from services.checkout.application.straying import forget_words
from services.checkout.domain import statements
from services.checkout.domain.aftercare import Aftercare, Stray
from services.checkout.domain.outcomes import Effect, Refusal
from services.checkout.domain.presenting import Alert, Kept
from services.checkout.store import Transaction

__all__ = ["Hearing"]

replace = msgspec.structs.replace

_SOURCE: Final = "notification.outcomes.v1"
_ALERTS_MAX: Final = 20
_CONFIRMED: Final = "order.confirmation"
_ACKNOWLEDGED: Final = "withdrawal.acknowledged"


class Hearing(Refunding, Aftercaring):
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
        """What became of a message is evidence; one that did not arrive is shown with its order, and a confirmation or
        an acknowledgement of a withdrawal that did not arrive was none: its time is taken back.
        """
        order_id = str(outcome.order_id)

        async def work(tx: Transaction) -> None:
            stray = await tx.get(Stray, outcome.shop, order_id)
            held = None
            if _is_undone(outcome):  # its order is locked before all that belongs to it
                about = stray.order_id if stray is not None and stray.order_id else order_id
                held = await self._locked_after(tx, outcome.shop, about)
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
            if held is not None and not isinstance(held, Refusal):
                order, after, setting = held
                now = await _taken_back(tx, after, outcome)
                if now != after:
                    await self._put_after(tx, order, after, now, setting)
            if stray is not None:
                await _stray_heard(tx, stray, outcome)
            if kept is None or outcome.outcome == "accepted":
                return
            alert = Alert(kind=f"{outcome.kind}.{outcome.outcome}", at=outcome.at, detail=outcome.status)
            alerts = (*kept.alerts, alert)[-_ALERTS_MAX:]
            await tx.put(outcome.shop, order_id, replace(kept, alerts=alerts, version=kept.version + 1),
                         before=kept.version)  # fmt: skip

        await self.again(work)


def _is_undone(outcome: MessageOutcome) -> bool:
    return outcome.outcome != "accepted" and outcome.kind in {_CONFIRMED, _ACKNOWLEDGED}


async def _taken_back(tx: Transaction, after: Aftercare, outcome: MessageOutcome) -> Aftercare:
    """The aftercare without the time of a message that did not arrive. A confirmation that was never on a durable
    medium takes no right away (L221-28 13°); a statement waits for its acknowledgement again (L221-21).
    """
    if outcome.kind == _CONFIRMED:
        return replace(after, confirmed_at=None)
    of_stray = str(outcome.order_id)
    if of_stray != after.id:
        return statements.unacknowledged(after, of_stray)
    request = str(outcome.request_id)
    for entry in (decode(one) for one in await tx.entries(outcome.shop, after.id)):
        if entry.facts.get("step") == "acknowledged" and entry.facts.get("request") == request:
            return statements.unacknowledged(after, str(entry.facts["statement"]))
    return after


async def _stray_heard(tx: Transaction, stray: Stray, outcome: MessageOutcome) -> None:
    if _is_undone(outcome) and stray.state == "open":
        again = replace(stray, acknowledged_at=None, by_post=True, version=stray.version + 1)
        await tx.put(stray.shop, stray.id, again, before=stray.version, state=again.state)
    await forget_words(tx, stray)
