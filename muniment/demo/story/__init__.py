"""The story, act by act, told to any running system through its HTTP API alone and in event time."""

from muniment.demo.story.told import tell

__all__ = ["tell"]
