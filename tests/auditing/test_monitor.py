"""A training that is watched: what is told of known scores, and that nothing is disturbed."""

from __future__ import annotations

import csv
import gc
import json
import random
import warnings

import numpy as np
import pytest
import torch
from torch import nn

import diffregimes as dr
from diffregimes.auditing.known import known_points
from diffregimes.auditing.levels import Level, levels
from diffregimes.auditing.logbook import Logbook
from diffregimes.auditing.looking import Eye, Plan
from diffregimes.auditing.monitor import Monitor
from diffregimes.auditing.watched import Watched
from diffregimes.data.datasets import from_arrays
from diffregimes.learned import module_score
from diffregimes.populations.mixture import two_gaussians
from diffregimes.process import schedule, signal, snr, variance
from diffregimes.scores import AbstractScore, EmpiricalScore, MixtureScore

D, N = 16, 120
LEVELS = (Level("gap", 0.25), Level("collapse", 0.4), Level("speciation", 1.2))
PLAN = schedule("linear")


class Tempered(AbstractScore):
    """The exact score of points with w ~ exp(-E/T), by its definition."""

    def __init__(self, points, temperature):
        self.points, self.temperature = torch.from_numpy(points).double(), temperature
        self.dimension = points.shape[1]

    def denoise(self, x, t):
        gap = torch.cdist(x.double(), float(signal(t)) * self.points).square()
        weight = torch.softmax(-gap / (2 * float(variance(t)) * self.temperature), 1)
        return (weight @ self.points).to(x)


@pytest.fixture(autouse=True)
def quick(request, monkeypatch):
    """Neither the test of the two laws nor the analysis behind the levels, but where they are what
    is tested: they take a second each."""
    if "whole" not in request.fixturenames:
        monkeypatch.setattr("diffregimes.auditing.gate._PERMUTATIONS", 1000)
        monkeypatch.setattr("diffregimes.auditing.monitor.levels", lambda *_, **__: LEVELS)


@pytest.fixture
def whole():
    """Nothing is cut short."""


def drawn(seed, n=N):
    law = two_gaussians(D)
    return law, *(law.sample(n, seed=2 * seed + k)[0].float().numpy() for k in (0, 1))


def eye_on(training, held_out, *, draws=128, samples=16, steps=12, seed=0, batch=None):
    data, others = from_arrays(training), from_arrays(held_out)
    known = known_points(EmpiricalScore(training), data, others, seed=seed)
    return Eye(known, training, LEVELS, Plan(draws, samples, steps, seed, batch, 64))


def watching(score, training, held_out, folder, *, every=1, alpha=0.01, writers=(), **options):
    """A monitor of a score, of what a function gives, or of a network, without the search for
    levels."""
    eye = eye_on(training, held_out, **options)
    watched = Watched(score, PLAN, (D,), {"batch": 256})
    book = Logbook(folder, {"alpha": alpha}, writers)
    book.open({})
    return Monitor(watched, eye, book, every=every, alpha=alpha)


class Net(nn.Module):
    """Everything that a look could disturb: dropout, running statistics, a part that is frozen."""

    def __init__(self, d=D):
        super().__init__()
        self.first, self.norm, self.drop = nn.Linear(d + 1, 32), nn.BatchNorm1d(32), nn.Dropout(0.5)
        self.frozen = nn.Sequential(nn.Dropout(0.5), nn.BatchNorm1d(32))
        self.last = nn.Linear(32, d)

    def forward(self, x, k):
        h = self.first(torch.cat([x, k.reshape(-1, 1).float() / 1000], 1))
        return self.last(self.drop(self.norm(self.frozen(h)).relu()))


def train(net, points, steps, each=lambda step: False):
    """A loop that takes its random numbers where scripts do; the losses."""
    torch.manual_seed(3)
    np.random.seed(4)  # noqa: NPY002
    random.seed(5)
    net.train()
    net.frozen.eval()
    optimizer, losses = torch.optim.Adam(net.parameters(), 1e-3), []
    product = torch.from_numpy(np.exp(-2 * PLAN.finite_times)).float()
    for step in range(1, steps + 1):
        a = torch.from_numpy(points[np.random.randint(len(points), size=16)])  # noqa: NPY002
        k = torch.randint(len(product), (16,))
        z = torch.randn_like(a) * (1 + 0.01 * random.random())
        share = product[k][:, None]
        loss = (net(share.sqrt() * a + (1 - share).sqrt() * z, k) - z).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
        if each(step):
            break
    return losses


