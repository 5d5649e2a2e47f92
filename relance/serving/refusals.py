"""How a call ends with another status than OK: the details of what went wrong travel with it."""

from collections.abc import Sequence
from typing import Any, NoReturn

import grpc
from google.protobuf.any_pb2 import Any as AnyMessage
from google.protobuf.message import Message
from google.rpc.status_pb2 import Status  # type: ignore[import-untyped]

__all__ = ["abort"]


async def abort(
    context: Any, code: grpc.StatusCode, text: str, details: Sequence[Message] = (), *trailing: tuple[str, str]
) -> NoReturn:
    """End the call of a grpc.aio `context`, with `details` as google.rpc.Status; `trailing` are headers of the end."""
    status = Status(code=code.value[0], message=text)
    for detail in details:
        packed = AnyMessage()
        packed.Pack(detail)
        status.details.append(packed)
    await context.abort(code, text, (("grpc-status-details-bin", status.SerializeToString()), *trailing))
    raise AssertionError("abort returns by raising")
