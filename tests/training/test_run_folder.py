import pytest

from loopyvq.errors import TrainingError
from loopyvq.training import TokenizerTrainingConfig, VqganTrainingConfig
from loopyvq.training.run_file import save_length
from loopyvq.training.run_folder import claim_folder, saved_config
from tests.training.conftest import tiny_training


def begin(folder, data="photos"):
    claim_folder(folder, tiny_training(), data, False, "these")
    (folder / "state.safetensors").touch()


def test_a_run_is_begun_once_and_read_back(tmp_path):
    begin(tmp_path)
    assert saved_config(tmp_path, TokenizerTrainingConfig)[0] == tiny_training()
    with pytest.raises(TrainingError, match="holds a run already"):
        claim_folder(tmp_path, tiny_training(), "photos", False, "these")
    with pytest.raises(TrainingError, match="of another kind: TokenizerTrainingConfig"):
        saved_config(tmp_path, VqganTrainingConfig)


def test_a_resume_needs_a_run(tmp_path):
    with pytest.raises(TrainingError, match="no saved state"):
        claim_folder(tmp_path, tiny_training(), "photos", True, "these")
    with pytest.raises(TrainingError, match="no run to resume"):
        saved_config(tmp_path, TokenizerTrainingConfig)


def test_a_resume_may_last_longer_but_not_on_other_data(tmp_path):
    begin(tmp_path)
    longer = tiny_training("--run.steps", "9")
    with pytest.raises(TrainingError, match="begun with other images"):
        claim_folder(tmp_path, longer, "photos", True, "those")
    claim_folder(tmp_path, longer, "photos", True, "these")
    assert saved_config(tmp_path, TokenizerTrainingConfig)[0] == tiny_training()
    save_length(tmp_path, longer.run)
    assert saved_config(tmp_path, TokenizerTrainingConfig)[0] == longer


@pytest.mark.parametrize("name", ["best", "last", "model", "prior"])
def test_models_of_others_hide_no_run(tmp_path, name):
    path = tmp_path / f"{name}.safetensors"
    path.write_bytes(b"of a run that was killed before it saved a state, or converted")
    with pytest.raises(TrainingError, match=f"{name}.safetensors is a model without a run"):
        begin(tmp_path)
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("text", ["[]", "3", '{"config": []}', "{}", "{"])
def test_a_config_that_is_none_is_one_line(tmp_path, text):
    begin(tmp_path)
    (tmp_path / "config.json").write_text(text)
    with pytest.raises(TrainingError, match="has no valid config"):
        saved_config(tmp_path, TokenizerTrainingConfig)
    with pytest.raises(TrainingError, match="has no valid config"):
        claim_folder(tmp_path, tiny_training(), "photos", True, "these")


def test_data_is_named_by_its_link(tmp_path):
    (tmp_path / "photos").mkdir()
    (tmp_path / "latest").symlink_to(tmp_path / "photos")
    begin(tmp_path / "run", tmp_path / "latest")
    saved = saved_config(tmp_path / "run", TokenizerTrainingConfig)
    assert saved[1] == str(tmp_path / "latest")
