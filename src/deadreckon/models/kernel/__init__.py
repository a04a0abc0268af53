"""The fast lane: the small GPT decoded by a C kernel, which the machine's own compiler builds at its first use."""
