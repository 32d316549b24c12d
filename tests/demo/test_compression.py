import contextlib
import io
from pathlib import Path
from typing import NamedTuple

import pytest
import torch

import loopyvq.demo.compression as demo
from loopyvq.cli.main import main
from loopyvq.codec import Codec
from loopyvq.data import Subset, decode_image, open_image_set
from loopyvq.demo.compression_result import OTHERS, CompressionDemo
from loopyvq.errors import DataError
from loopyvq.metrics.distortion import measure_distortion
from loopyvq.pretrained import DEFAULT_MODEL, PRETRAINED
from tests.codec.conftest import make_tables, make_tokenizer
from tests.demo.test_run import Cropped


class Outcome(NamedTuple):
    folder: Path
    printed: str
    result: CompressionDemo
    codec: Codec


@pytest.fixture(scope="module")
def outcome(tmp_path_factory: pytest.TempPathFactory) -> Outcome:
    """Run the command once, with a tiny model in the box and small photographs."""
    folder = tmp_path_factory.mktemp("demo") / "out"
    tokenizer = make_tokenizer()
    codec = Codec(tokenizer, make_tables(tokenizer))
    results: list[CompressionDemo] = []
    run_compression = demo.run_compression

    def keep_result(*args: object, **options: object) -> CompressionDemo:
        results.append(run_compression(*args, **options))  # type: ignore[arg-type]
        return results[0]

    with pytest.MonkeyPatch.context() as patch, contextlib.redirect_stdout(io.StringIO()) as out:
        patch.setattr(demo.Codec, "load", lambda _: codec)
        patch.setattr(demo, "open_image_set", lambda _: Cropped(open_image_set("samples")))
        patch.setattr(demo, "run_compression", keep_result)
        assert main(["demo", "--out", str(folder), "--quiet"]) == 0
    return Outcome(folder, out.getvalue(), results[0], codec)


def test_four_photographs_that_the_model_has_not_seen(outcome: Outcome) -> None:
    names = [photo.name for photo in outcome.result.photos]
    assert names == ["coffee", "chelsea", "rocket", "astronaut"]
    assert outcome.result.learned == []


def test_five_thresholds_from_coarse_to_fine(outcome: Outcome) -> None:
    thresholds = outcome.result.thresholds
    assert len(thresholds) == 5
    assert thresholds == sorted(thresholds, reverse=True)
    assert thresholds == [float(f"{threshold:.2g}") for threshold in thresholds]


def test_what_is_shown_was_read_from_files(outcome: Outcome) -> None:
    for photo in outcome.result.photos:
        for index, file in enumerate(photo.files, start=1):
            path = outcome.folder / f"{photo.name}-{index}.lvq"
            assert file.path == str(path)
            data = path.read_bytes()
            assert torch.equal(outcome.codec.decompress(data), file.decoded)
            sites = outcome.codec.decode_sites(data)
            assert torch.equal(sites.tokens.codes, file.tokens.codes)
            assert sites.header.threshold == pytest.approx(
                outcome.result.thresholds[index - 1], rel=1e-6
            )
            assert file.point.num_bytes == len(data)
            assert file.point.rate_bpp == 8 * len(data) / (96 * 96)
            found = measure_distortion(file.decoded, photo.original)
            assert (file.point.psnr_db, file.point.ms_ssim) == (found.psnr_db, found.ms_ssim)


def test_other_files_are_no_larger_or_say_so(outcome: Outcome) -> None:
    for photo in outcome.result.photos:
        for file in photo.files:
            assert [other.point.system for other in file.others] == list(OTHERS)
            for other in file.others:
                assert other.point.num_bytes == len(other.data)
                assert other.fits == (len(other.data) <= file.point.num_bytes)
                decoded = decode_image(other.data, "a")
                found = measure_distortion(decoded, photo.original)
                assert other.point.psnr_db == found.psnr_db


def test_one_file_keeps_its_promise(outcome: Outcome) -> None:
    check = outcome.result.check
    data = (outcome.folder / "coffee-bounded.lvq").read_bytes()
    assert check.path == str(outcome.folder / "coffee-bounded.lvq")
    assert (check.num_bytes, check.num_sites) == (len(data), 144)
    assert check.found.threshold == pytest.approx(outcome.result.thresholds[2], rel=1e-6)
    assert check.found.bound is not None
    assert check.found.worst <= check.found.bound
    assert check.found.share_within == 1


def test_the_command_writes_the_page(outcome: Outcome) -> None:
    page = (outcome.folder / "report.html").read_text("utf-8")
    assert str(outcome.folder / "report.html") in outcome.printed
    for photo in outcome.result.photos:
        assert photo.name in page
    for threshold in outcome.result.thresholds:
        assert f"threshold {threshold:<5.3g} " in outcome.printed


def test_photographs_that_were_learned_come_last(
    outcome: Outcome, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = PRETRAINED[DEFAULT_MODEL]._replace(trained_samples=("coffee", "rocket"))
    monkeypatch.setattr(demo, "PRETRAINED", {DEFAULT_MODEL: model})
    monkeypatch.setattr(demo, "_thresholds", lambda _: [0.3])
    monkeypatch.setattr(demo.Codec, "load", lambda _: outcome.codec)
    monkeypatch.setattr(demo, "open_image_set", lambda _: Cropped(open_image_set("samples")))
    found = demo.run_compression(tmp_path, quiet=True)
    names = [photo.name for photo in found.photos]
    assert names == ["chelsea", "astronaut", "motorcycle_left", "coffee"]
    assert found.learned == ["coffee"]


def test_photographs_must_be_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    some = Subset(open_image_set("samples"), [0, 1, 4, 6])
    monkeypatch.setattr(demo, "open_image_set", lambda _: some)
    with pytest.raises(DataError, match="coffee are not installed"):
        demo.run_compression(tmp_path)
