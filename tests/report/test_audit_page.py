"""The page of an audit, its figures and files, and what the terminal says of it."""

from __future__ import annotations

import base64
import dataclasses
import io
import json
import re
from functools import cache
from html import unescape
from pathlib import Path

import numpy as np
import pytest
from matplotlib.figure import Figure
from PIL import Image

from command import without_drawing
from diffregimes import process
from diffregimes.auditing.findings import (
    Audit,
    Judgement,
    ModelTime,
    OfCondition,
    Origin,
    Share,
)
from diffregimes.auditing.judgement import judged
from diffregimes.common.checks import InputError
from diffregimes.common.readable import interval_text
from diffregimes.data.datasets import Dataset
from diffregimes.report.figures import audit as audit_plots
from diffregimes.report.figures.audit import FIGURES
from diffregimes.report.figures.style import png_bytes, svg_bytes
from diffregimes.report.page.audit import confidence, render_audit, write_audit
from diffregimes.report.page.pictures import Painter
from diffregimes.report.terminal.audit import print_audit
from diffregimes.results import Flag
from pages import Loads, colour_images, visible
from sample_analysis import digits, plain_points
from sample_audit import (
    GATE,
    SAMPLES,
    make_audit,
    make_losses,
    with_views,
)

pytestmark = pytest.mark.usefixtures("few_forward_draws")

CASES = {
    "memorising": lambda: (make_audit(), digits(0, 1)),
    "generalising": lambda: (make_audit(memory=0.0), digits(0, 1)),
    "no held-out points": lambda: (make_audit(held_out=False), digits(0, 1)),
    "vectors": lambda: (make_audit(plain_points(), memory=0.3), plain_points()),
    "vectors, no copies": lambda: (make_audit(plain_points(), memory=0.0), plain_points()),
    "ten classes": lambda: (make_audit(digits(), memory=0.2), digits()),
    "colour": lambda: (make_audit(colour_images(), memory=0.5), colour_images()),
    "views": lambda: (with_views(make_audit(), digits(0, 1)), digits(0, 1)),
    "views in colour": lambda: (
        with_views(make_audit(colour_images(), memory=0.5), colour_images()),
        colour_images(),
    ),
}


@cache
def figures_of(case: str) -> dict[str, bytes]:
    found, _ = CASES[case]()
    return {k: svg_bytes(plot(found).get_figure()) for k, plot in FIGURES.items()}


def stock_figures() -> dict[str, bytes]:
    """Drawn once: most tests are about the page around the figures."""
    return figures_of("memorising")


def page(found: Audit | None = None, dataset: Dataset | None = None) -> str:
    return render_audit(found or make_audit(), dataset or digits(0, 1), stock_figures())


class Balanced(Loads):
    """Also notes every end tag that closes something else than what was opened last."""

    VOID = frozenset({"meta", "link", "img", "br"})

    def __init__(self):
        super().__init__()
        self.open, self.wrong = [], []

    def handle_starttag(self, tag, attrs):
        super().handle_starttag(tag, attrs)
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        super().handle_starttag(tag, attrs)

    def handle_endtag(self, tag):
        if not self.open or self.open.pop() != tag:
            self.wrong.append((tag, self.getpos()))


# Figures differ where the data have no copies or no held-out points: those are drawn, the others
# have the stock figures.
DRAWN = {"no held-out points", "vectors, no copies"}


@pytest.mark.parametrize("case", CASES)
def test_the_page_is_whole_and_needs_nothing_else(case):
    html = render_audit(*CASES[case](), figures_of(case) if case in DRAWN else stock_figures())
    loads = Balanced()
    loads.feed(html)
    assert loads.wrong == []
    assert loads.open == []
    assert all(x.startswith(("data:", "#")) for x in loads.sources)
    assert not {"script", "iframe", "object", "embed", "base"} & set(loads.tags)
    assert "http://" not in html
    assert "https://" not in html
    assert "@import" not in html
    assert re.findall(r"url\((?!#)", html) == []
    assert len(loads.ids) == len(set(loads.ids))
    assert "default-src 'none'" in html
    assert not {"nan", "inf", "undefined"} & set(re.findall("[a-z]+", visible(html).lower()))


