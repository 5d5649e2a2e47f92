"""Kafka: the local broker, the clients, the shops, and the harness that carries state machines."""
