"""Read, resample and analyse audio: files, Fourier transforms, spectrograms, words."""
