"""What happened, one sentence an act, in French and in English: the first page of a dossier, for who reads no further.

What it says is part of the format, as all wording of a dossier is: a change is a new edition.
"""

from collections.abc import Callable, Mapping
from html.parser import HTMLParser
from typing import Any, Final

from typing_extensions import override

from relance.evidence.entries import Entry
from relance.evidence.wording import ACTS, AUTHORS, SUBJECTS, Pair

__all__ = ["HASHES", "OPENING", "STEPS", "WORDS", "readable", "told"]

Facts = Mapping[str, Any]

WORDS: Final[dict[str, Pair]] = {
    "story": ("En bref : ce qui s'est passé", "In short: what happened"),
    "when": ("Date et heure (Paris)", "Date and time (Paris)"),
    "what": ("Fait", "Fact"),
    "articles": ("Articles", "Articles"),
    "proof": ("Acte", "Act"),
    "hashes": ("Ce que prouve chaque empreinte", "What each hash proves"),
    "steps": ("Vérifier sans notre logiciel", "Verifying without our software"),
    "source": ("code de la page affichée", "code of the page that was shown"),
}

OPENING: Final[Pair] = (
    (
        "Ce document rassemble, dans leur ordre, les {count} actes enregistrés pour la commande {order} de la boutique "
        "{shop}, du {first} au {last} (heure de Paris). Il se lit dans tout navigateur, sans connexion. Les articles "
        "cités sont ceux du code de la consommation, sauf autre mention (L34-5 : code des postes et des communications "
        "électroniques). Chaque ligne renvoie à l'acte complet, avec le texte affiché."
    ),
    (
        "This document gathers, in their order, the {count} acts on record for order {order} of the shop {shop}, from "
        "{first} to {last} (Paris time). Any browser opens it, without a connection. Articles are those of the French "
        "consumer code unless said otherwise (L34-5: code of posts and electronic communications). Each line leads to "
        "the whole act, with the text that was shown."
    ),
)

HASHES: Final[tuple[tuple[Pair, Pair], ...]] = (
    (
        ("Empreinte de l'acte", "Hash of an act"),
        (
            "qu'aucun caractère de cet acte (date, texte, choix, article) n'a été modifié depuis son enregistrement.",
            "that no character of the act (date, text, choice, article) was changed since it was recorded.",
        ),
    ),
    (
        ("Empreinte de l'acte précédent", "Hash of the act before"),
        (
            "que les actes se suivent dans cet ordre et qu'aucun n'a été ajouté, retiré ou déplacé entre deux autres.",
            "that the acts follow each other in this order, and none was added, removed or moved between two others.",
        ),
    ),
    (
        ("Empreinte d'un document", "Hash of a document"),
        (
            "que le document joint est, octet pour octet, celui qui a été affiché ou remis.",
            "that the document in this file is, byte for byte, the one that was shown or handed over.",
        ),
    ),
    (
        ("Empreinte salée de données personnelles", "Salted hash of personal data"),
        (
            "que la valeur lue ici est celle qui a été enregistrée ; après effacement, elle ne révèle plus rien.",
            "that the value read here is the one on record; once it is erased, the hash reveals nothing.",
        ),
    ),
    (
        ("Empreinte scellée et signature", "Sealed hash and signature"),
        (
            "que tous les actes jusqu'à celui-là existaient déjà, dans cet état, à l'heure du scellé.",
            "that all acts up to that one existed already, as they are, at the time of the checkpoint.",
        ),
    ),
    (
        ("Empreinte imprimée dans la confirmation", "Hash printed in the confirmation"),
        (
            "la même chose au consommateur, avec un exemplaire que le professionnel ne peut pas changer.",
            "the same to the consumer, with a copy that the trader cannot change.",
        ),
    ),
)

STEPS: Final[tuple[Pair, ...]] = (
    (
        "Comparer l'empreinte imprimée dans la confirmation du consommateur avec celles des actes ci-dessous.",
        "Compare the hash printed in the consumer's confirmation with those of the acts below.",
    ),
    (
        "Comparer la clé publique ci-dessus avec celle que le professionnel a publiée.",
        "Compare the public key above with the one that the trader published.",
    ),
    (
        (
            "Faire exécuter par un technicien les commandes de la dernière partie, avec python3 et openssl, présents "
            "sur tout système courant : elles recalculent chaque empreinte et vérifient chaque signature."
        ),
        (
            "Have a technician run the commands of the last part, with python3 and openssl, which any common system "
            "has: they compute each hash again and verify each signature."
        ),
    ),
)


