"""Figures 4 and 5 with networks, table 1, and all of it in one command, on small budgets."""

from __future__ import annotations

import gzip
import json
import math
import shutil
import struct
from dataclasses import replace
from functools import partial

import numpy as np
import pytest

from command import runner
from diffregimes import InputError, analyze, load
from diffregimes.backward.clones import nearest_classes
from diffregimes.data.spectrum import first_channel
from diffregimes.learned import fitting, networks, training
from diffregimes.process import linear_schedule
from diffregimes.reproduce import (
    figure_1,
    figure_2,
    figure_3,
    figure_4,
    figure_5,
    sources,
    table_1,
    trained,
)
from diffregimes.reproduce.sources import MissingData, Preset, Source
from diffregimes.reproduce.tables import write
from diffregimes.scores import EmpiricalScore
from diffregimes.transitions.criteria import METHODS

WHOLE = Source("digits", "digits 0/1", "digits", 3, 8, 12, classes=("0", "1"))
DIGITS = replace(WHOLE, per_class=60)
FEW = replace(WHOLE, key="few", name="few digits", per_class=16)
MICRO = Preset("tiny", "tiny", "log-snr", 12, (DIGITS,), (FEW,))
TINY = sources.PRESETS["tiny"]


def make_micro(monkeypatch):
    """The preset tiny becomes three steps of training and two dozen pairs on digits."""
    monkeypatch.setitem(sources.PRESETS, "tiny", MICRO)
    narrow = replace(networks.PRESETS["tiny"], channels=(8, 16), groups=4)
    monkeypatch.setitem(networks.PRESETS, "tiny", narrow)
    monkeypatch.setattr(training, "EVALUATED", 8)
    monkeypatch.setattr(fitting, "STEPS", 4)
    monkeypatch.setattr(fitting, "EPOCHS", 0)
    quick = partial(analyze, draws=512, times=np.geomspace(0.02, 2.5, 16))
    monkeypatch.setattr(trained, "analyze", quick)
    monkeypatch.setattr(figure_5, "analyze", quick)
    monkeypatch.setattr("diffregimes.backward.experiment.FORWARD_DRAWS", 1024)
    monkeypatch.setattr("diffregimes.common.numerics.RESAMPLES", 50)


@pytest.fixture
def micro(monkeypatch):
    make_micro(monkeypatch)


@pytest.fixture(scope="module")
def once(tmp_path_factory):
    """Figure 4 of `micro`, and the folder of what is kept of it."""
    work = tmp_path_factory.mktemp("once")
    with pytest.MonkeyPatch.context() as patch:
        make_micro(patch)
        return figure_4.reproduce("tiny", work), work


def exact(monkeypatch, **budget):
    """The exact score stands in for the network, the nearest point for the classifier."""
    source, few = (replace(x, **budget) for x in (WHOLE, FEW))
    preset = Preset("tiny", "tiny", "log-snr", 60, (source,), (few,))
    monkeypatch.setitem(sources.PRESETS, "tiny", preset)

    def network(source, dataset, setting):
        return trained.Network(EmpiricalScore(dataset.points), "exact")

    def classifier(source, dataset, setting):
        near = nearest_classes(EmpiricalScore(dataset.points), dataset.labels)
        return trained.Classes(near, "nearest")

    monkeypatch.setattr(trained, "network", network)
    monkeypatch.setattr(trained, "classifier", classifier)


def unseen(monkeypatch):
    """Leave out the pictures, which take most of the time of a small run."""

    def stub(figure):
        return b"picture"

    monkeypatch.setattr("diffregimes.reproduce.tables.png_bytes", stub)
    monkeypatch.setattr("diffregimes.reproduce.tables.svg_bytes", stub)


def quantity(found, start):
    return next(row for row in found.rows if row.quantity.startswith(start))


