"""Dataclass configs from YAML files and command-line overrides, checked strictly.

A config is a frozen dataclass whose fields are documented in its docstring and whose ranges are
checked in ``__post_init__``. No file and no option ever names a Python path.

    YAML file --read_yaml--> mapping --parse_config--> <Thing>Config --config_to_dict--> JSON
                                         ^
                      "--training.steps 500" overrides
"""

import dataclasses
import functools
import math
import re
import typing
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal, TypeVar

from loopyvq.errors import ConfigError

if TYPE_CHECKING:
    import jsonargparse

__all__ = [
    "config_changes",
    "config_to_dict",
    "parse_config",
    "read_yaml",
    "require_numbers",
]

ConfigT = TypeVar("ConfigT")

Range = Literal[
    "at least 1",
    "0 or more",
    "a finite number of at least 0",
    "above 0",
    "within [0, 1]",
    "within [0, 1)",
    "within (0, 1]",
]
"""Where the numbers of most fields must be, in the words of the message."""

_HOLDS: Final[dict[Range, Callable[[float], bool]]] = {
    "at least 1": lambda value: value >= 1,
    "0 or more": lambda value: value >= 0,
    "a finite number of at least 0": lambda value: 0 <= value < math.inf,
    "above 0": lambda value: value > 0,
    "within [0, 1]": lambda value: 0 <= value <= 1,
    "within [0, 1)": lambda value: 0 <= value < 1,
    "within (0, 1]": lambda value: 0 < value <= 1,
}


def require_numbers(config: Any, wanted: Range, *names: str) -> None:
    """Check numbers of a config, in its ``__post_init__``.

    Args:
        config: a config dataclass.
        wanted: where the numbers must be.
        names: the fields that hold them.

    Raises:
        ConfigError: one is elsewhere, or is NaN.
    """
    for name in names:
        value = getattr(config, name)
        if not _HOLDS[wanted](value):
            raise ConfigError(f"{name} must be {wanted}, got {value}")


def read_yaml(path: str | Path) -> dict[str, Any]:
    """Read a YAML file that holds one mapping.

    Args:
        path: the file.

    Returns:
        The mapping, empty for an empty file.

    Raises:
        ConfigError: the file is missing, is not YAML, or is not a mapping.
    """
    import yaml

    path = Path(path)
    try:
        loaded = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "it is not UTF-8 text"
        raise ConfigError(f"cannot read the config {path}: {reason}") from error
    except yaml.YAMLError as error:
        raise ConfigError(f"{path} is not valid YAML: {_one_line(error)}") from error
    if loaded is None:
        return {}
    if not isinstance(loaded, dict):
        raise ConfigError(f"{path} must hold a mapping of options, not a {type(loaded).__name__}")
    return loaded


def parse_config(
    config_class: type[ConfigT],
    values: Mapping[str, Any] | None = None,
    overrides: Sequence[str] = (),
) -> ConfigT:
    """Build a config from nested values and command-line overrides; later ones win.

    Args:
        config_class: a dataclass whose fields are plain values or further config dataclasses.
        values: nested mapping of options, as read from YAML or JSON.
        overrides: command-line words such as ``["--training.steps", "500"]``.

    Returns:
        An instance of ``config_class``; options that are not given keep their defaults.

    Raises:
        ConfigError: an option is unknown, of the wrong type, or outside its range; or it is not
            finite where its default is.

    Example:
        >>> from dataclasses import dataclass
        >>> @dataclass(frozen=True)
        ... class OptimConfig:
        ...     learning_rate: float = 1e-3
        >>> parse_config(OptimConfig, {"learning_rate": 0.1})
        OptimConfig(learning_rate=0.1)
        >>> parse_config(OptimConfig, overrides=["--learning_rate", "0.2"])
        OptimConfig(learning_rate=0.2)
    """
    import jsonargparse

    _require_mappings(config_class, dict(values or {}))
    parser = _parser(config_class)  # type: ignore[arg-type]  # classes are hashable
    words = [f"--config.{word[2:]}" if word.startswith("--") else word for word in overrides]
    try:
        base = parser.parse_object({"config": dict(values or {})})
        parsed = parser.parse_args(words, namespace=base)
        built = parser.instantiate(parsed)
    except jsonargparse.ArgumentError as error:
        raise ConfigError(_explain(error)) from error
    except (TypeError, ValueError) as error:
        raise ConfigError(_one_line(error)) from error
    config = built["config"]
    if not isinstance(config, config_class):  # jsonargparse hands back a namespace only on misuse
        raise ConfigError(f"{config_class.__name__} is not a config dataclass")
    _require_finite(config)
    return config


