"""Clusters: what their files say and a study can expect of them, and studies that are sent to one as a job."""
