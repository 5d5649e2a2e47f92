"""What is found wrong with the goods of an order that lives, as long as they are guaranteed and right after, and what
the shop does about it.
"""

from functools import partial
from typing import Any, Final

from typing_extensions import override

from services.checkout.domain import claims
from services.checkout.domain.outcomes import Refusal
from tests.properties.bought import LAW
from tests.properties.delivered import Delivered
from tests.properties.lived import SECOND
from tests.reference.days import DAY, begins
from tests.reference.plans import Flaw
from tests.unit.checkout.sold import refused

_EXCUSES: Final = {"carrier": "L216-2", "no_reservations": "L216-5"}


class Claimed(Delivered):
    """Claims under the legal guarantee."""

    @override
    def came(self, box: str) -> None:
        if box != "a":
            return
        for place, flaw in enumerate(self.plan.flaws):
            line = self.rng.choice(list(self.sale.boxes[box].units))
            self._found(f"c{place}", line, flaw)

    def _found(self, id_: str, line: str, flaw: Flaw) -> None:
        """In the last second of the guarantee, or right after it: of the day that it has then."""
        if flaw.when == "within":
            self.later(flaw.days, lambda: self.claim(id_, line, flaw))
            return
        last = self.sale.guaranteed_until(line)
        assert last is not None
        end = begins(last + DAY)
        at = end - SECOND if flaw.when == "last" else end

        def then() -> None:
            if self.sale.guaranteed_until(line) == last:
                self.claim(id_, line, flaw)
            else:
                self._found(id_, line, flaw)

        self.clock.call(at, then)

    def claim(self, id_: str, line: str, flaw: Flaw) -> None:
        act = claims.OpenClaim(id=id_, line_id=line, units=flaw.units, asked=flaw.asked)
        found = claims.step(self.order, self.after, act, self.setting)
        fault = self.sale.find_fault(id_, line, flaw.units, self.on)
        if fault is None:
            assert refused(found).article == "L217-3"
            return
        if flaw.when != "within":
            assert fault.open == (flaw.when == "last"), "on both sides of the last day"
        self.follow(found)
        if fault.open:
            self.later(flaw.taken_days, lambda: self.answer(id_, flaw))
        elif flaw.again:
            self.later(flaw.taken_days, lambda: self.take(id_, flaw))

    def answer(self, id_: str, flaw: Flaw) -> None:
        """It is taken, or refused for a reason that the law knows."""
        for reason, article in _EXCUSES.items():
            excuse: Any = claims.RefuseClaim(claim_id=id_, reason=reason)  # type: ignore[arg-type]
            assert refused(claims.step(self.order, self.after, excuse, self.setting)).article == article
        if flaw.answer != "refused" or self.sale.faults[id_].state == "gone":
            self.take(id_, flaw)
            return
        self.sale.faults[id_].state = "refused"
        self.said(claims.RefuseClaim(claim_id=id_, reason="no_defect"))
        if flaw.again:
            self.later(flaw.answer_days, lambda: self.take(id_, flaw))

    def take(self, id_: str, flaw: Flaw) -> None:
        if self.sale.faults[id_].state == "gone":
            act = claims.TakeClaim(claim_id=id_)
            assert refused(claims.step(self.order, self.after, act, self.setting)).article == "L217-3"
            return
        away_on = self.on if flaw.away else None
        self.sale.take(id_, self.on, flaw.postage, away_on)
        self.said(claims.TakeClaim(claim_id=id_, postage_minor=flaw.postage, out_from=away_on))
        if flaw.more:
            self.later(flaw.answer_days / 2, lambda: self.more(id_, flaw))
        ends = {
            "repaired": self.mended, "replaced": self.mended, "reduced": self.reduced, "resolved": self.undone,
        }  # fmt: skip
        if flaw.answer in ends:
            self.later(flaw.answer_days, partial(ends[flaw.answer], id_, flaw))

    def more(self, id_: str, flaw: Flaw) -> None:
        """Postage that the consumer tells of later; what was promised is never taken away."""
        if self.sale.faults[id_].state in {"refused", "gone"}:
            return
        less = claims.TakeClaim(claim_id=id_, postage_minor=flaw.postage - 1)
        assert refused(claims.step(self.order, self.after, less, self.setting)).article == "L241-6"
        self.sale.take(id_, self.on, flaw.postage + flaw.more, None)
        self.said(claims.TakeClaim(claim_id=id_, postage_minor=flaw.postage + flaw.more))

    def mended(self, id_: str, flaw: Flaw) -> None:
        state = flaw.answer
        assert state in {"repaired", "replaced"}
        if not self.sale.faults[id_].open:
            return
        self.sale.mend(id_, state, self.on)
        if state == "repaired":
            self.said(claims.RepairClaim(claim_id=id_, back_on=self.on))
        else:
            self.said(claims.ReplaceClaim(claim_id=id_, delivered_on=self.on))

    def reduced(self, id_: str, flaw: Flaw) -> None:
        worth = self.sale.worth(id_) if self._has(id_) else 0
        for wrong in (0, worth + 1):
            act = claims.ReduceClaim(claim_id=id_, minor=wrong)
            assert isinstance(claims.step(self.order, self.after, act, self.setting), Refusal)
        if worth:
            minor = max(1, worth * flaw.percent // 100)
            self.sale.reduce(id_, minor, self.on)
            self.said(claims.ReduceClaim(claim_id=id_, minor=minor))

    def undone(self, id_: str, _flaw: Flaw) -> None:
        act = claims.ResolveClaim(claim_id=id_)
        if self._has(id_):
            self.sale.undo(id_, self.on)
            self.said(act)
        else:
            assert isinstance(claims.step(self.order, self.after, act, self.setting), Refusal)

    def _has(self, id_: str) -> bool:
        """Whether anything that is claimed is still with the consumer."""
        return self.sale.faults[id_].open and self.sale.units_left(id_) > 0

    @override
    def check(self) -> None:
        self.sale.gone_back()
        super().check()

    def said(self, act: claims.Answer) -> None:
        """An answer; the same once more changes nothing."""
        self.follow(claims.step(self.order, self.after, act, self.setting))
        if self.sale.faults[act.claim_id].state != "gone":
            again = claims.step(self.order, self.after, act, self.setting)
            assert not isinstance(again, Refusal), again
            assert again.after == self.after
        for id_, fault in self.sale.faults.items():
            claim = next(one for one in self.after.claims if one.id == id_)
            assert (claim.state, claim.units) == (fault.state, fault.units), f"{self.plan.number}: {claim} {fault}"
            until = claims.guarantee_until(fault.line, self.order, self.after, LAW)
            assert until == self.sale.guaranteed_until(fault.line), f"{self.plan.number}: {fault}"
