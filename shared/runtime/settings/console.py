"""The console in a process of its own."""

from shared.runtime.settings.environment import Environment


class ConsoleSettings(Environment):
    console_services: str = "http://127.0.0.1:8080"
    """Where a console in a process of its own finds the services: one base URL, or `SERVICE=URL,SERVICE=URL`."""