# what is told


def test_law_exact_and_tempered(tmp_path):
    """Share 0 for the law, 1 for the exact score, between for a tempered one, higher for the less
    tempered; nats from the forward pass of each by its definition."""
    law, training, held_out = drawn(0)
    eye = eye_on(training, held_out, draws=480)
    low = slice(0, 2)  # where the exact score has a gap
    losses = eye.look(MixtureScore(law)).losses
    share, se = losses.copied()
    assert np.abs(share / se)[low].max() < 4
    exact = law.population_curves(losses.t)["mmse"]
    for found, error in ((losses.train, losses.train_se), (losses.held_out, losses.held_out_se)):
        assert np.abs((found - exact) / error).max() < 4
    copied = eye.look(EmpiricalScore(training))
    np.testing.assert_array_equal(copied.losses.copied()[0][low], 1)
    assert copied.copies == copied.samples
    shares = [eye.look(Tempered(training, T)).losses.copied()[0][low] for T in (1.5, 3.0)]
    assert (shares[1] > 0.05).all()
    assert (shares[1] < shares[0]).all()
    assert (shares[0] < 0.98).all()


def test_nats_are_the_rate_of_the_information(tmp_path):
    """(gamma/2) gap of the exact score is the change, with log gamma, of the relative entropy of
    noised held-out points less that of noised training points: by log-likelihoods, which know no
    denoiser."""
    _, training, held_out = drawn(1)
    look = eye_on(training, held_out, draws=480).look(EmpiricalScore(training))
    row = look.columns(LEVELS)
    rng = np.random.default_rng(7)

    def cross(points, gamma):
        """-log of the mean density at b + z/sqrt(gamma), each draw minus its -log noise."""
        z = np.random.default_rng(8).standard_normal((len(points), D))
        gap = points[:, None] + z[:, None] / np.sqrt(gamma) - training[None]
        e = -0.5 * gamma * (gap**2).sum(2)
        top = e.max(1)
        return -(top + np.log(np.exp(e - top[:, None]).sum(1))) - 0.5 * (z**2).sum(1)

    chosen = [x[rng.integers(len(x), size=3000)] for x in (training, held_out)]
    for level in LEVELS[:2]:
        gamma, h = float(snr(level.t)), 0.02
        rate = [
            (cross(x, gamma * np.exp(h)) - cross(x, gamma * np.exp(-h))) / (2 * h) for x in chosen
        ]
        wanted = rate[1].mean() - rate[0].mean()
        error = np.hypot(*(x.std() / np.sqrt(N) for x in rate))
        z = (row[f"nats_{level.name}"] - wanted) / np.hypot(error, row[f"nats_se_{level.name}"])
        assert abs(z) < 4, (level, row[f"nats_{level.name}"], wanted)


def test_the_levels_are_those_of_the_analysis():
    """t_S and t_C of `analyze`; the widest gap against the losses of the two denoisers."""
    data = dr.load("digits", classes=["0", "1"], per_class=60)
    found = {x.name: x.t for x in levels(data, 1e-4, 5.0)}
    known = dr.analyze(data, precision=0.02)
    assert found["speciation"] == known.time("speciation").t
    assert found["collapse"] == known.time("collapse").t
    centred = data.points.astype(np.float64) - data.points.mean(0, dtype=np.float64)
    covariance = centred.T @ centred / (data.n - 1)
    times = np.geomspace(0.02, 2, 40)
    exact = dr.auditing.denoising_losses(
        EmpiricalScore(data.points), data.points, None, times, draws=960
    ).train
    gain = [
        np.trace(np.linalg.solve(np.eye(64) + g * covariance, covariance)) - x
        for g, x in zip(snr(times), exact, strict=True)
    ]
    assert abs(np.log(found["gap"] / times[int(np.argmax(gain))])) < 0.3
    near = {x.name: x.t for x in levels(data, 0.2, 0.3)}
    assert set(near.values()) <= {0.2, 0.3} or all(0.2 <= x <= 0.3 for x in near.values())


