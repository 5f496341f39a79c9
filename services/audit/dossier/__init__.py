"""The dossier of one prediction: all that concerns it, put together from the story that the ledger tells. Pure."""
