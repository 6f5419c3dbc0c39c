"""Clusters: what is checked before one is started, and studies that are sent to one as a job."""