def test_one_class_has_levels():
    data = dr.load("digits", classes=["0", "1"], per_class=30).only("0")
    assert {x.name for x in levels(data, 1e-4, 5.0)} >= {"gap", "collapse"}


# nothing is disturbed


def test_the_same_training_bit_for_bit(tmp_path):
    _, training, held_out = drawn(2)
    plain, seen = (_fresh() for _ in range(2))
    losses = train(plain, training, 30)
    watch = watching(seen, training, held_out, tmp_path, every=7)

    def each(step):
        modes = [x.training for x in seen.modules()]
        watch.step(step)
        assert [x.training for x in seen.modules()] == modes
        return False

    assert train(seen, training, 30, each) == losses
    assert [x["step"] for x in watch.rows] == [0, 7, 14, 21, 28]
    for (name, one), two in zip(
        plain.state_dict().items(), seen.state_dict().values(), strict=True
    ):
        assert torch.equal(one, two), name
    assert seen.training
    assert not seen.frozen.training


def _fresh():
    torch.manual_seed(0)
    return Net()


def test_gradients_and_what_comes_next(tmp_path):
    """In the middle of accumulating gradients, with some parameters frozen."""
    _, training, held_out = drawn(2)
    net = _fresh()
    watch = watching(net, training, held_out, tmp_path)
    net.last.bias.requires_grad_(False)
    net(torch.randn(8, D), torch.zeros(8)).sum().backward()
    before = {k: None if x.grad is None else x.grad.clone() for k, x in net.named_parameters()}
    states = random.getstate(), np.random.get_state()[1].copy(), torch.get_rng_state()  # noqa: NPY002
    watch.look(1)
    for name, x in net.named_parameters():
        assert x.requires_grad == (name != "last.bias")
        assert (x.grad is None) == (before[name] is None)
        assert x.grad is None or torch.equal(x.grad, before[name])
    assert random.getstate() == states[0]
    assert (np.random.get_state()[1] == states[1]).all()  # noqa: NPY002
    assert torch.equal(torch.get_rng_state(), states[2])
    assert torch.is_grad_enabled()


class Noisy(Net):
    """A network that draws, whatever its mode."""

    def forward(self, x, k):
        random.random()
        np.random.rand()  # noqa: NPY002
        return super().forward(x, k) + 0 * torch.rand(1)


def test_a_network_that_draws_in_eval_mode(tmp_path):
    _, training, held_out = drawn(2)
    torch.manual_seed(0)
    plain = Noisy()
    torch.manual_seed(0)
    seen = Noisy()
    watch = watching(seen, training, held_out, tmp_path)
    assert train(plain, training, 5) == train(seen, training, 5, watch.step)


def test_inside_an_autocast(tmp_path):
    """What a look casts must not be what the next step of the training takes its gradient of."""
    _, training, held_out = drawn(2)
    net = _fresh().eval()
    net.forward = torch.autocast("cpu", dtype=torch.bfloat16)(net.forward)  # as accelerate does
    watch = watching(net, training, held_out, tmp_path)
    x, k = torch.ones(4, D), torch.zeros(4)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        watch.look(1)
        assert torch.is_autocast_enabled("cpu")
        assert torch.get_autocast_dtype("cpu") == torch.bfloat16
        net(x, k).float().sum().backward()
    assert float(net.first.weight.grad.abs().sum()) > 0
    wanted = net.first.weight.grad.clone()
    net.zero_grad()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        net(x, k).float().sum().backward()
    assert torch.equal(net.first.weight.grad, wanted)


def test_nothing_is_held_after_a_look(tmp_path):
    _, training, held_out = drawn(2)
    net = _fresh()
    watch = watching(lambda: module_score(net, PLAN, shape=(D,)), training, held_out, tmp_path)

    def held():
        gc.collect()
        return sum(x.numel() for x in gc.get_objects() if isinstance(x, torch.Tensor))

    watch.look(1)
    before = held()
    watch.look(2)
    assert held() == before


def test_a_failing_look_restores_what_it_changed(tmp_path):
    _, training, held_out = drawn(2)
    net = _fresh()
    watch = watching(net, training, held_out, tmp_path)
    net.train()
    state = torch.get_rng_state()
    net.last.register_forward_hook(_raise)
    with pytest.raises(RuntimeError, match="inside"):
        watch.look(1)
    assert net.training
    assert torch.equal(torch.get_rng_state(), state)
    assert torch.is_grad_enabled()