def test_the_balance_is_seen_to_fail():
    loads = Balanced()
    loads.feed("<main><p><b>one</p></b><br></main>")
    assert [tag for tag, _ in loads.wrong] == ["p", "b"]


def test_names_are_text_and_never_markup():
    nasty = "<script>alert('x')</script> & \"q\" $x_"
    data = dataclasses.replace(digits(0, 1), class_names=(nasty, "b"), source=nasty)
    found = make_audit(data)
    assert found.origins
    found = dataclasses.replace(
        found,
        model={"name": nasty, nasty: nasty},
        verdict=dataclasses.replace(found.verdict, headline=nasty, sentences=(nasty,)),
        collapse=tuple(dataclasses.replace(x, words=nasty) for x in found.collapse),
        recipe={**found.recipe, nasty: nasty},
        notes=(nasty,),
    )
    html = page(found, data)
    assert "<script" not in html
    assert html.count("&lt;script&gt;") > 20
    assert "class &lt;script&gt;" in html


def test_the_same_audit_is_the_same_files_byte_for_byte(tmp_path, monkeypatch):
    found, data = CASES["memorising"]()
    write_audit(found, data, tmp_path / "one", figures=True)
    one = {x.relative_to(tmp_path / "one"): x.read_bytes() for x in tmp_path.rglob("*.*")}
    figures = {f"{name}.{kind}" for name in FIGURES for kind in ("png", "svg")}
    tables = {"samples.csv", "losses.csv", "entropy.csv", "clones.csv", "uturns.csv"}
    assert {x.name for x in one} == figures | tables | {"report.html", "results.json"}
    # drawn again: every SVG, and one PNG, which is made by the same backend for all
    for name, svg in stock_figures().items():
        assert one[Path(f"figures/{name}.svg")] == svg
    again = FIGURES["ratios"](CASES["memorising"]()[0]).get_figure()
    assert svg_bytes(again) == one[Path("figures/ratios.svg")]  # before the PNG, as in the folder
    assert png_bytes(again) == one[Path("figures/ratios.png")]
    assert one[Path("report.html")].decode() == page(*CASES["memorising"]())
    without_drawing(monkeypatch)
    write_audit(*CASES["memorising"](), tmp_path / "two")
    assert not (tmp_path / "two" / "figures").exists()
    for name in (*tables, "results.json"):
        assert (tmp_path / "two" / name).read_bytes() == one[Path(name)]


@pytest.mark.parametrize("case", CASES)
def test_the_page_says_what_the_audit_says(case):
    found, data = CASES[case]()
    html = page(found, data)
    assert not re.search("[0-9] %", html), "a line may end between a number and its %"
    text = unescape(visible(html))
    verdict = found.verdict
    for sentence in (verdict.headline, *verdict.sentences, *found.notes):
        assert sentence in text
    sure = "" if verdict.open else f" · confidence {confidence(found)}"
    assert f" {verdict.kind}{sure} " in text
    assert ("· confidence" in text) != verdict.open
    for share in (found.copies.share, found.copies.baseline):
        assert f"{share.of} " in text
        assert share.in_percent().split(", ")[1].replace(" at 95 %", "") in text
    for x in (found.speciation, *found.collapse):
        assert f"{x.method}{x.words}" in text
        for t, low, high in ((x.t, x.low, x.high), (x.exact, x.exact_low, x.exact_high)):
            assert all(y in text for y in interval_text(t, low, high))
    assert f"{process.sigma(found.collapse[3].t):.3g}" in text
    for key in ("run.versions.torch", "model.source", data.fingerprint):
        assert key in text
    assert ("held_out.fingerprint" in text) == (found.held_out is not None)


def test_the_confidence_is_never_rounded_up_to_certainty():
    found = make_audit()
    for value, words in (
        (0.9999, "more than 99 %"), (0.991, "more than 99 %"), (0.9899, "98 %"), (0.8999, "89 %"),
        (0.9, "90 %"), (None, ""),
    ):  # fmt: skip
        verdict = Judgement("memorises", value, {}, "h", ())
        assert confidence(dataclasses.replace(found, verdict=verdict)) == words


