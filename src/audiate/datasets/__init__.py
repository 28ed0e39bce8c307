"""Data sets: where they are (`sources`), how they get there (`fetch`), what is in them."""
