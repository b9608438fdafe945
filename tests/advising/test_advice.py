"""Advice as people get it: every unit, what cannot be answered, the code that diffusers runs."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

import diffregimes as dr
from diffregimes.advising import Advice, image, training
from diffregimes.common.checks import InputError
from diffregimes.process import flow_time, linear_schedule
from diffregimes.transitions.needed import information_ends


def config(kind, **settings):
    diffusers = pytest.importorskip("diffusers")
    return getattr(diffusers, kind)(**settings)


@pytest.mark.parametrize(
    ("kind", "settings"),
    [
        ("DDPMScheduler", {}),
        ("DPMSolverMultistepScheduler", {}),
        ("EulerDiscreteScheduler", {}),
        ("FlowMatchEulerDiscreteScheduler", {"shift": 3.0}),
        ("EDMEulerScheduler", {}),
    ],
)
def test_the_code_runs(analysis, tmp_path, kind, settings):
    """The lines, pasted beside a pipeline, set the levels that the item names."""
    scheduler = config(kind, **settings)
    scheduler.save_pretrained(tmp_path)
    advice = analysis.advise(tmp_path, steps=7)
    pipe = type("Pipe", (), {"scheduler": scheduler})
    found: dict = {"pipe": pipe}
    exec(advice.code, found)
    lists = advice["steps"].lists
    if kind == "EDMEulerScheduler":  # it takes no list
        np.testing.assert_allclose(found["sigmas"], lists["sigmas"], rtol=1e-4)
    elif "timesteps" in lists:
        assert pipe.scheduler.timesteps.tolist() == lists["timesteps"]
    else:
        seen = pipe.scheduler.sigmas[:-1].numpy()
        np.testing.assert_allclose(seen, lists["sigmas"], rtol=2e-4)
    assert 0 <= found["interval"][0] < found["interval"][1] <= 1


def test_every_unit_of_a_level(analysis):
    advice = analysis.advise("linear")
    at = advice["late start"].settings[0].at
    clock = linear_schedule()
    assert at.sigma == pytest.approx(np.sqrt(np.expm1(2 * at.t)))
    assert at.flow_time == pytest.approx(float(flow_time(at.t)))
    assert at.step == clock.step(at.t) == at.timestep + 1
    assert at.part == pytest.approx(at.step / 1000, abs=1e-3)
    assert advice["late start"].numbers["saved"] == pytest.approx(1 - at.part)


def test_it_reads_itself_back(analysis):
    advice = analysis.advise()
    again = Advice.from_dict(json.loads(advice.to_json()))
    assert again.to_dict() == advice.to_dict()
    with pytest.raises(InputError, match="format"):
        Advice.from_dict({"format": "x"})


def test_every_item_says_where_it_comes_from(analysis):
    """But those that take more than an analysis, which name the option for it."""
    for item in analysis.advise().items:
        if item.name in ("danger zone", "training length"):
            assert not item.answered
            assert "--" in item.answer
            continue
        assert item.answered, item
        assert all((item.formula, item.assumes, item.unknown)), item.name


def test_density_of_the_training_noise(analysis):
    """Shares of the regimes add up to one; sigma_data is that of the points."""
    numbers = analysis.advise()["training noise"].numbers
    for kind in ("uniform steps", "EDM's density"):
        assert sum(v for k, v in numbers.items() if k.startswith(kind)) == pytest.approx(1)
    assert numbers["sigma_data"] == pytest.approx(np.sqrt(0.16 + 0.64), rel=0.03)


def test_points_without_labels_have_no_guidance(analysis):
    bare = replace(analysis, dataset=replace(analysis.dataset, labelled=False))
    advice = bare.advise()
    assert not advice["guidance"].answered
    assert "--labels" in advice["guidance"].answer
    assert "The classes are not known" in advice["strength"].answer


def test_results_of_before_say_what_they_lack(analysis):
    curves = analysis.curves
    older = {k: v for k, v in curves.values.items() if not k.startswith("class_cross")}
    advice = replace(analysis, curves=replace(curves, values=older)).advise()
    assert "older version" in advice["guidance"].answer
    older = {k: v for k, v in curves.values.items() if not k.startswith("own_")}
    advice = replace(analysis, curves=replace(curves, values=older)).advise()
    assert "older version" in advice["strength"].answer


def test_too_few_draws_for_a_late_start(analysis):
    item = analysis.advise(epsilon=1e-6)["late start"]
    assert not item.answered
    assert "--epsilon" in item.answer


def test_a_scale_that_is_not_the_models_is_told(analysis):
    def notes(scale):
        return replace(analysis, dataset=replace(analysis.dataset, scale=scale)).advise().notes

    assert "--range=-1,1" in notes((0.0, 1.0))[0]
    assert notes((-1.0, 1.0)) == () == notes(None)


@pytest.mark.parametrize(
    ("wrong", "match"),
    [
        ({"steps": 1}, "--steps"),
        ({"epsilon": 0.0}, "--epsilon"),
        ({"schedule": "quadratic"}, "unknown schedule"),
    ],
)
def test_nonsense_is_told(analysis, wrong, match):
    with pytest.raises(InputError, match=match):
        analysis.advise(**wrong)


def test_the_scheduler_of_a_pipeline(analysis, tmp_path):
    """Found in its folder, and in that of the pipeline."""
    scheduler = config("DDPMScheduler", num_train_timesteps=50)
    scheduler.save_pretrained(tmp_path / "scheduler")
    for place in (tmp_path, tmp_path / "scheduler"):
        assert analysis.advise(place).steps == 50


def test_a_folder_without_a_scheduler(analysis, tmp_path):
    with pytest.raises(InputError, match=r"scheduler_config\.json"):
        analysis.advise(tmp_path)


def test_a_shift_that_depends_on_the_image(analysis, tmp_path):
    """Its steps have no shares of their own; with the shift of the images in it they do."""
    path = tmp_path / "scheduler_config.json"
    kind = {"_class_name": "FlowMatchEulerDiscreteScheduler", "num_train_timesteps": 1000}
    path.write_text(json.dumps({**kind, "shift": 3.0, "use_dynamic_shifting": True}))
    with pytest.raises(InputError, match=r"use_dynamic_shifting.*calculate_shift"):
        analysis.advise(path)
    path.write_text(json.dumps({**kind, "shift": 3.0, "use_dynamic_shifting": False}))
    assert analysis.advise(path).steps == 1000


def test_a_scheduler_without_noise_levels(analysis, tmp_path):
    path = tmp_path / "scheduler_config.json"
    path.write_text(json.dumps({"_class_name": "EDMEulerScheduler", "num_train_timesteps": 10}))
    with pytest.raises(InputError, match="no key 'sigma_min'; expected that of a diffusers"):
        analysis.advise(path)


def test_points_at_the_end_of_guidance(analysis):
    """Measured where the data have not collapsed there, between two bounds where they have."""
    t = analysis.curves.t
    clear = analysis.curves["same_point_probability"] < 0.1
    measured = float(t[clear][3])
    value, least, most = training.beyond(analysis, measured)
    assert value == least == most
    middle = np.mean(information_ends(analysis.curves, analysis.dataset.n), axis=0)
    assert value == pytest.approx(float(np.interp(measured, t, middle)), abs=0.01)
    value, least, most = training.beyond(analysis, float(t[0]))
    assert least < value <= most
    # of a law of one Gaussian a class: what is missing is at most log 2
    gamma = 1 / np.expm1(2 * float(t[0]))
    law = 4 * np.log1p(0.16 * gamma) + np.log(2)
    assert least < law < most


def test_an_end_of_guidance_beyond_the_curves_is_told(analysis):
    guidance = analysis.advise()["guidance"]
    last = guidance.settings[1]
    beyond = replace(guidance, settings=(guidance.settings[0], replace(last, at=None)))
    item = training.points(analysis, linear_schedule(), beyond)
    assert "beyond what the curves show" in item.answer
    low = replace(last, at=replace(last.at, t=float(analysis.curves.t[0])))
    item = training.points(analysis, linear_schedule(), replace(guidance, settings=(low,)))
    assert "beyond the collapse" in item.answer
    numbers = [
        item.numbers[f"n where the class is settled{x}"] for x in (", at least", "", ", at most")
    ]
    assert numbers == sorted(numbers)


def test_steps_of_a_scheduler_that_is_not_at_hand(analysis):
    other = replace(analysis, recipe=replace(analysis.recipe, schedule="EDM in a file"))
    with pytest.raises(InputError, match="give that scheduler again"):
        other.advise()


def test_labels_without_a_pattern_get_no_interval():
    """The weights of few points are sure of a class that they do not know."""
    rng = np.random.default_rng(1)
    points, labels = rng.standard_normal((400, 2)), np.arange(400) % 2
    advice = dr.analyze(points, labels, draws=512).advise()
    assert not advice["guidance"].answered
    assert "interval" not in advice.code
    bare = image.worth_taking(dr.analyze(points, draws=512), linear_schedule(), 20).lists["t"]
    np.testing.assert_allclose(advice["steps"].lists["t"], bare, rtol=0.05)


def test_points_of_another_scale_than_the_schedule_are_told():
    rng = np.random.default_rng(1)
    labels = np.arange(300) % 2
    points = 0.3 * rng.standard_normal((300, 5)) + np.where(labels, 1, -1)[:, None]
    for factor in (1e-6, 1e6):
        advice = dr.analyze(factor * points, labels, draws=256).advise()
        assert "not made for data of this scale" in advice.notes[-1]
    assert dr.analyze(points, labels, draws=256).advise().notes == ()


def test_few_points_come_back_by_chance():
    rng = np.random.default_rng(1)
    labels = np.arange(24) % 2
    points = 0.3 * rng.standard_normal((24, 3)) + np.where(labels, 1, -1)[:, None]
    assert (
        "one of 24 is chance" in dr.analyze(points, labels, draws=256).advise()["strength"].answer
    )


def test_curves_of_single_points_beside_times_of_groups_are_told():
    rng = np.random.default_rng(1)
    labels = np.repeat(np.arange(60) % 2, 3)
    points = 0.3 * rng.standard_normal((180, 5)) + np.where(labels, 1, -1)[:, None]
    analysis = dr.analyze(points, labels, groups=np.arange(180) // 3, draws=256)
    assert "one by one" in analysis.advise().notes[-1]