def test_an_open_verdict_asks_for_more_samples():
    found = make_audit(share=0.0)
    assert found.verdict.open
    text = visible(page(found))
    assert "Make more samples (--samples)" in text
    assert "confidence" not in text[: text.index("Copies among")].replace("make it", "").lower()
    sure = dataclasses.replace(found.verdict, kind="does not copy", confidence=0.99)
    text = visible(page(dataclasses.replace(found, verdict=sure)))
    assert "Nothing, so far" in text
    assert f"a share below {100 * found.copies.share.high:.2g} % is not excluded" in text


def test_a_failed_check_stands_at_the_head_and_leaves_the_verdict_open(
    tmp_path, capsys, monkeypatch
):
    flag = Flag("likeness", False, 1.0, 0.5, "60 of 64 samples are far <away>")
    found = make_audit(share=0.0, gate=(*GATE, flag))
    assert (found.verdict.kind, found.verdict.confidence) == ("open", None)
    text = unescape(visible(page(found)))
    assert text.index(flag.message) < text.index("Copies among")
    assert text.index(GATE[0].message) > text.index("What was checked before the verdict")
    assert "Mend what the checks above name" in text
    assert flag.message in " ".join(str(found).split())
    assert flag.message in " ".join(printed(found, tmp_path, capsys, monkeypatch).split())
    told = strict(found.to_json())
    assert told["verdict"]["kind"] == "open"
    assert told["verdict"]["confidence"] is None
    assert told["gate"][-1] == dataclasses.asdict(flag)
    # what was found stays found
    copied = make_audit(share=0.9, gate=(*GATE, flag))
    assert copied.verdict.kind == "memorises"


def test_duplicates_of_what_came_out_and_turned_copies_are_named():
    found = make_audit()
    first = dataclasses.replace(found.origins[0], twins=(300, 301, 302, 303, 304, 305))
    moved = np.full(SAMPLES, "mirror")
    found = dataclasses.replace(
        found, origins=(first, *found.origins[1:]),
        copies=dataclasses.replace(found.copies, moved=moved),
    )  # fmt: skip
    text = visible(page(found))
    assert "also #300, #301, #302, #303 and 2 more: duplicates" in text
    assert text.count("· mirror") == 12 + min(12, len(found.origins))
    assert found.samples()["moved"] == ["mirror"] * SAMPLES


def test_without_held_out_points_the_page_says_how_to_give_them():
    text = visible(page(make_audit(held_out=False)))
    assert "not known" in text
    assert "audit a model made by diffregimes train, which keeps its own" in text
    assert "How much of that gap is memory?" not in text
    assert "Held-out points are missing" not in visible(page())


@pytest.mark.parametrize("memory", [0.9, 0.4, 0.0])
def test_the_share_of_the_gap_is_on_its_card(memory):
    found = make_audit(memory=memory)
    share, _ = found.losses.copied()
    assert np.nanmax(share) == pytest.approx(memory, abs=1e-9)
    assert f"{100 * memory:.0f} %of the exact score’s gap" in re.sub(
        "% of", "%of", visible(page(found))
    )


def rows(html: str, heading: str) -> list[str]:
    """The items of the sheet or table under a heading."""
    section = html[html.index(f">{heading}<") :]
    section = section[: section.index("</section>")]
    return re.findall(r"<li.*?</li>|<tr><th scope.*?</tr>", section, re.DOTALL)


@pytest.mark.parametrize("data", [digits(0, 1), plain_points()], ids=["images", "vectors"])
def test_points_that_came_out_stand_beside_their_copies(data):
    found = make_audit(data)
    html = page(found, data)
    items = rows(html, "The training points that came out")
    assert len(items) == min(12, len(found.origins))
    for item, origin in zip(items, found.origins, strict=False):
        assert f"#{origin.index}" in item
        times = f"{origin.copies} time{'' if origin.copies == 1 else 's'}"
        assert f"{'copied ' if data.is_image else '>'}{times}" in item
        pictures = re.findall('src="(.*?)"', item)
        if data.is_image:
            assert len(pictures) == 1 + min(4, origin.copies)
            assert len(set(pictures)) == len(pictures)
        else:
            assert pictures == []
    assert f"{len(found.origins)} of {data.n} training points were copied" in visible(html)


