"""Documents: the confirmation of an order (PDF, mail) and the legal pages of a shop (HTML, PDF)."""

from services.checkout.adapters.documents.papers import Documents, Rendered

__all__ = ["Documents", "Rendered"]
