"""`claudescale compare`: one announced launch with the HPA alone, with a raw write to /scale, and with a lease."""
