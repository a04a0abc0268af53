"""Text in, text out: one model, one file."""
