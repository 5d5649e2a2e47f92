"""How a service answers gRPC: bounds, health, start and end of a server, and how a call is refused."""
