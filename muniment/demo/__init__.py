"""The demo: a year of real flights from New York, played through a running system."""
