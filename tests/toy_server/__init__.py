"""An OpenAI-compatible server over models with known laws, with switchable defects and faults (standard library)."""

from __future__ import annotations

from toy_server.engine import Manners
from toy_server.laws import Law, ToyLaw, WorldLaw
from toy_server.serve import FAULTS, ToyServer

__all__ = ["FAULTS", "Law", "Manners", "ToyLaw", "ToyServer", "WorldLaw"]
