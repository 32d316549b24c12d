from loopyvq.checkpoint import save_tokenizer
from loopyvq.evaluation.rd_run import measure_systems
from loopyvq.evaluation.rd_systems import Reading
from tests.codec.conftest import make_image, make_tokenizer


def test_models_and_baselines_are_measured_from_their_files(tmp_path):
    model = tmp_path / "model.safetensors"
    save_tokenizer(model, make_tokenizer())
    images = [("a", make_image(48, 40)), ("b", make_image(40, 40, seed=1))]
    readings = [
        Reading("loop", model, thresholds=(0.6, 0.1)),
        Reading("cut", model, fixed_depth=True),
    ]
    points = list(measure_systems(images, readings, ["jpeg"], lpips=lambda image, _: 0.5))
    first = [point for point in points if point.image == "a"]
    assert [point.system for point in first] == ["loop"] * 2 + ["cut"] * 4 + ["jpeg"] * 9
    assert len(points) == 2 * len(first)
    assert {point.lpips for point in points} == {0.5}
    assert first[0].num_bytes < first[1].num_bytes
    assert first[0].rate_bpp == 8 * first[0].num_bytes / (48 * 40)


def test_a_baseline_that_cannot_write_an_image_lacks_it(caplog):
    images = [("long", make_image(8, 17000)), ("short", make_image(8, 40))]
    points = list(measure_systems(images, [], ["webp", "jpeg"]))
    assert {(point.system, point.image) for point in points} == {
        ("webp", "short"), ("jpeg", "long"), ("jpeg", "short"),
    }  # fmt: skip
    assert "webp has no points of its own for long: webp cannot write this image" in caplog.text
