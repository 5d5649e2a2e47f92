"""Databases as services speak to them: which drivers, and how."""
