"""What the names of images below a root say of their classes.

In this order: a label file that was asked for; a metadata.csv or .jsonl (Hugging Face), a
dataset.json (StyleGAN, EDM), a .cls or .json beside each image (WebDataset), a val_annotations.txt
(Tiny ImageNet); the first folder of a name. Folders that only wrap others, and parts such as
train/ and test/, are gone into before; folders that number the images are no classes.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import PurePosixPath
from typing import Any

import numpy as np

from ..common.checks import InputError
from .arrayfiles import labels_in_order, rows_of, split_column, typed
from .classes import label_name, listed
from .labelled import by_name, labels_by_name, names_files
from .splits import are_parts, choose, part_of, words_of
from .trees import Tree, is_image, numbered

_METADATA = ("metadata.csv", "metadata.jsonl")
_LAST_NUMBER = re.compile(r"(\d+)\D*$")
_MASKS = {"masks", "annotations", "segmentations", "trimaps", "labels", "groundtruth",
          "ground_truth", "gt"}  # fmt: skip
_MASK = re.compile(r"[_-](mask|gt|seg|label|labels|segmentation|annotation)s?$", re.IGNORECASE)
_NUMBERED = {"part", "parts", "image", "images", "img", "imgs", "shard", "chunk", "batch",
             "fold"}  # fmt: skip
_MAY_TELL = (".csv", ".tsv", ".txt", ".json", ".jsonl", ".xml", ".mat", ".npy", ".parquet")
_PER_SHARD = 1000  # images in a folder of StyleGAN, EDM and FFHQ


Known = tuple[np.ndarray | None, list[str]]  # labels and notes


@dataclass(frozen=True)
class Listing:
    """The images of a tree, and what is known of their classes; `root` is the folder, with "/" at
    its end, that they lie in."""

    root: str
    names: tuple[str, ...]
    labels: np.ndarray | None = None
    notes: tuple[str, ...] = ()

    def labelled(self, known: Known) -> Listing:
        labels, notes = known
        return replace(self, labels=labels, notes=(*self.notes, *notes))

    @property
    def below(self) -> list[str]:
        """The names from the root on."""
        return [x.removeprefix(self.root) for x in self.names]


def listing(tree: Tree, labels: str | None, split: str | None) -> Listing:
    """The images of a tree with their labels. Raises `InputError`."""
    found = _rooted(tree, split)
    if labels == "none" or not found.names:
        return found
    if labels is not None:
        if names_files(labels, found.names, found.root):
            return found.labelled(labels_by_name(labels, found.names, found.root))
        # a bare name is a column of the table that lies beside the images
        if not split_column(labels)[0].exists() and (known := _metadata(tree, found, labels)):
            return found.labelled(known)
        return found.labelled((labels_in_order(labels, len(found.names)), []))
    for told in (_metadata, _dataset_json, _beside_each, _annotations):
        if (known := told(tree, found)) is not None:
            return found.labelled(known)
    return _by_folder(tree, found)


def _rooted(tree: Tree, split: str | None) -> Listing:
    """The images of the part that was asked for, below the folders that only wrap it."""
    root, parts = "", False
    names, notes = _without_masks([x for x in tree.names if is_image(x)])
    while not tree.shards:
        below = [x.removeprefix(root) for x in names]
        folders = dict.fromkeys(x.split("/")[0] for x in below if "/" in x)
        direct = any("/" not in x for x in below)
        if not parts and not direct and are_parts(folders):
            kept, said = choose(list(folders), split, tree.where)
            parts, notes = True, notes + said
            names = [x for x in names if x.removeprefix(root).split("/")[0] in kept]
            if len(kept) == 1:
                root += f"{kept[0]}/"
                continue
        elif len(folders) == 1 and not direct and _only_wraps(tree, root, below):
            root += f"{next(iter(folders))}/"
            continue
        break
    if not parts and are_parts(inner := _inside(root, names)):  # cat/train/1.png, dog/train/2.png
        kept, said = choose(list(inner), split, tree.where)
        names = [x for x in names if x.removeprefix(root).split("/")[1] in kept]
        parts, notes = True, notes + said
    if split is not None and not parts:
        names, said = choose(names, split, tree.where)
        notes += said
    if root:
        notes.insert(0, f"the images are those of the folder {root}")
    empty = _without_images(tree, root, names)
    if empty:
        notes.append(f"subfolders without images left out: {listed(empty)}")
    return Listing(root, tuple(names), None, tuple(notes))


def _without_masks(names: list[str]) -> tuple[list[str], list[str]]:
    """The images that are no masks of others, which most of them have the names of; and a note."""
    masks: dict[str, None] = {}
    kept = []
    for name in names:
        folders = name.split("/")[:-1]
        mask = next((x for x in folders if x.lower() in _MASKS or _MASKS & {*words_of(x)}), None)
        if mask is None:
            kept.append(name)
        else:
            masks[f"{mask}/"] = None
    stems = {_stem(x) for x in kept}
    others = set(kept)
    of_others = [_stem(x) in stems for x in names if x not in others]
    if sum(of_others) * 2 <= len(of_others):  # none, or things that are called so
        return names, []
    return kept, [f"images in {listed(list(masks))} left out, which belong to others by that name"]


def _stem(name: str) -> str:
    """The last part of a name without suffix, and without the word for a mask at its end."""
    return _MASK.sub("", PurePosixPath(name).stem)


def _inside(root: str, names: Sequence[str]) -> dict[str, None]:
    """The folders in the folders of the root, where every image is in one."""
    below = [x.removeprefix(root).split("/") for x in names]
    return dict.fromkeys(x[1] for x in below) if all(len(x) > 2 for x in below) else {}


def _without_images(tree: Tree, root: str, names: Sequence[str]) -> list[str]:
    taken = {x.removeprefix(root).split("/")[0] for x in names}
    beside = [x.removeprefix(root) for x in tree.folders if x.startswith(root)]
    return [x for x in beside if x and "/" not in x and x not in taken]


def _only_wraps(tree: Tree, root: str, below: Sequence[str]) -> bool:
    """Whether one folder holds several that hold images, and nothing beside it speaks of them."""
    told = {*_METADATA, "dataset.json", "val_annotations.txt"}
    if any(f"{root}{name}" in tree.names for name in told):
        return False
    inside = {x.split("/")[1] for x in below if x.count("/") > 1}
    flat_part = not inside and part_of(below[0].split("/")[0]) is not None
    lone = {x.split("/")[0] for x in below}.pop()
    spoken = any(f"{root}{lone}/{name}" in tree.names for name in told)
    return len(inside) > 1 or flat_part or spoken or _deep(below)


def _deep(below: Sequence[str]) -> bool:
    """Folders within folders within the one: a/b/class/image."""
    return all(x.count("/") > 2 for x in below)


def _metadata(tree: Tree, found: Listing, column: str | None = None) -> Known | None:
    """Of a table with a column file_name, as Hugging Face's imagefolder has it; `column` is the one
    of the labels where it is named."""
    name = next((x for x in _METADATA if f"{found.root}{x}" in tree.names), None)
    if name is None:
        return None
    where, text = f"{tree.where}/{found.root}{name}", tree.text(found.root + name)
    if name.endswith(".csv"):
        rows = rows_of(text, where)
    else:
        records = [_parsed(x, where) for x in text.splitlines() if x.strip()]
        header = list(dict.fromkeys(key for x in records for key in x))
        rows = [header, *([_told(x.get(key)) for key in header] for x in records)]
    header = [x.strip() for x in rows[0]]
    if "file_name" not in header:
        raise InputError(
            f"{where} has the columns {listed(header)}; expected one called file_name. Rename it, "
            'or leave labels out by labels="none" (--labels none).'
        )
    if column is not None and column not in header:
        raise InputError(
            f"labels (--labels) is {column!r}, neither a file nor a column of {where}, which has "
            f"{listed(header)}. Name one of these."
        )
    column = column or label_name(header)
    if column is None:
        said = f"{name} has no column called label ({listed(header)})"
        return None, [f"{said}: name one by labels (--labels {where}:COLUMN)"]
    return by_name(
        rows, header.index("file_name"), header.index(column), where, found.names, found.root
    )


def _dataset_json(tree: Tree, found: Listing) -> Known | None:
    """Of the dataset.json of StyleGAN and EDM: pairs of a name and a class, or null."""
    path = f"{found.root}dataset.json"
    if path not in tree.names:
        return None
    where = f"{tree.where}/{path}"
    pairs = _parsed(tree.text(path), where).get("labels")
    if pairs is None:
        return None, ["dataset.json tells no labels; the folders are parts of it and no classes"]
    if isinstance(pairs, dict):
        pairs = list(pairs.items())
    if not isinstance(pairs, list) or not all(isinstance(x, list | tuple) and len(x) == 2
                                              for x in pairs):  # fmt: skip
        raise InputError(
            f'the labels of {where} are no list of [file, class]; expected {{"labels": [["00000/'
            'img00000000.png", 3], ...]} or null. Correct it, or leave labels out (--labels none).'
        )
    rows = [[str(name), _told(label)] for name, label in pairs]
    values, notes = by_name([["file", "label"], *rows], 0, 1, where, found.names, found.root)
    return values, ["the labels are those of dataset.json", *notes]


def _beside_each(tree: Tree, found: Listing) -> Known | None:
    """Of a .cls beside each image, or of one field of a .json beside it."""
    there = set(tree.names)
    stems = [_sample(x) for x in found.names]
    kind = next((x for x in (".cls", ".json") if any(y + x in there for y in stems)), None)
    if kind is None:
        return None
    missing = next((x for x in stems if x + kind not in there), None)
    if missing is not None:
        raise InputError(
            f"{missing}{kind} is not in {tree.where}, where other images have such a file; "
            "expected one for each. Add it, or leave labels out (--labels none)."
        )
    texts = [tree.text(x + kind).strip() for x in stems]
    if kind == ".cls":
        return typed(texts), ["the labels are those of the .cls files"]
    records = [
        _parsed(text, f"{tree.where}/{stem}{kind}") for text, stem in zip(texts, stems, strict=True)
    ]
    field = label_name(list(records[0]))
    if field is None or any(field not in x for x in records):
        return None
    return typed([_told(x[field]) for x in records]), [f"the labels are {field} of the .json files"]


def _annotations(tree: Tree, found: Listing) -> Known | None:
    """Of Tiny ImageNet's val/val_annotations.txt: a file and its class in the first two columns."""
    path = f"{found.root}val_annotations.txt"
    if path not in tree.names:
        return None
    rows = [x.split("\t")[:2] for x in tree.text(path).splitlines() if x.strip()]
    where = f"{tree.where}/{path}"
    values, notes = by_name([["file", "class"], *rows], 0, 1, where, found.names, found.root)
    return values, ["the labels are those of val_annotations.txt", *notes]


