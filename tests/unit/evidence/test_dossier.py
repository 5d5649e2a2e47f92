import html
import json
import re
import subprocess
from base64 import b64encode
from hashlib import sha256
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from relance.cli.program import build
from relance.evidence.checkpoints import decode, encode, key_from_pem, key_pem, seal
from relance.evidence.dossier import Dossier, bundle, from_json, to_json
from relance.evidence.entries import Act, Head, UnknownVersion
from relance.evidence.examination import Examination, examine, export, read
from relance.evidence.narrative import readable
from relance.evidence.page import EDITIONS, page, paris_time
from relance.evidence.personal import Opened, text_of
from relance.kernel.errors import InputError
from tests.unit.evidence.story import (
    BUTTON,
    MINUTE_MS,
    SHOP,
    TEN_MS,
    TERMS,
    acts,
    chain,
    dossier,
    key,
    public,
    world,
)

STORE, LOG = world()
WHOLE = dossier()
FILE = export(WHOLE)


def kinds(found: Examination) -> set[str]:
    return {finding.kind for finding in found.verification.findings}


def altered(**fields: object) -> bytes:
    """A file that somebody made anew, page and all, from a changed part for machines."""
    return export(msgspec.structs.replace(WHOLE, **fields))


def test_a_dossier_that_nobody_touched_holds() -> None:
    found = examine(FILE, public(), LOG, [WHOLE.head])
    assert found.verification.holds
    assert (found.verification.entries, found.verification.unsealed, found.verification.checkpoints) == (6, 0, 2)
    assert found.pinned
    assert found.keys == (public(),)
    assert read(FILE) == WHOLE


def test_the_same_evidence_is_always_the_same_file() -> None:
    assert export(dossier()) == FILE
    # The wordings and the layout are part of an edition: files that were given out must stay verifiable.
    editions = {
        1: "69f03bebc366c4e869360fc405043217fb2fb393d5bedeb04238eeab36847fb1",
        2: "627ec5d933380e8ef350aea6c1de5db31201e7a623a40b0310b804162335cde7",
    }
    assert {edition: sha256(page(dossier(), edition)).hexdigest() for edition in EDITIONS} == editions


def test_a_file_of_an_older_edition_still_holds() -> None:
    older = page(dossier(), 1)
    assert older != FILE
    assert examine(older, public(), LOG).verification.holds


def test_the_first_page_tells_what_happened_when_and_under_which_articles() -> None:
    first = FILE.decode().partition('<section class="story">')[2].partition("</section>")[0]
    for seq, (entry, _) in enumerate(WHOLE.read()):
        assert f'href="#acte-{seq}"' in first
        assert f'id="acte-{seq}"' in FILE.decode()
        assert all(html.escape(rule.article) in first for rule in entry.rules)
    assert "Vérifier sans notre logiciel" in first
    assert "Ce que prouve chaque empreinte" in first


def test_a_page_that_was_shown_is_read_as_whoever_saw_it_read_it() -> None:
    shown = (
        "<head><title>x</title></head><h1>Récapitulatif</h1><p>Total&nbsp;: <b>42,00</b> €</p>"
        "<label><input type=checkbox> J'accepte</label>"
    )
    assert readable(shown) == "Récapitulatif\nTotal : 42,00 €\n[ ] J'accepte"


@given(st.integers(0, len(FILE) - 1), st.integers(1, 255))
def test_any_byte_of_the_file_that_is_edited_is_found(at: int, by: int) -> None:
    edited = FILE[:at] + bytes([FILE[at] ^ by]) + FILE[at + 1 :]
    try:
        found = examine(edited)
    except UnknownVersion:
        return
    assert not found.verification.holds


@given(st.binary(max_size=300))
def test_any_other_file_is_told_to_be_none(data: bytes) -> None:
    assert kinds(examine(data)) == {"unreadable"}
    with pytest.raises(InputError):
        read(data)


def test_a_person_reads_every_act_with_its_rule_article_and_paris_time() -> None:
    text = html.unescape(re.sub(r"<[^>]+>", "", FILE.decode()))
    for said in (
        "22/11/2026 10:00:04.000 (UTC+01:00)", "2026-11-22T09:00:04.000Z", "L221-14 al. 2", "A04", BUTTON,
        "Accepté par le consommateur", "Accepted by the consumer", "léa@example.fr", "1 rue de la Paix", public(),
        WHOLE.head, "Vérifier à la main", "Verifying by hand", "Conditions générales <b>de vente</b>",
    ):  # fmt: skip
        assert said in text


