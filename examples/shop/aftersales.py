"""The shop's backend after the order: its worklists in the morning, and what its warehouse tells.

    RELANCE_CHECKOUT_TOKEN=… python -m examples.shop.aftersales                              # what waits today
    RELANCE_CHECKOUT_TOKEN=… python -m examples.shop.aftersales returned ORDER STATEMENT     # its goods are back
    RELANCE_CHECKOUT_TOKEN=… python -m examples.shop.aftersales gone ORDER LINE RECORD       # it cannot be supplied

Relance works out dates and sums, and asks for the refunds; the shop says what happened, and does what needs hands.
STATEMENT is the withdrawal whose goods came, as the list of today names it. RECORD is the number under which the
warehouse wrote down the loss: told twice it is done once, and the next loss of the same line has another.
"""

import sys
import uuid
from collections.abc import Iterator, Sequence
from datetime import date
from typing import Any, Final

import grpc

from examples.shop.settings import Settings, read
from relance.rpc.checkout.v1 import aftercare_pb2 as pb
from relance.rpc.checkout.v1 import aftercare_pb2_grpc

__all__ = ["Aftersales"]

DEADLINE_S: Final = 10.0
_PAGE: Final = 100


class Aftersales:
    """What follows the shop's orders: each call with its deadline and the shop's token. Raises grpc.RpcError."""

    def __init__(self, channel: grpc.Channel, token: str) -> None:
        self._stub: Any = aftercare_pb2_grpc.AftercareServiceStub(channel)
        self._metadata = (("authorization", f"Bearer {token}"),)

    def morning(self) -> Iterator[str]:
        """What somebody of the shop has to look at today, one line each."""
        for due in self._all("ListDues", "dues", pb.ListDuesRequest(state="open")):
            if due.by_hand or due.state in {"late", "paid"}:
                cost = f", and {_euros(due.surcharge_minor)} for being late" if due.surcharge_minor else ""
                yield f"pay {_euros(due.open_minor)}{cost}: order {due.order_id}, due {due.due_on} ({due.article})"
        for order in self._all("ListLateDeliveries", "orders", pb.ListLateDeliveriesRequest()):
            days = max(line.days for line in order.lines)
            yield f"send what is {days} days late: order {order.order_id}"
        for entry in self._all("ListClaims", "claims", pb.ListClaimsRequest(state="open")):
            yield f"answer the {entry.claim.asked} of order {entry.order_id} by {entry.right_until}"
        for one in self._all("ListWithdrawals", "withdrawals", pb.ListWithdrawalsRequest(state="open")):
            if one.awaits_goods:
                yield f"look out for goods: order {one.order_id}, statement {one.statement.statement_id}"
        for stray in self._all("ListWithdrawals", "strays", pb.ListWithdrawalsRequest(state="stray")):
            yield f"find the order of {stray.name}: {stray.reference} (statement {stray.stray_id})"

    def returned(self, order_id: str, statement_id: str, on: date) -> pb.Aftercare:
        """Goods of one withdrawal are back: from now on their money has its date, and is asked for in time. Another
        withdrawal of the same order waits for its own.
        """
        asked = pb.GetAftercareRequest(order_id=order_id)
        found: pb.Aftercare = self._call("GetAftercare", asked).aftercare
        if any(one.statement_id == statement_id and one.returned_on for one in found.statements):
            return found
        answer = pb.AnswerWithdrawalRequest(
            idempotency_key=_key("returned", order_id, statement_id), order_id=order_id,
            statement_id=statement_id, returned_on=on.isoformat(),
        )  # fmt: skip
        done: pb.Aftercare = self._call("AnswerWithdrawal", answer).aftercare
        return done

    def gone(self, order_id: str, line_id: str, record: str, units: int = 1) -> pb.Aftercare:
        """What cannot be supplied any more ends, and is owed: nothing else is sent in its place. `record`: the
        warehouse's number of this loss.
        """
        asked = pb.ReportUnavailableRequest(
            idempotency_key=_key("gone", order_id, line_id, record), order_id=order_id, units={line_id: units}
        )
        found: pb.Aftercare = self._call("ReportUnavailable", asked).aftercare
        return found

    def _call(self, method: str, request: Any) -> Any:
        return getattr(self._stub, method)(request, timeout=DEADLINE_S, metadata=self._metadata)

    def _all(self, method: str, field: str, request: Any) -> Iterator[Any]:
        """A whole list, page by page."""
        request.page_size = _PAGE
        while True:
            answer = self._call(method, request)
            yield from getattr(answer, field)
            if not answer.next_page_token:
                return
            request.page_token = answer.next_page_token


def _key(*parts: str) -> str:
    """An idempotency key that follows from what happened: told twice it is done once."""
    return str(uuid.uuid5(uuid.NAMESPACE_URL, "/".join(parts)))


def _euros(minor: int) -> str:
    return f"{minor / 100:.2f} EUR"


def _told(found: pb.Aftercare) -> Iterator[str]:
    for due in found.dues:
        when = f"by {due.due_on}" if due.due_on else "once the goods are back"
        yield f"{_euros(due.open_minor)} owed {when}, {due.state}: {due.why}"


def main(arguments: Sequence[str], settings: Settings) -> int:
    """Run; the exit code is 0; 1 when the checkout refuses, and says why; 2: no such command."""
    with grpc.insecure_channel(settings.checkout) as channel:
        shop = Aftersales(channel, settings.checkout_token)
        try:
            match arguments:
                case ["returned", order_id, statement_id]:
                    today = date.today()  # noqa: DTZ011 - the warehouse's day
                    lines = list(_told(shop.returned(order_id, statement_id, today)))
                case ["gone", order_id, line_id, record]:
                    lines = list(_told(shop.gone(order_id, line_id, record)))
                case []:
                    lines = list(shop.morning()) or ["nothing waits"]
                case _:
                    sys.stderr.write(f"{__doc__}\n")
                    return 2
        except grpc.RpcError as error:
            sys.stderr.write(f"{error.details()}\n")
            return 1
    sys.stdout.write("".join(f"{line}\n" for line in lines))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:], read()))
