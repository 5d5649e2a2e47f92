"""`relance evidence … ORDER` and `relance law explain ORDER`, on a database of a checkout."""

import asyncio
import stat
from pathlib import Path
from uuid import uuid4

import pytest
from sqlalchemy import delete, insert

from relance.evidence.checkpoints import key_pem
from services.checkout.domain.presenting import Kept
from services.checkout.store import local_master_key, local_signing_key, master_key, open_store
from services.checkout.store.chains import series_of
from services.checkout.store.part import kind_of, write_body
from services.checkout.store.schema import AGGREGATES, CHAINS, ENTRIES
from tests.integration.checkout.command_kit import Command, command
from tests.integration.checkout.evidence_kit import EMAIL, MASTER, PUBLIC, SHOP, change, checkout, order, world

__all__ = ["command"]


@pytest.fixture
def recorded(database_url: str, tmp_path: Path) -> dict[str, str]:
    """The settings of a checkout with three orders, as variables."""
    log = tmp_path / "checkpoints.log"

    async def record() -> None:
        store = await open_store(database_url, MASTER)
        await world(store, log)
        await store.close()

    asyncio.run(record())
    return {
        "RELANCE_CHECKOUT_DATABASE": database_url,
        "RELANCE_CHECKOUT_CHECKPOINTS": str(log),
        "RELANCE_CHECKOUT_MASTER_KEY": MASTER.secret.hex(),
    }


@pytest.fixture
def key(tmp_path: Path) -> str:
    path = tmp_path / "published.pem"
    path.write_text(key_pem(PUBLIC), encoding="ascii")
    return str(path)


def test_show_lists_the_acts_of_an_order(command: Command, recorded: dict[str, str]) -> None:
    shown = command("evidence", "show", order(1), **recorded)
    assert shown.returncode == 0, shown.stderr
    for said in ("accepted: button", "rule A04 version 1", EMAIL, f"order atelier/{order(1)}", f'order = "{order(1)}"'):
        assert said in shown.stdout
    assert command("evidence", "show", checkout(1), **recorded).stdout == shown.stdout


def test_an_export_is_a_file_that_verifies_itself(
    command: Command, recorded: dict[str, str], key: str, tmp_path: Path
) -> None:
    path = tmp_path / "preuves.html"
    written = command("evidence", "export", order(1), "-o", str(path), **recorded)
    assert written.returncode == 0, written.stderr
    assert "6 entries, 2 seals, 1 documents" in written.stdout
    assert f"Preuves de la commande {order(1)}" in path.read_text()
    log = recorded["RELANCE_CHECKOUT_CHECKPOINTS"]
    verified = command("evidence", "verify", str(path), "--key", key, "--checkpoints", log)
    assert (verified.returncode, "verified: nothing was changed" in verified.stdout) == (0, True), verified.stdout
    assert command("evidence", "show", str(path)).stdout == command("evidence", "show", order(1), **recorded).stdout


def test_a_closed_export_holds_no_personal_data(command: Command, recorded: dict[str, str], tmp_path: Path) -> None:
    path = tmp_path / "closed.html"
    del recorded["RELANCE_CHECKOUT_MASTER_KEY"]
    refused = command("evidence", "export", order(1), "-o", str(path), **recorded)
    assert (refused.returncode, "RELANCE_CHECKOUT_MASTER_KEY" in refused.stderr) == (2, True)
    written = command("evidence", "export", order(1), "-o", str(path), "--closed", **recorded)
    assert written.returncode == 0, written.stderr
    assert EMAIL not in path.read_text()


def test_verify_of_an_order_and_of_all(command: Command, recorded: dict[str, str], key: str) -> None:
    for target in (order(1), "all"):
        verified = command("evidence", "verify", target, "--key", key, **recorded)
        assert verified.returncode == 0, verified.stdout + verified.stderr
        assert "verified: nothing was changed" in verified.stdout
    head = command("evidence", "show", order(1), **recorded).stdout.split()[-1]
    assert command("evidence", "verify", order(1), "--key", key, "--head", head, **recorded).returncode == 0
    other = command("evidence", "verify", order(1), "--key", key, "--head", "0" * 64, **recorded)
    assert (other.returncode, "witness_contradicted" in other.stdout) == (1, True)


