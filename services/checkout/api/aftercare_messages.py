"""What follows an order as gRPC carries it."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import date
from typing import Final

from relance.rpc.checkout.v1 import aftercare_pb2 as pb
from relance.rules.law.withdrawal import Period
from services.checkout.api.writing import instant
from services.checkout.application.aftercaring import AfterView, Words
from services.checkout.domain.aftercare import (
    Claim,
    Due,
    Incident,
    LateNotice,
    PaperRef,
    Resolved,
    SoldLine,
    Statement,
    Stray,
)  # fmt: skip
from services.checkout.domain.contracts import Advance, Contract, refusal_until, renews_on, window
from services.checkout.domain.dues import Standing, Step, cap_minor
from services.checkout.domain.follow_up import Setting
from services.checkout.domain.promises import Late

__all__ = [
    "day", "to_aftercare", "to_claim", "to_contract", "to_due", "to_incidents", "to_late", "to_notices",
    "to_statement", "to_stray",
]  # fmt: skip

_NO_PERIOD: Final = Period(None, None, None, None, "")


def day(on: date | None) -> str:
    """An ISO date, empty for none."""
    return "" if on is None else on.isoformat()


def to_aftercare(view: AfterView) -> pb.Aftercare:
    """All of it, as it stands at the view's instant."""
    after = view.after
    return pb.Aftercare(
        order_id=after.id,
        checkout_id=after.checkout_id,
        opened_at=instant(after.opened_at),
        confirmed_at=instant(after.confirmed_at),
        informed=after.informed,
        informed_on=day(after.informed_on),
        lines=[_line(one, view.deadlines) for one in after.sold],
        statements=[to_statement(one) for one in after.statements],
        dues=[
            to_due(after.id, one, view.standings[one.id], view.forecasts.get(one.id, ()))
            for one in after.dues
            if one.id in view.standings
        ],
        late_notices=to_notices(after.late_notices),
        resolutions=[_resolution(one) for one in after.resolutions],
        incidents=to_incidents(after.incidents),
        claims=[to_claim(one) for one in after.claims],
        papers=[_paper(after.id, one) for one in after.papers],
        late=to_late(view.late),
        contracts=[to_contract(one, view.setting) for one in view.contracts],
    )


def to_statement(statement: Statement) -> pb.Statement:
    """A statement with what it achieves; its words are not told again."""
    return pb.Statement(
        statement_id=statement.id,
        channel=statement.channel,
        stated_at=instant(statement.stated_at),
        received_at=instant(statement.received_at),
        recorded_at=instant(statement.recorded_at),
        units=statement.units,
        decisions=[
            pb.LineDecision(
                line_id=one.line_id, units=one.units, outcome=one.outcome, reason=one.reason, rule=one.rule,
                article=one.article, last_day=day(one.last_day), exception=one.exception or 0,
            )
            for one in statement.decisions
        ],
        acknowledged_at=instant(statement.acknowledged_at),
        returned_on=day(statement.returned_on),
        dispatched_on=day(statement.dispatched_on),
        accepted_anyway_at=instant(statement.anyway_at),
        by_post=statement.by_post,
    )  # fmt: skip


def to_due(order_id: str, due: Due, stands: Standing, forecast: Sequence[Step]) -> pb.Due:
    """A due as it stands on a day."""
    voucher = due.voucher
    return pb.Due(
        due_id=due.id, order_id=order_id, regime=due.regime, source=due.source, units=due.units,
        goods_minor=due.goods_minor, delivery_minor=due.delivery_minor, amount_minor=due.amount_minor,
        open_minor=stands.open_minor, notice_on=day(due.notice_on), due_on=day(stands.due_on), state=stands.state,
        late_days=stands.late_days, surcharge_minor=stands.surcharge_minor or 0,
        surcharge_known=stands.surcharge_minor is not None, percent=stands.percent, rule=stands.rule,
        article=stands.article, reading=stands.reading, why=stands.why, missing=stands.missing,
        refund_ids=due.refund_ids, service_kept_minor=due.service_kept_minor, by_hand=due.by_hand,
        cap_minor=cap_minor(due) or 0,
        voucher_means="" if voucher is None else voucher.means,
        voucher_agreed_at="" if voucher is None else instant(voucher.agreed_at),
        forecast=[
            pb.TariffStep(
                from_on=day(step.from_on), surcharge_minor=step.surcharge_minor or 0,
                surcharge_known=step.surcharge_minor is not None, percent=step.percent, total_minor=step.total_minor,
            )
            for step in forecast
        ],
        payouts=[
            pb.Payout(minor=one.minor, paid_on=day(one.paid_on), purpose=one.for_, means=one.means)
            for one in due.payouts
        ],
    )  # fmt: skip


def to_stray(stray: Stray, words: Words | None) -> pb.Stray:
    """A statement that waits for its order, with its words while they are kept."""
    said = words or Words()
    return pb.Stray(
        stray_id=stray.id, stated_at=instant(stray.stated_at), acknowledged_at=instant(stray.acknowledged_at),
        candidate=stray.candidate, name=said.name, reference=said.reference, words=said.text, address=said.address,
        about=stray.about, by_post=stray.by_post,
    )  # fmt: skip


