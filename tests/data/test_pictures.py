"""Images the right way up and of one size: by Pillow, against numpy's own turns and an oracle."""

from __future__ import annotations

import zipfile

import numpy as np
import pytest
from PIL import Image

from diffregimes.common.checks import InputError
from diffregimes.data.datasets import from_arrays
from diffregimes.data.readers import load

RNG = np.random.default_rng(4)
UPRIGHT = RNG.integers(0, 256, (8, 4, 6), dtype=np.uint8)
# how a camera that was held so stores an upright image: EXIF's values 1 to 8
STORED = {
    1: lambda x: x,
    2: np.fliplr,
    3: lambda x: np.rot90(x, 2),
    4: np.flipud,
    5: np.transpose,
    6: lambda x: np.rot90(x, 1),
    7: lambda x: np.rot90(x, 2).T,
    8: lambda x: np.rot90(x, -1),
}


def fails(message, *args, **options):
    with pytest.raises(InputError, match=message) as caught:
        load(*args, **options)
    return str(caught.value)


@pytest.mark.parametrize("suffix", ["png", "tif", "webp"])
def test_the_orientation_of_exif(tmp_path, suffix):
    for (value, stored), pixels in zip(STORED.items(), UPRIGHT, strict=True):
        exif = Image.Exif()
        exif[0x0112] = value
        image = Image.fromarray(np.ascontiguousarray(stored(pixels)))
        options = {"lossless": True} if suffix == "webp" else {}
        image.save(tmp_path / f"{value}.{suffix}", exif=exif, **options)
    data = load(tmp_path)
    channels = data.sample_shape[2]  # WebP is RGB
    expected = from_arrays(np.repeat(UPRIGHT[..., None], channels, axis=-1))
    np.testing.assert_array_equal(data.points, expected.points)
    assert "7 images were turned upright, as their EXIF orientation says" in data.notes


def test_transparent_palettes_and_pages_are_told(tmp_path):
    for k, pixels in enumerate(UPRIGHT):
        image = Image.fromarray(pixels).convert("P")
        if k % 2:
            image.save(tmp_path / f"{k}.png", transparency=3)
        else:
            more = [Image.fromarray(UPRIGHT[k - 1])] if k else []
            Image.fromarray(pixels).save(
                tmp_path / f"{k}.tif", save_all=bool(k), append_images=more
            )
    data = load(tmp_path)
    assert "the alpha channel of 4 images was dropped" in data.notes
    assert "3 images have several frames or pages: the first was read" in data.notes
    grey = data.points.reshape(8, 24, -1).mean(axis=-1)
    np.testing.assert_allclose(grey, from_arrays(UPRIGHT).points, atol=1e-6)


@pytest.fixture
def mixed(tmp_path):
    """Images of three sizes, each a smooth ramp, which resampling must keep."""
    folder = tmp_path / "mixed"
    folder.mkdir()
    for k, (width, height) in enumerate([(40, 40), (80, 40), (40, 60), (40, 40)] * 2):
        rows, columns = np.mgrid[:height, :width]
        ramp = 40 * (k % 4) + 60 * (rows + 0.5) / height + 40 * (columns + 0.5) / width
        Image.fromarray(ramp.round().astype(np.uint8)).save(folder / f"{k}.png")
    return folder


def test_resized_images_keep_their_ramps(mixed):
    message = fails("images of different sizes", mixed)
    assert "--resize N" in message
    assert "--crop" in message
    data = load(mixed, resize=10)
    assert data.sample_shape == (10, 10, 1)
    rows, columns = np.mgrid[:10, :10]
    ramp = 60 * (rows + 0.5) / 10 + 40 * (columns + 0.5) / 10
    for k, image in enumerate(255 * data.points.reshape(8, 10, 10)):
        difference = (image - 40 * (k % 4) - ramp)[2:-2, 2:-2]  # Lanczos rings at the edges
        assert np.abs(difference).max() <= 1
    assert any("3 sizes from 40×40 to 80×40: resampled to 10×10 (Lanczos); 4 that are not square "
               "were squeezed" in x for x in data.notes)  # fmt: skip


def test_cropped_images_are_centre_squares(mixed):
    data = load(mixed, crop=True)
    assert data.sample_shape == (40, 40, 1)
    wide = np.asarray(Image.open(mixed / "1.png"))[:, 20:60]
    tall = np.asarray(Image.open(mixed / "2.png"))[10:50]
    np.testing.assert_array_equal(data.points[1], wide.reshape(-1) / np.float32(255))
    np.testing.assert_array_equal(data.points[2], tall.reshape(-1) / np.float32(255))
    both = load(mixed, crop=True, resize=10)
    np.testing.assert_array_equal(both.points[0], load(mixed, resize=10).points[0])
    assert (both.points[1] != load(mixed, resize=10).points[1]).any()
    fails("resize .--resize. is 0; expected a number from 1", mixed, resize=0)
    Image.fromarray(UPRIGHT[0]).save(mixed / "9.png")
    fails("9.png is 4×4 .1 of 9 differ", mixed, crop=True)


def test_sixteen_bits_are_resampled_as_such(tmp_path):
    ramp = np.linspace(0, 65535, 32 * 32).reshape(32, 32)
    for k in range(4):
        (tmp_path / str(k % 2)).mkdir(exist_ok=True)
        deep = (ramp / (k + 1)).round().astype(np.uint16)
        Image.fromarray(deep).save(tmp_path / str(k % 2) / f"{k}.png")
    data = load(tmp_path, resize=16)
    means = ramp.reshape(16, 2, 16, 2).mean(axis=(1, 3)) / 65535
    inner = np.s_[3:-3, 3:-3]  # Lanczos rings at the edges
    for k, image in zip([0, 2, 1, 3], data.points.reshape(4, 16, 16), strict=True):
        np.testing.assert_allclose(
            image[inner], means[inner] / (k + 1), atol=2 / 65535
        )  # two roundings
    assert len(np.unique(data.points)) > 200  # more than 8 bits would hold of four such ramps


def test_pointers_of_git_lfs(tmp_path):
    text = "version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 12345\n"
    for name in ("a.npz", "a.npy", "a.csv", "a.parquet", "a.h5", "a.mat", "x-images-idx3-ubyte"):
        (tmp_path / name).write_text(text)
        assert "git lfs pull" in fails("is a pointer of Git LFS", tmp_path / name)
        (tmp_path / name).unlink()
    for k, pixels in enumerate(UPRIGHT):
        (tmp_path / str(k % 2)).mkdir(exist_ok=True)
        Image.fromarray(pixels).save(tmp_path / str(k % 2) / f"{k}.png")
    (tmp_path / "l.csv").write_text(text)  # a pointer that nobody asks for does no harm
    assert load(tmp_path).n == 8
    fails("is a pointer of Git LFS", tmp_path, labels=tmp_path / "l.csv")
    (tmp_path / "1/3.png").write_text(text)
    fails("1/3.png is a pointer of Git LFS", tmp_path)
    fails("1/3.png is a pointer of Git LFS", tmp_path, skip_unreadable=True)


def test_an_image_in_an_archive_that_is_damaged(tmp_path):
    path = tmp_path / "a.zip"
    with zipfile.ZipFile(path, "w") as out:
        for k, pixels in enumerate(UPRIGHT):
            Image.fromarray(pixels).save(tmp_path / "x.png")
            out.write(tmp_path / "x.png", f"{k % 2}/{k}.png")
        out.writestr("0/bad.png", b"no image")
    assert "--skip-unreadable" in fails("0/bad.png in .* cannot be read as an image", path)
    assert load(path, skip_unreadable=True).n == 8
