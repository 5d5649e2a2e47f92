"""The page of a dossier: plain HTML in French and English for any browser, and the part for machines."""

from collections.abc import Iterable, Mapping
from datetime import datetime
from html import escape
from typing import Final

from relance.evidence.canonical import canonical
from relance.evidence.dossier import Dossier, documents_shown, to_json
from relance.evidence.entries import Entry, digest
from relance.evidence.narrative import HASHES, OPENING, STEPS, WORDS, readable, told
from relance.evidence.personal import bytes_of, text_of
from relance.evidence.wording import ACTS, AUTHORS, LABELS, LIMITS, MANUAL, PURPOSE, SUBJECTS, Pair
from relance.rules.law.calendar import PARIS

__all__ = ["EDITIONS", "page", "paris_time"]

EDITIONS: Final = (2, 1)
"""The newest first. Files of older ones were given out, and stay what they are."""

SUFFIXES: Final = {"application/pdf": "pdf", "text/html": "html", "text/plain": "txt", "image/png": "png"}
STYLE: Final = (
    "body{font:1rem/1.5 serif;max-width:60rem;margin:0 auto;padding:1rem;color:#111;background:#fff}"
    "h1,h2,h3{line-height:1.2}article{border-top:1px solid #666;padding:.5rem 0}"
    "dl{display:grid;grid-template-columns:minmax(8rem,16rem) 1fr;gap:.25rem 1rem;margin:0}dt{color:#444}"
    "dd{margin:0;overflow-wrap:anywhere}code,pre{font:.85rem/1.4 monospace}"
    "pre{white-space:pre-wrap;overflow-wrap:anywhere;border:1px solid #666;padding:.5rem}"
    "[lang=en]{color:#444}table{border-collapse:collapse}th,td{border:1px solid #666;padding:.25rem .5rem;"
    "text-align:left;overflow-wrap:anywhere}"
    "@media(max-width:40rem){dl{grid-template-columns:1fr}dd{margin:0 0 .5rem 1rem}"
    "thead{display:none}tr,td{display:block}}@media print{a{color:inherit}}"
)
PRINT: Final = (
    ".words{font-family:inherit;font-size:1rem}.story{border:2px solid #111;padding:0 1rem 1rem;margin-top:1rem}"
    "@media print{.story{break-after:page}details:not([open])>pre{display:none}}"
)


def page(dossier: Dossier, edition: int = EDITIONS[0]) -> bytes:
    """The file of a dossier, the same bytes each time. Raises InputError for an ill-formed entry or opened value."""
    second = edition > 1
    number = dossier.placed or dossier.order
    title = f"{LABELS['title'][0]} {number}"
    parts = [
        '<!doctype html>\n<html lang="fr">\n<head>\n<meta charset="utf-8">\n',
        "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">\n",
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n',
        f"<title>{escape(title)}</title>\n<style>{STYLE}{PRINT if second else ''}</style>\n</head>\n<body>\n<main>\n",
        f"<h1>{_both(LABELS['title'])} <code>{escape(number)}</code></h1>\n",
        _summary(dossier),
        _story(dossier) if second else "",
        _section("purpose", _paragraph(PURPOSE)),
        _section("acts", "".join(_act(dossier, entry, data, edition) for entry, data in dossier.read())),
        _section("seals", _seals(dossier)),
        _section("limits", "<ul>\n" + "".join(f"<li>{_both(pair)}</li>\n" for pair in LIMITS) + "</ul>\n"),
        _section("manual", _manual()),
        '</main>\n<script type="application/json" id="relance-evidence">\n',
        to_json(dossier),
        "\n</script>\n</body>\n</html>\n",
    ]
    return "".join(parts).encode()


def paris_time(at_ms: int) -> str:
    """An instant as it was on clocks in Paris: ``22/11/2026 11:00:00.000 (UTC+01:00)``."""
    at = datetime.fromtimestamp(at_ms / 1000, PARIS)
    offset = at.strftime("%z")
    return f"{at:%d/%m/%Y %H:%M:%S}.{at_ms % 1000:03d} (UTC{offset[:3]}:{offset[3:5]})"


