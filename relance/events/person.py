"""Said by all: who a visitor is, and what he consented to."""

from relance.events.checkout import Channel
from relance.events.envelope import Data, Envelope, Id, Text

__all__ = ["ConsentChanged", "ConsentData", "IdentityData", "IdentityLinked"]


class ConsentData(Data, frozen=True, kw_only=True):
    """Only the status "granted" grants; `proof` says how the word was given, `text_version` to which text."""

    channel: Channel
    status: Text
    purpose: Text | None = None
    subject: Id | None = None
    text_version: Text | None = None
    proof: Text | None = None


class ConsentChanged(Envelope, frozen=True, kw_only=True, tag="consent.changed"):
    """A consent was given, refused or taken back."""

    data: ConsentData


class IdentityData(Data, frozen=True, kw_only=True):
    """A pair of ids; absent ones are those of the envelope. `visitor` is the UUID that stands for `anonymous_id`."""

    anonymous_id: Id | None = None
    visitor: Id | None = None
    user_id: Id | None = None
    method: Text | None = None
    strength: Text | None = None


class IdentityLinked(Envelope, frozen=True, kw_only=True, tag="identity.linked"):
    """Two ids belong to one person."""

    data: IdentityData = IdentityData()
