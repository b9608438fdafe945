"""report.html and its parts: whole, self-contained, escaped, the same every time."""

from __future__ import annotations

import dataclasses
import re
from functools import cache

import numpy as np
import pytest
from scipy.special import softmax

from command import without_drawing
from diffregimes import process
from diffregimes.common import readable
from diffregimes.common.checks import InputError
from diffregimes.common.files import write_atomically
from diffregimes.data.datasets import Dataset
from diffregimes.populations.mixture import GaussianMixture, two_gaussians
from diffregimes.report import words as wording
from diffregimes.report.figures.analysis import FIGURES
from diffregimes.report.figures.style import svg_bytes
from diffregimes.report.page.analysis import (
    draw_figures,
    full_page,
    render_html,
    strip_times,
    write_report,
)
from diffregimes.report.page.pictures import Painter
from diffregimes.report.page.strip import centre, noised_strip
from diffregimes.results import Analysis
from diffregimes.transitions.criteria import METHODS
from diffregimes.transitions.points import named
from pages import Loads, colour_images, visible
from sample_analysis import digits, make_analysis, plain_points, with_theory


@cache
def stock_figures() -> dict[str, bytes]:
    """Drawn once: most tests are about the page around the figures."""
    return {name: svg_bytes(x) for name, x in draw_figures(make_analysis()).items()}


def page(
    dataset: Dataset | None = None,
    analysis: Analysis | None = None,
    own_figures: bool = False,
    **options,
) -> str:
    dataset = dataset or digits(0, 1)
    analysis = analysis or make_analysis(dataset, **options)
    strip = noised_strip(dataset, strip_times(analysis))
    return render_html(analysis, dataset, strip, None if own_figures else stock_figures())


DATASETS = {
    "digits": lambda: digits(0, 1),
    "ten classes": lambda: digits(),
    "colour": colour_images,
    "plain points": plain_points,
    "unlabelled": lambda: dataclasses.replace(digits(0, 1), labelled=False),
    "no scale": lambda: dataclasses.replace(digits(0, 1), scale=None),
}


@pytest.mark.parametrize("case", DATASETS)
def test_the_page_needs_nothing_else(case):
    html = page(DATASETS[case]())
    loads = Loads()
    loads.feed(html)
    assert all(x.startswith(("data:", "#")) for x in loads.sources)
    assert not {"script", "iframe", "object", "embed", "base"} & set(loads.tags)
    assert "@import" not in html
    assert re.findall(r"url\((?!#)", html) == []
    assert "http://" not in html
    assert "https://" not in html
    assert len(loads.ids) == len(set(loads.ids))
    inside = {x[1:] for x in loads.sources if x.startswith("#")}
    assert inside | set(re.findall(r"url\(#([^)]+)\)", html)) <= set(loads.ids)


def test_names_are_text_and_never_markup():
    nasty = "<script>alert('x')</script> & \"q\" $x_"
    data = dataclasses.replace(digits(0, 1), class_names=(nasty, "b"), source=nasty)
    analysis = make_analysis(data)
    verdict = dataclasses.replace(analysis.verdict, headline=nasty, sentences=(nasty,))
    times = tuple(dataclasses.replace(x, warnings=(nasty,)) for x in analysis.times)
    recipe = dataclasses.replace(analysis.recipe, options={"labels": nasty})
    analysis = dataclasses.replace(
        analysis, verdict=verdict, times=times, notes=(nasty,), recipe=recipe
    )
    html = page(data, analysis)
    assert "<script" not in html
    assert html.count("&lt;script&gt;") > 10


def test_every_time_of_every_method_is_on_the_page():
    analysis = make_analysis()
    text = visible(page(analysis=analysis))
    for found in analysis.times:
        assert found.method in text
        assert f"{found.t:.3f}" in text
        assert f"{found.low:.3f} to {found.high:.3f}" in text
        assert str(found.ddpm_step) in text
        assert all(x in text for x in found.warnings)
        assert (found.transition, found.method) in METHODS


def test_the_page_says_what_the_analysis_says():
    analysis = make_analysis()
    html = page(analysis=analysis)
    text = visible(html)
    assert analysis.verdict.headline in text
    assert all(
        x.replace("t_S", "tS").replace("t_C", "tC") in text for x in analysis.verdict.sentences
    )
    assert all(x.message in text for x in analysis.reliability)
    assert all(x in text for x in (*analysis.notes, analysis.dataset.fingerprint))
    assert all(f"#{x.index} " in text for x in analysis.points[:12])
    assert all(f"#{x.index} and #{x.other}" in text for x in analysis.duplicates)
    assert "versions.torch" in text
    assert "--range=-1,1" in text
    assert "beyond" not in text


