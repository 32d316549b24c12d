import torch
from PIL import Image

from loopyvq.checkpoint import load_tokenizer
from loopyvq.data import open_image_set, to_float, to_uint8


def test_encode_and_decode_give_the_tokenizers_own_reconstruction(run, workspace, tmp_path):
    code, out, _ = run(
        "encode", workspace / "run", workspace / "photos", "--out", tmp_path / "t",
        "--threshold", 0.4,
    )  # fmt: skip
    assert code == 0
    assert len(out.splitlines()) == 6
    assert (tmp_path / "t" / "sub" / "1.png.tokens").is_file()
    code, out, _ = run("decode", workspace / "run", tmp_path / "t", "--out", tmp_path / "d")
    assert code == 0
    tokenizer = load_tokenizer(workspace / "run")
    for key, image in open_image_set(workspace / "photos").images():
        wanted = tokenizer.reconstruct(to_float(image).unsqueeze(0), 0.4)[0]
        with Image.open(tmp_path / "d" / key) as decoded:
            found = torch.frombuffer(bytearray(decoded.tobytes()), dtype=torch.uint8)
        assert torch.equal(found, to_uint8(wanted).permute(1, 2, 0).flatten()), key


def test_no_output_is_written_twice(run, workspace, tmp_path):
    photo = workspace / "photos" / "0.png"
    (tmp_path / "other").mkdir()
    other = tmp_path / "other" / "0.png"
    other.write_bytes(photo.read_bytes())
    for command in ("encode", "compress"):
        model = [workspace / "run"] if command == "encode" else ["--model", workspace / "run"]
        code, _, err = run(command, *model, photo, other, "--out", tmp_path / command)
        assert code == 2
        assert "two inputs would become" in err


def test_broken_images_are_counted(run, workspace, tmp_path):
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "0.png").write_bytes((workspace / "photos" / "0.png").read_bytes())
    (tmp_path / "in" / "1.png").write_text("no image")
    code, out, _ = run("encode", workspace / "run", tmp_path / "in", "--out", tmp_path / "t")
    assert code == 0
    assert f"1 broken images of {tmp_path / 'in'} were skipped" in out
