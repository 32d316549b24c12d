import torch

from loopyvq.evaluation.rd_points import measure_point, points_to_csv, systems_of


def test_points_count_everything():
    generator = torch.Generator().manual_seed(0)
    image = torch.randint(0, 200, (3, 24, 40), dtype=torch.uint8, generator=generator)
    points = [measure_point(system, "q", "a", 120, image + 2, image) for system in "abab"]
    assert points[0].rate_bpp == 1.0
    assert round(points[0].psnr_db, 2) == 42.11
    assert systems_of(points) == ["a", "b"]
    lines = points_to_csv(points).splitlines()
    assert lines[0].startswith("system,setting,image,num_bytes,rate_bpp")
    assert len(lines) == 5
