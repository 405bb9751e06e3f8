"""Answers: what the passages say, in whose words, and when to say that one does not know."""
