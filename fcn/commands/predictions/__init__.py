"""What `predict` reads and leaves behind: pictures and videos in, results and their page out."""
