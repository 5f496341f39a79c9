"""What comes in, from bytes to a record batch that the log may take. Pure; every fault is a Problem with its place."""