def _by_folder(tree: Tree, found: Listing) -> Listing:
    """The first folder of a name is its class."""
    below, notes = found.below, list(found.notes)
    folders = [x.split("/")[0] if "/" in x else "" for x in below]
    direct = folders.count("")
    if 0 < direct < len(folders):
        raise InputError(
            f"{tree.where} holds {direct} images itself and {len(folders) - direct} in "
            "subfolders; expected one or the other. Move them, or say what they are by a .csv of "
            'file names and labels (labels="file.csv", --labels), or labels="none".'
        )
    if direct or not folders:
        return replace(found, notes=(*notes, *_unused(tree, found)))
    if len(set(folders)) == 1:
        notes.append(f"all images lie in one folder, {folders[0]}/, which tells no class")
        return replace(found, notes=(*notes, *_unused(tree, found)))
    if tree.shards or _shards(below):
        first = listed(list(dict.fromkeys(folders)), 3)
        notes.append(f"the folders {first} number the images and are no classes")
        inside = [x.split("/")[1] for x in below] if _inside("", below) else []
        if not tree.shards and len(set(inside)) > 1:
            notes.append("the classes are the folders in them")
            return replace(found, labels=np.array(inside), notes=tuple(notes))
        return replace(found, notes=(*notes, *_unused(tree, found)))
    deeper = sorted({x.split("/")[1] for x in below if x.count("/") > 1})
    if deeper:
        notes.append(f"classes are the first folders; read too what lies deeper: {listed(deeper)}")
    return replace(found, labels=np.array(folders), notes=tuple(notes))


