"""Whatever is asked of `AftercareService` ends in a status that says so; what is refused changes nothing."""

from collections import Counter
from collections.abc import Iterator
from datetime import timedelta
from typing import Any
from uuid import uuid4

import grpc
import pytest
from google.protobuf.descriptor import FieldDescriptor as Field
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from relance.rpc.checkout.v1 import aftercare_pb2 as pb
from relance.rpc.checkout.v1 import checkout_pb2 as checkout
from tests.integration.checkout.aftercare_kit import After, ago, delivered, key, paid, today, withdrawal
from tests.integration.checkout.service_kit import Backend, Service

CODE = grpc.StatusCode
BOTH = {"LL-AURORE": 2, "LL-CAFETIERE": 1}
SAID = {
    CODE.OK, CODE.INVALID_ARGUMENT, CODE.FAILED_PRECONDITION, CODE.NOT_FOUND, CODE.ALREADY_EXISTS, CODE.ABORTED,
    CODE.PERMISSION_DENIED,
}  # fmt: skip
METHODS = [
    (method.name, GetMessageClass(method.input_type))
    for method in pb.DESCRIPTOR.services_by_name["AftercareService"].methods
]
DAYS = st.one_of(
    st.sampled_from(
        ["", "2026-02-30", "soon", "0001-01-01", "9999-12-31", "1970-01-01", "2100-01-01", "2026-11-22T00"]
    ),
    st.integers(-40, 40).map(lambda count: (today() + timedelta(days=count)).isoformat()),
)
INSTANTS = st.one_of(
    st.sampled_from(["", "now", "2026-11-22", "0001-01-01T00:00:00Z", "9999-12-31T23:59:59Z", "2026-11-22T10:00:00"]),
    st.integers(-100, 100).map(lambda hours: ago(hours=hours)),
)
WORDS = st.one_of(
    st.sampled_from(["", "web", "letter", "phone", "email", "page", "shop", "repair", "all", "open", "late", "stray",
                     "principal", "surcharge", "lost", "damaged", "refused", "returned", "carrier", "invoice",
                     "running", "cheque", "bank_transfer", "transfer", "no_defect", "https://shop.example/x",
                     "a@b.example", "é" * 300, "\x00", "=1+1", "a" * 10_001]),
    st.text(max_size=20),
)  # fmt: skip
NUMBERS = st.sampled_from([0, 1, 2, 3, 20, 100, 101, 3_651, 2**31, 2**32 - 1])
SUMS = st.sampled_from([0, 1, -1, 500, 12_900, 25_801, 2**53, 2**63 - 1, -(2**63)])


class World:
    """Orders in different places, and the ids that are known of them."""

    def __init__(self, after: After, demo: Backend) -> None:
        self.after = after
        fresh, got, gone = paid(demo, BOTH), delivered(demo, BOTH), delivered(demo, {"LL-AURORE": 1})
        after.RecordWithdrawal(withdrawal(gone.order_id))
        claim = pb.OpenClaimRequest(idempotency_key=key(), order_id=got.order_id, line_id=got.lines[0].id)
        claimed = after.OpenClaim(claim)
        demo.ShipParcel(checkout.ShipParcelRequest(idempotency_key=key(), order_id=fresh.order_id, parcel_id="P1"))
        self.orders = [fresh.order_id, got.order_id, gone.order_id]
        of = after.of(gone.order_id)
        self.ids = {
            "order_id": self.orders, "line_id": [line.id for line in got.lines], "parcel_id": ["P1"],
            "statement_id": [of.statements[0].statement_id], "due_id": [of.dues[0].due_id],
            "claim_id": [claimed.claim_id], "idempotency_key": [key() for _ in range(3)],
        }  # fmt: skip

    def stands(self) -> list[tuple[Any, ...]]:
        """What a call may change, without what the service itself goes on with."""
        return [self._of(self.after.of(order_id)) for order_id in self.orders]

    def _of(self, one: pb.Aftercare) -> tuple[Any, ...]:
        dues = [(due.due_id, due.amount_minor, due.voucher_means, len(due.payouts), due.due_on) for due in one.dues]
        claims = [(claim.claim_id, claim.state) for claim in one.claims]
        lines = [line.SerializeToString(deterministic=True) for line in one.lines]
        counts = (len(one.statements), len(one.late_notices), len(one.resolutions), len(one.incidents))
        answers = [(said.returned_on, said.dispatched_on, said.accepted_anyway_at) for said in one.statements]
        return dues, claims, lines, counts, answers, one.informed, one.informed_on


