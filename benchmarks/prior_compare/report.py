"""One table of all lines: means over seeds, and what they range over."""

import math

__all__ = ["table"]


def table(results: list[dict], ways: list[str]) -> str:
    """Write one line for each kind of tokens: means over seeds, and what the draws range over."""
    heads = ["tokens", "per site", "mean PSNR", "pooled PSNR", "bits per pixel",
             "of them lengths", "steps"]  # fmt: skip
    if judged := any("tokens_frechet" in item for item in results):
        heads += ["Frechet of tokens alone", *(f"of samples {way}".strip() for way in ways)]
    lines = ["| " + " | ".join(heads) + " |", "|---|" + "---:|" * (len(heads) - 1)]
    for name in dict.fromkeys(item["name"] for item in results):
        some = [item for item in results if item["name"] == name]
        first = some[0]
        cells = [name, f"{first['tokens_per_site']:.2f}", f"{first['psnr_db']:.2f} dB",
                 f"{first.get('pooled_psnr_db', math.nan):.2f} dB", _spread(some, "rate_bpp", 4),
                 f"{first['stop_bpp']:.4f}", _spread(some, "steps", 0)]  # fmt: skip
        if "tokens_frechet" in first:
            keys = [f"frechet {way}".strip() for way in ways]
            cells += [f"{first['tokens_frechet']:.2f}", *(_spread(some, key, 2) for key in keys)]
        elif judged:
            cells += [""] * (1 + len(ways))
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def _spread(items: list[dict], key: str, digits: int) -> str:
    """Write a mean over seeds, and from where to where it is."""
    values = [item[key] for item in items]
    mean = f"{sum(values) / len(values):.{digits}f}"
    if len(values) == 1:
        return mean
    return f"{mean} ({min(values):.{digits}f} to {max(values):.{digits}f})"
