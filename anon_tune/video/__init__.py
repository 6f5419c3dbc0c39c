"""Video files in and out: frames with their times, audio and metadata."""