@pytest.fixture(scope="module")
def world(demo: Backend, service: Service) -> World:
    return World(After(demo, service), demo)


@pytest.fixture(scope="module")
def stranger(other: Backend, service: Service) -> After:
    return After(other, service)


@st.composite
def requests(draw: st.DrawFn, kind: type[Message], ids: dict[str, list[str]]) -> Message:
    """A valid message of a kind, some of whose fields make sense."""
    made = kind()
    for field in _some(draw, kind):
        if field.message_type is not None and field.message_type.GetOptions().map_entry:
            lines = st.sampled_from([*ids["line_id"], "9", ""])
            for name, count in draw(st.dictionaries(lines, NUMBERS, max_size=2)).items():
                getattr(made, field.name)[name] = count
        elif field.message_type is not None:
            inner = draw(requests(GetMessageClass(field.message_type), ids))
            getattr(made, field.name).CopyFrom(inner)
        else:
            setattr(made, field.name, draw(_value(field, ids)))
    return made


def _some(draw: st.DrawFn, kind: type[Message]) -> Iterator[Any]:
    """Fields to be set: one at most of each oneof, most of the others."""
    for oneof in kind.DESCRIPTOR.oneofs:
        chosen = draw(st.sampled_from([None, *oneof.fields]))
        if chosen is not None:
            yield chosen
    for field in kind.DESCRIPTOR.fields:
        if field.containing_oneof is None and draw(st.integers(0, 5)):
            yield field


def _value(field: Field, ids: dict[str, list[str]]) -> st.SearchStrategy[Any]:
    if field.name in ids:
        known = st.sampled_from(ids[field.name])
        return st.one_of(known, known, known, st.just(""), st.just(str(uuid4())), st.just("x" * 200))
    if field.type == Field.TYPE_BOOL:
        return st.booleans()
    if field.type in {Field.TYPE_UINT32, Field.TYPE_INT32}:
        return NUMBERS
    if field.type == Field.TYPE_INT64:
        return SUMS
    if field.name.endswith("_at") or field.name == "at":
        return INSTANTS
    return DAYS if field.name.endswith(("_on", "until")) or field.name in {"on", "from", "to"} else WORDS


def status(backend: After, method: str, request: Message) -> grpc.StatusCode:
    """How a call ends."""
    try:
        getattr(backend, method)(request)
    except grpc.RpcError as error:
        code: grpc.StatusCode = error.code()
        return code
    return CODE.OK


@pytest.fixture(scope="module")
def ends() -> Iterator[Counter[grpc.StatusCode]]:
    """How the calls of the shop itself end: in each of the ways that a call of it can, or nothing was tried."""
    seen: Counter[grpc.StatusCode] = Counter()
    yield seen
    assert seen.keys() >= {CODE.OK, CODE.INVALID_ARGUMENT, CODE.FAILED_PRECONDITION, CODE.NOT_FOUND}, seen


@pytest.mark.parametrize(("method", "kind"), METHODS, ids=[name for name, _ in METHODS])
def test_any_request_has_an_answer_or_a_reason(
    world: World, stranger: After, service: Service, ends: Counter[grpc.StatusCode], method: str, kind: type[Message]
) -> None:
    reads = method.startswith(("Get", "List"))
    before = [world.stands()]

    @settings(max_examples=8 if reads else 20, deadline=None, suppress_health_check=list(HealthCheck))
    @given(requests(kind, world.ids))
    def ask(request: Message) -> None:
        foreign, own = status(stranger, method, request), status(world.after, method, request)
        assert {foreign, own} <= SAID, (foreign, own, request)
        ends[own] += 1
        if reads:
            return
        assert foreign != CODE.OK or own == CODE.OK, ("a stranger may do what the shop may not", request)
        now = world.stands()
        assert own == CODE.OK or now == before[0], ("refused, and changed", foreign, own, request)
        before[0] = now

    ask()
    assert '"defect"' not in service.running.said()