def _both(pair: Pair) -> str:
    if pair[0] == pair[1]:
        return escape(pair[0])
    return f'{escape(pair[0])} <span lang="en">/ {escape(pair[1])}</span>'


def _paragraph(pair: Pair) -> str:
    return f'<p>{escape(pair[0])}</p>\n<p lang="en">{escape(pair[1])}</p>\n'


def _section(label: str, content: str) -> str:
    return f"<section>\n<h2>{_both(LABELS[label])}</h2>\n{content}</section>\n"


def _rows(rows: Iterable[tuple[str, str]]) -> str:
    body = "".join(f"<dt>{_both(LABELS[label])}</dt><dd>{content}</dd>\n" for label, content in rows)
    return f"<dl>\n{body}</dl>\n"


def _code(text: str) -> str:
    return f"<code>{escape(text)}</code>"


def _summary(dossier: Dossier) -> str:
    keys = dict.fromkeys(seal.read().key for seal in dossier.seals)
    rows = [
        ("shop", _code(dossier.shop)),
        ("order", _code(dossier.placed or dossier.order)),
        *((("chain", _code(dossier.order)),) if dossier.placed else ()),
        ("entries", str(len(dossier.entries))),
        ("head", _code(dossier.head)),
        *(("keys", _code(key)) for key in keys),
    ]
    return _rows(rows)


def _story(dossier: Dossier) -> str:
    """The first page: what happened when, under which articles; what the hashes prove; how to verify."""
    entries = [entry for entry, _ in dossier.read()]
    span = {"first": _to_the_second(entries[0]), "last": _to_the_second(entries[-1])}
    named = {"count": len(entries), "order": dossier.placed or dossier.order, "shop": dossier.shop, **span}
    opening = (OPENING[0].format(**named), OPENING[1].format(**named))
    head = "".join(f'<th scope="col">{_both(WORDS[name])}</th>' for name in ("when", "what", "articles", "proof"))
    rows = "".join(_told(entry) for entry in entries)
    table = f"<table>\n<thead><tr>{head}</tr></thead>\n<tbody>\n{rows}</tbody>\n</table>\n"
    hashes = "".join(f"<dt>{_both(name)}</dt><dd>{_both(meaning)}</dd>\n" for name, meaning in HASHES)
    steps = "".join(f"<li>{_both(step)}</li>\n" for step in STEPS)
    return (
        f'<section class="story">\n<h2>{_both(WORDS["story"])}</h2>\n{_paragraph(opening)}{table}'
        f"<h3>{_both(WORDS['hashes'])}</h3>\n<dl>\n{hashes}</dl>\n"
        f"<h3>{_both(WORDS['steps'])}</h3>\n<ol>\n{steps}</ol>\n</section>\n"
    )


def _told(entry: Entry) -> str:
    articles = "; ".join(dict.fromkeys(escape(rule.article) for rule in entry.rules))
    link = f'<a href="#acte-{entry.seq}">{entry.seq}</a>'
    cells = (escape(_to_the_second(entry)), _both(told(entry)), articles, link)
    return "<tr>" + "".join(f"<td>{cell}</td>" for cell in cells) + "</tr>\n"


def _to_the_second(entry: Entry) -> str:
    return paris_time(entry.at_ms).partition(".")[0]


