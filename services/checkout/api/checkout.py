"""gRPC `CheckoutService`: a request is read, the desk acts, the answer is written. Nothing is decided here."""

import re
from collections.abc import Mapping
from datetime import timedelta
from typing import Final
from uuid import UUID

from msgspec.structs import replace
from typing_extensions import override

from relance.rpc.checkout.v1 import checkout_pb2 as pb
from relance.rpc.checkout.v1 import checkout_pb2_grpc
from services.checkout.api.aftercare import AftercareServicer
from services.checkout.api.calls import Calls, Context
from services.checkout.api.following import PURPOSES
from services.checkout.api.outgoing import Outgoing
from services.checkout.api.reading import (
    read_address,
    read_cart,
    read_codes,
    read_contact,
    read_id,
    read_lines,
    read_placing,
    required,
)
from services.checkout.api.refusals import by_law, invalid, missing
from services.checkout.api.returning import Returning
from services.checkout.api.selling import Selling
from services.checkout.api.tokens import Caller, Doors, Kind
from services.checkout.api.writing import instant, to_checkout, to_texts, to_totals
from services.checkout.application.attesting import Attesting
from services.checkout.application.desk import Desk
from services.checkout.domain.checkouts import Press
from services.checkout.domain.outcomes import Refusal
from services.checkout.domain.presenting import View
from services.checkout.domain.shops import SHOP_ID
from services.checkout.metrics import CallMetrics
from services.checkout.store import Store

__all__ = ["CheckoutServicer", "make_servicer"]

_LASTS_MAX_S: Final = 3_650 * 86_400
_OPERATOR: Final[frozenset[Kind]] = frozenset({"operator"})


def make_servicer(desk: Desk, store: Store, metrics: CallMetrics, own: Mapping[Kind, str]) -> "CheckoutServicer":
    """The service over a desk. `own`: the tokens of the operator and of other services."""
    doors = Doors(store, own, desk.clock)
    return CheckoutServicer(desk, Calls(doors, store, metrics), doors)


