"""The demonstration: train for two minutes, tokenize photographs, show where the tokens went."""