@pytest.mark.parametrize("gone", ["t_s", "t_c"])
def test_a_transition_that_does_not_exist_is_said_to_be_none(gone):
    text = visible(page(**{gone: None}))
    assert f"t{gone[-1].upper()} none" in text
    assert "No such transition in the range studied" in text
    assert "nan" not in text.lower().split()


def test_a_step_beyond_the_schedule_is_said_in_words():
    analysis = make_analysis()
    times = tuple(dataclasses.replace(x, ddpm_step=None) for x in analysis.times)
    recipe = dataclasses.replace(analysis.recipe, schedule="gone/scheduler_config.json")
    analysis = dataclasses.replace(analysis, times=times, recipe=recipe)
    text = visible(page(analysis=analysis))
    assert "beyond the last" in text
    assert "gone/scheduler_config.json" in text


def test_points_that_are_no_pictures_get_a_table_of_weights():
    html = page(plain_points())
    assert "<img" not in html
    assert re.search(r"\d+ % #\d+, (left|right)", visible(html))


def test_without_labels_the_page_says_what_the_classes_are():
    data = dataclasses.replace(digits(0, 1), labelled=False)
    assert "two sides of the first principal component" in page(data)


@pytest.mark.parametrize(("few", "said"), [(2, "15 of 2 points each"), (1, "15 of 1 to 2 points")])
def test_of_many_classes_the_page_says_how_many_and_how_large(few, said):
    labels = np.repeat(np.arange(15), [few, *[2] * 14])
    points = np.random.default_rng(0).standard_normal((len(labels), 3)).astype(np.float32)
    words = visible(page(Dataset(points, labels, tuple(f"c{k}" for k in range(15)), (3,))))
    assert f"{said}: c0 ({few}), c1 (2), " in words
    assert "c11 (2) and 3 more" in words


def test_large_pictures_are_made_small():
    rng = np.random.default_rng(0)
    points = rng.random((12, 200 * 300 * 3), dtype=np.float32)
    data = Dataset(points, np.arange(12) % 2, ("a", "b"), (200, 300, 3), (0.0, 1.0))
    assert len(page(data)) < 4_000_000


def test_the_report_is_written_whole_and_leaves_no_temporary_file(tmp_path):
    data = digits(0, 1)
    write_report(make_analysis(data), data, tmp_path / "run", figures=True)
    wanted = {"report.html"} | {f"{x}.{kind}" for x in FIGURES for kind in ("png", "svg")}
    found = [x for x in (tmp_path / "run").rglob("*") if x.is_file()]
    assert {x.name for x in found} == wanted
    # and byte for byte the one drawn at another time
    same = {f"{name}.svg": stock_figures()[name] for name in FIGURES}
    assert {x.name: x.read_bytes() for x in found if x.suffix == ".svg"} == same
    whole = full_page(make_analysis(data), data, stock_figures())
    assert (tmp_path / "run" / "report.html").read_text("utf-8") == whole


def test_a_write_that_fails_leaves_the_earlier_file(tmp_path, monkeypatch):
    path = tmp_path / "report.html"
    write_atomically(path, b"first")

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.replace", full)
    with pytest.raises(OSError, match="No space left"):
        write_atomically(path, b"second")
    assert path.read_bytes() == b"first"
    assert list(tmp_path.iterdir()) == [path]


def test_a_report_is_refused_for_another_dataset(tmp_path, monkeypatch):
    without_drawing(monkeypatch)
    with pytest.raises(InputError, match="pass the dataset analysed"):
        write_report(make_analysis(digits(0, 1)), digits(2, 3), tmp_path)
    assert list(tmp_path.iterdir()) == []


# the exact theory


def test_the_page_shows_the_theory():
    analysis = with_theory(make_analysis())
    html = page(analysis=analysis, own_figures=True)
    text = visible(html)
    assert "Against the exact theory" in text
    assert "drawn from a known law" in text
    values = sum(int(np.isfinite(z).sum()) for z in analysis.theory.z.values())
    assert f"agrees with the theory: |z| is at most 1.2 in {values} values" in text
    assert "0.4 in 1 times (clone-loo)" in text
    # the times: by theory, with z where there is one, a dash where theory has no such time
    rows = {
        re.search("<b>(.*?)</b>", x)[1]: visible(x)
        for x in re.findall(r'<tr class="(?:speciation|collapse).*?</tr>', html, re.DOTALL)
    }
    assert "0.951z = −0.4" in rows["clone-loo"]
    assert "0.333" in rows["free-energy"]
    assert "none" in rows["spectral"]
    assert "–" in rows["landau"]
    table = re.search(r'<table class="theory">.*?</table>', html, re.DOTALL)[0]
    assert len(re.findall("<tr>", table)) == 1 + len(analysis.theory.z)
    assert "within-class entropy 0 – –" in visible(table.replace("</t", " </t"))
    assert 'colspan="7"' in html
    assert html.count("exact bound") == 2
    assert "nan" not in text.lower().split()


