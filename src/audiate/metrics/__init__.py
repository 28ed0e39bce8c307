"""Metrics of reconstructions, sets of samples and classifiers, as functions of tensors."""
