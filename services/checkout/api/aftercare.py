"""gRPC `AftercareService`: what follows an order, for shops' backends. Nothing is decided here."""

from typing_extensions import override

from relance.rpc.checkout.v1 import aftercare_pb2 as pb
from relance.rpc.checkout.v1 import aftercare_pb2_grpc
from services.checkout.api.aftercare_messages import to_aftercare
from services.checkout.api.calls import Context
from services.checkout.api.lasting import Lasting
from services.checkout.api.remedies import Remedies
from services.checkout.api.tokens import Caller
from services.checkout.api.withdrawals import Withdrawals
from services.checkout.api.worklists import Worklists

__all__ = ["AftercareServicer"]


class AftercareServicer(Withdrawals, Remedies, Lasting, Worklists, aftercare_pb2_grpc.AftercareServiceServicer):
    """Answers shops' backends. One per process."""

    @override
    async def GetAftercare(self, request: pb.GetAftercareRequest, context: Context) -> pb.GetAftercareResponse:
        """All that follows an order, as it stands now."""

        async def work(caller: Caller) -> pb.GetAftercareResponse:
            return pb.GetAftercareResponse(aftercare=to_aftercare(await self._aftercare(caller, request.order_id)))

        return await self._calls.answer("GetAftercare", context, work)
