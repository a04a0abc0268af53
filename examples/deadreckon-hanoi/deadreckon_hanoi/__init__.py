"""The Tower of Hanoi as a world of deadreckon."""
