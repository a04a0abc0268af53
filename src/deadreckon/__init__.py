"""deadreckon: how far can a language model be trusted to run on its own output?"""
