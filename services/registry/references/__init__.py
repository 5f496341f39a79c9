"""A version's reference that lies in a file: read once, when the version is registered, into values on its event.

`fetching` the bytes of a URI, within limits · `columns` a file's columns as values, sampled · `reading` both together.
Nothing reads the file again: who folds the event needs neither it nor the right to it (ADR 7).
"""
