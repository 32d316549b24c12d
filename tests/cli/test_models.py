from loopyvq.cli.main import main
from loopyvq.pretrained import PRETRAINED


def test_models_are_listed(capsys):
    assert main(["models"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines] == list(PRETRAINED)


def test_a_card_is_shown(capsys):
    assert main(["models", "photo-f8"]) == 0
    assert capsys.readouterr().out == PRETRAINED["photo-f8"].card.read_text(encoding="utf-8")


def test_an_unknown_model_is_named(capsys):
    assert main(["models", "photo-f9"]) == 2
    assert "there is no model photo-f9; there are photo-f8, small-f4" in capsys.readouterr().err
