"""One file per claim: arms, controls, a measure and the rule that judges it."""