def test_under_the_exact_score_clones_cross_where_the_forward_pass_does(monkeypatch, tmp_path):
    exact(monkeypatch, pairs=512)
    found = figure_4.reproduce("tiny", tmp_path / "work")
    columns = {k: np.array(v) for k, v in found.numbers.items()}
    phi, forward = columns["phi"], columns["forward"]
    chance = np.sqrt(forward * (1 - forward) / 512)
    z = (phi - forward) / np.hypot(chance, 0.005)  # the precision of the forward pass
    assert np.abs(z).max() < 4
    assert phi[0] > 0.95 > 0.65 > phi[-1]
    loo = columns["forward_loo"]
    np.testing.assert_allclose(
        columns["z_loo"], (phi - loo) / np.sqrt(loo * (1 - loo) / 512), rtol=0.1
    )  # the error of the forward pass is small beside that of 512 pairs
    least = f"{columns['z_loo'].min():z.1f} to ".replace("-", "−")
    assert any(least in x for x in found.sentences)
    # phi itself, not its leave-one-out estimate, is what clones of the exact score show
    data = sources.read(WHOLE)
    clone = analyze(data).time("speciation", "clone")
    row = quantity(found, "t/t_S at phi = 0.775 of clones")
    t_s = 0.5 * math.log(np.linalg.eigvalsh(np.cov(data.points.T.astype(float)))[-1])
    se = math.hypot(row.se * t_s, (clone.high - clone.low) / 3.92)
    assert 0.005 < se < 0.08
    assert abs(row.ours * t_s - clone.t) < 4 * se
    assert row.paper is None  # digits are none of the paper's
    steps = quantity(found, "DDPM step over that of t_S at phi = 0.775 of clones")
    clock = linear_schedule()
    assert steps.ours == pytest.approx(clock.place(row.ours * t_s) / clock.place(t_s), rel=1e-9)
    np.testing.assert_allclose(
        columns["step_over_step_s"], [clock.place(x) / clock.place(t_s) for x in columns["t"]]
    )
    said = next(x for x in found.sentences if "end points" in x)
    share = float(said.split("end points ")[1].split("%")[0]) / 100
    assert abs(share - np.mean(data.labels == 0)) < 4 * math.sqrt(0.25 / 512) + 0.005
    np.testing.assert_allclose(columns["t"] / columns["t_over_t_s"], t_s, rtol=1e-6)


@pytest.mark.parametrize("channels", [1, 3])
def test_lambda_is_that_of_the_first_channel(channels):
    rng = np.random.default_rng(0)
    spread = np.linspace(1, 3, 16 * channels)
    points = (rng.standard_normal((400, 16 * channels)) * spread).astype(np.float32)
    data = replace(load("gmm:d=4,n=10"), points=points, sample_shape=(4, 4, channels))
    value, se = first_channel(data)
    first = points.reshape(400, 16, channels)[:, :, 0].astype(float)
    assert value == pytest.approx(np.linalg.eigvalsh(np.cov(first.T))[-1], rel=1e-6)
    centred = first - first.mean(axis=0)
    along = np.linalg.eigh(np.cov(first.T))[1][:, -1]
    own = (centred @ along) ** 2
    assert se == pytest.approx(own.std(ddof=1) / 20, rel=1e-3)


def test_table_1_and_figure_4_share_what_is_kept_and_read_it_back(once, micro, monkeypatch):
    first, work = once

    def refuse(*given, **more):
        raise AssertionError("computed again")

    monkeypatch.setattr(training._Work, "step", refuse)
    monkeypatch.setattr("diffregimes.learned.classifier.fit", refuse)
    monkeypatch.setattr("diffregimes.backward.descent.Block.descend", refuse)
    again = figure_4.reproduce("tiny", work)
    assert again.numbers == first.numbers
    assert again.to_json() == first.to_json()
    table = table_1.reproduce("tiny", work)
    data = sources.read(DIGITS)
    largest = np.linalg.eigvalsh(np.cov(data.points.T.astype(float)))[-1]
    row = quantity(table, "t_S")
    assert row.ours == pytest.approx(0.5 * math.log(largest), rel=1e-6)
    assert row.se == pytest.approx(quantity(table, "Lambda").se / (2 * largest), rel=1e-6)
    assert quantity(table, "n,").ours == data.n == table.numbers["n"][0]
    assert table.numbers["d"] == [64]
    # digits are none of the paper's
    assert all(x.paper is None and x.z is None for x in table.rows)
    assert table.numbers["note"] == [table_1.REDUCED]
    assert table_1.REDUCED in table.sentences[0]


def test_killed_and_started_again_gives_the_same_bits(once, micro, tmp_path):
    whole, _ = once
    for after in ("training, digits 0/1", "classifier, digits 0/1", "clones, digits 0/1"):
        # the network, the classifier, and last the clones are cut off

        def stop(done, total, text, after=after):
            if text == after:
                raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            figure_4.reproduce("tiny", tmp_path / "cut", progress=stop)
    assert figure_4.reproduce("tiny", tmp_path / "cut").numbers == whole.numbers


def test_other_clones_than_those_kept_are_told_apart(once, micro, monkeypatch, tmp_path):
    first, work = once
    shutil.copytree(work, tmp_path, dirs_exist_ok=True)
    more = replace(MICRO, steps=16)
    monkeypatch.setitem(sources.PRESETS, "tiny", more)
    second = figure_4.reproduce("tiny", tmp_path)
    assert second.numbers["t"] != first.numbers["t"]
    monkeypatch.setitem(sources.PRESETS, "tiny", MICRO)
    assert figure_4.reproduce("tiny", tmp_path).numbers == first.numbers