@pytest.mark.parametrize("data", [digits(0, 1), plain_points()], ids=["images", "vectors"])
def test_without_copies_the_nearest_samples_are_shown(data):
    found = make_audit(data, share=0.0)
    assert not found.origins
    html = page(found, data)
    assert "came out<" not in html
    shown = rows(html, "The samples nearest to training points")
    assert len(shown) == 12
    for item, ratio in zip(shown, np.sort(found.copies.ratio), strict=False):
        assert f"ratio {ratio:.2f}" in item if data.is_image else f"<td>{ratio:.2f}</td>" in item


def test_samples_that_are_not_chosen_are_the_first():
    items = rows(page(), "The first samples, not chosen")
    assert [re.search(r"sample (\d+) ·", visible(x))[1] for x in items] == [
        str(k) for k in range(12)
    ]
    copied = make_audit().copies.copied[:12]
    assert ["<b>copy</b>" in x for x in items] == copied.tolist()


def cut(found: Audit, m: int) -> Audit:
    """The same with the first m samples alone."""
    c = found.copies
    kept = {k: getattr(c, k)[:m] for k in ("states", "point", "second", "distance")}
    copies = dataclasses.replace(
        c, **kept, second_distance=c.second_distance[:m],
        share=Share.counted(int(c.copied[:m].sum()), m),
    )  # fmt: skip
    origins = tuple(
        Origin(x.index, len(k), k)
        for x in found.origins
        if (k := tuple(s for s in x.samples if s < m))
    )
    return dataclasses.replace(found, copies=copies, origins=origins)


@pytest.mark.parametrize(("m", "share"), [(1, 1.0), (2, 0.0)])
def test_a_sample_or_two_are_enough_for_a_page(m, share):
    found = cut(make_audit(share=share), m)
    html = page(found)
    assert len(rows(html, "The first samples, not chosen")) == m
    if share:
        text = visible(html)
        single = len(found.origins) == 1
        assert f"{len(found.origins)} of 360 training points {'was' if single else 'were'}" in text


@pytest.mark.parametrize("share", [0.0, 1.0])
def test_all_or_none_copied_still_has_an_interval(share):
    found = make_audit(share=share)
    assert found.copies.share.value == share
    assert found.copies.share.low < found.copies.share.high
    value, span = found.copies.share.in_percent().split(", ")
    text = visible(page(found))
    assert f"samples {value} {span}" in text


def test_copies_in_features_and_parts_have_a_place_of_their_own(tmp_path, capsys, monkeypatch):
    data = digits(0, 1)
    found = with_views(make_audit(), data)
    html = page(found, data)
    seen, pieces = rows(html, "Copies in features"), rows(html, "Copied parts")
    pieces = [x for x in pieces if "pair" in x]  # not the checks that failed
    assert len(seen) == 12
    assert len(pieces) == min(12, found.in_parts.found.count)
    for item in pieces:
        place, share = re.search(r"sample (\d+) · (\d+)\W%", unescape(visible(item))).groups()
        assert float(share) == round(100 * found.in_parts.share[int(place)])
        assert f"#{found.in_parts.point[int(place)]}" in item
    # what is a copy of the whole comes last
    places = [int(re.search(r"sample (\d+) ·", visible(x))[1]) for x in pieces]
    whole = found.copies.copied[places].tolist()
    assert whole == sorted(whole)
    text = unescape(visible(html))
    for view in (found.in_features, found.in_parts):
        assert view.verdict.sentences[0] in text
        told = printed(found, tmp_path, capsys, monkeypatch)
        assert view.verdict.headline in " ".join(told.split())
    assert "chance is not known" in text
    assert found.own_times.message in text
    plain = visible(page(make_audit()))
    assert "Copies in features" not in plain
    assert "Copied parts" not in plain


def test_a_part_is_shown_and_the_rest_is_faded():
    data = digits(0, 1)
    painter = Painter(data)
    mask = np.zeros((8, 8), dtype=bool)
    mask[:, :4] = True
    uri = painter.part(data.points[0].astype(float), mask)
    image = np.asarray(Image.open(io.BytesIO(base64.b64decode(uri.split(",")[1])))) / 255
    known = np.clip(data.points[0].reshape(8, 8), 0, 1)
    np.testing.assert_allclose(image[:, :4], known[:, :4], atol=3e-3)
    np.testing.assert_allclose(image[:, 4:], 0.5 + 0.25 * (known[:, 4:] - 0.5), atol=3e-3)


