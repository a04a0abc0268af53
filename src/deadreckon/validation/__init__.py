"""Planted truths and coverage studies: the instrument measured."""
