"""From predictions to a histogram, and from the histogram to every metric."""