def test_the_papers_numbers_stand_beside_its_own_datasets(micro, monkeypatch, tmp_path):
    paper = sources.Paper(10_000, 1024, 7.66, 1.02, None, (0.943, (0.916, 0.971)))
    preset = replace(MICRO, speciation=(replace(DIGITS, paper=paper, note="a stand-in"),))
    monkeypatch.setitem(sources.PRESETS, "tiny", preset)
    found = table_1.reproduce("tiny", tmp_path)
    row = quantity(found, "Lambda")
    assert row.paper == 7.66
    assert row.z == pytest.approx((row.ours - 7.66) / row.se)
    assert quantity(found, "t_S").paper == 1.02
    assert found.numbers["paper_d"] == [1024]
    row = quantity(found, "t at phi = 0.775 by clone-loo")
    assert row.paper == 0.943
    assert row.z == pytest.approx(
        (row.ours - 0.943) / math.hypot(row.se, (0.971 - 0.916) / 3.92), rel=1e-6
    )
    named = {k: v[0] for k, v in found.numbers.items()}
    assert row.ours == named["forward_loo"]
    assert (named["paper_crossing_low"], named["paper_crossing_high"]) == (0.916, 0.971)
    # the ratio of OU times and that of steps, from the betas themselves
    kept = np.cumprod(1 - np.linspace(1e-4, 0.02, 1000))
    one, two = (np.interp(x, -0.5 * np.log(kept), np.arange(1, 1001)) for x in (0.943, 1.018))
    assert named["paper_crossing_step_ratio"] == pytest.approx(one / two, abs=5e-4)
    assert named["paper_crossing_time_ratio"] == pytest.approx(0.926, abs=5e-4)
    # the column of a criterion follows where the analysis has it
    assert (named["balance"] is not None) == (("speciation", "balance") in METHODS)
    assert any("a stand-in" in x for x in found.sentences)
    assert not any(table_1.REDUCED in x for x in found.sentences)


def test_the_papers_networks_in_both_clocks():
    """t/t_S of their crossings: of Ornstein-Uhlenbeck times, and of linear steps."""
    found = {}
    for source in sources.preset("paper").speciation:
        t_s = 0.5 * math.log(source.paper.largest)
        both = (f(source.paper.crossing, t_s)[0] for f in (trained.over_t_s, trained.over_step_s))
        found[source.key] = tuple(round(x, 3) for x in both)
    assert found == {
        "mnist": (0.926, 0.962),
        "cifar": (0.677, 0.821),
        "imagenet16": (1.04, 1.02),
        "imagenet32": (0.921, 0.96),
        "lsun": (0.738, 0.858),
    }


def test_under_the_exact_score_figure_5_shows_it_twice(monkeypatch, tmp_path):
    exact(monkeypatch, pairs=128)
    found = figure_5.reproduce_trained("tiny", tmp_path / "work")
    one = quantity(found, "mean last change of the network")
    two = quantity(found, "mean last change of the exact score")
    # the same score and the same noise: the same trajectories
    assert one.ours == pytest.approx(two.ours, rel=1e-6)
    z = np.array(found.numbers["same_point_probability_z"])
    assert np.abs(z).max() < 4
    assert any("100% of the samples are copies" in x for x in found.sentences)
    half, clone = quantity(found, "phi_C = 1/2"), quantity(found, "t_C by clone")
    assert abs(half.ours - clone.ours) < 4 * math.hypot(half.se, clone.se)
    write(found, tmp_path)
    assert (tmp_path / "figure-5-trained.png").stat().st_size > 10_000
    assert json.loads((tmp_path / "results.json").read_text())["recipe"]["score"] == "trained"


def test_figure_5_runs_the_network_and_goes_on_where_it_stood(micro, monkeypatch, tmp_path):
    first = figure_5.reproduce_trained("tiny", tmp_path)
    assert quantity(first, "mean last change of the network").d == 64
    assert not any("100% of" in x for x in first.sentences)  # of three steps it knows nothing

    def refuse(*given, **more):
        raise AssertionError("computed again")

    monkeypatch.setattr("diffregimes.backward.descent.Block.descend", refuse)
    assert figure_5.reproduce_trained("tiny", tmp_path).numbers == first.numbers


