"""The shell around the pure core: command loop, consumer loop, relay, app factory, identity, settings."""
