"""`relance sessions`: live sessions, asked of the session service."""

import time
from typing import Annotated, Any, Final

import typer

from relance.cli.console import OUT
from relance.kernel.errors import InputError, NotNow
from relance.kernel.instants import format_ms

__all__ = ["register"]

_PATIENCE_S: Final = 10.0


def register(program: typer.Typer) -> None:
    """Add the group to the program."""
    group = typer.Typer(no_args_is_help=True, help="Live sessions.")
    group.callback()(_sessions)
    group.command()(show)
    program.add_typer(group, name="sessions")


def _sessions() -> None:
    """Make a group of one command a group."""


def show(
    visitor: Annotated[str, typer.Argument(help="As the shop gives it.", metavar="VISITOR")],
    shop: Annotated[str, typer.Option(help="The visitor's shop.")] = "demo",
    at: Annotated[
        str, typer.Option(envvar="RELANCE_SESSION_ADDRESS", help="gRPC of a session service.")
    ] = "127.0.0.1:8082",
    as_json: Annotated[bool, typer.Option("--json", help="As JSON.")] = False,
) -> None:
    """Show a visitor's live session: its stage, its cart, the windows open for it and when they fire."""
    session = _ask(at, shop, visitor)
    if as_json:
        from google.protobuf.json_format import MessageToJson

        OUT.print_json(MessageToJson(session, preserving_proto_field_name=True))
        return
    _tell(session)


def _ask(at: str, shop: str, visitor: str) -> Any:
    import grpc

    from relance.rpc.session.v1 import session_pb2, session_pb2_grpc

    end_s = time.monotonic() + _PATIENCE_S
    with grpc.insecure_channel(at) as channel:
        stub = session_pb2_grpc.SessionServiceStub(channel)
        while True:
            try:
                asked = session_pb2.GetSessionRequest(shop=shop, visitor=visitor)
                return stub.GetSession(asked, timeout=_PATIENCE_S).session
            except grpc.RpcError as error:
                code = error.code()
                if code == grpc.StatusCode.NOT_FOUND:
                    raise NotNow(f"no live session of {visitor} in {shop}") from None
                if code == grpc.StatusCode.INVALID_ARGUMENT:
                    raise InputError(error.details()) from None
                if code != grpc.StatusCode.UNAVAILABLE or time.monotonic() > end_s:
                    raise NotNow(f"{at}: {error.details() or code.name}") from None
                time.sleep(0.5)  # the partition is being restored or moved


def _tell(session: Any) -> None:
    facts, cart = session.facts, session.cart
    total = f"{cart.total_minor / 100:.2f} {cart.currency}" if cart.HasField("total_minor") else "total unknown"
    known = [name for name in ("known_person", "returning", "shut") if getattr(facts, name)]
    lines = {
        "session": session.session_id,
        "visitor": f"{session.visitor} of {session.shop}, partition {session.partition}",
        "stage": f"{session.stage}, episode {session.episode}, {session.events} events",
        "active": f"{format_ms(session.first_activity_ms)} to {format_ms(session.last_activity_ms)}",
        "ends": f"{format_ms(session.ends_at_ms)} if nothing more happens",
        "cart": f"{cart.items} items, {total}" if cart.items else "empty",
        "facts": ", ".join([*known, *([facts.device] if facts.device else [])]) or "none",
        "consent": ", ".join(facts.consent_granted) or "none",
        "clock": format_ms(session.stream_time_ms),
    }
    for name, text in lines.items():
        OUT.print(f"{name:<9}{text}", markup=False)
    for window in session.windows:
        state = {1: "open", 2: "armed", 3: "fired"}.get(window.state, "unknown")
        verb = "fired" if state == "fired" else "fires"
        OUT.print(f"window   {window.window}: {state}, {verb} at {format_ms(window.due_ms)}", markup=False)