def test_datasets_that_are_not_there_are_named_with_what_gets_them(micro, monkeypatch, tmp_path):
    monkeypatch.delenv("DIFFREGIMES_DATA", raising=False)
    mnist = TINY.speciation[1]
    monkeypatch.setitem(sources.PRESETS, "tiny", replace(MICRO, speciation=(DIGITS, mnist)))
    found = figure_4.reproduce("tiny", tmp_path)
    assert set(found.numbers["dataset"]) == {"digits 0/1"}
    assert found.sentences[-1].startswith("MNIST 1/8 is skipped: DIFFREGIMES_DATA names no folder")
    assert mnist.get in found.sentences[-1]
    monkeypatch.setenv("DIFFREGIMES_DATA", str(tmp_path / "empty"))
    with pytest.raises(MissingData, match="curl") as error:
        sources.read_all([mnist, TINY.speciation[2]])
    assert "MNIST" in str(error.value)
    assert "panda" in str(error.value)


@pytest.mark.parametrize("preset", ["tiny", "paper"])
def test_every_dataset_says_how_to_get_it_into_its_folder(preset):
    found = sources.preset(preset)
    keys = [x.key for x in found.speciation]
    assert len(set(keys)) == len(keys)
    for source in {*found.speciation, *found.collapse}:
        if source.where != "digits":
            assert f"$DIFFREGIMES_DATA/{source.where}" in source.get
            assert "http" in source.get
    # one network serves both figures where they share a dataset
    shared = {x.key: x for x in found.speciation}
    assert all(shared.get(x.key, x) == x for x in found.collapse)


def test_the_command_for_cifar_makes_what_is_read(monkeypatch, tmp_path):
    source = next(x for x in sources.preset("paper").speciation if x.key == "cifar")
    folder = tmp_path / source.where
    (folder / "cifar-10-batches-bin").mkdir(parents=True)
    rng = np.random.default_rng(0)
    for k in (1, 2):
        records = rng.integers(0, 256, (40, 3073), dtype=np.uint8)
        records[:, 0] = np.arange(40) % 10
        records.tofile(folder / "cifar-10-batches-bin" / f"data_batch_{k}.bin")
    monkeypatch.chdir(folder)
    exec(source.get.split('python -c "')[1][:-1], {})
    monkeypatch.setenv("DIFFREGIMES_DATA", str(tmp_path))
    data = sources.read(replace(source, per_class=6))
    assert data.sample_shape == (32, 32, 3)
    assert data.class_counts == (6, 6)
    first = np.fromfile(folder / "cifar-10-batches-bin" / "data_batch_1.bin", "u1")
    red = first.reshape(40, 3073)[1, 1:1025]  # planes of red, green, blue
    np.testing.assert_allclose(data.points[0].reshape(-1, 3)[:, 0], red / 255, atol=1e-6)


def test_images_are_halved_to_their_size_in_the_same_scale(monkeypatch, tmp_path):
    folder = tmp_path / "mnist"
    folder.mkdir()
    rng = np.random.default_rng(1)
    images = rng.integers(0, 256, (40, 28, 28), dtype=np.uint8)
    labels = (np.arange(40) % 10).astype(np.uint8)
    for name, values in (("images-idx3", images), ("labels-idx1", labels)):
        head = struct.pack(f">{1 + values.ndim}i", 0x800 + values.ndim, *values.shape)
        with gzip.open(folder / f"train-{name}-ubyte.gz", "wb") as file:
            file.write(head + values.tobytes())
    monkeypatch.setenv("DIFFREGIMES_DATA", str(tmp_path))
    source = replace(TINY.speciation[1], per_class=3)
    data = sources.read(source)
    assert data.sample_shape == (16, 16, 1)
    assert data.scale == (0.0, 1.0)
    assert data.class_names == ("1", "8")
    padded = np.pad(images[labels == 1][0] / 255, 2)
    np.testing.assert_allclose(
        data.points[np.flatnonzero(data.labels == 0)[0]].reshape(16, 16),
        padded.reshape(16, 2, 16, 2).mean(axis=(1, 3)),
        atol=1e-6,
    )
    quarter = sources.read(replace(source, size=8))
    np.testing.assert_allclose(
        quarter.points[0].reshape(8, 8),
        data.points[0].reshape(8, 2, 8, 2).mean(axis=(1, 3)),
        atol=1e-6,
    )
    with pytest.raises(InputError, match="expected images of height 24"):
        sources.read(replace(source, size=24))


def test_a_dataset_without_t_s_is_refused(micro, tmp_path):
    dark = replace(WHOLE, classes=("1", "8"))
    setting = trained.Setting(MICRO, tmp_path)
    with pytest.raises(InputError, match=r"Lambda of digits 0/1 is 0\.86"):
        trained.speciate(dark, sources.read(dark), setting)