def told(entry: Entry) -> Pair:
    """An act in one sentence."""
    sentence = _SENTENCES.get((entry.act, entry.what))
    french, english = sentence(entry.facts) if sentence is not None else _plainly(entry)
    if entry.by == "checkout":
        return french, english
    source = AUTHORS[entry.by]
    return f"{french} ({source[0]})", f"{english} ({source[1]})"


def _plainly(entry: Entry) -> Pair:
    act, subject = ACTS[entry.act], SUBJECTS.get(entry.what, (entry.what, entry.what))
    return f"{act[0]} : {subject[0]}.", f"{act[1]}: {subject[1]}."


def _fixed(french: str, english: str) -> Callable[[Facts], Pair]:
    return lambda _facts: (french, english)


def _amount(facts: Facts, name: str = "total_minor") -> str:
    minor = facts.get(name)
    if not isinstance(minor, int) or isinstance(minor, bool):
        return ""
    return f"{minor // 100},{minor % 100:02d} EUR"


def _recap(facts: Facts) -> Pair:
    words, total = facts.get("button", ""), _amount(facts)
    return (
        f"Le récapitulatif de la commande ({total}) a été affiché, avec le bouton « {words} ».",
        f"The recap of the order ({total}) was shown, with the button “{words}”.",
    )


def _button(facts: Facts) -> Pair:
    words, total = facts.get("words", ""), _amount(facts)
    price = (f", pour {total}", f", for {total}") if total else ("", "")
    return (
        f"Le consommateur a pressé le bouton « {words} »{price[0]} : c'est sa commande.",
        f"The consumer pressed the button “{words}”{price[1]}: this is the order.",
    )


def _order(facts: Facts) -> Pair:
    return (
        f"La commande {facts.get('order', '')} est enregistrée, sous le numéro d'ordre {facts.get('number', '')}.",
        f"Order {facts.get('order', '')} is on record, as number {facts.get('number', '')}.",
    )


def _terms(facts: Facts) -> Pair:
    version = facts.get("version", "")
    return (
        f"Le consommateur a accepté les conditions générales de vente, version {version}, en cochant lui-même la case.",
        f"The consumer accepted the terms of sale, version {version}, by ticking the box himself.",
    )


def _consent(facts: Facts) -> Pair:
    granted, channel, purpose = facts.get("granted"), facts.get("channel", ""), facts.get("purpose", "")
    return (
        f"Consentement {'donné' if granted else 'refusé'} : {channel}, {purpose}. La case n'était pas cochée d'avance.",
        f"Consent {'given' if granted else 'refused'}: {channel}, {purpose}. The box was not ticked in advance.",
    )


def _objection(facts: Facts) -> Pair:
    if facts.get("objected"):
        return (
            "Le consommateur s'est opposé aux messages sur des produits analogues.",
            "The consumer objected to messages on similar goods.",
        )
    return (
        "Le consommateur ne s'est pas opposé aux messages sur des produits analogues ; la case lui était proposée.",
        "The consumer did not object to messages on similar goods; the box was offered.",
    )


def _payment(facts: Facts) -> Pair:
    status = str(facts.get("status") or "")
    amount = _amount(facts, "amount_minor")
    said = _PAID.get(status)
    if said is None:
        state = status or str(facts.get("state") or "")
        said = f"état « {state} »", f"state “{state}”"
    price = f" ({amount})" if amount else ""
    return f"Paiement{price} : {said[0]}.", f"Payment{price}: {said[1]}."


def _message(facts: Facts) -> Pair:
    kind, outcome = facts.get("kind", ""), facts.get("outcome", "")
    known = {"accepted": ("accepté par le serveur du destinataire", "accepted by the recipient's server"),
             "bounced": ("refusé par le serveur du destinataire", "refused by the recipient's server")}  # fmt: skip
    said = known.get(str(outcome), (str(outcome), str(outcome)))
    return f"Message « {kind} » : {said[0]}.", f"Message “{kind}”: {said[1]}."


