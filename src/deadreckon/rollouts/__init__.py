"""The loop that joins world, model and scaffold, its step table and its storage."""