class CheckoutServicer(Selling, Returning, Outgoing, checkout_pb2_grpc.CheckoutServiceServicer):
    """Answers shops' backends. One per process."""

    def __init__(self, desk: Desk, calls: Calls, doors: Doors) -> None:
        super().__init__(desk, calls)
        self._doors = doors
        self._attesting = Attesting(desk)

    def aftercare(self) -> AftercareServicer:
        """The service of what follows orders, over the same desk and for the same callers."""
        return AftercareServicer(self._desk, self._calls)

    @override
    async def CreateCheckout(self, request: pb.CreateCheckoutRequest, context: Context) -> pb.CreateCheckoutResponse:
        """A checkout of a cart. The link is a new one each time, for it opens once and is not kept."""

        async def work(caller: Caller) -> pb.CreateCheckoutResponse | Refusal:
            async def create() -> pb.CreateCheckoutResponse | Refusal:
                view = await self._create(caller.shop, request)
                return view if isinstance(view, Refusal) else pb.CreateCheckoutResponse(checkout=to_checkout(view))

            made = await self._calls.once("CreateCheckout", caller, request, create, pb.CreateCheckoutResponse)
            if not isinstance(made, Refusal):
                token = await self._desk.entrance(
                    caller.shop, made.checkout.checkout_id, signed_in=bool(request.assertion)
                )
                made.url = self._desk.url_of("checkout.enter", token)
            return made

        return await self._calls.answer("CreateCheckout", context, work)

    @override
    async def GetCheckout(self, request: pb.GetCheckoutRequest, context: Context) -> pb.GetCheckoutResponse:
        """A checkout as it is now."""

        async def work(caller: Caller) -> pb.GetCheckoutResponse:
            view = await self._view(caller, read_id(request.checkout_id, "checkout_id"))
            return pb.GetCheckoutResponse(checkout=to_checkout(view))

        return await self._calls.answer("GetCheckout", context, work)

    @override
    async def UpdateCheckout(self, request: pb.UpdateCheckoutRequest, context: Context) -> pb.UpdateCheckoutResponse:
        """What the shopper has filled in. The parts before one that is refused are taken."""

        async def work(caller: Caller) -> pb.UpdateCheckoutResponse | Refusal:
            id_ = read_id(request.checkout_id, "checkout_id")
            refused = await self._attesting.vouch(caller.shop, id_) or await self._update(caller.shop, id_, request)
            if refused is not None:
                return _named(refused, id_)
            return pb.UpdateCheckoutResponse(checkout=to_checkout(await self._view(caller, id_)))

        return await self._calls.answer("UpdateCheckout", context, work)

    @override
    async def GetDisclosures(self, request: pb.GetDisclosuresRequest, context: Context) -> pb.GetDisclosuresResponse:
        """What must stand on the page of the order button."""

        async def work(caller: Caller) -> pb.GetDisclosuresResponse | Refusal:
            id_ = read_id(request.checkout_id, "checkout_id")
            disclosing = await self._attesting.disclose(caller.shop, id_)
            if isinstance(disclosing, Refusal):
                return _named(disclosing, id_)
            found, view, recap = disclosing
            return pb.GetDisclosuresResponse(
                set_id=found.id,
                expires_at=instant(found.expires_at),
                language=found.language,
                texts=to_texts(view.texts),
                button_texts=list(found.buttons),
                recap=recap,
                recap_sha256=found.recap_hash,
                totals=to_totals(view.sums),
                terms_version=view.shop.legal.terms_version,
            )

        return await self._calls.answer("GetDisclosures", context, work)

    @override
    async def Place(self, request: pb.PlaceRequest, context: Context) -> pb.PlaceResponse:
        """The click on a page of the shop's own."""

        async def work(caller: Caller) -> pb.PlaceResponse | Refusal:
            return await self._calls.once("Place", caller, request, lambda: place(caller.shop), pb.PlaceResponse)

        async def place(shop: str) -> pb.PlaceResponse | Refusal:
            id_ = read_id(request.checkout_id, "checkout_id")
            attested, channel = read_placing(request)
            press = Press(recap_hash="", terms_accepted="terms_accepted" in attested.acts, channel=channel)
            pressed = await self._attesting.place(shop, id_, attested, press)
            if isinstance(pressed, Refusal):
                return _named(pressed, id_)
            return pb.PlaceResponse(
                order_id=str(pressed.order_id), payment_url=pressed.redirect_url or "", again=pressed.again
            )

        return await self._calls.answer("Place", context, work)

    @override
    async def IssueLink(self, request: pb.IssueLinkRequest, context: Context) -> pb.IssueLinkResponse:
        """A link for a shopper."""

        async def work(caller: Caller) -> pb.IssueLinkResponse:
            purpose = PURPOSES.get(request.purpose)
            if purpose is None:
                raise invalid("purpose", "says what the link opens")
            subject = read_id(request.subject_id, "subject_id")
            if purpose == "cart.restore":
                await self._view(caller, subject)
            else:
                await self._order(caller, str(subject))
            token = await self._desk.issue(caller.shop, purpose, str(subject))
            return pb.IssueLinkResponse(url=self._desk.url_of(purpose, token))

        return await self._calls.answer("IssueLink", context, work)

    @override
    async def CreateToken(self, request: pb.CreateTokenRequest, context: Context) -> pb.CreateTokenResponse:
        """A token of a shop."""

        async def work(_caller: Caller) -> pb.CreateTokenResponse:
            if re.fullmatch(SHOP_ID, request.shop) is None:
                raise invalid("shop", "1 to 64 letters, digits, '.', '_' and '-'")
            if request.lasts_s > _LASTS_MAX_S:
                raise invalid("lasts_s", "at most ten years")
            lasts = timedelta(seconds=request.lasts_s) if request.lasts_s else None
            token, ends = await self._doors.create(request.shop, lasts)
            return pb.CreateTokenResponse(token=token, expires_at=instant(ends))

        return await self._calls.answer("CreateToken", context, work, _OPERATOR)

    @override
    async def RevokeToken(self, request: pb.RevokeTokenRequest, context: Context) -> pb.RevokeTokenResponse:
        """The end of a token."""

        async def work(_caller: Caller) -> pb.RevokeTokenResponse:
            await self._doors.revoke(required(request.token, "token", 200))
            return pb.RevokeTokenResponse()

        return await self._calls.answer("RevokeToken", context, work, _OPERATOR)

    async def _create(self, shop: str, request: pb.CreateCheckoutRequest) -> View | Refusal:
        """A checkout, for whom the shop has named in its assertion; one that is not good makes none."""
        cart = read_cart(request)
        if not request.assertion:
            return await self._desk.create(shop, cart, request.idempotency_key)
        claims = await self._desk.asserted(shop, request.idempotency_key, request.assertion)
        if isinstance(claims, Refusal):
            return claims
        if cart.person_id not in {"", claims.sub}:
            raise invalid("cart.person_id", "is another person than the one of the assertion")
        view = await self._desk.create(shop, replace(cart, person_id=claims.sub), request.idempotency_key)
        return view if isinstance(view, Refusal) else await self._desk.sign_in(shop, view.checkout.id, claims)

    async def _view(self, caller: Caller, checkout_id: UUID) -> View:
        found = await self._desk.view(caller.shop, checkout_id)
        if isinstance(found, Refusal):
            raise by_law(_named(found, checkout_id))
        return found

    async def _update(self, shop: str, id_: UUID, request: pb.UpdateCheckoutRequest) -> Refusal | None:
        desk = self._desk
        if request.HasField("cart"):
            lines = read_lines(request.cart.lines, "cart.lines")
            done = await desk.change_cart(shop, id_, lines, read_codes(request.cart.coupons, "cart.coupons"))
            if isinstance(done, Refusal):
                return done
        if request.HasField("contact"):
            done = await desk.give_contact(shop, id_, read_contact(request.contact))
            if isinstance(done, Refusal):
                return done
        if request.HasField("delivery"):
            chosen = request.delivery
            address = read_address(chosen.address, "delivery.address") if chosen.HasField("address") else None
            mode = required(chosen.mode, "delivery.mode")
            done = await desk.choose_delivery(shop, id_, mode, address, chosen.place)
            if isinstance(done, Refusal):
                return done
        if request.HasField("payment"):
            done = await desk.choose_means(
                shop, id_, request.payment.means, read_codes(request.payment.purses, "payment.purses")
            )
            if isinstance(done, Refusal):
                return done
        return None


def _named(refusal: Refusal, checkout_id: UUID) -> Refusal:
    """The refusal again. Raises Refused when it says that there is no such checkout."""
    if refusal.field == "checkout_id":
        raise missing("checkout", str(checkout_id))
    return refusal
