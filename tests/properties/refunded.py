"""Money of an order that lives: a bank that is late or changes its mind, another way that the consumer chose, what the
shop gives back or pays by itself.
"""

from datetime import timedelta
from typing import Final

import msgspec
from typing_extensions import override

from services.checkout.domain.aftercare import Due, Payout, Voucher
from services.checkout.domain.discharge import agree_voucher, ask_now, pay_out
from services.checkout.domain.dues import standings, unasked_minor
from services.checkout.domain.orders import ENDED, GiveBack, left_minor
from services.checkout.domain.outcomes import Refusal
from services.checkout.domain.refunds import Cause, Redirect, Refund, RefundNews, Retry, Settle
from tests.properties.lived import Living
from tests.reference.tariffs import Debt
from tests.unit.checkout.sold import refused

_CAUSES: Final[dict[str, Cause]] = {
    "statement": "withdrawal", "resolution": "resolved", "unavailable": "unavailable",
}  # fmt: skip


class Refunded(Living):
    """What is owed goes back: by the means that paid, another one that was agreed, or by hand."""

    known, paying, asking = 0, False, False

    @override
    def check(self) -> None:
        """And of what is owed anew somebody of the shop will hear."""
        super().check()
        if len(self.after.dues) == self.known:
            return
        self.known = len(self.after.dues)
        if not self.paying:
            self.paying = True
            self.later(self.plan.habits.hand_days, self.pay_by_hand)
        if not self.plan.automatic and not self.asking:
            self.asking = True
            self.later(self.plan.slow_days, self.ask)

    def debts(self) -> list[tuple[Due, Debt]]:
        """What is owed, on both sides, in the order in which it came about."""
        dues = [due for due in self.after.dues if due.amount_minor]
        found = list(zip(dues, self.sale.debts, strict=True))
        assert all((due.source, due.shipped) == (debt.source, debt.shipped) for due, debt in found), found
        return found

    # -- the bank

    @override
    def send(self, refund: Refund) -> None:
        if refund.means and not refund.purse:
            self.later(self.rng.randrange(0, 20), lambda: self.settle(refund.id))
            return
        stored = refund.purse or self.order.tenders[refund.tender].kind in {"gift_card", "voucher"}
        weights = (96, 4, 0) if stored else (92, 5, 3)  # a card that nobody knows any more
        fate = self.rng.choices(("goes", "fails", "returns"), weights)[0]
        days = 0.001 if stored else self.rng.random() * 3
        if fate == "fails":
            self.later(days, lambda: self.news(refund.id, "failed"))
            again = self.redirect if stored or self.rng.random() < 0.3 else self.again
            self.later(days + self.rng.randrange(1, 60), lambda: again(refund.id))
            return
        self.later(days, lambda: self.news(refund.id, "succeeded"))
        if fate == "returns":
            self.later(days + 5, lambda: self.news(refund.id, "failed"))
            self.later(days + 6 + self.rng.randrange(0, 120), lambda: self.redirect(refund.id))

    def news(self, id_: str, status: str) -> None:
        refund = next(one for one in self.order.refunds if one.id == id_)
        self.went[id_] = self.on if status == "succeeded" else None
        news = {"refund_id": id_, "status": status, "psp_at": self.clock.at, "attempted": refund.tries}
        assert self.act(msgspec.convert({"type": "refund_news", **news}, RefundNews))

    def again(self, id_: str) -> None:
        assert self.act(Retry(refund_id=id_))
        self.later(1, lambda: self.news(id_, "succeeded"))

    def redirect(self, id_: str) -> None:
        """Another way: never before the first has failed, and only as the consumer agrees to it after the order."""
        for agreed_at in (None, self.order.placed_at - timedelta(seconds=1), self.clock.at + timedelta(seconds=1)):
            assert not self.act(Redirect(refund_id=id_, means="transfer", agreed_at=agreed_at))
        if self.rng.random() < 0.5:
            assert self.act(Redirect(refund_id=id_, means="transfer", agreed_at=self.clock.at))
            self.later(1, lambda: self.settle(id_))
        else:
            assert self.act(Redirect(refund_id=id_, means="voucher", purse="v2", agreed_at=self.clock.at))
            self.later(0.001, lambda: self.news(id_, "succeeded"))

    def settle(self, id_: str) -> None:
        self.went[id_] = self.on
        assert self.act(Settle(refund_id=id_, sent_at=self.clock.at))

    # -- the shop

    def ask(self) -> None:
        """A shop that does not leave it to us asks for all of it now and then."""
        for due in self.after.dues:
            found = ask_now(self.order, self.after, due.id, self.setting)
            if isinstance(found, Refusal):
                assert found.rule == "F11" or due.by_hand, "only a refund that failed is not asked for again"
            else:
                self.follow(found)
        self.asking = any(unasked_minor(self.order, self.after, due) for due in self.after.dues)
        if self.asking:
            self.later(90, self.ask)

    def give(self) -> None:
        """The shop gives back of itself: what is owed, by its name, or something that is not."""
        habits = self.plan.habits
        if habits.gives == "goodwill":
            most = sum(left_minor(self.order))
            if most > 1 and any(line.received for line in self.order.lines):
                self.freely.add("of-itself")
                assert self.act(GiveBack(key="of-itself", amount_minor=max(1, most // 7), cause="goodwill"))
            return
        for due in self.after.dues:
            cause = _CAUSES.get(due.source.partition("/")[0])
            unasked = unasked_minor(self.order, self.after, due)
            if cause is not None and unasked and not due.by_hand and self.order.state not in ENDED:
                amount = self.rng.choice([unasked, max(1, unasked // 3)])
                assert self.act(GiveBack(key=f"named/{len(self.order.refunds)}", amount_minor=amount, cause=cause))
                now = self.after.due(due.id) or due
                assert self.order.refunds[-1].id in now.refund_ids or unasked_minor(self.order, self.after, now) == 0
                return

    def agree(self) -> None:
        """The consumer chooses another way for what was not asked for yet; never before the order, never in advance."""
        for due in self.after.dues:
            if not unasked_minor(self.order, self.after, due) or due.by_hand or due.voucher is not None:
                continue
            purse = "v3" if self.plan.habits.agrees == "voucher" else ""
            way = Voucher(means=self.plan.habits.agrees, purse=purse, agreed_at=self.clock.at, words="ab12")
            for wrong in (self.order.placed_at - timedelta(seconds=1), self.clock.at + timedelta(seconds=1)):
                early = msgspec.structs.replace(way, agreed_at=wrong)
                found = refused(agree_voucher(self.order, self.after, due.id, early, self.setting))
                assert (found.rule, found.article) == ("B14", "L221-24 al. 3")
            self.agreed[due.id] = way
            self.follow(agree_voucher(self.order, self.after, due.id, way, self.setting))

    def pay_by_hand(self) -> None:
        """What no refund brings, and what lateness has cost, somebody of the shop pays."""
        stands = standings(self.order, self.after, self.setting)
        for place, (due, debt) in enumerate(self.debts()):
            habit = self.plan.habits.by_hand and self.order.state not in ENDED
            open_minor = unasked_minor(self.order, self.after, due) if due.by_hand or habit else 0
            if open_minor:
                self.pay(due, debt, -(-open_minor // self.plan.habits.parts))
            elif surcharge := stands[due.id].surcharge_minor or 0:
                too_much = self._payout(due, surcharge + 1, "surcharge")
                assert refused(pay_out(self.order, self.after, due.id, too_much, self.setting)).field == "payout.minor"
                debt.topped += surcharge
                payout = self._payout(due, surcharge, "surcharge")
                self.follow(pay_out(self.order, self.after, due.id, payout, self.setting))
            assert self.debts()[place][1] is debt
        stands = standings(self.order, self.after, self.setting)
        self.paying = any(one.state != "settled" for one in stands.values())
        if self.paying:
            self.later(80 + self.plan.habits.hand_days, self.pay_by_hand)

    def pay(self, due: Due, debt: Debt, minor: int) -> None:
        """A part of what is owed, by hand; the same said twice is paid once."""
        payout = self._payout(due, minor, "principal")
        debt.out.append((minor, self.on))
        self.follow(pay_out(self.order, self.after, due.id, payout, self.setting))
        again = pay_out(self.order, self.after, due.id, payout, self.setting)
        assert not isinstance(again, Refusal)
        assert again.after == self.after

    def _payout(self, due: Due, minor: int, for_: str) -> Payout:
        count = len((self.after.due(due.id) or due).payouts)
        return msgspec.convert(
            {"id": f"{due.id}/{count}", "minor": minor, "paid_on": self.on, "for_": for_, "means": "transfer"}, Payout
        )  # fmt: skip