_PAID: Final[dict[str, Pair]] = {
    "sent": ("demandé au prestataire", "asked of the provider"),
    "action_required": ("authentification demandée par la banque", "authentication asked for by the bank"),
    "authorised": ("autorisé par la banque", "authorised by the bank"),
    "captured": ("encaissé", "captured"),
    "failed": ("refusé ou abandonné", "declined or abandoned"),
}

_SENTENCES: Final[dict[tuple[str, str], Callable[[Facts], Pair]]] = {
    ("happened", "checkout"): _fixed("Le parcours de commande a été ouvert.", "The checkout was opened."),
    ("declared", "contact"): _fixed(
        "Le consommateur a donné ses coordonnées.", "The consumer gave contact details."
    ),
    ("chosen", "consent"): _consent,
    ("chosen", "objection"): _objection,
    ("chosen", "delivery"): _fixed(
        "Le consommateur a choisi le mode de livraison, parmi ceux qui étaient offerts avec leurs frais.",
        "The consumer chose the delivery, among those that were offered with their fees.",
    ),
    ("chosen", "payment"): _fixed(
        "Le consommateur a choisi le moyen de paiement.", "The consumer chose the means of payment."
    ),
    ("shown", "recap"): _recap,
    ("accepted", "terms"): _terms,
    ("accepted", "early_start"): _fixed(
        "Le consommateur a demandé l'exécution immédiate et reconnu perdre son droit de rétractation.",
        "The consumer asked for immediate performance and acknowledged losing the right of withdrawal.",
    ),
    ("declared", "age"): _fixed("Le consommateur a déclaré son âge.", "The consumer declared his age."),
    ("accepted", "button"): _button,
    ("happened", "order"): _order,
    ("happened", "payment"): _payment,
    ("shown", "terms"): _fixed(
        "Les conditions générales de vente ont été tenues à disposition, en PDF.",
        "The terms of sale were at hand, as a PDF.",
    ),
    ("shown", "confirmation"): _fixed(
        "La confirmation sur support durable (PDF) a été établie et remise à l'envoi.",
        "The confirmation on a durable medium (PDF) was made and handed over to be sent.",
    ),
    ("shown", "confirmation_mail"): _fixed(
        "Le courriel qui porte la confirmation a été établi.", "The mail that brings the confirmation was made."
    ),
    ("happened", "message"): _message,
    ("happened", "refund"): _fixed("Un remboursement a été constaté.", "A refund was recorded."),
    ("happened", "erasure"): _fixed(
        "Les données personnelles ont été effacées (RGPD, article 17) ; les actes et leurs empreintes demeurent.",
        "Personal data were erased (GDPR, article 17); the acts and their hashes remain.",
    ),
    ("happened", "expired"): _fixed("Le parcours a expiré sans commande.", "The checkout expired without an order."),
}  # fmt: skip

_BREAKS: Final = frozenset(
    {"p", "div", "section", "header", "footer", "nav", "main", "article", "table", "tr", "ul", "ol", "li", "dl", "dt",
     "dd", "h1", "h2", "h3", "h4", "br", "form", "fieldset", "legend", "label", "summary", "details", "button"}
)  # fmt: skip
_SILENT: Final = frozenset({"head", "style", "script", "template", "svg"})


def readable(html: str) -> str:
    """The words of a page as whoever saw it read them, a line each block; its code is shown beside it."""
    reader = _Reader()
    reader.feed(html)
    reader.close()
    lines = (" ".join("".join(line).split()) for line in reader.lines)
    return "\n".join(line for line in lines if line)


class _Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.lines: list[list[str]] = [[]]
        self._silent = 0

    @override
    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag in _SILENT:
            self._silent += 1
        elif tag in _BREAKS:
            self.lines.append([])
        elif tag in {"td", "th"} and self.lines[-1]:
            self.lines[-1].append(" | ")
        elif tag == "input":
            given = dict(attrs)
            if given.get("type") in {"checkbox", "radio"}:
                self.lines[-1].append("[x] " if "checked" in given else "[ ] ")

    @override
    def handle_endtag(self, tag: str) -> None:
        if tag in _SILENT:
            self._silent = max(0, self._silent - 1)
        elif tag in _BREAKS:
            self.lines.append([])

    @override
    def handle_data(self, data: str) -> None:
        if not self._silent:
            self.lines[-1].append(data)
