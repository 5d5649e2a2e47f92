"""Tracking: takes in what shops and browsers say happened.

Hears: HTTP (`/v1/events`, `/v1/segment/*`, `/v1/ga4`, `/v1/collect`), gRPC (`TrackingService`), the raw topic
`shop-events`, and `tracking.shops.v1` for keys, limits and origins.
Keeps: nothing but dead letters, in `tracking.dead-letters.v1`.
Says: `tracking.batches.v1` (Arrow batches, one visitor always in one partition) and `tracking.facts.v1` (whole events).
Promises: an event that was acknowledged is in Kafka, on all in-sync replicas; a bad one is refused or dead-lettered
with its reason, never lost silently; when Kafka cannot take more, senders are told to come back; memory does not grow.
"""
