"""Events on their way to Kafka: `publisher` (records out), `batcher` (many small submissions), `raw` (the raw topic).

All of it is single-threaded on purpose: delivery reports are served by whoever calls `poll`, so no state needs a lock.
"""
