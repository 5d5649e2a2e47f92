"""The words of a dossier, in French and in English. What they say is part of the format: a change is a new version."""

from typing import Final

__all__ = ["ACTS", "AUTHORS", "LABELS", "LIMITS", "MANUAL", "PURPOSE", "SUBJECTS", "Pair"]

Pair = tuple[str, str]  # French, English

ACTS: Final[dict[str, Pair]] = {
    "shown": ("Affiché au consommateur", "Shown to the consumer"),
    "chosen": ("Choisi par le consommateur", "Chosen by the consumer"),
    "accepted": ("Accepté par le consommateur", "Accepted by the consumer"),
    "declared": ("Déclaré par le consommateur", "Declared by the consumer"),
    "happened": ("Fait constaté", "Event recorded"),
}

AUTHORS: Final[dict[str, Pair]] = {
    "checkout": ("le tunnel de commande lui-même", "the checkout itself"),
    "shop": (
        "attesté par la boutique, qui affiche ses propres pages",
        "attested by the shop, which shows its own pages",
    ),
    "payment": ("déclaré par le prestataire de paiement", "reported by the payment provider"),
    "notification": ("déclaré par le service d'envoi", "reported by the mail service"),
}

SUBJECTS: Final[dict[str, Pair]] = {
    "button": ("bouton de commande", "order button"),
    "confirmation": ("confirmation sur support durable", "confirmation on a durable medium"),
    "consent": ("consentement", "consent"),
    "contact": ("coordonnées", "contact details"),
    "conditions": ("moyens de paiement et restrictions de livraison", "payment means and delivery restrictions"),
    "coupon": ("code de réduction", "coupon"),
    "delivery": ("livraison", "delivery"),
    "digital_waiver": ("renonciation au droit de rétractation", "waiver of the right of withdrawal"),
    "guarantees": ("garanties légales", "legal guarantees"),
    "notice": ("information sur les données personnelles", "privacy notice"),
    "objection": ("opposition à la prospection", "objection to canvassing"),
    "order": ("commande", "order"),
    "payment": ("paiement", "payment"),
    "recap": ("récapitulatif", "recap of the order"),
    "refund": ("remboursement", "refund"),
    "terms": ("conditions générales de vente", "terms of sale"),
    "withdrawal": ("rétractation", "withdrawal"),
    "withdrawal_notice": ("information sur le droit de rétractation", "withdrawal notice"),
}

LABELS: Final[dict[str, Pair]] = {
    "title": ("Preuves de la commande", "Evidence of order"),
    "shop": ("Boutique", "Shop"),
    "order": ("Commande", "Order"),
    "chain": ("Dossier, ouvert avant la commande", "File, opened before the order"),
    "entries": ("Nombre d'actes", "Number of acts"),
    "head": ("Dernière empreinte de la chaîne", "Last hash of the chain"),
    "keys": ("Clé publique de signature (Ed25519)", "Public signing key (Ed25519)"),
    "acts": ("Actes", "Acts"),
    "act": ("Acte", "Act"),
    "at": ("Enregistré le (heure de Paris)", "Recorded at (Paris time)"),
    "utc": ("Temps universel", "Universal time"),
    "by": ("Source", "Source"),
    "rule": ("Règle et article", "Rule and article"),
    "version": ("version", "version"),
    "facts": ("Faits", "Facts"),
    "document": ("Document", "Document"),
    "bytes": ("octets", "bytes"),
    "download": ("ouvrir la copie jointe à ce fichier", "open the copy in this file"),
    "text": ("Texte affiché", "Text shown"),
    "absent": ("copie non jointe", "no copy in this file"),
    "commitment": ("SHA-256 du sel suivi du contenu", "SHA-256 of the salt followed by the content"),
    "personal": ("Données personnelles", "Personal data"),
    "closed": (
        "chiffrées ; clé effacée ou non communiquée, seule l'empreinte salée demeure",
        "encrypted; the key was erased or withheld, and only the salted hash remains",
    ),
    "hash": ("Empreinte de l'acte (SHA-256)", "Hash of the act (SHA-256)"),
    "prior": ("Empreinte de l'acte précédent", "Hash of the act before"),
    "seals": ("Scellés", "Seals"),
    "checkpoint": ("Scellé", "Checkpoint"),
    "sealed_at": ("Signé le (heure de Paris)", "Signed at (Paris time)"),
    "covers": ("Actes couverts", "Acts covered"),
    "sealed_head": ("Empreinte scellée", "Sealed hash"),
    "none": ("Aucun scellé ne couvre encore cette commande.", "No checkpoint covers this order yet."),
    "purpose": ("Ce que ce fichier établit", "What this file establishes"),
    "manual": ("Vérifier à la main", "Verifying by hand"),
    "limits": ("Ce qu'il n'établit pas", "What it does not establish"),
}

PURPOSE: Final[Pair] = (
    (
        "Ce fichier contient tous les actes enregistrés pour une commande, dans l'ordre. Chaque acte porte "
        "l'empreinte SHA-256 du précédent : modifier, ajouter, ôter ou déplacer un acte change toutes les empreintes "
        "suivantes. Chaque minute, l'état de toutes les chaînes qui ont avancé est réuni en une empreinte unique, "
        "signée (Ed25519) avec celle de la minute précédente, et conservé hors de la base de données."
    ),
    (
        "This file holds all acts recorded for one order, in their order. Each act carries the SHA-256 hash of the "
        "one before: to change, add, remove or move an act changes every hash after it. Each minute, the state of all "
        "chains that moved is gathered in one hash, signed (Ed25519) together with that of the minute before, and "
        "kept outside the database."
    ),
)

