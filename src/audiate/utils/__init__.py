"""Files, devices, progress bars and plots: nothing that knows about audio."""
