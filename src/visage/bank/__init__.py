"""The memory bank: persons, photos and embeddings, kept safe and found again."""