LIMITS: Final[tuple[Pair, ...]] = (
    (
        (
            "Un acte modifié ou supprimé avant le premier scellé qui le suit (environ une minute) ne laisse pas de "
            "trace ici, sauf si son empreinte figure dans la confirmation remise au consommateur."
        ),
        (
            "An act that was changed or removed before the first checkpoint after it (about a minute) leaves no trace "
            "here, unless its hash is in the confirmation that the consumer holds."
        ),
    ),
    (
        (
            "Les heures sont celles des horloges du professionnel. Qui détient la clé de signature et toutes les "
            "copies du journal des scellés peut les récrire ; une confirmation ou une copie tenue par un tiers le "
            "révèle."
        ),
        (
            "Times are those of the trader's clocks. Whoever holds the signing key and all copies of the log of "
            "checkpoints can write them anew; a confirmation, or a copy that somebody else keeps, reveals it."
        ),
    ),
    (
        (
            "Les actes postérieurs au dernier scellé, et ceux qu'un fichier plus récent contiendrait, n'apparaissent "
            "pas comme manquants : comparer au journal des scellés."
        ),
        (
            "Acts after the last checkpoint, and those that a later file would hold, do not show as missing: compare "
            "with the log of checkpoints."
        ),
    ),
    (
        (
            "La clé publique doit être comparée à celle que le professionnel a publiée ou imprimée dans la "
            "confirmation : un fichier ne peut se porter garant de sa propre clé."
        ),
        (
            "The public key must be compared with the one that the trader published or printed in the confirmation: a "
            "file cannot vouch for its own key."
        ),
    ),
)

MANUAL: Final[tuple[tuple[Pair, str], ...]] = (
    (
        (
            "Extraire la partie lisible par machine (remplacer preuves.html par le nom de ce fichier) :",
            "Extract the part for machines (replace preuves.html by the name of this file):",
        ),
        """sed -n '/^<script type="application\\/json"/{n;p;}' preuves.html > evidence.json""",
    ),
    (
        (
            (
                "Recalculer les empreintes, leur enchaînement et le chemin vers l'empreinte signée ; les comparer à "
                "celles de cette page :"
            ),
            (
                "Compute the hashes, their links and the path to the signed hash again; compare them with those of "
                "this page:"
            ),
        ),
        """python3 - <<'END'
import base64, hashlib, json
hash_of = lambda data: hashlib.sha256(data).digest()
evidence = json.load(open("evidence.json", encoding="utf-8"))
prior, hashes = "0" * 64, []
for text in evidence["entries"]:
    entry = json.loads(text)
    assert entry["prior"] == prior and entry["seq"] == len(hashes), "broken chain"
    assert (entry["shop"], entry["order"]) == (evidence["shop"], evidence["order"]), "another order"
    prior = hash_of(text.encode()).hex()
    hashes.append(prior)
    print("act", entry["seq"], prior)
for seal in evidence["seals"]:
    head, header = seal["head"], json.loads(seal["header"])
    assert head["hash"] == hashes[head["length"] - 1], "not the sealed act"
    leaf = json.dumps(head, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    node = hash_of(b"\\0" + leaf.encode())
    for side, beside in seal["path"]:
        other = bytes.fromhex(beside)
        node = hash_of(b"\\1" + (other + node if side == "left" else node + other))
    assert node.hex() == header["root"], "not under this seal"
    name = "seal-%d" % header["number"]
    open(name + ".header", "wb").write(seal["header"].encode())
    open(name + ".signature", "wb").write(bytes.fromhex(seal["signature"]))
    key = bytes.fromhex("302a300506032b6570032100" + header["key"])
    lines = "-----BEGIN PUBLIC KEY-----\\n%s\\n-----END PUBLIC KEY-----\\n"
    open(name + ".pem", "w").write(lines % base64.b64encode(key).decode())
    print(name, header["at"], "acts:", head["length"], "key:", header["key"])
END""",
    ),
    (
        (
            "Vérifier chaque signature (OpenSSL 3) ; chaque ligne doit dire « Signature Verified Successfully » :",
            "Verify each signature (OpenSSL 3); each line must say “Signature Verified Successfully”:",
        ),
        """for header in seal-*.header; do seal="${header%.header}"
openssl pkeyutl -verify -pubin -inkey "$seal.pem" -rawin -in "$header" -sigfile "$seal.signature"; done""",
    ),
    (
        (
            (
                "L'empreinte d'un document joint se vérifie par « sha256sum » sur la copie ouverte ; celle de données "
                "personnelles, par sha256 du sel suivi de la valeur. L'outil Relance fait tout cela, et compare au "
                "journal :"
            ),
            (
                "The hash of a document in this file is checked with “sha256sum” on the opened copy; that of personal "
                "data is the sha256 of the salt followed by the value. The Relance tool does all of this, and "
                "compares with the log:"
            ),
        ),
        "relance evidence verify preuves.html --key KEY.pem --checkpoints LOG",
    ),
)
