"""The corpus: the author's documents, read, cleaned, masked and kept."""
