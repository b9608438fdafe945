"""Laws written out in words: what is read, what is filled in, what is refused and how."""

from __future__ import annotations

import pytest
import torch

from diffregimes.common import memory
from diffregimes.common.checks import InputError
from diffregimes.populations.mixture import from_spec
from diffregimes.populations.specs import EXAMPLE, FULL_EXAMPLE, parse_gmm


def test_the_examples_are_read():
    plain = {"d": 1024, "n": 20000, "mu": 1, "sigma": 1, "weight": 0.5, "seed": 0}
    assert parse_gmm(EXAMPLE) == plain
    assert parse_gmm(FULL_EXAMPLE) == plain
    assert list(parse_gmm("gmm:n=3,d=2")) == list(plain)


@pytest.mark.parametrize(
    "text",
    ["gmm:d=4,n=9,mu=0.5", "d=4,n=9,mu=0.5", "gmm: n = 9 ,d=4 , mu=5e-1,", "gmm:,d=4,,n=9,mu=.5"],
)
def test_spaces_order_and_stray_commas_do_not_matter(text):
    assert parse_gmm(text) == {"d": 4, "n": 9, "mu": 0.5, "sigma": 1, "weight": 0.5, "seed": 0}


def test_every_key_lands_in_its_place():
    law, n, seed = from_spec("gmm:d=4,n=9,mu=0.5,sigma=2,weight=0.25,seed=7")
    assert (law.d, n, seed) == (4, 9, 7)
    assert torch.equal(law.means, torch.tensor([[0.5] * 4, [-0.5] * 4], dtype=torch.float64))
    assert float(law.covariances[0].diagonal[0]) == 4  # sigma is a standard deviation
    assert law.weights.tolist() == [0.25, 0.75]


@pytest.mark.parametrize(
    "value",
    ["d=1,n=2", "d=1e9,n=1e12", "d=3,n=5,mu=0", "d=3,n=5,sigma=0", "d=3,n=5,seed=9007199254740992",
     "d=3,n=5,weight=0.001", "d=3,n=5,weight=0.999", "d=3,n=5,mu=1e9,sigma=1e9"],
)  # fmt: skip
def test_the_ends_of_the_ranges_are_allowed(value):
    parse_gmm(value)


@pytest.mark.parametrize(
    ("bad", "key"),
    [("d=0", "d"), ("d=1.5", "d"), ("d=2e9", "d"), ("n=1", "n"), ("n=2.5", "n"), ("n=2e12", "n"),
     ("mu=-1", "mu"), ("mu=2e9", "mu"), ("sigma=-0.1", "sigma"), ("weight=0", "weight"),
     ("weight=1", "weight"), ("weight=-0.5", "weight"), ("seed=-1", "seed"), ("seed=0.5", "seed"),
     ("mu=x", "mu"), ("mu=", "mu"), ("mu", "mu"), ("mu=nan", "mu"), ("mu=inf", "mu"),
     ("d=nan", "d"), ("seed=1e17", "seed")],
)  # fmt: skip
def test_what_is_out_of_range_is_named(bad, key):
    rest = ",".join(x for x in ("d=8", "n=20") if x[0] != bad[0])
    with pytest.raises(InputError, match=rf"^{key} is .* in .*; expected .*{EXAMPLE}") as caught:
        parse_gmm(f"gmm:{bad},{rest}")
    value = bad.partition("=")[2]
    assert f"{key} is {value!r}" in str(caught.value)


@pytest.mark.parametrize(("gone", "key"), [("gmm:n=5", "d"), ("gmm:d=5", "n"), ("gmm:", "d")])
def test_what_is_missing_is_named(gone, key):
    with pytest.raises(InputError, match=rf"lacks {key}, .*expected at least d and n"):
        parse_gmm(gone)


def test_a_key_is_given_once():
    with pytest.raises(InputError, match="gives d twice"):
        parse_gmm("gmm:d=2,n=5,d=2")


def test_unknown_keys_get_the_nearest():
    with pytest.raises(InputError, match=r"the key 'sigm'; .*Did you mean sigma\?"):
        parse_gmm("gmm:d=2,n=5,sigm=1")
    with pytest.raises(InputError, match=f"the key 'qqq'; .*Write for example {EXAMPLE}"):
        parse_gmm("gmm:d=2,n=5,qqq=1")


@pytest.mark.parametrize("sizes", ["d=1e9,n=2", "d=1,n=1e9", "d=3e4,n=3e4", "d=1e9,n=1e12"])
def test_what_cannot_fit_is_refused_before_it_is_made(sizes, monkeypatch):
    """Torch ends the process where memory runs out in a thread of its own."""
    monkeypatch.setattr(memory, "available", lambda: 2**30)
    with pytest.raises(InputError, match=rf"^'gmm:{sizes}', .* needs .* GiB .*fewer of either"):
        from_spec(f"gmm:{sizes}")
    assert from_spec("gmm:d=3e4,n=300")[1] == 300
