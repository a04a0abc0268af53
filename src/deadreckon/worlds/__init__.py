"""Formal systems whose truth is computable: one world, one file."""