def test_without_theory_the_page_says_nothing_of_it():
    html = page()
    for words in ("exact theory", "exact bound", "<th>exact</th>", 'colspan="7"', "Dashed in ink"):
        assert words not in html


def test_the_law_is_named():
    law = two_gaussians(5, 2, 0.5, 0.2)
    data = dataclasses.replace(plain_points(), population=law)
    text = visible(page(data, with_theory(make_analysis(data))))
    assert "a mixture of 2 Gaussian classes in 5 dimensions: weights 0.2, 0.8" in text
    assert "standard deviation 0.5; means 8.94 apart" in text
    means = np.eye(3)
    law = GaussianMixture(means, [1.0, 2.0, 3.0])
    assert wording.law_in_words(law).endswith("weights 0.333, 0.333, 0.333")


def test_the_theory_is_judged_in_words():
    def words(z):
        return wording.theory_in_words(with_theory(make_analysis(), z).theory)

    assert words(3.4).startswith("The analysis agrees with the theory: |z| is at most 3.4 in ")
    assert words(3.6).startswith("The analysis does not agree with the theory: |z| is at most 3.6")
    assert "(mmse)" in words(3.6)
    assert "enough points" in words(None)
    theory = with_theory(make_analysis()).theory
    far = tuple(dataclasses.replace(x, z=-7.0) for x in theory.times)
    assert "does not agree" in wording.theory_in_words(dataclasses.replace(theory, times=far))


# the strip


@pytest.mark.parametrize("shift", [0.0, 10.0])
def test_weights_of_the_strip_are_a_plain_float64_softmax(shift):
    data = digits(0, 1)
    data = dataclasses.replace(data, points=data.points + np.float32(shift))
    times = [3.0, 1.0, 0.3, 0.05, 0.003]
    strip = noised_strip(data, times, seed=4, samples=3, top=5)
    points = data.points.astype(np.float64) - centre(data)
    for k in range(3):
        for j, t in enumerate(times):
            # x_t again in float64: the noise from the last, noisiest picture alone is float32
            delta = process.variance(t)
            z = (strip.noised[k, 0] - process.signal(3.0) * points[strip.index[k]]) / np.sqrt(
                process.variance(3.0)
            )
            x = process.signal(t) * points[strip.index[k]] + np.sqrt(delta) * z
            gaps = ((x - process.signal(t) * points) ** 2).sum(axis=1)
            weight = softmax(-gaps / (2 * delta))
            order = np.argsort(-weight, kind="stable")[:5]
            np.testing.assert_allclose(strip.top_weight[k, j], weight[order], atol=2e-6)
            np.testing.assert_allclose(strip.noised[k, j], x, atol=1e-5)
            clear = weight[order] > 1e-4
            assert (strip.top_index[k, j] == order)[clear].all()


def test_one_noise_serves_all_times_and_the_seed_decides():
    data = digits()
    one = noised_strip(data, [0.5, 2.0], seed=1)
    two = noised_strip(data, [2.0, 0.1], seed=1)
    np.testing.assert_array_equal(one.noised[:, 1], two.noised[:, 0])
    assert not np.array_equal(one.index, noised_strip(data, [0.5], seed=2).index)


def test_samples_are_spread_over_the_classes():
    data = digits()
    strip = noised_strip(data, [1.0], samples=10)
    assert sorted(data.labels[strip.index]) == list(range(10))
    assert len(set(data.labels[noised_strip(data, [1.0], samples=4).index])) == 4
    two = noised_strip(digits(0, 1), [1.0], samples=4)
    assert np.bincount(digits(0, 1).labels[two.index]).tolist() == [2, 2]


def test_no_more_samples_or_neighbours_than_points():
    strip = noised_strip(plain_points(n=4), [1.0], samples=9, top=9)
    assert strip.top_index.shape == (4, 1, 4)
    np.testing.assert_allclose(strip.top_weight.sum(axis=-1), 1)


def test_times_that_are_none_are_refused():
    with pytest.raises(InputError, match="positive times"):
        noised_strip(digits(0, 1), [0.0, 1.0])


