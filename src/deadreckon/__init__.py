"""deadreckon: how far can a language model be trusted to run on its own output?"""

__version__ = "0.1.0"