def test_a_page_for_another_dataset_is_refused(tmp_path, monkeypatch):
    without_drawing(monkeypatch)
    with pytest.raises(InputError, match="pass the training points of the audit"):
        write_audit(make_audit(), digits(2, 3), tmp_path)
    assert list(tmp_path.iterdir()) == []


# the files


def strict(text: str) -> dict:
    def refuse(name):
        raise AssertionError(f"{name} is no JSON")

    return json.loads(text, parse_constant=refuse)


@pytest.mark.parametrize("case", ["no held-out points", "vectors, no copies", "ten classes"])
def test_results_come_last_and_are_strict_json(case, tmp_path, monkeypatch):
    written = []

    def note(path, data):
        written.append(path.name)
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(data)

    monkeypatch.setattr("diffregimes.report.page.audit.write_atomically", note)
    without_drawing(monkeypatch)
    found, data = CASES[case]()
    write_audit(found, data, str(tmp_path))  # a path as text, as one types it
    assert written[-1] == "results.json"
    assert written.count("results.json") == 1
    results = strict((tmp_path / "results.json").read_text("utf-8"))
    assert results == strict(found.to_json())
    assert results["memorised"]["count"] == found.copies.share.count
    table = (tmp_path / "samples.csv").read_text().splitlines()
    assert len(table) == 1 + SAMPLES
    copy = table[0].split(",").index("copy")
    assert sum(int(x.split(",")[copy]) for x in table[1:]) == found.copies.share.count
    losses = (tmp_path / "losses.csv").read_text().splitlines()
    held_out = losses[0].split(",").index("held_out")
    # an empty cell where there is no number
    assert (losses[1].split(",")[held_out] == "") == (found.held_out is None)


# the figures


@pytest.mark.parametrize("name", FIGURES)
def test_a_given_axes_is_drawn_on_and_returned(name):
    ax = Figure().add_subplot()
    assert FIGURES[name](make_audit(), ax=ax) is ax
    assert ax.has_data()


@pytest.mark.parametrize("name", ["losses", "copied", "entropy", "clones", "returns"])
def test_all_panels_have_one_axis_from_noise_to_data(name):
    found = make_audit()
    ax = FIGURES[name](found)
    left, right = ax.get_xlim()
    assert (left, right) == FIGURES["losses"](found).get_xlim()
    assert left > found.clones.line.t[-1] > right
    assert right <= min(
        x.t[0] for x in (found.losses, found.entropy, found.clones.line, found.returns)
    )
    assert "noise → data" in ax.get_xlabel()


def test_the_histogram_counts_copies_left_of_a_third():
    found = make_audit()
    samples, baseline = audit_plots.plot_ratios(found).patches[1:3]
    for patch, share in ((samples, found.copies.share), (baseline, found.copies.baseline)):
        counts, edges, _ = patch.get_data()
        assert counts.sum() == pytest.approx(100)
        assert counts[edges[1:] < 1 / 3 + 1e-9].sum() == pytest.approx(100 * share.value)
        assert share.in_percent() in patch.get_label()


def test_curves_show_what_the_audit_holds():
    found = make_audit()
    lines = {x.get_label(): x for x in audit_plots.plot_losses(found).get_lines()}
    d = found.dataset.d
    np.testing.assert_allclose(lines["model, training points"].get_ydata(), found.losses.train / d)
    np.testing.assert_allclose(
        lines["exact, held-out points"].get_ydata(), found.losses.exact_held_out / d
    )
    lines = {x.get_label(): x for x in audit_plots.plot_entropy(found).get_lines()}
    np.testing.assert_array_equal(lines["model"].get_ydata(), found.entropy.value)
    np.testing.assert_array_equal(lines["exact score"].get_ydata(), found.entropy.exact)
    lines = [x for x in audit_plots.plot_copied(found).get_lines() if x.get_marker() == "o"]
    np.testing.assert_array_equal(lines[0].get_ydata(), found.losses.copied()[0])
    ax = audit_plots.plot_returns(found)
    lines = {x.get_label(): x for x in ax.get_lines()}
    np.testing.assert_array_equal(lines["exact, training points"].get_ydata(), found.returns.exact)
    for label, name in (("training points", "training"), ("held-out points", "held_out")):
        bars = next(x for x in ax.containers if x.get_label() == label)
        np.testing.assert_array_equal(bars.lines[0].get_ydata(), getattr(found.returns, name))
        ends = bars.lines[2][0].get_segments()
        low, high = (getattr(found.returns, f"{name}_{x}") for x in ("low", "high"))
        np.testing.assert_allclose([x[:, 1] for x in ends], np.stack([low, high], 1), atol=1e-12)
    ax = audit_plots.plot_returns(make_audit(held_out=False))
    assert [x.get_label() for x in ax.containers] == ["training points"]