def test_commands(micro, monkeypatch, capfd, tmp_path):
    monkeypatch.chdir(tmp_path)
    unseen(monkeypatch)
    run = runner(monkeypatch, capfd)
    for name in ("figure-4", "table-1"):
        said = run("--work", "work", "--out", "out", command=("reproduce", name))
        assert said.code == 0, said.err
        assert (tmp_path / "out" / f"{name}.png").is_file()
        assert "no network" in said.out
    said = run("--score", "trained", "--work", "work", command=("reproduce", "figure-5"))
    assert said.code == 0, said.err
    assert (tmp_path / "runs" / "figure-5-trained" / "figure-5-trained.csv").is_file()
    for given, word in (
        (("figure-4", "--preset", "huge"), "huge"),
        (("table-1", "--device", "abacus"), "abacus"),
        (("figure-5", "digits", "--score", "trained"), "SOURCE"),
        (("figure-5", "--score", "guessed"), "guessed"),
    ):
        said = run(*given[1:], command=("reproduce", given[0]))
        assert said.code == 2
        assert word in said.err


@pytest.fixture(scope="module")
def made():
    return figure_1.reproduce(trajectories=4)


@pytest.fixture
def parts(made, monkeypatch, capfd, tmp_path):
    """`reproduce all` with stubs: `run(name=what it raises, ...)` -> what it said, what was run."""
    monkeypatch.chdir(tmp_path)
    unseen(monkeypatch)

    def start(**raised):
        ran = []

        def stub(name):
            def reproduce(*given, **more):
                ran.append(name)
                if name in raised:
                    raise raised[name]
                return replace(made, name=name.replace("_", "-"))

            return reproduce

        for module in (figure_1, figure_2, figure_3, figure_4, figure_5, table_1):
            monkeypatch.setattr(module, "reproduce", stub(module.__name__.split(".")[-1]))
        monkeypatch.setattr(figure_5, "reproduce_trained", stub("figure_5_trained"))
        monkeypatch.setattr(sources, "read", lambda *given: load("digits"))
        return runner(monkeypatch, capfd)("--out", "all", command=("reproduce", "all")), ran

    return start


ORDER = ["figure_1", "figure_2", "figure_3", "figure_4", "figure_5", "figure_5_trained", "table_1"]


def test_all_goes_on_past_data_that_are_not_there(parts, tmp_path):
    missing = MissingData("LSUN is skipped: get it from there")
    said, ran = parts(figure_4=missing, table_1=missing)
    assert ran == ORDER
    assert said.code == 0, said.err
    summary = said.out.splitlines()[-len(ORDER) :]
    assert [x.split()[1] for x in summary].count("skipped") == 2
    assert "get it from there" in summary[3]
    assert (tmp_path / "all" / "figure-5-trained" / "results.json").is_file()
    assert not (tmp_path / "all" / "figure-4").exists()


def test_all_tells_of_what_failed_and_stops_at_ctrl_c(parts):
    said, ran = parts(figure_2=InputError("no room"))
    assert ran == ORDER
    assert said.code == 2
    assert "figure-2 failed" in said.err
    assert "no room" in said.out
    said, ran = parts(figure_3=KeyboardInterrupt())
    assert ran == ORDER[:3]
    assert said.code == 2
    assert "Ctrl-C" in said.err


def test_the_full_recipe_on_a_cpu_is_warned_of(parts, monkeypatch, capfd):
    parts()
    run = runner(monkeypatch, capfd)
    said = run("--preset", "paper", command=("reproduce", "figure-4"))
    assert "warning" in said.err
    assert "cuda" in said.err
    assert "warning" not in run(command=("reproduce", "figure-4")).err


@pytest.mark.slow
def test_a_network_trained_for_a_minute_tells_the_classes_apart(monkeypatch, tmp_path):
    source = replace(WHOLE, steps=400, pairs=64)
    preset = replace(MICRO, steps=50, speciation=(source,))
    monkeypatch.setitem(sources.PRESETS, "tiny", preset)
    found = figure_4.reproduce("tiny", tmp_path)
    phi = np.array(found.numbers["phi"])
    assert phi[0] > 0.9
    assert phi[-1] < 0.8
    row = quantity(found, "t/t_S at phi = 0.775 of clones")
    forward = quantity(found, "t/t_S at phi = 0.775 by clone-loo")
    assert abs(row.ours - forward.ours) < 4 * math.hypot(row.se, forward.se)
