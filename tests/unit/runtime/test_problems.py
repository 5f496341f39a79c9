"""What a 404 advises."""

import pytest

from shared.runtime.problems import Problem, not_found


@pytest.mark.parametrize(
    ("existing", "told"),
    [
        ((), "No goal exists yet"),
        (("warm",), "Did you mean warm?"),
        (("warm", "warn"), "It appeared this moment"),
    ],
)
def test_what_is_unknown_names_what_is_near_but_never_itself(existing: tuple[str, ...], told: str) -> None:
    with pytest.raises(Problem) as found:
        not_found("goal", "warn", existing)
    assert found.value.fix is not None
    assert found.value.fix.startswith(told)