def _raise(*_):
    torch.rand(5)
    raise RuntimeError("something inside")


# what goes wrong later


def test_a_failure_later_is_a_warning(tmp_path):
    _, training, held_out = drawn(2)
    net = _fresh()
    watch = watching(net, training, held_out, tmp_path)
    hook = net.last.register_forward_hook(_raise)
    with pytest.warns(RuntimeWarning, match="could not look at step 1 .*something inside.*goes on"):
        assert not watch.step(1)
    hook.remove()
    watch.step(2)
    assert [x["step"] for x in watch.rows] == [0, 2]
    net.last.register_forward_hook(_raise)
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        for step in range(3, 9):
            watch.step(step)
    assert len(said) == 3
    assert "looks no more" in str(said[-1].message)
    assert "looks no more" not in str(said[1].message)


def test_memory_that_cannot_be_had_names_the_way_out(tmp_path):
    _, training, held_out = drawn(2)
    box = [MixtureScore(two_gaussians(D))]
    watch = watching(lambda: box[0], training, held_out, tmp_path)
    box[0] = None
    with pytest.warns(RuntimeWarning, match="NoneType; expected a network"):
        watch.step(1)

    def full():
        raise torch.OutOfMemoryError("CUDA out of memory")

    watch._watched.model = full
    with pytest.warns(RuntimeWarning, match=r"fewer states at a time \(batch=\)"):
        watch.step(2)


def test_what_fails_from_the_start_raises(tmp_path):
    _, training, held_out = drawn(2)
    net = _fresh()
    net.last.register_forward_hook(_raise)
    with pytest.raises(dr.InputError, match=r"fails on one state .*something inside"):
        dr.monitor(net, PLAN, training, held_out, out=tmp_path)
    score = module_score(Net(7), PLAN, shape=(7,))
    with pytest.raises(dr.InputError, match="takes states of 7 numbers"):
        dr.monitor(score, None, training, held_out, out=tmp_path)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"held_out": None}, "held_out is None; expected points of the same law"),
        ({"held_out": np.eye(9)}, "sample_shape of the held-out points"),
        ({"scheduler": object()}, "the scheduler is object|UNet2DModel"),
        ({"scheduler": None}, "came without a scheduler"),
        ({"model": 3}, "model to look at is a int; expected a network"),
        ({"model": lambda: None}, "model to look at is a NoneType"),
        ({"every": 0}, "every is 0; expected a whole number"),
        ({"every": 2.5}, "every is 2.5"),
        ({"every": True}, "every is True"),
        ({"alpha": 0}, "alpha is 0"),
        ({"draws": 3}, "draws is 3"),
        ({"samples": 0}, "samples is 0"),
        ({"steps": 1}, "steps is 1"),
        ({"batch": 0}, "batch is 0"),
        ({"memory_mib": 1}, "memory_mib is 1"),
        ({"data": "nowhere/at/all"}, "data: .*nowhere"),
        ({"data": np.full((9, D), np.nan)}, "NaN"),
        ({"writers": [3]}, "writer is a int; expected a SummaryWriter"),
        ({"label": 3}, "label is 3, and a module with a Schedule"),
    ],
)
def test_bad_input_is_told(tmp_path, given, words):
    _, training, held_out = drawn(2, 30)
    options = {"model": Net(), "scheduler": PLAN, "data": training, "held_out": held_out, **given}
    state = torch.get_rng_state()
    with pytest.raises(dr.InputError, match=words):
        dr.monitor(**options, out=tmp_path / "m")
    assert torch.equal(torch.get_rng_state(), state)
    assert not (tmp_path / "m").exists()


def test_held_out_points_of_another_law(tmp_path, whole):
    """Their gap is no sign of memory: it is told and stops nothing."""
    law, training, held_out = drawn(2)
    with pytest.warns(RuntimeWarning, match="the gap counts for no stop"):
        watch = dr.monitor(
            MixtureScore(law), None, training, held_out * 1.5 + 1, out=tmp_path, samples=16, steps=9
        )
    assert np.isnan(watch.rows[0]["p_gap"])
    assert watch.rows[0]["nats_collapse"] > 5 * watch.rows[0]["nats_se_collapse"]
    assert not watch.stop


