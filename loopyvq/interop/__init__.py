"""To and from other programs and formats."""
