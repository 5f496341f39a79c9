"""All of Muniment on this machine alone: five services in one process, with PostgreSQL and Valkey from their wheels."""
