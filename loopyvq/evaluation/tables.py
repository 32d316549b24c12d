"""Measurements as text for people and as JSON and CSV for programs."""

import csv
import io
import json
from collections.abc import Sequence
from typing import Any

from loopyvq.evaluation.label_maps import LabelPointResult
from loopyvq.evaluation.reconstruction import Evaluation, PointResult

__all__ = ["format_label_points", "format_points", "format_usage", "to_csv", "to_json"]

_COLUMNS = (
    ("threshold", "{:.3g}"),
    ("depth", "{}"),
    ("tokens_per_site", "{:.2f}"),
    ("tokens_per_image", "{:.0f}"),
    ("bits_per_image", "{:.0f}"),
    ("rate_bpp", "{:.3f}"),
    ("stop_bpp", "{:.3f}"),
    ("psnr_db", "{:.2f}"),
    ("ssim", "{:.3f}"),
    ("ms_ssim", "{:.3f}"),
    ("share_within_threshold", "{:.1%}"),
)
_LABEL_COLUMNS = (
    *_COLUMNS[:7],
    ("pixel_accuracy", "{:.2%}"),
    ("mean_iou", "{:.3f}"),
    _COLUMNS[-1],
)
_TITLES = {
    "tokens_per_site": "tokens/site",
    "tokens_per_image": "tokens/image",
    "bits_per_image": "bits/image",
    "rate_bpp": "bits/pixel",
    "stop_bpp": "of it stops",
    "psnr_db": "PSNR dB",
    "ssim": "SSIM",
    "ms_ssim": "MS-SSIM",
    "pixel_accuracy": "pixels right",
    "mean_iou": "mean IoU",
    "share_within_threshold": "within",
}
_IMAGE_COLUMNS = (
    "image",
    "threshold",
    "depth",
    "num_tokens",
    "rate_bpp",
    "psnr_db",
    "ssim",
    "ms_ssim",
)


def format_points(points: Sequence[PointResult]) -> str:
    """Lay results out as a Markdown table, one row per operating point.

    Args:
        points: the results.

    Returns:
        The table, without a final newline.
    """
    return _points_table(points, _COLUMNS)


def format_label_points(points: Sequence[LabelPointResult]) -> str:
    """Lay results on label maps out as a Markdown table, one row per operating point.

    Args:
        points: the results.

    Returns:
        The table, without a final newline.
    """
    return _points_table(points, _LABEL_COLUMNS)


def format_usage(point: PointResult) -> str:
    """Lay out how many sites each turn served and how it used the codebook.

    Args:
        point: one result.

    Returns:
        The table, without a final newline.
    """
    sites = max(1, sum(point.length_histogram))
    rows = [
        ["turn", "sites with this length", "sites that took it", "dummies", "usage", "perplexity"]
    ]
    for number, turn in enumerate(point.turns, start=1):
        rows.append(
            [
                str(number),
                f"{point.length_histogram[number] / sites:.1%}",
                f"{turn.num_tokens / sites:.1%}",
                f"{turn.dummy_share:.1%}",
                f"{turn.usage:.1%}",
                f"{turn.perplexity:.1f}",
            ]
        )
    return _table(rows)


def to_json(evaluation: Evaluation, **header: Any) -> str:
    """Write everything as JSON.

    Args:
        evaluation: the results.
        header: further values, such as the model's path.

    Returns:
        JSON text; numbers that are not finite become null.
    """
    points = [
        {**point._asdict(), "turns": [turn._asdict() for turn in point.turns]}
        for point in evaluation.points
    ]
    images = [dict(zip(_IMAGE_COLUMNS, row, strict=True)) for row in evaluation.images]
    return json.dumps(_finite({**header, "points": points, "images": images}), indent=2) + "\n"


def to_csv(evaluation: Evaluation) -> str:
    """Write one line per image and operating point.

    Args:
        evaluation: the results.

    Returns:
        CSV text with a header line.
    """
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(_IMAGE_COLUMNS)
    writer.writerows(evaluation.images)
    return buffer.getvalue()


def _points_table(points: Sequence[Any], columns: Sequence[tuple[str, str]]) -> str:
    rows = [[_TITLES.get(name, name) for name, _ in columns]]
    rows += [[form.format(getattr(point, name)) for name, form in columns] for point in points]
    return _table(rows)


def _table(rows: Sequence[Sequence[str]]) -> str:
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines = [
        "| " + " | ".join(f"{c:>{w}}" for c, w in zip(row, widths, strict=True)) + " |"
        for row in rows
    ]
    rule = "|" + "|".join("-" * (width + 1) + ":" for width in widths) + "|"
    return "\n".join([lines[0], rule, *lines[1:]])


def _finite(value: Any) -> Any:
    """Replace infinities and NaN, which JSON does not have."""
    if isinstance(value, float):
        return value if abs(value) < float("inf") else None
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(item) for item in value]
    return value
