"""New keys in the place of old ones: what was wrapped, found and signed before still is, wherever a rotation ends."""

import asyncio
import os
from collections.abc import Sequence
from hashlib import sha256
from pathlib import Path

import pytest
from sqlalchemy import func, select

from relance.custody.checkpoint_file import CheckpointFile
from relance.custody.signing_keys import SigningKeys, new_signing_pem
from relance.evidence.checkpoints import decode, key_hex, seal
from relance.evidence.examination import examine, export
from services.checkout.store import (
    MasterKey,
    Sealing,
    dossier_of,
    find_chains,
    master_key,
    master_names,
    open_store,
    rewrap,
    rotation,
    verify_store,
)
from services.checkout.store.schema import PERSONS
from tests.integration.checkout.command_kit import Command, command
from tests.integration.checkout.evidence_kit import MASTER, PAGE, SHOP, checkout, open_checkout, order, place, world

__all__ = ["command"]

NEW = MasterKey(b"n" * 32, (MASTER.secret,))
ALONE = MasterKey(NEW.secret)


class _Killed(Exception):  # noqa: N818 - what a test does to it
    pass


async def _opened(url: str, master: MasterKey, number: int) -> int:
    store = await open_store(url, master, migrate=False)
    (found,) = await find_chains(store, order(number))
    count = len((await dossier_of(store, found, (), opened=True)).opened)
    async with store.reading() as tx:
        assert (await tx.blob(SHOP, sha256(PAGE).hexdigest())) == PAGE
    await store.close()
    return count


