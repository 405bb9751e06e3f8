"""Finding the passages of the corpus that answer a question."""
