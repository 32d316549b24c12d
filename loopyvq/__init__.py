"""Variable-length visual tokens: every latent vector gets as many tokens as it needs."""

__version__ = "0.1.0.dev0"
