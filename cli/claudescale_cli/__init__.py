"""The command `claudescale`: a thin door to the engine."""
