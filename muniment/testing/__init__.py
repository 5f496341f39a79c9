"""Tests of a model: `declared` as YAML beside it · `checks` one by one · `running` all · `memory` of a process."""