def test_marks_stand_at_the_times_of_the_panel():
    found = make_audit()
    for name, method in (("losses", "loss-gap"), ("entropy", "entropy"), ("clones", "clone"),
                         ("returns", "u-turn")):  # fmt: skip
        ax = FIGURES[name](found)
        upright = [x.get_xdata()[0] for x in ax.get_lines() if list(x.get_ydata()) == [0, 1]]
        at = next(x for x in found.collapse if x.method == method)
        wanted = [at.t, found.speciation.t if name == "clones" else at.exact]
        assert sorted(upright) == pytest.approx(sorted(wanted))


def test_marks_at_one_time_do_not_hide_each_other():
    found = make_audit()
    one = dataclasses.replace(found.collapse[0], exact=found.collapse[0].t)
    found = dataclasses.replace(found, collapse=(one, *found.collapse[1:]))
    texts = [x for x in audit_plots.plot_losses(found).texts if "t_C" in x.get_text()]
    assert {x.get_ha() for x in texts} == {"left", "right"}


def test_without_a_gap_the_panel_says_why_it_is_empty():
    words = {x.get_text() for x in audit_plots.plot_copied(make_audit(held_out=False)).texts}
    assert "no held-out points" in words
    losses = make_losses(64, 0.5, True)
    same = dataclasses.replace(losses, exact_held_out=losses.exact)
    found = dataclasses.replace(make_audit(), losses=same)
    words = {x.get_text() for x in audit_plots.plot_copied(found).texts}
    assert "the exact score shows no gap" in words
    assert "the exact score has no gap to compare with" in visible(page(found))


def test_small_numbers_read_well_and_long_conditions_are_cut():
    found = make_audit()
    times = tuple(dataclasses.replace(x, t=3.2e-6, exact=3.2e-6) for x in found.collapse)
    verdict = judged(found.copies, found.losses, found.entropy, times, 360, (), found.returns)
    assert "at about t = 3.2 × 10⁻⁶." in verdict.sentences[-1]
    assert not any(re.search(r"[0-9]e-?[0-9]", x) for x in verdict.sentences)
    name = "a photograph of a golden retriever puppy in the snow at dusk"
    one = OfCondition(name, 3, None, 0, 0.2, 1.0, 0.1, 1.0, 0.1, None, None)
    found = dataclasses.replace(found, conditions=(one,), asked=(name,) * 64)
    text = visible(page(found))
    assert f"{name[:39]}…" in text
    assert name not in text


def test_times_that_do_not_exist_are_said_to_be_none():
    found = make_audit()
    none = tuple(
        ModelTime(x.method, None, None, None, None, None, None, x.words) for x in found.collapse
    )
    found = dataclasses.replace(found, collapse=none, speciation=none[2])
    html = page(found)
    assert "none in the range studied" in visible(html)
    assert not any("t_C" in x.get_text() for x in audit_plots.plot_clones(found).texts)


def test_a_law_of_many_images_is_cut_and_said_to_be():
    found = make_audit(memory=0.0)
    assert found.entropy.value.min() < -1
    assert audit_plots.plot_entropy(found).get_ylim()[0] == pytest.approx(-1.02)
    assert "the axis is cut at −1" in visible(page(found))
    assert "the axis is cut" not in visible(page())


# the terminal


