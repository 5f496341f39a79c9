"""What all five services share: the language (events), the log, and the runtime around the pure core."""
