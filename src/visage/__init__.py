"""Visage remembers faces for people who cannot."""

__version__ = "0.1.0"
