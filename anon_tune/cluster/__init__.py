"""Clusters: checks of cluster files, the capacity and price that a study can expect, and studies sent as jobs."""
