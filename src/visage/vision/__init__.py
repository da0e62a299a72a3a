"""Arrays in, arrays out: from the bytes of a picture to faces and their embeddings."""
