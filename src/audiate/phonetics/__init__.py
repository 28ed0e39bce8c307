"""Study the sounds of a generator: measures, codes, directions, edits, activations."""
