"""Processes that a measurement starts beside the product: the engine, and what to compare with."""
