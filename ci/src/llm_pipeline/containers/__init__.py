"""The containers' executor: everything that needs Dagger, and nothing else does."""
