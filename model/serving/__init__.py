"""Replicas of a page's classifiers, in processes of a Ray cluster."""