def test_held_out_points_of_the_groups_of_training_points(tmp_path):
    law, training, held_out = drawn(2, 30)
    groups = np.arange(30)
    data, others = (from_arrays(x, groups=groups) for x in (training, held_out))
    with pytest.raises(dr.InputError, match="all held-out points are of groups"):
        dr.monitor(MixtureScore(law), None, data, others, out=tmp_path / "m")
    assert not (tmp_path / "m").exists()


# when it looks


class Clock:
    def __init__(self, monkeypatch):
        self.now = 0.0
        monkeypatch.setattr("diffregimes.auditing.monitor.time.perf_counter", lambda: self.now)


@pytest.mark.parametrize("unsteady", [False, True])
def test_five_percent_of_the_time(tmp_path, monkeypatch, unsteady):
    """Of a busy machine, too, where one look takes up to half as long again as the last."""
    clock = Clock(monkeypatch)
    _, training, held_out = drawn(2, 30)
    score, looks = MixtureScore(two_gaussians(D)), []

    def slow():
        looks.append(2.0 * (1.5 if unsteady and len(looks) % 2 else 1.0))
        clock.now += looks[-1]
        return score

    watch = watching(slow, training, held_out, tmp_path, every=None, samples=4, steps=2)
    for step in range(1, 4001):
        clock.now += 0.1
        watch.step(step)
        assert watch.seconds <= 0.05 * watch.training_seconds + 1e-9
        assert len(watch.rows) <= 11
    assert watch.training_seconds == pytest.approx(400)
    if unsteady:
        assert watch.seconds > 0.03 * watch.training_seconds
        return
    assert watch.seconds == pytest.approx(18)  # one and a half times 2 s are left for the next
    wanted = [0, *(600 + 400 * np.arange(9))]
    np.testing.assert_allclose([x["step"] for x in watch.rows], wanted, atol=9)


@pytest.mark.parametrize("first", [1, 5])
def test_every_so_many_steps(tmp_path, first):
    """Whatever the steps it is asked at."""
    _, training, held_out = drawn(2, 30)
    watch = watching(MixtureScore(two_gaussians(D)), training, held_out, tmp_path, every=10,
                     samples=4, steps=2)  # fmt: skip
    for step in range(first, 50, 4):
        watch.step(step)
    gaps = np.diff([x["step"] for x in watch.rows])
    assert (gaps >= 10).all()
    assert (gaps < 14).all()


# what is kept


