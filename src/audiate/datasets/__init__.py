"""Data sets: where they are (`fetch`), what is in them, and how sound and image are paired."""
