"""The texts of points: a column beside images, a line each; of the points that are taken."""

from __future__ import annotations

import json

import numpy as np
import pytest
from PIL import Image

from diffregimes.common.checks import InputError
from diffregimes.data.readers import load

TEXTS = ["a cat, sleeping", "12", "a dog", 'a "cat"', "ein Hündchen", "a cat, sleeping"]


@pytest.fixture
def folder(tmp_path):
    rng = np.random.default_rng(0)
    with (tmp_path / "metadata.jsonl").open("w", encoding="utf-8") as file:
        for k in reversed(range(6)):
            pixels = rng.integers(0, 255, (8, 8), dtype=np.uint8)
            Image.fromarray(pixels).save(tmp_path / f"{k}.png")
            row = {"file_name": f"{k}.png", "text": TEXTS[k], "label": k % 2}
            file.write(json.dumps(row) + "\n")
    return tmp_path


def test_a_column_beside_images(folder):
    data = load(folder, captions="text")
    assert data.captions.tolist() == TEXTS
    assert data.class_names == ("0", "1")
    assert load(folder).captions is None
    odd = load(folder, captions="text", classes=["1"])
    assert odd.captions.tolist() == TEXTS[1::2]
    assert data.take(np.array([4, 0])).captions.tolist() == [TEXTS[4], TEXTS[0]]


def test_a_line_for_each_point(tmp_path):
    points = np.random.default_rng(0).standard_normal((6, 3))
    np.save(tmp_path / "x.npy", points)
    lines = tmp_path / "texts.txt"
    lines.write_text("\n".join(TEXTS), encoding="utf-8")
    assert load(tmp_path / "x.npy", captions=lines).captions.tolist() == TEXTS
    np.savez(tmp_path / "x.npz", points=points, texts=np.array(TEXTS))
    found = load(tmp_path / "x.npz", key="points", labels="none", captions="texts")
    assert found.captions.tolist() == TEXTS
    for text, said in (
        ("\n".join(TEXTS[:4]), r"prompts \(--prompts\) is .* 4 texts for the 6 points"),
        ("\n".join([*TEXTS[:2], " ", *TEXTS[3:]]), "1 of 6 points have none, the first in row 3"),
    ):
        lines.write_text(text, encoding="utf-8")
        with pytest.raises(InputError, match=said):
            load(tmp_path / "x.npy", captions=lines)
    lines.write_bytes(b"\xff\xfe\xff")
    with pytest.raises(InputError, match="one caption a line"):
        load(tmp_path / "x.npy", captions=lines)
    with pytest.raises(InputError, match=r"prompts \(--prompts\) is 'nowhere'"):
        load(tmp_path / "x.npz", key="points", labels="none", captions="nowhere")
