"""Clusters: what their files say and what a study can expect of them, and studies sent to one as a job."""