def _remove(url: str, number: int, *, keep_order: bool) -> None:
    async def remove() -> None:
        store = await open_store(url, MASTER)
        if keep_order:  # as who deletes evidence alone would leave it
            kept = Kept(id=order(number), checkout_id=checkout(number))
            row = {"kind": kind_of(Kept), "shop": SHOP, "id": order(number), "version": 1, "state": "",
                   "body": write_body(kept)}  # fmt: skip
            await change(store, insert(AGGREGATES).values(**row))
        await change(store, *(delete(table).where(table.c.chain == checkout(number)) for table in (ENTRIES, CHAINS)))
        await store.close()

    asyncio.run(remove())


def test_verify_finds_an_order_that_was_deleted_whole(command: Command, recorded: dict[str, str], key: str) -> None:
    head = command("evidence", "show", order(1), **recorded).stdout.split()[-1]
    _remove(recorded["RELANCE_CHECKOUT_DATABASE"], 1, keep_order=False)
    for target in ("all", order(1)):
        found = command("evidence", "verify", target, "--key", key, "--head", head, **recorded)
        assert found.returncode == 1
        assert (
            f"missing_order: order atelier/{checkout(1)}: checkpoint 2 sealed 6 entries, and none is left"
            in found.stdout
        )
        assert f"order number {series_of(checkout(1)) + 1} is not there" in found.stdout
        assert f"checkpoint 2 sealed it: 6 entries of atelier/{checkout(1)} were there" in found.stdout
        if target != "all":
            assert f"missing_order: order {order(1)}: nothing of it is in the database" in found.stdout
    assert command("evidence", "verify", order(2), "--key", key, **recorded).returncode == 0


def test_an_order_whose_evidence_alone_was_deleted_leads_to_what_was_sealed_of_it(
    command: Command, recorded: dict[str, str], key: str
) -> None:
    _remove(recorded["RELANCE_CHECKOUT_DATABASE"], 2, keep_order=True)
    found = command("evidence", "verify", order(2), "--key", key, **recorded)
    assert found.returncode == 1
    assert (
        f"missing_order: order atelier/{checkout(2)}: checkpoint 2 sealed 6 entries, and none is left" in found.stdout
    )
    assert "2 findings" in found.stdout
    assert checkout(1) not in found.stdout


def test_law_explain_says_which_rules_an_order_was_under(command: Command, recorded: dict[str, str]) -> None:
    said = command("law", "explain", order(1), **recorded)
    assert said.returncode == 0, said.stderr
    assert f"order atelier/{order(1)}: 2 rules, 6 acts" in said.stdout
    assert "A04" in said.stdout
    assert "L221-14 al. 2" in said.stdout
    assert "accepted: button" in said.stdout
    assert command("law", "explain", "A04").stdout.startswith("A04")


@pytest.mark.parametrize("words", [("evidence", "show"), ("evidence", "export"), ("law", "explain")])
def test_an_unknown_order_is_one_clear_line(command: Command, recorded: dict[str, str], words: list[str]) -> None:
    refused = command(*words, str(uuid4()), **recorded)
    assert refused.returncode == 2
    assert "there is no evidence of order" in refused.stderr
    nowhere = command(*words, str(uuid4()), **(recorded | {"RELANCE_CHECKOUT_DATABASE": "sqlite:///absent.db"}))
    assert (nowhere.returncode, "absent.db" in nowhere.stderr) == (2, True)


def test_keys_of_this_machine_are_made_once_for_their_owner_alone(tmp_path: Path) -> None:
    home = tmp_path / "home"
    assert local_master_key(home) == local_master_key(home)
    assert local_signing_key(home).private_bytes_raw() == local_signing_key(home).private_bytes_raw()
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in (home / "checkout").iterdir()}
    assert modes == {"master.key": 0o600, "signing.pem": 0o600, "signing.pub.pem": 0o644}


def test_master_keys_are_digits_or_a_file_of_them(tmp_path: Path) -> None:
    file = tmp_path / "keys"
    file.write_text("11" * 32 + "\n" + "22" * 32 + "\n", encoding="ascii")
    for text in ("11" * 32 + "," + "22" * 32, str(file)):
        assert (master_key(text).secret, master_key(text).older) == (b"\x11" * 32, (b"\x22" * 32,))
    assert "11" * 4 not in repr(master_key("11" * 32))


@pytest.mark.parametrize("text", ["", "11", "11" * 31, "/nowhere/at/all", "11" * 32 + ",22"])
def test_other_master_keys_are_refused(text: str) -> None:
    with pytest.raises(Exception, match="64 hexadecimal digits"):
        master_key(text)