@functools.cache
def _parser(config_class: type[Any]) -> "jsonargparse.ArgumentParser":
    """Make the parser of a config class; making it takes longer than parsing."""
    import jsonargparse

    parser = jsonargparse.ArgumentParser(exit_on_error=False, allow_abbrev=False)
    parser.add_class_arguments(config_class, nested_key="config")
    return parser


def config_to_dict(config: Any) -> dict[str, Any]:
    """Turn a config into nested plain values that JSON can hold and `parse_config` reads back.

    Args:
        config: an instance of a config dataclass.

    Returns:
        The nested mapping of all its fields.
    """
    return dataclasses.asdict(config)


def config_changes(config: Any, default: Any = None) -> dict[str, Any]:
    """Give only what differs from the defaults, so that options added later change nothing.

    Args:
        config: an instance of a config dataclass.
        default: what it is compared with; by default what each field says.

    Returns:
        The nested mapping of the fields that differ.
    """
    changes: dict[str, Any] = {}
    for field in dataclasses.fields(config):
        value, usual = getattr(config, field.name), _default_of(field)
        if default is not None:
            usual = getattr(default, field.name)
        if dataclasses.is_dataclass(value) and type(value) is type(usual):
            value = config_changes(value, usual)
            if value:
                changes[field.name] = value
        elif value != usual:
            is_config = dataclasses.is_dataclass(value) and not isinstance(value, type)
            changes[field.name] = dataclasses.asdict(value) if is_config else value
    return changes


def _default_of(field: "dataclasses.Field[Any]") -> Any:
    if field.default_factory is not dataclasses.MISSING:
        return field.default_factory()
    return field.default


def _require_mappings(config_class: Any, values: Mapping[str, Any], prefix: str = "") -> None:
    """Refuse a plain value where a nested config belongs; the parser's own message is obscure."""
    hints = typing.get_type_hints(config_class)
    for name, value in values.items():
        if dataclasses.is_dataclass(hints.get(name)):
            if not isinstance(value, Mapping):
                raise ConfigError(f"{prefix}{name} must be a mapping of options, got {value!r}")
            _require_mappings(hints[name], value, f"{prefix}{name}.")


def _require_finite(config: Any, prefix: str = "") -> None:
    """Refuse NaN and infinity, which most ranges let through, where they are no default."""
    for field in dataclasses.fields(config):
        value, name = getattr(config, field.name), f"{prefix}{field.name}"
        if dataclasses.is_dataclass(value):
            _require_finite(value, f"{name}.")
        elif not _is_finite(value) and _is_finite(_default_of(field)):
            raise ConfigError(f"{name} must be finite, got {value}")


def _is_finite(value: Any) -> bool:
    numbers = value if isinstance(value, tuple | list) else (value,)
    return all(math.isfinite(number) for number in numbers if isinstance(number, float))


def _explain(error: Exception) -> str:
    """Turn the parser's message into one line that names the option as the user wrote it."""
    line = _one_line(error).replace("config.", "").replace("Group 'config' does", "the config does")
    line = re.sub(r"Parser key \"(\S+)\":", r"\1:", line)
    return re.sub(r"<class '(\w+)'>", r"\1", line).replace("typing.Literal", "one of ")


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())
