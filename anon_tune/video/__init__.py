"""Read and write video files: frames with their times, audio and metadata."""
