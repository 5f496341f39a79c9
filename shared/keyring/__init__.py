"""Keys of the people whose data the log holds encrypted: outside the log, one per person, and destroyed on demand."""
