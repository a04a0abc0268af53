"""Making small models: sources of text, the training loop, checkpoints, recipes."""