async def test_a_master_key_is_replaced_also_when_it_ends_in_the_middle(
    database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = await open_store(database_url, MASTER)
    await world(store, tmp_path / "log")
    async with store.transaction() as tx:
        await tx.erase(SHOP, "p-2")
    monkeypatch.setattr(rotation, "_AT_ONCE", 1)

    def killed(done: int, _all: int) -> None:
        if done == 1:
            raise _Killed

    with pytest.raises(_Killed):
        await rewrap(store, NEW, os.urandom, killed)
    assert await master_names(store) == {NEW.name: 1, MASTER.name: 1}
    for number in (0, 1):
        assert await _opened(database_url, NEW, number) == 2  # one is wrapped by each of the keys
    assert (await rewrap(store, NEW, os.urandom)).done == 1
    assert (await rewrap(store, NEW, os.urandom)).done == 0
    assert await master_names(store) == {NEW.name: 2}
    for number in (0, 1):
        assert await _opened(database_url, ALONE, number) == 2
    async with store.database.reading() as connection:
        assert (await connection.execute(select(func.count()).select_from(PERSONS))).scalar_one() == 2  # one was erased
    await store.close()


async def test_who_is_under_a_key_that_is_not_at_hand_is_left_and_counted(database_url: str, tmp_path: Path) -> None:
    store = await open_store(database_url, MASTER)
    await world(store, tmp_path / "log", orders=2)
    result = await rewrap(store, ALONE, os.urandom)
    assert (result.done, result.closed) == (0, 2)
    await store.close()


async def test_a_checkout_that_runs_meanwhile_reads_what_the_new_key_wrapped(database_url: str, tmp_path: Path) -> None:
    keys = tmp_path / "master.key"
    keys.write_text(MASTER.secret.hex() + "\n", encoding="ascii")
    running = await open_store(database_url, master_key(str(keys)))
    await world(running, tmp_path / "log", orders=1)
    keys.write_text(f"{NEW.secret.hex()}\n{MASTER.secret.hex()}\n", encoding="ascii")
    assert (await rewrap(running, NEW, os.urandom)).done == 1
    (found,) = await find_chains(running, order(0))
    assert len((await dossier_of(running, found, (), opened=True)).opened) == 2
    await running.close()


def _settings(url: str, tmp_path: Path) -> dict[str, str]:
    home = tmp_path / "home" / "checkout"
    home.mkdir(parents=True, exist_ok=True)
    (home / "master.key").write_text(MASTER.secret.hex() + "\n", encoding="ascii")
    return {"RELANCE_CHECKOUT_DATABASE": url, "RELANCE_CHECKOUT_CHECKPOINTS": str(tmp_path / "log")}


def _world_under_own_keys(url: str, tmp_path: Path) -> None:
    path = tmp_path / "home" / "checkout" / "signing.pem"
    path.write_bytes(new_signing_pem())

    async def record() -> None:
        store = await open_store(url, MASTER)
        sealing = Sealing(store, CheckpointFile(tmp_path / "log"), SigningKeys(path))
        await open_checkout(store, 0)
        await place(store, 0)
        await sealing.seal_now()
        await store.close()

    asyncio.run(record())


def test_the_commands_put_new_keys_in_place_and_all_evidence_still_verifies(
    command: Command, database_url: str, tmp_path: Path
) -> None:
    settings = _settings(database_url, tmp_path)
    _world_under_own_keys(database_url, tmp_path)
    first = SigningKeys(tmp_path / "home/checkout/signing.pem").current
    for which in ("master", "signing"):
        rotated = command("evidence", "keys", "rotate", which, **settings)
        assert rotated.returncode == 0, rotated.stdout + rotated.stderr
        assert ("1 persons' keys wrapped anew" in rotated.stdout) == (which == "master")
    listed = command("evidence", "keys", "list", **settings).stdout
    assert f"signing {first}: from checkpoint 1" in listed
    assert "to checkpoint 2" in listed
    assert MASTER.secret.hex() not in listed
    refused = command("evidence", "keys", "drop", **settings)
    assert (refused.returncode, "--restarted" in refused.stderr) == (2, True)
    dropped = command("evidence", "keys", "drop", "--restarted", **settings)
    assert "1 keys dropped, 0 older ones still needed" in dropped.stdout
    assert MASTER.secret.hex() not in (tmp_path / "home/checkout/master.key").read_text()
    assert (tmp_path / "home/checkout/master.key").stat().st_mode & 0o777 == 0o600
    log = CheckpointFile(tmp_path / "log").lines()
    store_checked = asyncio.run(_verified(database_url, log, first))
    assert store_checked == ()
    path = tmp_path / "p.html"
    assert command("evidence", "export", order(0), "-o", str(path), **settings).returncode == 0
    assert examine(path.read_bytes(), first, log).verification.findings == ()
    assert decode(log[-1]).header.next_key == SigningKeys(tmp_path / "home/checkout/signing.pem").current


async def _verified(url: str, log: Sequence[bytes], key: str) -> object:
    store = await open_store(url, MASTER)
    try:
        return (await verify_store(store, log, key)).findings
    finally:
        await store.close()


async def test_a_running_checkout_hands_over_and_older_checkpoints_verify_with_the_older_key(
    database_url: str, tmp_path: Path
) -> None:
    store = await open_store(database_url, MASTER)
    keys = SigningKeys(tmp_path / "signing.pem")
    (tmp_path / "signing.pem").write_bytes(new_signing_pem())
    first, log = keys.current, CheckpointFile(tmp_path / "log")
    sealing = Sealing(store, log, keys)
    await open_checkout(store, 0)
    await sealing.seal_now()
    second = keys.begin()
    assert keys.begin() == second  # asked for again it is the same one
    await place(store, 0)
    for _ in range(2):
        await sealing.seal_now()
    third = keys.begin()
    for _ in range(2):
        await sealing.seal_now()
    lines = log.lines()
    assert [decode(line).header.key for line in lines] == [first, first, second, second, third]
    assert (await verify_store(store, lines, first)).findings == ()
    assert {each.kind for each in (await verify_store(store, lines, second)).findings} >= {"wrong_key"}
    (found,) = await find_chains(store, order(0))
    assert examine(export(await dossier_of(store, found, lines, opened=True)), first, lines).verification.holds
    assert checkout(0) == found.chain
    await store.close()


@pytest.mark.parametrize("ended", ["before the hand-over", "after the hand-over", "after the first of the new key"])
def test_a_hand_over_that_ends_in_the_middle_is_gone_on_with(tmp_path: Path, ended: str) -> None:
    path = tmp_path / "signing.pem"
    path.write_bytes(new_signing_pem())
    keys, last = SigningKeys(path), None
    first, second = keys.current, keys.begin()
    steps = {"before the hand-over": 0, "after the hand-over": 1, "after the first of the new key": 2}[ended]
    for _ in range(steps):
        key, coming = keys.at(last)
        last = seal(last, [], 0, key, coming)
    again = SigningKeys(path)
    key, coming = again.at(last)
    assert key_hex(key.public_key()) == (second if steps else first)
    assert (coming is None) == bool(steps)
    assert seal(last, [], 0, key, coming).header.number == steps + 1
