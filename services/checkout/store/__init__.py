"""The database of the checkout: aggregates, evidence, and what follows from a transaction, stored with it."""

from services.checkout.store.access import Token
from services.checkout.store.aggregates import ANY, Wanted
from services.checkout.store.dossiers import Place, dossier_of, find_chains
from services.checkout.store.errors import Conflict, KeyReused
from services.checkout.store.keys import (
    MasterKey,
    find_master_key,
    local_master_key,
    local_signing_key,
    master_key,
    read_signing_key,
    signing_keys,
)
from services.checkout.store.opening import open_store
from services.checkout.store.outbox import Message, Outbox
from services.checkout.store.queues import QueuedEffect
from services.checkout.store.rotation import Rewrapped, master_names, rewrap
from services.checkout.store.sealing import Sealing
from services.checkout.store.store import Store
from services.checkout.store.transaction import Transaction
from services.checkout.store.verifying import Watching, lost_places, verify_store, verify_stream

__all__ = [
    "ANY", "Conflict", "KeyReused", "MasterKey", "Message", "Outbox", "Place", "QueuedEffect", "Rewrapped", "Sealing",
    "Store", "Token", "Transaction", "Wanted", "Watching", "dossier_of", "find_chains", "find_master_key",
    "local_master_key", "local_signing_key", "lost_places", "master_key", "master_names", "open_store",
    "read_signing_key", "rewrap", "signing_keys", "verify_store", "verify_stream",
]  # fmt: skip