def test_nothing_that_was_shown_becomes_markup() -> None:
    nasty = "</script><script>alert(1)</script><img src=x onerror=alert(1)>"
    told = [Act(at_ms=TEN_MS, act="shown", what=nasty, facts={nasty: nasty, "more": [nasty]})]
    entries, head = chain(nasty, told)
    data = export(bundle(entries, [encode(seal(None, [head], TEN_MS, key()))]))
    assert b"<script>" not in data
    assert b"<img" not in data
    assert data.count(b"</script>") == 1
    assert examine(data, public()).verification.holds


def test_paris_time_follows_the_clocks_of_paris() -> None:
    assert paris_time(1_792_889_999_999) == "25/10/2026 02:59:59.999 (UTC+02:00)"
    assert paris_time(1_792_890_000_000) == "25/10/2026 02:00:00.000 (UTC+01:00)"


def test_after_an_erasure_the_file_says_so_and_holds() -> None:
    data = export(bundle(STORE[SHOP, "o-1"], LOG, [TERMS]))
    assert examine(data, public(), LOG).verification.holds
    assert "léa".encode() not in data
    assert "clé effacée" in data.decode()


def test_only_what_the_entries_name_goes_into_the_file() -> None:
    assert [sha256(TERMS).hexdigest()] == list(WHOLE.documents)
    assert sorted(text_of(opened) for opened in WHOLE.opened.values()) == sorted(
        text_of(opened) for opened in acts("o-1")[1]
    )
    strangers = bundle(STORE[SHOP, "o-1"], LOG, opened=acts("o-2")[1])
    assert strangers.opened == {}


@pytest.mark.parametrize(
    ("fields", "kind"),
    [
        ({"entries": WHOLE.entries[:-1]}, "truncated"),
        ({"entries": (*WHOLE.entries[:2], WHOLE.entries[3], *WHOLE.entries[3:])}, "misplaced"),
        ({"entries": tuple(data.decode() for data in STORE[SHOP, "o-2"])}, "misplaced"),
        ({"seals": ()}, "not_sealed"),
        ({"seals": (msgspec.structs.replace(WHOLE.seals[0], path=()),)}, "wrong_root"),
        ({"seals": (msgspec.structs.replace(WHOLE.seals[0], signature="0" * 128),)}, "bad_signature"),
        ({"documents": {sha256(TERMS).hexdigest(): b64encode(b"other").decode()}}, "document_differs"),
        ({"opened": {"0" * 64: Opened(salt="0" * 64, value="")}}, "personal_differs"),
    ],
)  # fmt: skip
def test_a_file_that_was_made_anew_is_found(fields: dict[str, object], kind: str) -> None:
    assert kind in kinds(examine(altered(**fields), public()))


def test_another_value_is_not_taken_for_what_was_committed_to() -> None:
    name, opened = next(iter(WHOLE.opened.items()))
    other = {**WHOLE.opened, name: msgspec.structs.replace(opened, value=b64encode(b"bob@example.fr").decode())}
    assert "personal_differs" in kinds(examine(altered(opened=other), public()))


def test_a_file_sealed_anew_with_another_key_is_found_by_the_key() -> None:
    store, log = world(seed=2)
    data = export(bundle(store[SHOP, "o-1"], log))
    found = examine(data)
    assert found.verification.holds
    assert not found.pinned
    assert kinds(examine(data, public())) == {"wrong_key", "not_sealed"}


def test_a_shortened_file_is_found_beside_the_log_and_by_the_confirmation() -> None:
    entries = STORE[SHOP, "o-1"][:3]
    data = export(bundle(entries, LOG[:1]))
    assert examine(data, public()).verification.holds
    assert kinds(examine(data, public(), LOG)) == {"truncated"}
    assert kinds(examine(data, public(), heads=[WHOLE.head])) == {"witness_contradicted"}


def test_a_seal_that_is_not_in_the_log_is_found() -> None:
    entries, head = chain("o-1")
    data = export(bundle(entries, [encode(seal(None, [head], TEN_MS + MINUTE_MS, key()))]))
    assert examine(data, public()).verification.holds
    assert "not_in_log" in kinds(examine(data, public(), LOG))


