"""Sprites."""
