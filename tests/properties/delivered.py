"""How the goods of an order that lives come, or do not: parcels and what befalls them, lateness, what ends it."""

from collections.abc import Callable
from datetime import date
from functools import partial

from services.checkout.domain import promises
from services.checkout.domain.orders import Cancel, Deliver, Ship
from services.checkout.domain.outcomes import Refusal
from tests.properties.lived import SECOND
from tests.properties.withdrawn import Withdrawn
from tests.reference.aftercare import Box
from tests.reference.days import DAY, begins, day_of
from tests.reference.plans import instant
from tests.unit.checkout.sold import done


class Delivered(Withdrawn):
    """What the trader sends."""

    def trader(self) -> None:
        plan = self.plan
        if plan.coming == "unavailable":
            self.later(plan.ship_days / 2, self.unavailable)
        if plan.coming == "cancelled":
            self.later(plan.ship_days / 2, self.cancel)
        promised = max(one.promised for one in self.sale.goods().values())
        if plan.essential:
            self.clock.call(begins(promised + DAY) - SECOND, lambda: self.insist(promised))
            self.clock.call(begins(promised + DAY), lambda: self.insist(promised))
        elif plan.coming == "never":
            self.clock.call(instant(self.rng, promised + DAY * (plan.extra_days - 3)), self.notice)
        if plan.coming != "never":
            self.later(plan.ship_days, lambda: self.ship("a", plan.boxes > 1))

    def ship(self, box: str, half: bool = False) -> None:  # noqa: FBT001, FBT002 - a part of it
        left = {line.id: line.quantity - line.shipped - line.withdrawn - line.ended for line in self.order.lines}
        units = {id_: count for id_, count in left.items() if count > 0 and id_ in self.sale.goods()}
        if half:
            units = {id_: (count + 1) // 2 for id_, count in units.items()}
        if not units or not self.act(Ship(parcel_id=box, units=units)):
            return
        self.sale.boxes[box] = Box(units)
        fate = self.plan.coming if box == "a" else "comes"
        befalls: dict[str, Callable[[], None]] = {
            "found": lambda: self.lost_and_found(box), "own_carrier": lambda: self.lost_by_his_own(box),
            **{kind: partial(self.incident, box, kind) for kind in ("lost", "damaged", "returned", "refused")},
        }  # fmt: skip
        if fate in befalls:
            self.later(self.plan.travel_days + 3, befalls[fate])
        else:
            self.later(self.plan.travel_days, lambda: self.receive(box))
        if half:
            self.later(self.plan.ship_days + 1, lambda: self.ship("b"))

    def receive(self, box: str) -> None:
        self.sale.boxes[box].received = self.clock.at
        assert self.act(Deliver(parcel_id=box, received_by="consumer"))
        self.arrange()
        self.came(box)
        if self.plan.habits.gives == "goodwill" and box == "a":
            self.later(self.plan.habits.gives_days, self.give)
        if self.plan.essential:
            self.later(1, lambda: self.insist(max(one.promised for one in self.sale.goods().values())))

    def came(self, box: str) -> None:
        """The first goods are with the consumer."""

    def incident(self, box: str, kind: str) -> None:
        act = promises.ReportIncident(parcel_id=box, kind=kind)  # type: ignore[arg-type]
        if kind == "refused":
            self.follow(promises.step(self.order, self.after, act, self.setting))
            self.later(4, lambda: self.incident(box, "returned"))
            return
        self.sale.lose(box, self.on)
        self.follow(promises.step(self.order, self.after, act, self.setting))
        self.later(2, lambda: self.ship(box + "+"))

    def lost_and_found(self, box: str) -> None:
        """It is given up, and arrives all the same before anything was sent in its place."""
        self.sale.lose(box, self.on)
        act = promises.ReportIncident(parcel_id=box, kind="lost")
        self.follow(promises.step(self.order, self.after, act, self.setting))
        self.later(1, lambda: self.found(box))

    def found(self, box: str) -> None:
        """Not when other units were sent in the meantime."""
        units = self.sale.boxes[box].units
        if all(self.sale.sent(id_) + count <= self.plan.things[id_].quantity for id_, count in units.items()):
            self.receive(box)
        else:
            assert not self.act(Deliver(parcel_id=box, received_by="consumer"))

    def lost_by_his_own(self, box: str) -> None:
        """The consumer's own carrier lost it: its risk had passed, and nobody waits for it (L216-2, L216-3)."""
        self.sale.entrusted(box)
        act = promises.ReportIncident(parcel_id=box, kind="lost", own_carrier=True)
        self.follow(promises.step(self.order, self.after, act, self.setting))

    def unavailable(self) -> None:
        line = self.rng.choice(list(self.sale.goods()))
        count = self.rng.randrange(1, self.plan.things[line].quantity + 1)
        act = promises.ReportUnavailable(units={line: count})
        found = promises.step(self.order, self.after, act, self.setting)
        if isinstance(found, Refusal):
            return  # shipped, or withdrawn from, before
        self.sale.end(f"unavailable/{len(self.after.dues)}", {line: count}, self.on)
        self.follow(found)
        if self.plan.habits.gives == "named":
            self.later(self.plan.habits.gives_days / 8, self.give)

    def cancel(self) -> None:
        left = {id_: one.left for id_, one in self.plan.things.items()}
        if self.order.state in {"confirmed", "preparing"} and not self.sale.paid_by_hand():
            self.sale.end("cancelled", left, self.on)
            assert self.act(Cancel(reason="mistake"))

    def notice(self) -> None:
        until = self.on + DAY * self.plan.extra_days
        act = promises.NotifyLate(at=self.clock.at, until=until, medium="email")
        self.follow(promises.step(self.order, self.after, act, self.setting))
        self.clock.call(begins(until + DAY) - SECOND, lambda: self.resolve(early=True))
        self.clock.call(begins(until + DAY), lambda: self.resolve(early=False))

    def resolve(self, *, early: bool) -> None:
        """One second before the extra time has passed a writing achieves nothing; at its end it does, when the notice
        was given once delivery was late.
        """
        told_on = day_of(self.after.late_notices[-1].at)
        self.ends(self.sale.not_supplied(told_on), achieves=not early)

    def insist(self, promised: date) -> None:
        """The date was essential: once it has passed the contract ends at once, also over what came after it."""
        came = {
            id_: sum(
                box.units.get(id_, 0) for box in self.sale.boxes.values()
                if box.his or (box.received and day_of(box.received) <= promised)
            )
            for id_ in self.sale.goods()
        }  # fmt: skip
        left = {id_: max(0, one.left - came[id_]) for id_, one in self.sale.goods().items()}
        self.ends(left, achieves=self.on > promised)

    def ends(self, left: dict[str, int], *, achieves: bool) -> None:
        """The consumer ends the contract, in writing, over what has not come."""
        act = promises.ResolveLate(received_at=self.clock.at, medium="email")
        found = promises.step(self.order, self.after, act, self.setting)
        if self.sale.over or not any(left.values()) or not achieves:
            assert isinstance(found, Refusal), found
            return
        outcome = done(found)
        self.sale.end(f"resolution/{outcome.after.resolutions[-1].id}", left, self.on)
        self.follow(outcome)
        if self.plan.habits.gives == "named":
            self.later(self.plan.habits.gives_days / 8, self.give)
