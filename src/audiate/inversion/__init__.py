"""GAN inversion: recover the latent vector of a sound."""
