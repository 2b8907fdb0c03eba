"""Measurements: claims of speed come from here."""
