"""Replicas of a page's classifiers on a Ray cluster, so that many processes answer for one page."""