def _unused(tree: Tree, found: Listing) -> list[str]:
    """A note where labels may lie in files beside images that have none."""
    beside = [x for x in tree.names if x.lower().endswith(_MAY_TELL)]
    if not beside:
        return []
    return [
        f"no labels were taken from {listed(beside, 2)}: if they tell them, name a table of file "
        f"names and labels by labels (--labels {tree.where}/FILE:COLUMN)"
    ]


def _shards(below: Sequence[str]) -> bool:
    """Whether folders hold the images by number: images_001/, images_002/, or by the thousand, in
    their order, as those of StyleGAN, EDM and FFHQ: 00001/img00001000.png, or 01000/01000.png."""
    folders = list(dict.fromkeys(x.split("/")[0] for x in below))
    if numbered(folders) and _NUMBERED & {*words_of(folders[0])}:
        return True
    pairs = set()
    for name in below:
        place, number = name.split("/")[0], _LAST_NUMBER.search(PurePosixPath(name).stem)
        if not place.isdecimal() or number is None:
            return False
        pairs.add((int(place), int(number[1])))
    if len({place for place, _ in pairs}) < 2 or len(pairs) < len(below):
        return False
    return any(
        all(place == number // _PER_SHARD * unit for place, number in pairs)
        for unit in (1, _PER_SHARD)
    )


def _sample(name: str) -> str:
    """The name up to the first dot of its last part, as WebDataset tells samples apart."""
    folder, slash, last = name.rpartition("/")
    return folder + slash + last.split(".")[0]


def _parsed(text: str, where: str) -> dict[str, Any]:
    try:
        out = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise InputError(f"{where} is no JSON ({error}); correct or remove it.") from None
    if not isinstance(out, dict):
        raise InputError(f"{where} holds {type(out).__name__}; expected a JSON object. Correct it.")
    return out


def _told(value: Any) -> str:
    """A label as text; nothing where it is none."""
    return "" if value is None or isinstance(value, list | dict) else str(value)