def _act(dossier: Dossier, entry: Entry, data: bytes, edition: int) -> str:
    subject = SUBJECTS.get(entry.what, (entry.what, entry.what))
    heading = f"{escape(ACTS[entry.act][0])} : {escape(subject[0])}"
    english = f"{escape(ACTS[entry.act][1])}: {escape(subject[1])}"
    rows = [("at", escape(paris_time(entry.at_ms))), ("utc", escape(entry.at)), ("by", _both(AUTHORS[entry.by]))]
    for rule in entry.rules:
        version = "{} {}".format(LABELS["version"][0], rule.version)
        rows.append(("rule", f"{_code(rule.id)} ({escape(version)}) : {escape(rule.article)}"))
    rows += [("facts", f"{_code(name)} = {_value(value)}") for name, value in sorted(entry.facts.items())]
    rows += _document(dossier, entry, edition)
    rows += _personal(dossier, entry)
    rows += [("hash", _code(digest(data))), ("prior", _code(entry.prior))]
    number = f"{_both(LABELS['act'])} {entry.seq}"
    opening = f'<article id="acte-{entry.seq}">' if edition > 1 else "<article>"
    return f'{opening}\n<h3>{number}. {heading} <span lang="en">/ {english}</span></h3>\n{_rows(rows)}</article>\n'


def _value(value: object) -> str:
    return escape(value) if isinstance(value, str) else _code(canonical(value).decode())


def _document(dossier: Dossier, entry: Entry, edition: int) -> list[tuple[str, str]]:
    document = entry.document
    if document is None:
        return []
    sealed = document.sealed
    named = document.sha256 or (sealed.commitment if sealed is not None else "")
    kind = "SHA-256" if sealed is None else _both(LABELS["commitment"])
    said = f"{escape(document.media_type)}, {document.size_bytes} {_both(LABELS['bytes'])}, {kind} {_code(named)}"
    copy = documents_shown(dossier, entry)
    if copy is None:
        return [("document", f"{said}, {_both(LABELS['absent' if sealed is None else 'closed'])}")]
    media_type, content = copy
    name = f"{entry.what}-{entry.seq}.{SUFFIXES.get(media_type, 'bin')}"
    # never opened as a page: what was shown must not run here
    address = f"data:application/octet-stream;base64,{escape(content)}"
    link = f'<a download="{escape(name)}" href="{address}">{_both(LABELS["download"])}</a>'
    rows = [("document", f"{said}, {link}")]
    if media_type.startswith("text/"):
        text = bytes_of(content).decode(errors="backslashreplace")
        shown = f"<pre>{escape(text)}</pre>"
        if edition > 1 and media_type == "text/html":
            code = f"<details><summary>{_both(WORDS['source'])}</summary>{shown}</details>"
            shown = f'<pre class="words">{escape(readable(text))}</pre>{code}'
        rows.append(("text", shown))
    return rows


def _personal(dossier: Dossier, entry: Entry) -> list[tuple[str, str]]:
    rows = []
    for sealed in entry.personal:
        opened = dossier.opened.get(sealed.commitment)
        value = escape(text_of(opened)) if opened is not None else _both(LABELS["closed"])
        said = f"{_code(sealed.name)} = {value}<br>{_both(LABELS['commitment'])} {_code(sealed.commitment)}"
        rows.append(("personal", said))
    return rows


def _seals(dossier: Dossier) -> str:
    if not dossier.seals:
        return _paragraph(LABELS["none"])
    columns = ("checkpoint", "sealed_at", "covers", "sealed_head")
    head = "".join(f'<th scope="col">{_both(LABELS[label])}</th>' for label in columns)
    body = ""
    for seal in dossier.seals:
        header = seal.read()
        cells: Mapping[str, str] = {
            "number": str(header.number), "at": escape(paris_time(header.at_ms)), "length": str(seal.head.length),
            "hash": _code(seal.head.hash),
        }  # fmt: skip
        body += "<tr>" + "".join(f"<td>{cell}</td>" for cell in cells.values()) + "</tr>\n"
    return f"<table>\n<thead><tr>{head}</tr></thead>\n<tbody>\n{body}</tbody>\n</table>\n"


def _manual() -> str:
    steps = "".join(
        f'<li><p>{escape(pair[0])}</p>\n<p lang="en">{escape(pair[1])}</p>\n<pre>{escape(command)}</pre></li>\n'
        for pair, command in MANUAL
    )
    return f"<ol>\n{steps}</ol>\n"
