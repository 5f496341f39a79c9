"""The rooms of feedback, for whoever wires it."""

from services.feedback.api import router
from services.feedback.projection import TABLES
from services.feedback.worker import consumers, periodic
from shared.runtime.service import Definition

DEFINITION = Definition("feedback", TABLES, router, consumers, periodic)
