"""What the Evaluation tab shows: sentences, the matrix of confused classes, and a pair of them."""
