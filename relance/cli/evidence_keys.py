"""`relance evidence keys`: which keys hold what, and a new one in the place of an old one."""

import os
import secrets
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final, Literal

import typer

from relance.cli import evidence_stored as stored
from relance.cli.console import NOTES, OUT
from relance.kernel.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from relance.custody.signing_keys import SigningKeys
    from services.checkout.store import MasterKey, Store
    from services.checkout.store.rotation import Rewrapped

__all__ = ["register"]

Which = Literal["master", "signing"]
_KEY_BYTES: Final = 32


def register(evidence: typer.Typer) -> None:
    """Add the group to `relance evidence`."""
    group = typer.Typer(no_args_is_help=True, help="Keys of evidence: who holds what, and their rotation.")
    group.command("list")(list_keys)
    group.command()(rotate)
    group.command()(drop)
    evidence.add_typer(group, name="keys")


def list_keys(checkpoints: stored.Log = None, database: stored.Database = "") -> None:
    """List the keys: which wraps how many persons, and from which checkpoint on which one signs. Shows no secret."""
    from services.checkout.store import master_names

    master = _master()
    counts = stored.in_store(database, master_names)
    for secret in (master.secret, *master.older):
        name = type(master)(secret).name
        use = "in use" if secret == master.secret else "older"
        OUT.print(f"master {name}: {use}; wraps {counts.pop(name, 0)} persons", markup=False)
    for name, count in sorted(counts.items()):
        OUT.print(f"master {name}: not at hand; wraps {count} persons", markup=False)
    keys, reigns = _signing(), _reigns(_log(checkpoints))
    for since, until, at, key in reigns:
        now = f"to checkpoint {until}" if until else "now"
        OUT.print(f"signing {key}: from checkpoint {since} ({at}) {now}", markup=False)
    if not reigns:
        OUT.print(f"signing {keys.current}: nothing was sealed yet", markup=False)
    elif reigns[-1][3] not in {keys.current, keys.pending}:
        OUT.print("the log names another key for its next checkpoint than this machine has: nothing is sealed here")
    if keys.pending and (not reigns or reigns[-1][3] != keys.pending):
        OUT.print(f"signing {keys.pending}: waits for its hand-over", markup=False)


def rotate(
    which: Annotated[Which, typer.Argument(help="The key to replace.")],
    checkpoints: stored.Log = None,
    database: stored.Database = "",
) -> None:
    """Put a new key in the place of one. What was stopped in the middle is gone on with when it is run again.

    master: all persons' keys are wrapped anew; evidence, documents and checkpoints stay as they are. signing: the next
    checkpoint, signed with the old key, hands over to the new one; older checkpoints still verify with theirs.
    """
    if which == "master":
        _rotate_master(database)
    else:
        _rotate_signing(checkpoints, database)


def drop(
    restarted: Annotated[
        bool, typer.Option("--restarted", help="All services were started again since the rotation.")
    ] = False,
    database: stored.Database = "",
) -> None:
    """Wrap what services have added under an older master key meanwhile, then remove the keys that wrap nobody."""
    from relance.custody.secret_files import replace_whole
    from services.checkout.store import master_names

    if not restarted:
        raise InputError("a service that runs since before the rotation still wraps with the old key: start it again, "
                         "then give --restarted")  # fmt: skip
    master = _master()
    result = stored.in_store(database, lambda store: _rewrapped(store, master))
    OUT.print(f"{result.done} persons' keys wrapped anew")
    counts = stored.in_store(database, master_names)
    kept = [each for each in master.older if counts.get(type(master)(each).name)]
    gone = len(master.older) - len(kept)
    if gone:
        replace_whole(_file(master), b"".join(each.hex().encode() + b"\n" for each in (master.secret, *kept)))
    OUT.print(f"{gone} keys dropped, {len(kept)} older ones still needed")


