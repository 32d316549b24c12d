"""Numbers as words, and the attributes that tie an element to one threshold.

Whatever belongs to one threshold carries ``data-show="i"`` and is hidden while another one is
chosen, or ``data-mark="i"`` and is highlighted while it is chosen; ``page.js`` does both.
"""

import math

__all__ = ["duration", "mark", "middle", "number", "show"]


def number(value: float, digits: int = 2) -> str:
    """Write a number, or a sign for what is none.

    Args:
        value: the number.
        digits: decimals.

    Returns:
        Markup, thousands separated by commas.

    Example:
        >>> number(1234.5), number(-0.3, 1), number(-0.02, 1), number(float("nan"))
        ('1,234.50', '&minus;0.3', '0.0', '&ndash;')
    """
    if math.isnan(value):
        return "&ndash;"
    if math.isinf(value):
        return "&infin;" if value > 0 else "&minus;&infin;"
    return f"{value:z,.{digits}f}".replace("-", "&minus;")


def duration(seconds: float) -> str:
    """Write a time.

    Args:
        seconds: 0 or more.

    Returns:
        Minutes and seconds, without the one that is 0.

    Example:
        >>> duration(121.4), duration(120.0), duration(0.0)
        ('2 min 1 s', '2 min', '0 s')
    """
    minutes, rest = divmod(round(seconds), 60)
    parts = [f"{minutes} min"] * bool(minutes) + [f"{rest} s"] * bool(rest or not minutes)
    return " ".join(parts)


def middle(count: int) -> int:
    """Choose the threshold that shows first, and without a script.

    Args:
        count: how many thresholds there are.

    Returns:
        Its place.
    """
    return count // 2


def show(index: int, count: int) -> str:
    """Give the attributes of an element that belongs to one threshold.

    Args:
        index: the place of the threshold.
        count: how many there are.

    Returns:
        Markup that goes behind a tag's name.
    """
    return f' data-show="{index}"' + ("" if index == middle(count) else " hidden")


def mark(index: int, count: int, css: str = "") -> str:
    """Give the attributes of an element that is highlighted at one threshold.

    Args:
        index: the place of the threshold.
        count: how many there are.
        css: classes that the element has anyway.

    Returns:
        Markup that goes behind a tag's name.
    """
    current = "current" if index == middle(count) else ""
    return f' class="{f"{css} {current}".strip()}" data-mark="{index}"'
