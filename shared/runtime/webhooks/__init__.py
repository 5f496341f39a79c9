"""Webhooks out, for any service: `hosts` which addresses may be told · `signing` keys · `body` what they get ·
`delivering` at least once."""
