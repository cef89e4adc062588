"""What we believe: warps, latents, encoders, decoders, likelihoods and the one model class."""
