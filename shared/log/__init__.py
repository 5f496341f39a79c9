"""The log and what is kept with it: ports (`records`, `log`, `store`) and their adapters (memory, postgres, kafka)."""
