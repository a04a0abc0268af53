"""Models behind an OpenAI-compatible server: requests, replies that count, limits, cost, and what a server promises."""