def test_keys_that_took_over_are_followed_from_the_first() -> None:
    entries, head = chain("o-1")
    first = seal(None, [], TEN_MS, key(1), next_key=key(2).public_key())
    second = seal(first, [head], TEN_MS + MINUTE_MS, key(2))
    log = [encode(first), encode(second)]
    data = export(bundle(entries, log))
    assert examine(data, public(1), log).verification.holds
    assert examine(data).keys == (public(1), public(2))
    assert "wrong_key" in kinds(examine(data, public(2)))
    without = msgspec.structs.replace(read(data), handovers=())
    assert "wrong_key" in kinds(examine(export(without), public(1)))


def test_an_unknown_version_is_refused_with_its_number() -> None:
    text = to_json(WHOLE).replace('"v":1}', '"v":2}')
    with pytest.raises(UnknownVersion, match=r"relance\.evidence\.dossier of version 2; this program reads version 1"):
        from_json(text)
    with pytest.raises(UnknownVersion):
        examine(FILE.replace(to_json(WHOLE).encode(), text.encode()))


def test_an_order_without_evidence_has_no_dossier() -> None:
    with pytest.raises(InputError, match="no evidence of this order"):
        bundle([], LOG)


def test_the_commands_in_the_file_verify_it_by_hand(tmp_path: Path) -> None:
    """As a court's expert would: the page is saved, and its commands are copied into a shell."""
    (tmp_path / "preuves.html").write_bytes(FILE)
    commands = [
        html.unescape(text) for text in re.findall(r"<li><p>.*?<pre>(.*?)</pre></li>", FILE.decode(), re.DOTALL)
    ]
    assert len(commands) == 4
    done = subprocess.run(
        ["bash", "-e"], input="\n".join(commands[:3]), cwd=tmp_path, capture_output=True, text=True, check=True
    )
    assert done.stdout.count("Signature Verified Successfully") == 2
    assert f"act 5 {WHOLE.head}" in done.stdout
    assert public() in done.stdout
    machine: Dossier = from_json((tmp_path / "evidence.json").read_text(encoding="utf-8"))
    assert machine == WHOLE


def test_the_command_line_verifies_and_shows(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file, log, pem = tmp_path / "o-1.html", tmp_path / "checkpoints", tmp_path / "key.pem"
    file.write_bytes(FILE)
    log.write_bytes(b"".join(line + b"\n" for line in LOG))
    pem.write_text(key_pem(public()), encoding="ascii")

    def relance(*words: str) -> tuple[int, str]:
        code = build()(["evidence", *words], standalone_mode=False)
        return code or 0, capsys.readouterr().out

    code, said = relance("verify", str(file), "--key", str(pem), "--checkpoints", str(log), "--head", WHOLE.head)
    assert (code, said.splitlines()[-1]) == (0, "verified: nothing was changed")
    file.write_bytes(FILE.replace(b"captured", b"declined"))
    code, said = relance("verify", str(file))
    assert code == 1
    assert "rewritten: order atelier/o-1" in said
    assert "vouches for its own key" in said
    file.write_bytes(FILE)
    printed = Head(shop=SHOP, order="o-1", length=6, hash=WHOLE.head).printed
    code, said = relance("verify", str(file), "--head", printed.upper())
    assert (code, said.splitlines()[-1]) == (0, "consistent: nothing was changed since this key signed it")
    code, said = relance("show", str(file))
    assert code == 0
    assert "4  22/11/2026 10:00:04.000 (UTC+01:00)  accepted: button  (by checkout)" in said
    assert "rule A04 version 1, L221-14 al. 2" in said
    assert f'words = "{BUTTON}"' in said
    with pytest.raises(InputError, match="64 hexadecimal digits"):
        relance("verify", str(file), "--head", "abc")


def test_a_hostile_file_says_nothing_to_the_terminal(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    nasty = "\x1b]0;owned\x07[red]\u202e"
    entries, head = chain(nasty, [Act(at_ms=TEN_MS, act="shown", what=nasty, facts={nasty: nasty})])
    file = tmp_path / "nasty.html"
    file.write_bytes(export(bundle(entries, [encode(seal(None, [head], TEN_MS, key()))])))
    for command in ("show", "verify"):
        build()(["evidence", command, str(file)], standalone_mode=False)
    said = capsys.readouterr().out
    assert "\\x1b]0;owned\\x07[red]\\u202e" in said
    assert said.replace("\n", "").isprintable()


def test_only_an_ed25519_key_is_a_key() -> None:
    assert key_from_pem(key_pem(public())) == public()
    with pytest.raises(InputError, match="not a public key in PEM"):
        key_from_pem("-----BEGIN PUBLIC KEY-----\n")
    assert json.loads(encode(decode(LOG[0]))) == json.loads(LOG[0])
