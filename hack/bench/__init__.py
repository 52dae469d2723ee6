"""Measurements: distributions with the method written down. Tests never assert on them."""
