"""Relance: what its services share and what customers import."""
