"""Transformers over tokens: what comes next, given all before and what is known of the image."""