def _paper(order_id: str, paper: PaperRef) -> pb.Paper:
    """An invoice or a credit note."""
    return pb.Paper(
        number=paper.number, kind=paper.kind, cause=paper.cause, total_minor=paper.total_minor,
        vat_minor=paper.vat_minor, issued_on=day(paper.issued_on), sha256=paper.sha256, order_id=order_id,
    )  # fmt: skip


def to_late(late: Iterable[Late]) -> list[pb.LateLine]:
    """What should have come."""
    return [
        pb.LateLine(
            line_id=one.line_id, units=one.units, latest_on=day(one.latest_on), days=one.days, essential=one.essential
        )
        for one in late
    ]


def to_notices(notices: Iterable[LateNotice]) -> list[pb.LateNotice]:
    """Notices that delivery is late."""
    return [
        pb.LateNotice(
            notice_id=one.id, at=instant(one.at), until=day(one.until), medium=one.medium, units=one.units
        )
        for one in notices
    ]  # fmt: skip


def to_incidents(incidents: Iterable[Incident]) -> list[pb.Incident]:
    """What befell parcels."""
    return [
        pb.Incident(
            incident_id=one.id, parcel_id=one.parcel_id, kind=one.kind, at=instant(one.at), own_carrier=one.own_carrier
        )
        for one in incidents
    ]


def to_claim(one: Claim) -> pb.Claim:
    """A claim under the legal guarantee."""
    return pb.Claim(
        claim_id=one.id, line_id=one.line_id, units=one.units, asked=one.asked, opened_at=instant(one.opened_at),
        state=one.state, taken_on=day(one.taken_on), postage_minor=one.postage_minor, out_from=day(one.out_from),
        back_on=day(one.back_on), refused_for=one.refused_for, appeared_on=day(one.appeared_on),
    )  # fmt: skip


def to_contract(one: Contract, setting: Setting) -> pb.Contract:
    """A contract that goes on, or did, with what is ahead of it as of the setting's day."""
    ended = one.termination
    found = pb.Contract(
        contract_id=one.id, order_id=one.order_id, line_id=one.line_id, name=one.name, started_on=day(one.started_on),
        term_months=one.term_months, tacit=one.tacit, trial_until=day(one.trial_until),
        minimum_until=day(one.minimum_until), period_minor=one.period_minor,
        noticed_on=[day(on) for on in one.notices],
        renewals=[pb.Renewal(on=day(renewal.on), valid=renewal.valid) for renewal in one.renewals],
        terminated_at="" if ended is None else instant(ended.asked_at),
        ends_on="" if ended is None else day(ended.ends_on), free=ended is not None and ended.free,
        withdrawn_on=day(one.withdrawn_on), ended_on=day(one.ended_on),
        effects="" if ended is None else ended.effects, due_minor=0 if ended is None else ended.due_minor,
        advances=[_advance(paid) for paid in one.advances],
        notices=[
            pb.RenewalNotice(sent_on=day(told.on), renews_on=day(told.renews_on), failed=told.failed)
            for told in one.announced
        ],
    )  # fmt: skip
    renews = renews_on(one, setting.on) if ended is None and one.ended_on is None else None
    if renews is not None:
        within = window(one, renews, setting.law)
        found.renews_on, found.refusal_until = day(renews), day(refusal_until(one, renews))
        found.notice_from, found.notice_until = day(within.first), day(within.last)
    return found


def _advance(paid: Advance) -> pb.Advance:
    return pb.Advance(
        advance_id=paid.id, paid_on=day(paid.paid_on), minor=paid.minor, from_on=day(paid.from_on),
        until_on=day(paid.until_on),
    )  # fmt: skip


def _line(sold: SoldLine, deadlines: Mapping[str, Period]) -> pb.SoldLine:
    period = deadlines.get(sold.id, _NO_PERIOD)
    return pb.SoldLine(
        line_id=sold.id, name=sold.name, kind=sold.kind, vat_percent=sold.vat_percent,
        exception=(sold.exception or 0) if sold.exception_shown else 0,
        withdrawal_last_day=day(period.last_day), withdrawal_ends_at=instant(period.ends_at),
        withdrawal_article=period.article, promised_on=day(sold.promised_on), essential=sold.essential,
        service_days=sold.service_days, started_on=day(sold.started_on), performed_on=day(sold.performed_on),
        unsealed_on=day(sold.unsealed_on), access_cut_at=instant(sold.digital_cut_at), ancillary_to=sold.ancillary_to,
    )  # fmt: skip


def _resolution(one: Resolved) -> pb.Resolution:
    return pb.Resolution(
        resolution_id=one.id, received_at=instant(one.received_at), medium=one.medium, units=one.units,
        resolved=one.resolved, rule=one.rule, reason=one.reason, due_id=one.due_id,
    )  # fmt: skip
