"""What the store and the log in PostgreSQL are made of; used only by `postgres_store` and `postgres_log`."""
