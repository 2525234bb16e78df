"""The parts of the Evaluation tab: sentences, the matrix of confused classes, and a single pair."""
