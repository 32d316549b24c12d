import dataclasses

import pytest
import torch

from loopyvq.data import ConditionDataConfig, ImageSet, open_conditioned_set, to_pil
from loopyvq.data.token_shards import ShardPlan, open_token_shards, shard_path, write_plan
from loopyvq.errors import ConfigError, DataError
from loopyvq.pretokenize import ImageTokens, Known, KnownConfig, StopRule, pretokenize, square_side
from loopyvq.pretokenize.shards import views_of
from tests.pretokenize.conftest import painted

CLASS = ConditionDataConfig(kind="class")


@pytest.fixture
def job(pictures, tokenizer, tokenizer_path, tmp_path):
    """Images, what encodes them, and a plan of three shards."""
    images = open_conditioned_set(pictures, CLASS)
    to_tokens = ImageTokens(tokenizer, StopRule(0.3, 4), Known(KnownConfig(CLASS), 8))
    source = to_tokens.source(images, 32, tokenizer_path, tmp_path / "shards")
    return images, to_tokens, ShardPlan(source, "pictures", 10, size=32, images_per_shard=4)


def test_every_image_is_there_with_its_tokens_and_its_class(job, tmp_path, tokenizer):
    images, to_tokens, plan = job
    counted = []
    done = pretokenize(
        images, to_tokens, plan, tmp_path / "shards", batch_size=3, on_images=counted.append
    )
    assert (done, sum(counted)) == (0, 10)
    shards = open_token_shards(tmp_path / "shards")
    assert shards.numbers.tolist() == list(range(10))
    batch = shards.packed.select(range(10))
    assert batch.condition.classes.tolist() == [0] * 4 + [1] * 6
    pixels = torch.stack([images.read(i) for i in range(10)]).float() / 127.5 - 1
    expected = tokenizer.encode(pixels, 0.3)
    assert torch.equal(batch.tokens.codes, expected.codes)


def test_a_killed_run_goes_on_and_gives_the_same_bytes(job, tmp_path, monkeypatch):
    images, to_tokens, plan = job
    plan = dataclasses.replace(plan, views=3)
    pretokenize(images, to_tokens, plan, tmp_path / "straight")

    class Killed(BaseException):
        pass

    def die_at(number):
        def on_images(count):
            die_at.seen += count
            if die_at.seen == number:
                raise Killed

        die_at.seen = 0
        return on_images

    with pytest.raises(Killed):
        pretokenize(images, to_tokens, plan, tmp_path / "killed", on_images=die_at(7))
    assert shard_path(tmp_path / "killed", 0).is_file()
    assert not shard_path(tmp_path / "killed", 1).is_file()
    before = shard_path(tmp_path / "killed", 0).stat().st_mtime_ns
    assert pretokenize(images, to_tokens, plan, tmp_path / "killed") == 1
    assert shard_path(tmp_path / "killed", 0).stat().st_mtime_ns == before
    for shard in range(3):
        one, other = (shard_path(tmp_path / name, shard) for name in ("straight", "killed"))
        assert one.read_bytes() == other.read_bytes()
    assert pretokenize(images, to_tokens, plan, tmp_path / "killed") == 3


def test_a_damaged_shard_is_made_again(job, tmp_path):
    images, to_tokens, plan = job
    pretokenize(images, to_tokens, plan, tmp_path)
    whole = shard_path(tmp_path, 1).read_bytes()
    shard_path(tmp_path, 1).write_bytes(whole[:50])
    assert pretokenize(images, to_tokens, plan, tmp_path) == 2
    assert shard_path(tmp_path, 1).read_bytes() == whole


def test_another_job_does_not_mix_in(job, tmp_path):
    images, to_tokens, plan = job
    pretokenize(images, to_tokens, plan, tmp_path)
    with pytest.raises(DataError, match="choose another folder"):
        pretokenize(images, to_tokens, dataclasses.replace(plan, views=2), tmp_path)


def test_a_plan_that_no_shard_was_made_of_gives_way(job, tmp_path):
    images, to_tokens, plan = job
    write_plan(tmp_path, dataclasses.replace(plan, views=2))
    assert pretokenize(images, to_tokens, plan, tmp_path) == 0
    assert len(open_token_shards(tmp_path)) == 10


def test_two_jobs_at_once_do_not_mix(job, tmp_path):
    images, to_tokens, plan = job
    other = dataclasses.replace(plan, views=2)
    begun = []

    def start_another(_):
        if not begun:
            begun.append(pretokenize(images, to_tokens, other, tmp_path))

    with pytest.raises(DataError, match="another pretokenize has begun"):
        pretokenize(images, to_tokens, plan, tmp_path, on_images=start_another)
    assert len(open_token_shards(tmp_path)) == 20


def test_broken_images_are_left_out(tokenizer, tokenizer_path, tmp_path, caplog):
    folder = tmp_path / "images"
    folder.mkdir()
    for index in range(3):
        to_pil(painted(index)).save(folder / f"{index}.png")
    (folder / "1.png").write_bytes(b"no image")
    images = open_conditioned_set(folder, ConditionDataConfig())
    to_tokens = ImageTokens(tokenizer, StopRule(0.3, 4), Known(KnownConfig(), 8))
    source = to_tokens.source(images, 32, tokenizer_path, tmp_path)
    plan = ShardPlan(source, "", 3, size=32, images_per_shard=1)
    pretokenize(images, to_tokens, plan, tmp_path / "shards")
    assert open_token_shards(tmp_path / "shards").numbers.tolist() == [0, 2]
    assert len(images.broken) == 1


def test_a_set_of_broken_images_leaves_nothing_behind(tokenizer, tokenizer_path, tmp_path, caplog):
    folder = tmp_path / "images"
    folder.mkdir()
    for index in range(3):
        (folder / f"{index}.png").write_bytes(b"no image")
    images = open_conditioned_set(folder, ConditionDataConfig())
    to_tokens = ImageTokens(tokenizer, StopRule(0.3, 4), Known(KnownConfig(), 8))
    source = to_tokens.source(images, 32, tokenizer_path, tmp_path)
    with pytest.raises(DataError, match="none of 3 images can be read"):
        pretokenize(images, to_tokens, ShardPlan(source, "", 3, size=32), tmp_path / "shards")
    assert not (tmp_path / "shards").exists()


def test_the_second_view_is_mirrored_and_further_ones_are_crops_of_their_own(job):
    _, _, plan = job
    plan = dataclasses.replace(plan, views=4, min_scale=0.5, size=16)
    image = painted(0)

    def views(number):
        return [sample.image for sample in views_of(image, number, plan, CLASS, 1)]

    first = views(0)
    assert len(first) == 4
    assert torch.equal(first[1], first[0].flip(-1))
    assert all(torch.equal(one, other) for one, other in zip(first, views(0), strict=True))
    assert not torch.equal(first[2], first[3])
    assert not torch.equal(first[2], views(1)[2])


def test_the_side_of_square_images(job, tmp_path):
    assert square_side(job[0]) == 32
    to_pil(painted(0)[:, :20]).save(tmp_path / "flat.png")
    with pytest.raises(ConfigError, match=r"not square \(20 x 32 pixels\)"):
        square_side(open_conditioned_set(tmp_path / "flat.png", ConditionDataConfig()))

    class Nothing(ImageSet):
        def __len__(self):
            return 0

        def key(self, index):
            return ""

        def read(self, index):
            raise IndexError

    with pytest.raises(DataError, match="no image"):
        square_side(Nothing())
