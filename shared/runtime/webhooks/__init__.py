"""Webhooks out, for any service: `hosts` which addresses may be told · `signing` keys · `delivering` at least once."""