def printed(found: Audit, tmp_path, capsys, monkeypatch, columns: int = 100) -> str:
    monkeypatch.setenv("COLUMNS", str(columns))
    print_audit(found, tmp_path)
    return capsys.readouterr().out


def test_the_terminal_says_the_verdict_and_the_times(tmp_path, capsys, monkeypatch):
    found = make_audit()
    found = dataclasses.replace(found, notes=("[bold]not markup[/bold]",))
    text = printed(found, tmp_path, capsys, monkeypatch)
    flowing = " ".join(text.split())
    for sentence in (found.verdict.headline, *found.verdict.sentences):
        assert sentence in flowing
    lines = {x.split()[0]: x.split() for x in text.splitlines() if x.strip()}
    clone = next(x for x in found.collapse if x.method == "clone")
    assert lines["clone"] == [
        "clone", f"{clone.t:.3f}", f"{clone.low:.3f}", "to", f"{clone.high:.3f}",
        f"{clone.exact:.3f}", f"{clone.exact_low:.3f}", "to", f"{clone.exact_high:.3f}",
    ]  # fmt: skip
    assert lines["last-change"][1:] == ["0.412", "0.401", "to", "0.423"]
    share = found.copies.share
    assert f"copies: {share.count} of {SAMPLES} samples ({share.in_percent()})" in flowing
    assert f"baseline: 0 of 200 held-out points ({found.copies.baseline.in_percent()})" in flowing
    assert "note: [bold]not markup[/bold]" in flowing
    assert f"{tmp_path}/report.html" in text
    assert f"and {len(found.origins) - 3} more training points" in flowing


def test_a_narrow_terminal_keeps_the_rows_of_the_table(tmp_path, capsys, monkeypatch):
    found = make_audit(memory=0.0, held_out=False)
    text = printed(found, tmp_path, capsys, monkeypatch, columns=40)
    row = next(x for x in text.splitlines() if x.startswith("loss-gap"))
    assert row.split() == ["loss-gap", "none", "none"]
    assert "came out" not in text


def test_a_training_point_has_its_own_name_and_its_own_picture():
    """Of a part of a folder: the place in the whole, the file, and the picture of that point."""
    whole, row = digits(0, 1), make_audit()
    indices = 7 * np.arange(whole.n)[::-1] + 2
    data = dataclasses.replace(whole, indices=indices, files=tuple(f"c/{k}.png" for k in indices))
    c = row.copies
    copies = dataclasses.replace(
        c, point=indices[c.point], second=indices[c.second],
        files={int(k): f"c/{k}.png" for k in indices},
    )  # fmt: skip
    origins = tuple(
        dataclasses.replace(x, index=int(indices[x.index]), file=data.files[x.index])
        for x in row.origins
    )
    found = dataclasses.replace(row, copies=copies, origins=origins)
    html, painter = page(found, data), Painter(data)
    for x in row.origins[:12]:
        name = data.files[x.index]
        assert f'<img src="{painter.point(x.index)}" alt="training point {name}">' in html
        assert f'<b>#{indices[x.index]} <span class="soft">{name}</span></b>' in html
    for k in range(12):
        near, second = int(c.point[k]), int(c.second[k])
        assert (
            f'<img src="{painter.point(near)}" alt="nearest training point, {data.files[near]}">'
            f'<img src="{painter.point(second)}" alt="second nearest, {data.files[second]}">'
        ) in html
    told = found.samples()
    assert told["nearest_point"] == indices[c.point].tolist()
    assert told["second_file"] == [data.files[k] for k in c.second]
    assert found.to_dict()["origins"][0]["file"] == origins[0].file
    assert "file" not in row.to_dict()["origins"][0]
    assert "nearest_file" not in row.samples()


def test_one_class_decides_nothing():
    """What needs two classes is left out of page, figures and results."""
    data = digits(0)
    found = dataclasses.replace(make_audit(data), speciation=None)
    html = render_audit(found, data, stock_figures())
    assert "not asked: the data are one class" in html
    assert "in the same class, and" not in visible(html)
    assert found.to_dict()["speciation"] is None
    labels = [x.get_text() for x in audit_plots.plot_clones(found).texts]
    assert not any("t_S" in x for x in labels)
    assert "the class is decided" not in found._repr_html_()
