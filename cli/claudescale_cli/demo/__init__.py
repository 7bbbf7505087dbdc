"""`claudescale demo`: a raw write to /scale and a lease, one after the other, watched and drawn."""
