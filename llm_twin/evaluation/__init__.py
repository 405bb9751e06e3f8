"""How good the twin is: questions whose answers are known, and what it makes of them."""