def test_weights_do_not_depend_on_the_chunks(monkeypatch):
    data = digits(0, 1)
    one = noised_strip(data, [1.0, 0.1])
    monkeypatch.setattr("diffregimes.report.page.strip.CHUNK_BYTES", 64 * 8 * 7)
    two = noised_strip(data, [1.0, 0.1])
    np.testing.assert_allclose(one.top_weight, two.top_weight, rtol=1e-10)


# wording


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.0, "0"), (2.5, "2.50"), (-1.764, "−1.76"), (1234.5, "1234"), (None, "–"),
     (3.2e-7, "3.20 × 10⁻⁷"), (float("nan"), "–")],
)  # fmt: skip
def test_numbers_are_written_with_sensible_digits(value, text):
    assert readable.number(value) == text


@pytest.mark.parametrize(
    ("t", "half", "decimals"),
    [(0.96, 0.03, 3), (0.96, 0.2, 2), (0.96, 1e-5, 3), (0.0123, 4e-5, 4), (0.0023, 4e-5, 5)],
)
def test_times_get_the_decimals_their_error_deserves(t, half, decimals):
    assert readable.decimals_for(t, half) == decimals


def test_points_needed_are_a_power_of_ten_with_its_range():
    analysis = make_analysis(digits(0, 1), t_s=0.4, t_c=0.9)
    words = str(wording.needed_in_words(analysis.points_needed, analysis))
    expected = analysis.points_needed.log_n / np.log(10)
    assert f"10<sup>{expected:.1f}</sup>" in words
    assert "With more than that a generalizing regime opens" in words
    assert " to 10<sup>" in words
    unbounded = dataclasses.replace(analysis.points_needed, high=None)
    assert "or more)" in str(wording.needed_in_words(unbounded, analysis))


@pytest.mark.parametrize(
    ("scale", "words"),
    [
        ([0, 1], "needs <code class=nowrap>--range=-1,1"),
        ([-1, 1], "[−1, 1]"),
        (None, "as they came"),
    ],
)
def test_the_scale_is_part_of_the_result(scale, words):
    assert words in wording.scale_in_words(scale)


def renamed(data: Dataset) -> Dataset:
    """The same points as a part of a larger folder."""
    indices = 5 * np.arange(data.n)[::-1] + 3
    return dataclasses.replace(data, indices=indices, files=tuple(f"c/{k}.png" for k in indices))


@pytest.mark.parametrize("indexed", ["source", "position"])
def test_a_point_has_its_own_name_and_its_own_picture(indexed):
    """Results of before name rows of the dataset; both show the picture of the point they mean."""
    data = renamed(digits(0, 1))
    rows = make_analysis(data)
    found = dataclasses.replace(rows, dataset=dataclasses.replace(rows.dataset, indexed=indexed))
    if indexed == "source":
        found = dataclasses.replace(
            found,
            points=named(rows.points, data),
            duplicates=tuple(
                dataclasses.replace(
                    x, index=int(data.indices[x.index]), other=int(data.indices[x.other]),
                    file=data.files[x.index], other_file=data.files[x.other],
                )
                for x in rows.duplicates
            ),
        )  # fmt: skip
    html, painter = page(data, found), Painter(data)

    def picture(row: int, what: str = "") -> str:
        name = data.files[row] if indexed == "source" else f"#{row}"
        return f'<img src="{painter.point(row)}" alt="{what}point {name}">'

    assert rows.points
    assert rows.duplicates
    for x in rows.points[:12]:
        near = picture(x.nearest_index, "its nearest neighbour, ")
        assert picture(x.index) + near in html
    for x in rows.duplicates[:12]:
        assert picture(x.index) + picture(x.other) in html
    if indexed == "source":
        first = found.points[0]
        assert f'<b>#{first.index} <span class="soft">{first.file}</span></b>' in html
    # the noised samples are read from the dataset itself
    strip = noised_strip(data, strip_times(found))
    for row in strip.index:
        shown = f'<img class="big" src="{painter.point(int(row))}" alt="sample {data.files[row]}">'
        assert shown in html
        assert f'#{data.indices[row]} <span class="soft">{data.files[row]}</span></th>' in html


def test_a_point_that_the_dataset_lacks_goes_without_a_picture():
    data = digits(0, 1)
    found = make_analysis(data)
    lost = dataclasses.replace(found.points[0], index=10**6, nearest_index=10**6)
    html = page(data, dataclasses.replace(found, points=(lost,)))
    assert "#1000000" in html
