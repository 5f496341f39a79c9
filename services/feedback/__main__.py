"""`python -m services.feedback api|worker|all`."""

from services.feedback.service import DEFINITION
from shared.runtime.wiring import main

if __name__ == "__main__":
    main(DEFINITION)
