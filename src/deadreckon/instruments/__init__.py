"""Pure functions from a step table to Readings."""
