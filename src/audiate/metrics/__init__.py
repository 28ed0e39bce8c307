"""Scores of reconstructions and of sets of samples."""
