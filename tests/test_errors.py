import pytest

from loopyvq import errors


@pytest.mark.parametrize("name", errors.__all__)
def test_one_except_catches_them_all(name):
    error = getattr(errors, name)("what happened")
    assert isinstance(error, errors.LoopyVQError)
    assert str(error) == "what happened"


def test_a_config_error_is_a_value_error():
    assert issubclass(errors.ConfigError, ValueError)
