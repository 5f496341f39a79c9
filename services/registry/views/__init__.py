"""Views beside those of what is registered: `gates` what judges versions, and what became of it. Pure."""
