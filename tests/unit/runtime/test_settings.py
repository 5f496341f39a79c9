"""A setting that cannot be taken is told in a sentence, by the name under which it was set."""

import sys

import pytest

import console.__main__
import muniment.cli
from services.audit.service import DEFINITION
from shared.runtime import wiring
from shared.runtime.settings import BadSetting, Settings

WRONG = {
    "MUNIMENT_WITNESSES": ("{x", "MUNIMENT_WITNESSES: it is no JSON: Expecting property name"),
    "MUNIMENT_PORT": ("abc", "MUNIMENT_PORT: Input should be a valid integer"),
    "MUNIMENT_QUALITY_BOUNDS": ('{"auc": "high"}', "MUNIMENT_QUALITY_BOUNDS.auc: Input should be a valid number"),
}


@pytest.mark.parametrize("name", WRONG)
def test_what_is_wrong_is_named(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    value, told = WRONG[name]
    monkeypatch.setenv(name, value)
    with pytest.raises(BadSetting) as caught:
        Settings.read()
    assert str(caught.value).startswith(told)


@pytest.mark.parametrize(
    ("program", "arguments", "code"),
    [
        (muniment.cli.main, ["up"], 2),
        (muniment.cli.main, ["verify-views"], 2),
        (console.__main__.main, [], 1),
        (lambda: wiring.main(DEFINITION), ["api"], 1),
        (lambda: wiring.main(DEFINITION), ["verify"], 2),
    ],
    ids=["muniment up", "muniment verify-views", "console", "service", "verification"],
)
def test_no_process_starts_with_it_nor_ends_in_a_traceback(monkeypatch, capsys, program, arguments, code) -> None:
    monkeypatch.setenv("MUNIMENT_PORT", "abc")
    monkeypatch.setenv("MUNIMENT_WITNESSES", "{x")
    monkeypatch.setattr(sys, "argv", ["it", *arguments])
    with pytest.raises(SystemExit) as ended:
        program()
    assert ended.value.code == code
    assert "MUNIMENT_WITNESSES: it is no JSON" in capsys.readouterr().err
