"""Making small models: sources of text, the training loop, checkpoints, recipes."""

import deadreckon.models.threads  # noqa: F401  before any module of this package loads torch
