"""One page, many processes that answer: replicas of its classifiers on a Ray cluster."""
