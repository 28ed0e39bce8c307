"""Weights for audiate, in the folder ``weights``. `audiate.hub` finds them; there is no code."""
