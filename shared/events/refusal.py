"""How a decision says no."""


class Refused(Exception):
    """A decision said no. `code` is a stable word, `status` the HTTP status, `extra` more members of the problem."""

    def __init__(self, code: str, detail: str, *, status: int = 409, **extra: object) -> None:
        super().__init__(detail)
        self.code, self.detail, self.status, self.extra = code, detail, status, extra
