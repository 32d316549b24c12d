"""Measurements: distortion, rate, use of the codebook."""
