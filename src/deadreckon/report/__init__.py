"""Draws Readings; computes nothing."""
