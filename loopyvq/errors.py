"""The errors a user can meet; every one is a `LoopyVQError`, so one `except` catches them all."""

__all__ = [
    "BitstreamError",
    "CheckpointError",
    "ConfigError",
    "DataError",
    "LoopyVQError",
    "TrainingError",
]


class LoopyVQError(Exception):
    """The base of every error that bad files, bad configs or bad data can raise."""


class ConfigError(LoopyVQError, ValueError):
    """A configuration names an unknown option or a value outside its range."""


class DataError(LoopyVQError):
    """A data set is missing, empty, or holds something that is no image."""


class CheckpointError(LoopyVQError):
    """A checkpoint is truncated, of another version, or does not fit the model it names."""


class BitstreamError(LoopyVQError):
    """A token file is damaged, truncated, or was written by another model."""


class TrainingError(LoopyVQError):
    """Training cannot go on: a loss is not finite, or the run to resume is not there."""
