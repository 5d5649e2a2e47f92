"""Data layer pushes, as `/v1/ga4` takes them; the mapping is shared with the command line, which reads files of them."""

from relance.events.bodies.ga4 import to_events

__all__ = ["to_events"]