def test_killed_and_resumed(tmp_path):
    """The table goes on where it stood; rows of steps that are taken again are taken again."""
    law, training, held_out = drawn(2, 60)
    box = [MixtureScore(law)]
    make = lambda **more: dr.monitor(  # noqa: E731
        lambda: box[0], None, training, held_out, out=tmp_path, every=10, samples=8, steps=5, **more
    )
    watch = make()
    for step in (10, 20, 30):
        watch.step(step)
    again = make()
    for one, two in zip(again.rows, watch.rows, strict=True):
        np.testing.assert_equal(one, {k: float(v) for k, v in two.items()})
    assert again.levels == watch.levels
    again.step(25)
    assert [x["step"] for x in again.rows] == [0, 10, 20, 25]
    again.step(34)
    again.step(35)
    assert [x["step"] for x in again.rows] == [0, 10, 20, 25, 35]
    box[0] = EmpiricalScore(training)
    assert again.step(45)
    assert make().stop == again.stop == "gap and copies"
    with open(tmp_path / "monitor.csv", newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert [x["step"] for x in rows] == ["0", "10", "20", "25", "35", "45"]
    assert [x["stop"] for x in rows] == ["0"] * 5 + ["1"]
    assert rows[0]["share_speciation"] in {"", *[repr(again.rows[0]["share_speciation"])]}
    with pytest.raises(dr.InputError, match=r"table of another monitor \(seed differ\)"):
        make(seed=1)
    facts = json.loads((tmp_path / "monitor.json").read_text("utf-8"))
    assert [x["name"] for x in facts["levels"]] == [x.name for x in watch.levels]


@pytest.mark.parametrize("text", ["step,train\n1,x\n", "a,b\n1,2\n", "step\n1,2,3\n", "\0"])
def test_a_damaged_table_is_told(tmp_path, text):
    law, training, held_out = drawn(2, 60)
    make = lambda: dr.monitor(  # noqa: E731
        MixtureScore(law), None, training, held_out, out=tmp_path, samples=8, steps=5
    )
    make()
    (tmp_path / "monitor.csv").write_text(text, encoding="utf-8")
    with pytest.raises(dr.InputError, match=r"monitor\.csv cannot be read"):
        make()
    for text in ("[]", "{}", "{"):
        (tmp_path / "monitor.json").write_text(text, encoding="utf-8")
        with pytest.raises(dr.InputError, match=r"monitor\.json"):
            make()


def test_writers_of_others(tmp_path):
    _, training, held_out = drawn(2, 60)

    class Logger:
        def __init__(self):
            self.seen = []

        def log(self, values, step=None):
            self.seen.append((step, values))

    class Writer:
        def __init__(self):
            self.seen = []

        def add_scalar(self, name, value, step):
            self.seen.append((step, name, value))

    logger, writer = Logger(), Writer()
    watch = watching(MixtureScore(two_gaussians(D)), training, held_out, tmp_path,
                     writers=[logger, writer], samples=4, steps=2)  # fmt: skip
    watch.step(1)
    assert [x[0] for x in logger.seen] == [0, 1]
    values = logger.seen[1][1]
    assert values["monitor/nats_gap"] == watch.rows[1]["nats_gap"]
    assert {(1, k, v) for k, v in values.items()} == {x for x in writer.seen if x[0] == 1}
    assert not any(x != x for x in values.values())


def test_tensorboard(tmp_path):
    pytest.importorskip("tensorboard")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
    from torch.utils.tensorboard import SummaryWriter

    _, training, held_out = drawn(2, 60)
    with SummaryWriter(tmp_path / "events") as writer:
        watch = watching(MixtureScore(two_gaussians(D)), training, held_out, tmp_path / "m",
                         writers=[writer], samples=4, steps=2)  # fmt: skip
        watch.step(5)
    found = EventAccumulator(str(tmp_path / "events")).Reload().Scalars("monitor/nats_gap")
    assert [x.step for x in found] == [0, 5]
    np.testing.assert_allclose([x.value for x in found], [x["nats_gap"] for x in watch.rows], 1e-6)


# which network


def test_the_batch_binds(tmp_path):
    law, training, held_out = drawn(2, 60)
    seen = []

    class Counting(MixtureScore):
        def denoise(self, x, t):
            seen.append(len(x))
            return super().denoise(x, t)

    whole = eye_on(training, held_out).look(MixtureScore(law))
    found = eye_on(training, held_out, batch=5).look(Counting(law))
    assert max(seen) == 5
    np.testing.assert_allclose(found.losses.held_out, whole.losses.held_out, rtol=1e-5)


def test_tensors_as_networks_take_them(tmp_path):
    """(n, C, H, W), and a Dataset of torch of such."""
    diffusers = pytest.importorskip("diffusers")
    images = torch.randn(40, 3, 8, 8, generator=torch.Generator().manual_seed(1))
    torch.manual_seed(0)
    unet = diffusers.UNet2DModel(
        sample_size=8, block_out_channels=(8, 16), layers_per_block=1, norm_num_groups=4,
        down_block_types=("DownBlock2D",) * 2, up_block_types=("UpBlock2D",) * 2,
    )  # fmt: skip
    few = {"draws": 16, "samples": 4, "steps": 2}
    scheduler = diffusers.DDPMScheduler()
    watch = dr.monitor(unet.train(), scheduler, images[:24], images[24:], out=tmp_path / "a", **few)
    assert unet.training
    one = torch.utils.data.TensorDataset(images[:24])
    two = torch.utils.data.TensorDataset(images[24:])
    again = dr.monitor(unet, scheduler, one, two, out=tmp_path / "b", **few)
    drop = {"seconds"}
    assert {k: v for k, v in again.rows[0].items() if k not in drop and v == v} == {
        k: v for k, v in watch.rows[0].items() if k not in drop and v == v
    }


@pytest.fixture(scope="module")
def few_images():
    pytest.importorskip("diffusers")
    images = torch.randn(30, 8, 8, 1, generator=torch.Generator().manual_seed(2)).numpy()
    labels = np.arange(20) % 2
    return from_arrays(images[:20], labels), from_arrays(images[20:], labels[:10])


def small_unet(**more):
    import diffusers

    with torch.random.fork_rng():
        torch.manual_seed(0)
        return diffusers.UNet2DModel(
            sample_size=8, in_channels=1, out_channels=1, block_out_channels=(8, 8),
            layers_per_block=1, norm_num_groups=4, down_block_types=("DownBlock2D",) * 2,
            up_block_types=("UpBlock2D",) * 2, **more,
        )  # fmt: skip


FEW = {"draws": 16, "samples": 4, "steps": 2}


def numbers_of(row):
    return {k: v for k, v in row.items() if k not in ("seconds", "step") and v == v}


def test_running_averages(tmp_path, few_images):
    """EMAModel, its weights at each look, and AveragedModel: as the network with these weights."""
    import diffusers
    from diffusers.training_utils import EMAModel

    data, others = few_images
    unet, scheduler = small_unet(), diffusers.DDPMScheduler()
    average = EMAModel(
        unet.parameters(), decay=0.5, model_cls=diffusers.UNet2DModel, model_config=unet.config
    )
    mean = torch.optim.swa_utils.AveragedModel(unet)
    state = torch.get_rng_state()
    watches = [
        dr.monitor(x, scheduler, data, others, out=tmp_path / str(k), every=1, **FEW)
        for k, x in enumerate((average, mean, lambda: unet))
    ]
    assert torch.equal(torch.get_rng_state(), state)
    assert numbers_of(watches[0].rows[0]) == numbers_of(watches[2].rows[0])
    assert numbers_of(watches[1].rows[0]) == numbers_of(watches[2].rows[0])
    for _ in range(2):
        with torch.no_grad():
            for x in unet.parameters():
                x.mul_(0.9)
        average.step(unet.parameters())
    for x in watches:
        x.step(1)
    plain = small_unet()
    average.copy_to(plain.parameters())
    wanted = dr.monitor(plain, scheduler, data, others, out=tmp_path / "wanted", **FEW)
    assert numbers_of(watches[0].rows[1]) == numbers_of(wanted.rows[0])
    assert numbers_of(watches[0].rows[1]) != numbers_of(watches[2].rows[1])
    assert numbers_of(watches[1].rows[1]) == numbers_of(watches[1].rows[0])  # it was not updated
    bare = EMAModel(unet.parameters())
    with pytest.raises(dr.InputError, match="knows its weights and not its network"):
        dr.monitor(bare, scheduler, data, others, out=tmp_path / "bare", **FEW)


def test_a_conditional_network(tmp_path, few_images):
    """Asked for one class, whose points count; as `load_score` of the same."""
    import diffusers

    data, others = few_images
    unet, scheduler = small_unet(num_class_embeds=2), diffusers.DDPMScheduler()
    watch = dr.monitor(unet, scheduler, data, others, label=1, out=tmp_path / "a", **FEW)
    score = dr.load_score(unet, scheduler, label=1)
    again = dr.monitor(score, None, data.only("1"), others.only("1"), out=tmp_path / "b", **FEW)
    assert numbers_of(watch.rows[0]) == numbers_of(again.rows[0])
    other = dr.monitor(unet, scheduler, data, others, label=0, out=tmp_path / "c", **FEW)
    assert numbers_of(watch.rows[0]) != numbers_of(other.rows[0])
    with pytest.raises(dr.InputError, match="label"):
        dr.monitor(unet, scheduler, data, others, out=tmp_path / "d", **FEW)


def test_a_pipeline_and_what_accelerate_prepares(tmp_path, few_images):
    import diffusers
    from accelerate import Accelerator

    data, others = few_images
    unet, scheduler = small_unet().train(), diffusers.DDPMScheduler()
    pipeline = diffusers.DDPMPipeline(unet=unet, scheduler=scheduler)
    prepared = Accelerator(cpu=True).prepare(unet)
    one, two = (
        dr.monitor(*x, data, others, out=tmp_path / str(k), **FEW)
        for k, x in enumerate(((pipeline, None), (torch.nn.DataParallel(prepared), scheduler)))
    )
    assert unet.training
    assert numbers_of(one.rows[0]) == numbers_of(two.rows[0])
