"""A small shop in Python that sells through Relance: pages, a cart, and the hosted checkout behind one gRPC call."""