def _rotate_master(database: str) -> None:
    from services.checkout.store import master_names

    master = _master()
    counts = stored.in_store(database, master_names)
    waiting = sum(counts.get(type(master)(each).name, 0) for each in master.older)
    if not waiting:
        master = _with_new_key(master)
        OUT.print(f"master {master.name}: made", markup=False)
    else:
        OUT.print(f"master {master.name}: {waiting} persons are under older keys still", markup=False)
    result = stored.in_store(database, lambda store: _rewrapped(store, master))
    OUT.print(f"{result.done} persons' keys wrapped anew")
    if result.closed:
        OUT.print(f"{result.closed} are under a key that is not at hand: add it to the file, and run this again")
        raise typer.Exit(1)
    OUT.print("start the services again, then `relance evidence keys drop --restarted`")


async def _rewrapped(store: "Store", master: "MasterKey") -> "Rewrapped":
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

    from services.checkout.store import rewrap

    columns = (TextColumn("persons"), BarColumn(), MofNCompleteColumn())
    with Progress(*columns, console=NOTES, transient=True, disable=not NOTES.is_terminal) as progress:
        task = progress.add_task("persons", total=None)
        return await rewrap(
            store, master, secrets.token_bytes, lambda done, in_all: progress.update(task, completed=done, total=in_all)
        )


def _with_new_key(master: "MasterKey") -> "MasterKey":
    from relance.custody.secret_files import replace_whole
    from services.checkout.store import master_key

    path = _file(master)
    keys = (secrets.token_bytes(_KEY_BYTES), master.secret, *master.older)
    replace_whole(path, b"".join(each.hex().encode() + b"\n" for each in keys))
    return master_key(str(path))


def _rotate_signing(checkpoints: Path | None, database: str) -> None:
    from relance.custody.checkpoint_file import CheckpointFile
    from services.checkout.store import Sealing

    keys, sink = _signing(), CheckpointFile(_log(checkpoints).path)
    OUT.print(f"signing {keys.begin()}: made, or found waiting", markup=False)

    async def hand_over(store: "Store") -> bool:
        async with store.database.leading("sealing") as held:
            if held is None:
                return False
            await Sealing(store, sink, keys).seal_now()
            keys.at(sink.last())
            return True

    if stored.in_store(database, hand_over):
        OUT.print(f"checkpoint {_number(sink.last())} handed over to it")
    else:
        OUT.print("a checkout runs, and its next checkpoint hands over to it: see `relance evidence keys list`")


def _number(last: object) -> int:
    from relance.evidence.checkpoints import Checkpoint

    assert isinstance(last, Checkpoint)
    return last.header.number


def _reigns(log: "Iterable[bytes]") -> list[tuple[int, int, str, str]]:
    """Which key signs from when on: (first checkpoint, last or 0, time of the first, key in hexadecimal)."""
    from relance.evidence.checkpoints import decode

    found: list[tuple[int, int, str, str]] = []
    for line in log:
        header = decode(line).header
        if not found:
            found.append((header.number, 0, header.at, header.key))
        if header.next_key is not None:
            found[-1] = (found[-1][0], header.number, found[-1][2], found[-1][3])
            found.append((header.number + 1, 0, header.at, header.next_key))
    return found


def _master() -> "MasterKey":
    from services.checkout.store import find_master_key

    return find_master_key(os.environ.get("RELANCE_CHECKOUT_MASTER_KEY", ""), stored.home())


def _file(master: "MasterKey") -> Path:
    if master.source is None:
        raise InputError("RELANCE_CHECKOUT_MASTER_KEY holds the key itself: put a new one before it there, a comma "
                         "between, and run this again")  # fmt: skip
    return master.source


def _signing() -> "SigningKeys":
    from services.checkout.store import signing_keys

    return signing_keys(os.environ.get("RELANCE_CHECKOUT_SIGNING_KEY", ""), stored.home())


def _log(checkpoints: Path | None) -> stored.CheckpointLog:
    return stored.checkpoint_log(checkpoints, must_exist=False)
